"""How ``edgeward bundle`` shows a bundle: in lines for people, as a document for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from agent.cli.bundle_tree import table, tree

if TYPE_CHECKING:
    from runtime.bundle.decoders import Decoder
    from runtime.bundle.inspection import Inspected
    from runtime.bundle.manifest import InputSpec, Manifest, Preprocess, TensorSpec, Variant
    from runtime.bundle.metrics import Measure

_NOT_PROVEN = "nobody vouches for what follows"
_SIGNATURE = {
    "verified": "verified, signed by {0.signed_by}",
    "not checked": "not checked: give --key PUB; it names {0.claimed_signer}; " + _NOT_PROVEN,
    "none": "none; " + _NOT_PROVEN,
}


def size(count: int) -> str:
    """Bytes for people."""
    if count < 10_000:
        return f"{count} B"
    return f"{count / 1000:.1f} kB" if count < 10_000_000 else f"{count / 1_000_000:.1f} MB"


def files(manifest: Manifest) -> str:
    """``3 files, 3.7 MB``."""
    count = len(manifest.files)
    total = size(sum(entry.size for entry in manifest.files))
    return f"{count} file{'s' if count != 1 else ''}, {total}"


def identity(found: Inspected) -> dict[str, Any]:
    """What names a bundle."""
    return {
        "name": found.manifest.name,
        "version": found.manifest.version,
        "release_counter": found.manifest.release_counter,
        "digest": found.digest,
        "manifest_sha256": found.manifest_sha256,
        "signed_by": found.signed_by,
    }


def document(found: Inspected) -> dict[str, Any]:
    """Everything, for ``--json``; block digests are left out."""
    manifest = msgspec.to_builtins(found.manifest)
    for entry in manifest["files"]:
        entry.pop("blocks", None)
    state = {"verified": found.signature == "verified", "signature": found.signature}
    return state | {"claimed_signer": found.claimed_signer, "manifest": manifest} | identity(found)


def _tensor(spec: TensorSpec) -> str:
    shown = f"{spec.name} {spec.dtype} [{', '.join(map(str, spec.shape))}]"
    if spec.quantisation is None:
        return shown
    return f"{shown}, scale {spec.quantisation.scale:g}, zero point {spec.quantisation.zero_point}"


def _input(spec: InputSpec) -> str:
    numbers = ", ".join(f"{number:g}" for number in spec.value[:4]) + (", ..." if len(spec.value) > 4 else "")
    feeds = {
        "picture": "",
        "value": f", always {numbers}",
        "state": f", the state from {spec.from_output}, at first {numbers or 'zeros'}",
        "picture_size": ", the picture's size",
        "picture_scale": ", the picture's scale",
    }
    return _tensor(spec) + feeds[spec.feed]


def _part(part: Preprocess | Decoder | Measure) -> str:
    """``yolox, score_threshold 0.35, ...``."""
    fields = ", ".join(f"{key} {getattr(part, key)}" for key in part.__struct_fields__)
    tag = part.__struct_config__.tag
    return ", ".join(filter(None, (str(tag or ""), fields)))


def _variants(variants: Sequence[Variant]) -> list[tuple[str, str]]:
    """A table of all, then the tensors of each."""
    heads = ("id", "engine", "precision", "processor", "profiles", "file", "sizes")
    cells = [
        (
            variant.id,
            f"{variant.engine} {variant.engine_version}".strip(),
            variant.precision,
            ", ".join(variant.arch) or "any",
            ", ".join(variant.profiles),
            ", ".join(filter(None, (variant.file, variant.weights))),
            ", ".join(f"{name} {size}" for name, size in variant.dimensions.items()),
        )
        for variant in variants
    ]
    rows = [("variants", line) for line in table(heads, cells)]
    for variant in variants:
        rows.append(("", f"{variant.id}:"))
        rows += [("", f"  in   {_input(spec)}") for spec in variant.inputs]
        rows += [("", f"  out  {_tensor(spec)}") for spec in variant.outputs]
        rows += [("", f"  own preprocess: {_part(variant.preprocess)}")] if variant.preprocess else []
        rows += [("", f"  own postprocess: {_part(variant.postprocess)}")] if variant.postprocess else []
    return rows


def _labels(labels: tuple[str, ...]) -> str:
    if not labels:
        return "no labels"
    shown = ", ".join(labels[:8])
    return f"{len(labels)}: {shown}{', ...' if len(labels) > 8 else ''}"


def _golden(manifest: Manifest) -> str:
    golden = manifest.golden
    if golden is None:
        return "none: no device can tell whether the model answers there as it did here"
    metric = _part(golden.metric)
    return f"{golden.count} frames, answers of {golden.reference}; {metric}"


def signature(found: Inspected) -> str:
    """Its state, in words."""
    return _SIGNATURE[found.signature].format(found)


def text(found: Inspected) -> str:
    """Everything, for people; the signature's state comes first, before what it would have to prove."""
    manifest = found.manifest
    rows = [
        ("signature", signature(found)),
        ("bundle", f"{manifest.name} {manifest.version} (release {manifest.release_counter})"),
        ("digest", found.digest),
        ("task", f"{manifest.task}, {_labels(manifest.labels)}"),
        ("about", manifest.description.replace("\n", " ")),
        ("license", manifest.license.replace("\n", " ")),
        ("needs", ", ".join((f"edgeward {manifest.min_runtime}", *manifest.requires))),
        ("files", files(manifest)),
    ]
    leaves = {entry.path: (entry.role, size(entry.size), entry.sha256[:16]) for entry in manifest.files}
    rows += [("", line) for line in tree(leaves)]
    rows += _variants(manifest.variants)
    rows.append(("preprocess", _part(manifest.preprocess)))
    rows.append(("postprocess", _part(manifest.postprocess)))
    rows.append(("golden", _golden(manifest)))
    promised = msgspec.to_builtins(manifest.budgets)
    rows.append(("budgets", ", ".join(f"{key} {value:g}" for key, value in promised.items())))
    lines, before = "", ""
    for name, line in rows:
        if line:
            lines += f"{name if name != before else '':<12} {line}\n"
            before = name or before
    return lines
