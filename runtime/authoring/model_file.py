"""A model file as its author has it: tensors, what the file says of itself, and what it gives for noise.

Names and shapes stand in the file; whether an output is a softmax, or a box in pixels, does not. A run on
noise tells: probabilities sum up to one, whatever they are of.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from runtime import engine
from runtime.bundle.manifest import InputSpec, Quantisation, TensorSpec, Variant
from runtime.bundle.regular_file import BUNDLE, read_regular
from runtime.engine import Array, ModelFiles
from runtime.errors import Code, EdgewardError
from runtime.ipc import EngineOptions

MAX_BYTES = 4 << 30
DEFAULT_SIZE = (640, 640)
_LONGEST_NAME = 80
_LONGEST_TENSOR_NAME = 255
DTYPES = ("float32", "float16", "uint8", "int8", "int32", "int64")
Size = int | str
"""Of a dimension; a text where the file leaves it open."""


class Tensor(NamedTuple):
    """An input or output as the file has it; ``shape`` with a text where a size is open."""

    name: str
    dtype: str
    shape: tuple[Size, ...]
    quantisation: Quantisation | None = None


class Contents(NamedTuple):
    """What a reader finds in a file: ``precision`` of the weights, ``notes`` by name, ``labels`` if any."""

    engine: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    precision: str = "float32"
    notes: Mapping[str, str] = MappingProxyType({})
    labels: tuple[str, ...] = ()


class Picture(NamedTuple):
    """The input that takes the picture; sizes in pixels."""

    at: int
    layout: str
    channels: int
    width: int
    height: int


class Output(NamedTuple):
    """An output for one picture: ``values``, float32, are what it gave for noise; their shape is real."""

    at: int
    name: str
    values: Array

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the values."""
        return tuple(self.values.shape)


class Model(NamedTuple):
    """A model that was read and has run once."""

    file: str
    data: bytes
    contents: Contents
    picture: Picture
    variant: Variant
    outputs: tuple[Output, ...]
    guessed_sizes: tuple[str, ...]


def load(path: Path, *, size: tuple[int, int] | None) -> Model:
    """Read a model file and run it once.

    Args:
        path: an ONNX or a LiteRT (TensorFlow Lite) file.
        size: width and height in pixels for a picture whose size the file leaves open.

    Raises:
        EdgewardError: ``BUNDLE_MISSING``, ``BUNDLE_UNREADABLE``; ``MODEL_LOAD`` for what is no model, or a
            damaged one; ``BUNDLE_UNSUPPORTED`` for one that takes no picture; ``ENGINE_UNAVAILABLE``.
    """
    data = read_regular(path, BUNDLE, limit=MAX_BYTES, follow_links=True)
    contents = _contents(data, path, size or DEFAULT_SIZE)
    names = set()
    for tensor in (*contents.inputs, *contents.outputs):
        _check_tensor(tensor, path)
        names |= {each for each in tensor.shape if isinstance(each, str)}
    at = _picture_input(contents, path)
    _check_size(contents.inputs[at], size, path)
    dimensions, guessed = _open_sizes(contents, at, size)
    picture = _picture(contents, at, dimensions)
    variant = _variant(contents, at, dimensions, file_name(path.name, contents.engine))
    outputs = _run(variant, data, where=str(path))
    return Model(variant.file, data, contents, picture, variant, outputs, guessed)


def file_name(name: str, engine_name: str) -> str:
    """``name`` with what a bundle's file names must not have replaced, and with the ending of its kind.

    So none is called as something else in the folder, like ``labels.txt`` or ``manifest.json``.
    """
    suffix = ".onnx" if engine_name == "onnxruntime" else ".tflite"
    if name.lower().endswith(suffix):
        name = name[: -len(suffix)]
    plain = re.sub(r"^[^A-Za-z0-9_]+", "", re.sub(r"[^A-Za-z0-9._+-]", "-", name))
    return (plain[:_LONGEST_NAME] or "model") + suffix


def _contents(data: bytes, path: Path, size: tuple[int, int]) -> Contents:
    if data[4:8] == b"TFL3":
        from runtime.authoring.tflite_contents import read  # noqa: PLC0415 - loads LiteRT

        return read(data, where=str(path), size=size)
    if path.suffix.lower() == ".tflite":
        what = "this is no LiteRT file: it does not carry the mark TFL3"
        remedy = "check that the file is complete and was downloaded as it is"
        raise EdgewardError(Code.MODEL_LOAD, what, where=str(path), remedy=remedy)
    if path.suffix.lower() != ".onnx":
        what = "neither an ONNX nor a LiteRT file, by its name and its first bytes"
        remedy = "export the model as .onnx or .tflite; for other engines write bundle.toml by hand"
        raise EdgewardError(Code.MODEL_LOAD, what, where=str(path), remedy=remedy)
    from runtime.authoring.onnx_contents import read as read_onnx  # noqa: PLC0415 - loads onnxruntime

    return read_onnx(data, where=str(path))


def _check_tensor(tensor: Tensor, path: Path) -> None:
    if not tensor.name or not tensor.name.isprintable() or len(tensor.name) > _LONGEST_TENSOR_NAME:
        what = f"a tensor is called {tensor.name[:60]!r}: nothing at all, too long, or not printable"
        remedy = "export the model with plain names for its inputs and outputs"
        raise EdgewardError(Code.BUNDLE_UNSUPPORTED, what, where=str(path), remedy=remedy)
    if tensor.dtype not in DTYPES:
        what = f"the tensor {tensor.name!r} is of type {tensor.dtype}"
        remedy = f"export the model with one of: {', '.join(DTYPES)}"
        raise EdgewardError(Code.BUNDLE_UNSUPPORTED, what, where=str(path), remedy=remedy)


def _picture_input(contents: Contents, path: Path) -> int:
    for at, tensor in enumerate(contents.inputs):
        if len(tensor.shape) == 4 and {tensor.shape[1], tensor.shape[3]} & {1, 3}:
            if isinstance(tensor.shape[0], int) and tensor.shape[0] != 1:
                what = f"the input {tensor.name!r} takes {tensor.shape[0]} pictures at once"
                remedy = "export it for a batch of 1, or with an open batch"
                raise EdgewardError(Code.BUNDLE_UNSUPPORTED, what, where=str(path), remedy=remedy)
            return at
    found = ", ".join(f"{tensor.name} {list(tensor.shape)}" for tensor in contents.inputs) or "none"
    what = f"no input takes a picture: [1, 3, H, W] or [1, H, W, 3]; the inputs are {found}"
    remedy = "edgeward runs models of pictures; export it with the picture as an input of its own"
    raise EdgewardError(Code.BUNDLE_UNSUPPORTED, what, where=str(path), remedy=remedy)


def _check_size(picture: Tensor, size: tuple[int, int] | None, path: Path) -> None:
    """Refuse a size that the file cannot take."""
    _, _, rows, columns = _axes(picture.shape)
    has = (picture.shape[columns], picture.shape[rows])
    if size is None or all(
        isinstance(own, str) or own == wanted for own, wanted in zip(has, size, strict=True)
    ):
        return
    what = f"argument --size: {size[0]}x{size[1]}, but the model's pictures are {has[0]}x{has[1]}"
    remedy = "leave it out, or export the model with open sizes"
    raise EdgewardError(Code.USAGE, what, where=str(path), remedy=remedy)


def _axes(shape: tuple[Size, ...]) -> tuple[str, int, int, int]:
    """Layout, and the axes of channels, height and width."""
    return ("nchw", 1, 2, 3) if shape[1] in {1, 3} else ("nhwc", 3, 1, 2)


def _open_sizes(
    contents: Contents, at: int, size: tuple[int, int] | None
) -> tuple[dict[str, int], tuple[str, ...]]:
    """A number for each open size of the inputs but the batch, and which of them nothing told."""
    shape = contents.inputs[at].shape
    _, _, rows, columns = _axes(shape)
    said = re.fullmatch(r"\[?([1-9]\d{0,4})(?:, *([1-9]\d{0,4}))?\]?", contents.notes.get("imgsz", ""))
    told = size or ((int(said[2] or said[1]), int(said[1])) if said else None)
    width, height = told or DEFAULT_SIZE
    found: dict[str, int] = {}
    guessed = []
    for axis, number in ((rows, height), (columns, width)):
        name = shape[axis]
        if isinstance(name, str):
            found[name] = number
            guessed += [] if told else [name]
    for other in contents.inputs:
        for axis, name in enumerate(other.shape):
            is_batch = name == shape[0] or (axis, other.name) == (0, contents.inputs[at].name)
            if isinstance(name, str) and name not in found and not is_batch:
                found[name] = 1
                guessed.append(name)
    return found, tuple(guessed)


def _picture(contents: Contents, at: int, dimensions: dict[str, int]) -> Picture:
    shape = contents.inputs[at].shape
    layout, depth, rows, columns = _axes(shape)
    numbers = [dimensions.get(each, 1) if isinstance(each, str) else each for each in shape]
    return Picture(at, layout, numbers[depth], numbers[columns], numbers[rows])


def _variant(contents: Contents, at: int, dimensions: dict[str, int], file: str) -> Variant:
    """The manifest's entry, with every output in the file's order."""
    kind = "onnx" if contents.engine == "onnxruntime" else "tflite"
    precision = contents.precision if contents.precision in {"float16", "int8"} else "float32"
    return Variant(
        id=f"{kind}-{precision}",
        engine=contents.engine,
        file=file,
        precision=precision,  # type: ignore[arg-type]
        inputs=tuple(
            _input(tensor, number == at, dimensions) for number, tensor in enumerate(contents.inputs)
        ),
        outputs=tuple(_spec(tensor, TensorSpec) for tensor in contents.outputs),
        dimensions=dimensions,
    )


def _spec(tensor: Tensor, kind: type[TensorSpec]) -> TensorSpec:
    return kind(name=tensor.name, dtype=tensor.dtype, shape=tensor.shape)  # type: ignore[arg-type]


def _input(tensor: Tensor, is_picture: bool, dimensions: dict[str, int]) -> InputSpec:
    base = InputSpec(name=tensor.name, dtype=tensor.dtype, shape=tensor.shape)  # type: ignore[arg-type]
    if is_picture:
        return base
    elements = math.prod(dimensions.get(each, 1) if isinstance(each, str) else each for each in tensor.shape)
    if elements == 2 and "scale" in tensor.name.lower():
        return InputSpec(name=base.name, dtype=base.dtype, shape=base.shape, feed="picture_scale")
    if elements == 2 and re.search("size|shape", tensor.name.lower()):
        return InputSpec(name=base.name, dtype=base.dtype, shape=base.shape, feed="picture_size")
    return InputSpec(name=base.name, dtype=base.dtype, shape=base.shape, feed="value", value=(0.0,))


def _run(variant: Variant, data: bytes, *, where: str) -> tuple[Output, ...]:
    """One inference with the engine that a device would use, on noise of a fixed seed."""
    files = ModelFiles(data, b"", hashlib.sha256(data).hexdigest())
    loaded = engine.load(variant, files, EngineOptions(), where=where)
    try:
        binding = loaded.bind(1)
        noise = np.random.default_rng(0)
        for spec, buffer in zip(variant.inputs, binding.inputs, strict=True):
            if spec.feed in {"picture_size", "picture_scale"}:
                buffer[...] = 1
            elif spec.feed == "value":
                buffer[...] = 0
            elif buffer.dtype.kind == "f":
                buffer[...] = noise.random(buffer.shape, np.float32)
            else:
                lowest = 0 if buffer.dtype == np.uint8 else -128
                buffer[...] = noise.integers(lowest, lowest + 256, buffer.shape)
        with engine.guarded(Code.MODEL_RUN, where=where):
            binding.run()
        return tuple(
            Output(at, info.name, _numbers(array, info.quantisation))
            for at, (info, array) in enumerate(zip(loaded.outputs, binding.outputs, strict=True))
        )
    finally:
        loaded.close()


def _numbers(array: Array, quantisation: Quantisation | None) -> Array:
    values = np.array(array, np.float32)
    if quantisation is not None:
        values = (values - np.float32(quantisation.zero_point)) * np.float32(quantisation.scale)
    return values
