"""How ``edgeward bundle`` shows a bundle: as a table for people, as a document for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from runtime.bundle.decoders import Decoder
    from runtime.bundle.inspection import Inspected
    from runtime.bundle.manifest import InputSpec, Manifest, Preprocess, TensorSpec, Variant

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


def _part(part: Preprocess | Decoder) -> str:
    """``yolox, score_threshold 0.35, ...``."""
    fields = ", ".join(f"{key} {getattr(part, key)}" for key in part.__struct_fields__)
    tag = part.__struct_config__.tag
    return ", ".join(filter(None, (str(tag or ""), fields)))


def _variant(variant: Variant) -> list[tuple[str, str]]:
    profiles = f", profiles {', '.join(variant.profiles)}" if variant.profiles else ""
    arch = ", ".join(variant.arch) or "any processor"
    weights = f", weights {variant.weights}" if variant.weights else ""
    sizes = ", ".join(f"{name} {size}" for name, size in variant.dimensions.items())
    rows = [f"file {variant.file}{weights}"]
    rows += [f"in   {_input(spec)}" for spec in variant.inputs]
    rows += [f"out  {_tensor(spec)}" for spec in variant.outputs]
    rows += [f"with {sizes}"] if sizes else []
    rows += [f"own preprocess: {_part(variant.preprocess)}"] if variant.preprocess else []
    rows += [f"own postprocess: {_part(variant.postprocess)}"] if variant.postprocess else []
    first = ("variant", f"{variant.id}: {variant.engine}, {variant.precision}, {arch}{profiles}")
    return [first, *(("", row) for row in rows)]


def _labels(labels: tuple[str, ...]) -> str:
    if not labels:
        return "no labels"
    shown = ", ".join(labels[:8])
    return f"{len(labels)}: {shown}{', ...' if len(labels) > 8 else ''}"


def table(found: Inspected) -> str:
    """A table; the signature's state comes first, before anything that it would have to prove."""
    manifest = found.manifest
    rows = [
        ("signature", _SIGNATURE[found.signature].format(found)),
        ("bundle", f"{manifest.name} {manifest.version} (release {manifest.release_counter})"),
        ("digest", found.digest),
        ("task", f"{manifest.task}, {_labels(manifest.labels)}"),
        ("about", manifest.description.replace("\n", " ")),
        ("license", manifest.license.replace("\n", " ")),
        ("needs", f"edgeward {manifest.min_runtime}"),
        ("files", files(manifest)),
    ]
    rows += [("", f"{e.role:<6} {size(e.size):>9}  {e.sha256[:16]}  {e.path}") for e in manifest.files]
    for variant in manifest.variants:
        rows += _variant(variant)
    rows.append(("preprocess", _part(manifest.preprocess)))
    rows.append(("postprocess", _part(manifest.postprocess)))
    promised = msgspec.to_builtins(manifest.budgets)
    rows.append(("budgets", ", ".join(f"{key} {value:g}" for key, value in promised.items())))
    return "".join(f"{name:<12} {text}\n" for name, text in rows if text)
