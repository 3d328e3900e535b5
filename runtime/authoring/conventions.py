"""From pixels to the tensor, as the usual script of each family does it: no file of a model says it."""

from __future__ import annotations

from typing import Literal, NamedTuple

from runtime.bundle.manifest import Preprocess, Quantisation

Triple = tuple[float, float, float]
_ONE_255TH = 1 / 255
_IMAGENET: tuple[Triple, Triple] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_ZERO: Triple = (0.0, 0.0, 0.0)
_ONE: Triple = (1.0, 1.0, 1.0)


class Values(NamedTuple):
    """``(pixel * scale - mean) / std``, and in words."""

    text: str
    scale: float = 1.0
    mean: Triple = _ZERO
    std: Triple = _ONE


RAW = Values("raw pixels, 0 to 255")
FRACTION = Values("pixels / 255", _ONE_255TH)
CENTRED = Values("(pixel - 127.5) / 127.5, so -1 to 1", mean=(127.5,) * 3, std=(127.5,) * 3)
TORCHVISION = Values("pixels / 255, then ImageNet's mean and deviation", _ONE_255TH, *_IMAGENET)
ULTRAFACE = Values("(pixel - 127) / 128", mean=(127.0,) * 3, std=(128.0,) * 3)
NANODET = Values(
    "raw pixels less NanoDet's mean, by its deviation",
    1.0,
    (103.53, 116.28, 123.675),
    (57.375, 57.12, 58.395),
)
CAFFE = Values("raw pixels less Caffe's mean", 1.0, (104.0, 117.0, 123.0))


class Convention(NamedTuple):
    """How a family is usually fed; ``source`` says whose way that is."""

    source: str
    fit: Literal["letterbox", "letterbox_topleft", "stretch", "crop"]
    order: Literal["rgb", "bgr"]
    values: Values
    pad: Triple = (114.0, 114.0, 114.0)
    sampling: Literal["bilinear", "area"] = "bilinear"


class Feeding(NamedTuple):
    """``[preprocess]``, the input's quantisation where it has to be written, why, and what nobody knows."""

    preprocess: Preprocess
    quantisation: Quantisation | None
    reason: str
    unknown: tuple[str, ...]


def feed(
    convention: Convention,
    *,
    dtype: str,
    layout: Literal["nchw", "nhwc"],
    gray: bool,
    own: Quantisation | None,
) -> Feeding:
    """The convention, for an input of this dtype, layout and quantisation."""
    values, written, reason, known = _values(convention, dtype, own)
    open_facts = [] if gray else [f'order = "{convention.order}"']
    open_facts += [f'fit = "{convention.fit}"'] + ([] if known else ["scale, mean and std"])
    unknown = (
        f"[preprocess] {', '.join(open_facts)}: no file says it; this is the way of {convention.source}. "
        "Compare with the script that the model was tested with",
    )
    fields = Preprocess(
        fit=convention.fit,
        sampling=convention.sampling,
        order="gray" if gray else convention.order,
        layout=layout,
        scale=values.scale,
        mean=values.mean,
        std=values.std,
        pad=convention.pad,
    )
    return Feeding(fields, written, reason, unknown)


def _values(
    convention: Convention, dtype: str, own: Quantisation | None
) -> tuple[Values, Quantisation | None, str, bool]:
    """Values, the quantisation to write, why, and whether the file says so."""
    usual = convention.values
    if dtype not in {"uint8", "int8"}:
        return usual, None, f"{usual.text}: the way of {convention.source}", False
    if own is None:
        shift = Values("pixels less 128", mean=(128.0,) * 3) if dtype == "int8" else RAW
        return shift, None, f"{shift.text}: the input has 256 levels and no quantisation", False
    lowest = -128 if dtype == "int8" else 0
    first = (lowest - own.zero_point) * own.scale
    last = (lowest + 255 - own.zero_point) * own.scale
    span = f"the input's quantisation spans {first:.3g} to {last:.3g}"
    for values, low, high in ((FRACTION, 0.0, 1.0), (CENTRED, -1.0, 1.0), (RAW, 0.0, 255.0)):
        near = 0.02 * (high - low)
        if abs(first - low) < near and abs(last - high) < near:
            if dtype == "uint8":
                # One level a pixel value, whatever the floats behind them.
                return RAW, None, f"raw pixels: {span} in 256 levels, one for each pixel value", True
            return values, own, f"{values.text}: {span}", True
    guess = TORCHVISION if first < -1.5 and last > 1.5 and last < 10 else usual
    return guess, own, f"{guess.text}: {span}, which is none of the usual ones", False
