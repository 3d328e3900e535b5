"""What a LiteRT file says of itself, as the interpreter reads it."""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from runtime.authoring.model_file import Contents, Size, Tensor
from runtime.bundle.manifest import Quantisation
from runtime.engine import first_line, litert_kernels, package, tflite_file
from runtime.errors import Code, EdgewardError

_MODULES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")
_MAX_LABELS = 1 << 20


def read(data: bytes, *, where: str, size: tuple[int, int]) -> Contents:
    """Tensors, and labels where the file carries them as TensorFlow Lite's metadata.

    Args:
        data: the file.
        where: its name, for errors.
        size: width and height in pixels of a picture whose size it leaves open.

    Raises:
        EdgewardError: ``MODEL_LOAD`` for a file that LiteRT refuses; ``ENGINE_UNAVAILABLE`` without LiteRT.
    """
    module = package.find(*_MODULES, install="pip install 'edgeward[litert]'")
    try:
        tflite_file.check(data)
        plain = module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        interpreter = module.Interpreter(model_content=data, experimental_op_resolver_type=plain)
        _fill_open_sizes(interpreter, size)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError, TypeError) as error:
        remedy = "check that the file is complete, and convert it again without custom operators"
        what = f"LiteRT cannot load the model: {first_line(error)}"
        raise EdgewardError(Code.MODEL_LOAD, what, where=where, remedy=remedy) from error
    inputs = tuple(_tensor(one, _signature(one), "size") for one in interpreter.get_input_details())
    given = interpreter.get_output_details()
    unsized = litert_kernels.dynamic(interpreter, [one["index"] for one in given])
    outputs = tuple(
        _tensor(one, [-1] * len(one["shape"]) if one["index"] in unsized else one["shape"], f"out{at}_")
        for at, one in enumerate(given)
    )
    return Contents("litert", inputs, outputs, _precision(interpreter), {}, _labels(data))


def _signature(detail: Any) -> Sequence[int]:
    """Sizes, -1 for one that the file leaves open."""
    signature = detail.get("shape_signature")
    return detail["shape"] if signature is None or len(signature) == 0 else signature  # type: ignore[no-any-return]


def _fill_open_sizes(interpreter: Any, size: tuple[int, int]) -> None:
    width, height = size
    for detail in interpreter.get_input_details():
        signature = [int(each) for each in _signature(detail)]
        if len(signature) == 4 and any(each < 0 for each in signature[1:]):
            sides = (1, height, width, signature[3]) if signature[3] > 0 else (1, signature[1], height, width)
            whole = [each if each > 0 else side for each, side in zip(signature, sides, strict=True)]
            interpreter.resize_tensor_input(detail["index"], whole, strict=False)


def _tensor(detail: Any, signature: Sequence[int], name: str) -> Tensor:
    """A tensor whose open sizes are called ``name`` and their axis."""
    sizes: list[Size] = []
    for axis, (open_size, size) in enumerate(zip(signature, detail["shape"], strict=True)):
        # An open batch is one picture here: files seldom say truly whether it may be resized.
        sizes.append(int(size) if open_size > 0 or (axis == 0 and size > 0) else f"{name}{axis}")
    quantised = detail["quantization_parameters"]
    quantisation = None
    dtype = np.dtype(detail["dtype"]).name
    if dtype in {"uint8", "int8"} and len(quantised["scales"]) == 1 and quantised["scales"][0] > 0:
        zero = int(quantised["zero_points"][0]) if len(quantised["zero_points"]) else 0
        quantisation = Quantisation(scale=float(quantised["scales"][0]), zero_point=zero)
    return Tensor(detail["name"], "uint8" if dtype == "bool" else dtype, tuple(sizes), quantisation)


def _precision(interpreter: Any) -> str:
    """By the weights: a tensor with a scale is quantised, whatever the model takes and gives."""
    details = interpreter.get_tensor_details()
    kinds = {np.dtype(one["dtype"]).name for one in details if len(one["quantization_parameters"]["scales"])}
    if kinds & {"int8", "uint8"}:
        return "int8"
    return "float16" if any(np.dtype(one["dtype"]) == np.float16 for one in details) else "float32"


def _labels(data: bytes) -> tuple[str, ...]:
    """A label file in the archive that TensorFlow Lite's metadata is kept in, at the end of the model."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for entry in archive.infolist():
                if (
                    entry.filename.endswith(".txt")
                    and "label" in entry.filename
                    and entry.file_size < _MAX_LABELS
                ):
                    text = archive.read(entry).decode("utf-8")
                    return tuple(line.strip() for line in text.splitlines() if line.strip())
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, RuntimeError):
        return ()  # a damaged or locked archive, or no UTF-8 text: then it has no labels that could be read
    return ()
