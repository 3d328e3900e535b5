"""What the part of a manifest about the model must fulfil beyond its types: variants, tensors, decoding."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from runtime.bundle import engine_version
from runtime.bundle.decoders import Decoder, Plugin, Ssd, Yolov5, needs_labels, tasks
from runtime.bundle.manifest import InputSpec, Manifest, Preprocess, TensorSpec, Variant

MAX_DIMENSION = 1 << 20
MAX_DIMENSIONS = 8
# Of all tensors of a variant, for one picture: 1 GiB as float32, before anything is allocated.
MAX_ELEMENTS = 1 << 28
MAX_SIDE = 16384
_RANGES = {
    "uint8": (0, 255),
    "int8": (-128, 127),
    "int32": (-(1 << 31), (1 << 31) - 1),
    "int64": (-(1 << 63), (1 << 63) - 1),
}
# Fewer different values than that are no picture any more: 0 to 1, or -1 to 1, was meant for floats.
_FEWEST_LEVELS = 64
_QUANTISED = ("uint8", "int8")
_LARGEST_FLOAT16 = 65504.0
_LARGEST_FLOAT32 = 3.4028234663852886e38
_SMALLEST_FLOAT32 = 1.1754943508222875e-38
_OF_PICTURES = ("float32", "float16", "uint8", "int8")


class Problem(NamedTuple):
    """One thing that is wrong: the manifest's key, what, and the remedy."""

    key: str
    what: str
    remedy: str


def variants(manifest: Manifest) -> Iterator[Problem]:
    """What is wrong with the variants and their tensors."""
    models = {entry.path for entry in manifest.files if entry.role == "model"}
    ids: set[str] = set()
    for index, variant in enumerate(manifest.variants):
        key = f"variants[{index}]"
        if variant.id in ids:
            yield Problem(f"{key}.id", f"the id {variant.id!r} stands twice", "give each variant its own")
        ids.add(variant.id)
        for name in ("file", "weights"):
            path = getattr(variant, name)
            if path not in models and (path or name == "file"):
                yield Problem(f"{key}.{name}", f"{path!r} is not a model file of the bundle", "list it")
        if variant.weights == variant.file:
            what = "is the model file itself"
            yield Problem(f"{key}.weights", what, "leave it out where the format has one file")
        for profile in variant.profiles:
            if not profile or not profile.isprintable() or len(profile) > 64:
                yield Problem(f"{key}.profiles", "has no profile's name", "use names like 'rk3588'")
        if variant.engine_version:
            yield from _engine_version(variant.engine_version, key)
        yield from _tensors(variant, key)
        yield from _dimensions(variant, key)
        yield from _sizes(variant, key)
        yield from _feeds(variant, key)


def _engine_version(wanted: str, key: str) -> Iterator[Problem]:
    try:
        engine_version.check(wanted)
    except ValueError as error:
        yield Problem(f"{key}.engine_version", str(error), "write them like '>=1.17,<2'")


def _tensors(variant: Variant, key: str) -> Iterator[Problem]:
    sides: tuple[tuple[str, tuple[TensorSpec, ...]], ...] = (
        ("inputs", variant.inputs),
        ("outputs", variant.outputs),
    )
    for side, specs in sides:
        if not specs:
            yield Problem(f"{key}.{side}", "is empty", "describe each tensor: name, dtype, shape")
        if len({spec.name for spec in specs}) != len(specs):
            yield Problem(f"{key}.{side}", "has a name twice", "use the names in the model file")
        for at, spec in enumerate(specs):
            yield from _tensor(spec, f"{key}.{side}[{at}]")


def _tensor(spec: TensorSpec, place: str) -> Iterator[Problem]:
    if not spec.name or not spec.name.isprintable() or len(spec.name) > 255:
        yield Problem(f"{place}.name", "not a tensor name", "use the name in the model file")
    if len(spec.shape) > MAX_DIMENSIONS:
        what = f"has {len(spec.shape)} dimensions"
        yield Problem(f"{place}.shape", what, f"give at most {MAX_DIMENSIONS}")
    for size in spec.shape:
        if not (0 < size <= MAX_DIMENSION if isinstance(size, int) else size.isidentifier()):
            what = f"{size!r} is not a dimension"
            yield Problem(f"{place}.shape", what, "use whole numbers from 1, or a name like 'batch'")
    quantisation = spec.quantisation
    if quantisation is None:
        return
    if spec.dtype not in _QUANTISED:
        what = f"a {spec.dtype} tensor is not quantised"
        yield Problem(f"{place}.quantisation", what, "leave it out, or use uint8 or int8")
    elif not _RANGES[spec.dtype][0] <= quantisation.zero_point <= _RANGES[spec.dtype][1]:
        what = f"{quantisation.zero_point} is no {spec.dtype}"
        yield Problem(f"{place}.quantisation.zero_point", what, "use the value in the model file")
    if not _is_float32(quantisation.scale):
        what = "is not finite" if not math.isfinite(quantisation.scale) else "is beyond float32"
        yield Problem(f"{place}.quantisation.scale", what, "use the value in the model file")


def _dimensions(variant: Variant, key: str) -> Iterator[Problem]:
    """Symbolic sizes: each has a number, but for the batch."""
    names = {size for spec in (*variant.inputs, *variant.outputs) for size in spec.shape}
    for name, number in variant.dimensions.items():
        if not name.isidentifier() or number > MAX_DIMENSION:
            what = f"{name!r} = {number} is not a dimension"
            yield Problem(f"{key}.dimensions", what, "use names like 'height'")
        elif name not in names:
            what = f"no tensor has the dimension {name!r}"
            yield Problem(f"{key}.dimensions", what, "use the names in the tensors' shapes")
    for at, spec in enumerate(variant.inputs):
        for axis, size in enumerate(spec.shape):
            if (
                isinstance(size, str)
                and size not in variant.dimensions
                and (axis, spec.feed) != (0, "picture")
            ):
                what = f"the dimension {size!r} has no size"
                yield Problem(f"{key}.inputs[{at}].shape", what, f"add dimensions.{size} to the variant")


def _sizes(variant: Variant, key: str) -> Iterator[Problem]:
    """Tensors that no board has memory for, and pictures that nothing can make."""
    total = 0
    for side, specs in (("inputs", variant.inputs), ("outputs", variant.outputs)):
        for at, spec in enumerate(specs):
            shape = resolved(spec, variant, batch=1)
            total += math.prod(shape)
            if total > MAX_ELEMENTS:
                what = f"with {list(shape)} the tensors have {total} elements, over {MAX_ELEMENTS} a picture"
                yield Problem(f"{key}.{side}[{at}].shape", what, "correct the shape, or use a smaller model")
                return
            if isinstance(spec, InputSpec) and spec.feed == "picture" and max(shape, default=1) > MAX_SIDE:
                what = f"has a side of {max(shape)} pixels"
                yield Problem(f"{key}.{side}[{at}].shape", what, f"use a picture of at most {MAX_SIDE}")


def _feeds(variant: Variant, key: str) -> Iterator[Problem]:
    pictures = sum(spec.feed == "picture" for spec in variant.inputs)
    if variant.inputs and pictures != 1:
        what = f"{pictures} inputs are fed with the picture"
        yield Problem(f"{key}.inputs", what, 'leave feed = "picture" to one, give the others their feed')
    for at, spec in enumerate(variant.inputs):
        yield from _feed(spec, variant, f"{key}.inputs[{at}]")


def _feed(spec: InputSpec, variant: Variant, place: str) -> Iterator[Problem]:
    elements = math.prod(resolved(spec, variant, batch=1))
    if spec.feed == "picture" and spec.dtype not in _OF_PICTURES:
        what = f"a picture is not made as {spec.dtype}"
        yield Problem(f"{place}.dtype", what, f"use a model that takes one of: {', '.join(_OF_PICTURES)}")
    if spec.value and spec.feed not in {"value", "state"}:
        yield Problem(f"{place}.value", f"is not used by feed = {spec.feed!r}", "leave it out")
    elif spec.feed == "value" and not spec.value:
        yield Problem(f"{place}.value", "is empty", "give one number, or one for each element")
    elif spec.value and len(spec.value) not in {1, elements}:
        what = f"has {len(spec.value)} numbers for {elements} elements"
        yield Problem(f"{place}.value", what, "give one number, or one for each element")
    unfit = next((number for number in spec.value if not _holds(spec.dtype, number)), None)
    if unfit is not None:
        yield Problem(f"{place}.value", f"{unfit:g} is no {spec.dtype}", "use numbers of the input's dtype")
    if spec.feed in {"picture_size", "picture_scale"} and elements != 2:
        yield Problem(f"{place}.shape", f"has {elements} elements, {spec.feed} is two", "correct the shape")
    if spec.feed != "state":
        if spec.from_output:
            yield Problem(f"{place}.from_output", f"is not used by feed = {spec.feed!r}", "leave it out")
        return
    source = next((output for output in variant.outputs if output.name == spec.from_output), None)
    if source is None:
        what = f"there is no output {spec.from_output!r}"
        yield Problem(f"{place}.from_output", what, "name the output that carries the state")
    elif (source.dtype, source.shape) != (spec.dtype, spec.shape):
        what = f"is {spec.dtype} {list(spec.shape)}, its output {source.dtype} {list(source.shape)}"
        yield Problem(f"{place}.shape", what, "a state goes in as it came out")


def _holds(dtype: str, number: float) -> bool:
    """Whether a tensor of ``dtype`` can have that element."""
    if dtype in _RANGES:
        low, high = _RANGES[dtype]
        return number.is_integer() and low <= number <= high
    return abs(number) <= (_LARGEST_FLOAT16 if dtype == "float16" else _LARGEST_FLOAT32)


def _is_float32(number: float) -> bool:
    """Whether it stays a number, and what is not zero does not become it, where it is kept in 32 bits."""
    return number == 0 or _SMALLEST_FLOAT32 <= abs(number) <= _LARGEST_FLOAT32


def resolved(spec: TensorSpec, variant: Variant, *, batch: int) -> tuple[int, ...]:
    """The shape in numbers; a dimension without one is ``batch``."""
    return tuple(
        size if isinstance(size, int) else variant.dimensions.get(size, batch) for size in spec.shape
    )


def decoding(manifest: Manifest) -> Iterator[Problem]:
    """What is wrong with preprocess and postprocess, the manifest's and those of variants."""
    files = {entry.path for entry in manifest.files}
    yield from _preprocess(manifest.preprocess, "preprocess")
    yield from _postprocess(manifest.postprocess, "postprocess", files)
    allowed = tasks(manifest.postprocess)
    if manifest.task not in allowed:
        what = f"the decoder gives {' or '.join(allowed)}, not {manifest.task}"
        yield Problem("task", what, f"use {allowed[0]!r}")
    decoders: list[Decoder] = [manifest.postprocess]
    for index, variant in enumerate(manifest.variants):
        if variant.preprocess is not None:
            yield from _preprocess(variant.preprocess, f"variants[{index}].preprocess")
        yield from _integers(variant, variant.preprocess or manifest.preprocess, f"variants[{index}]")
        if variant.postprocess is not None:
            key = f"variants[{index}].postprocess"
            yield from _postprocess(variant.postprocess, key, files)
            decoders.append(variant.postprocess)
            if manifest.task not in tasks(variant.postprocess):
                what = f"gives {tasks(variant.postprocess)[0]}, the bundle's task is {manifest.task}"
                yield Problem(key, what, "use decoders of one task in a bundle")
    if not manifest.labels and any(needs_labels(decoder) for decoder in decoders):
        yield Problem("labels", "is empty", "name the classes in the order of the model's outputs")


def _preprocess(pre: Preprocess, key: str) -> Iterator[Problem]:
    if not math.isfinite(pre.scale) or pre.scale == 0:
        yield Problem(f"{key}.scale", "is zero or not a finite number", "use 1.0 for raw pixels")
    elif not _is_float32(pre.scale):
        yield Problem(f"{key}.scale", "is beyond float32", "use 1.0 for raw pixels")
    for name, triple in (("mean", pre.mean), ("std", pre.std), ("pad", pre.pad)):
        if not all(math.isfinite(value) for value in triple):
            yield Problem(f"{key}.{name}", "is not finite", "use three plain numbers")
        elif not all(map(_is_float32, triple)):
            yield Problem(f"{key}.{name}", "has a number beyond float32", "use three plain numbers")
    if not all(pre.std):
        yield Problem(f"{key}.std", "would divide by zero", "use 1.0 where nothing is divided")
    if not all(0 <= value <= 255 for value in pre.pad):
        yield Problem(f"{key}.pad", "is outside 0 to 255", "use a pixel value")


def _integers(variant: Variant, pre: Preprocess, key: str) -> Iterator[Problem]:
    """Numbers that an integer tensor cannot hold: the model would see a picture of few or clipped values."""
    for at, spec in enumerate(variant.inputs):
        if spec.feed != "picture" or spec.dtype not in {"uint8", "int8"} or spec.quantisation is not None:
            continue
        lowest, highest = _RANGES[spec.dtype]
        for mean, std in zip(pre.mean, pre.std, strict=True):
            if not std or not pre.scale:
                return  # told already
            ends = sorted(((0.0 - mean) / std, (255.0 * pre.scale - mean) / std))
            if ends[0] < lowest - 1 or ends[1] > highest + 1 or ends[1] - ends[0] < _FEWEST_LEVELS:
                what = f"preprocessing gives {ends[0]:g} to {ends[1]:g} for a tensor of {lowest} to {highest}"
                remedy = "for raw pixels leave out mean, std and scale (int8: mean = [128, 128, 128]); for a "
                remedy += "model that was quantised from floats give the input its quantisation"
                yield Problem(f"{key}.inputs[{at}]", what, remedy)
                return


def _postprocess(decoder: Decoder, key: str, files: set[str]) -> Iterator[Problem]:
    yield from _names(decoder, key)
    for name, value in msgspec.structs.asdict(decoder).items():
        if not all(math.isfinite(number) for number in _numbers(value)):
            yield Problem(f"{key}.{name}", "is not finite", "use plain numbers")
        elif not isinstance(decoder, Plugin) and not all(map(_is_float32, _numbers(value))):
            yield Problem(f"{key}.{name}", "has a number beyond float32", "use plain numbers")
    if isinstance(decoder, Yolov5) and decoder.anchors:
        rows = decoder.anchors
        if len(rows) != len(decoder.strides) or any(not row or len(row) % 2 for row in rows):
            what = f"{len(rows)} rows for {len(decoder.strides)} strides, or a row that is not pairs"
            yield Problem(f"{key}.anchors", what, "give a row of widths and heights for each stride")
        elif any(number <= 0 for row in rows for number in row):
            yield Problem(f"{key}.anchors", "has a size that is not over zero", "use pixels")
    if isinstance(decoder, Ssd):
        if decoder.priors not in files:
            yield Problem(f"{key}.priors", f"there is no file {decoder.priors!r}", "add it as a [[file]]")
        if not all(decoder.scales):
            yield Problem(f"{key}.scales", "would divide by zero", "use 10, 10, 5, 5")


def _names(decoder: Decoder, key: str) -> Iterator[Problem]:
    keypoints: tuple[str, ...] = getattr(decoder, "keypoints", ())
    for at, name in enumerate(keypoints):
        if not name.strip() or not name.isprintable():
            yield Problem(f"{key}.keypoints[{at}]", "empty or not printable", "use plain text")
        if name in keypoints[:at]:
            what = f"the keypoint {name!r} stands twice"
            yield Problem(f"{key}.keypoints[{at}]", what, "give each keypoint a name of its own")
    if isinstance(decoder, Plugin) and not decoder.name.isprintable():
        yield Problem(f"{key}.name", "is not printable", "use the name that the package gives its decoder")
    if isinstance(decoder, Plugin) and not all(name.isprintable() for name in decoder.options):
        yield Problem(f"{key}.options", "has a name that is not printable", "use the decoder's own names")


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _numbers(item)
