"""What a manifest's golden part must fulfil beyond its types."""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

from runtime.bundle.check_model import Problem
from runtime.bundle.manifest import Golden, Manifest
from runtime.bundle.metrics import Metric, metrics

# They are read at a piece, and can become 27 times as much memory.
MAX_RESULTS = 16 << 20


def golden(manifest: Manifest) -> Iterator[Problem]:
    """What is wrong with the golden frames and the way to compare them; nothing where there are none."""
    declared = manifest.golden
    if declared is None:
        return
    yield from _files(declared, manifest)
    ids = [variant.id for variant in manifest.variants]
    if declared.reference not in ids:
        what = f"there is no variant {declared.reference!r}"
        yield Problem("golden.reference", what, f"use one of: {', '.join(ids)}")
    yield from metric(declared.metric, manifest)


def metric(chosen: Metric, manifest: Manifest) -> Iterator[Problem]:
    """What is wrong with the way to compare results of the manifest's decoders."""
    for decoder in (manifest.postprocess, *(variant.postprocess for variant in manifest.variants)):
        if decoder is not None and type(chosen) not in metrics(manifest.task, decoder):
            tags = [str(kind.__struct_config__.tag) for kind in metrics(manifest.task, decoder)]
            wanted = " or ".join(tags)
            what = f"compares {chosen.__struct_config__.tag}, the decoder {decoder.__struct_config__.tag} "
            yield Problem("golden.metric.compare", f"{what}gives {wanted}", f"use {wanted}")
            break
    for name, value in msgspec.structs.asdict(chosen).items():
        if isinstance(value, float) and not math.isfinite(value):
            yield Problem(f"golden.metric.{name}", "is not finite", "use a plain number")


def _files(declared: Golden, manifest: Manifest) -> Iterator[Problem]:
    known = {entry.path for entry in manifest.files if entry.role == "golden"}
    named = [(f"golden.frames[{at}]", path, ".y4m") for at, path in enumerate(declared.frames)]
    for key, path, suffix in (*named, ("golden.results", declared.results, ".json")):
        if path not in known:
            yield Problem(
                key, f"{path!r} is not a golden file of the bundle", 'list it with the role "golden"'
            )
        if not path.endswith(suffix):
            yield Problem(key, f"{path!r} is no {suffix} file", f"use a name that ends in {suffix}")
    size = sum(entry.size for entry in manifest.files if entry.path == declared.results)
    if size > MAX_RESULTS:
        what = f"{declared.results!r} has {size} bytes, over {MAX_RESULTS}"
        yield Problem("golden.results", what, "use fewer golden frames")
    if len(set(declared.frames)) != len(declared.frames):
        yield Problem("golden.frames", "has a file twice", "list each file once")
