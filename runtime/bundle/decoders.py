"""The decoders that a manifest can declare: what the model's outputs are and how they become findings.

Pure declarations, shared with the agent; ``runtime.vision.decoders`` has the code of each. The outputs of
a variant stand in its manifest entry in the order that the decoder's docstring gives here; ``C`` is the
number of labels, ``N`` of rows. Outputs that are float16 or quantised integers are brought to float32 first.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Positive = Annotated[int, msgspec.Meta(ge=1)]
Fraction = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Stride = Annotated[int, msgspec.Meta(ge=1, le=16384)]
Strides = Annotated[tuple[Stride, ...], msgspec.Meta(min_length=1, max_length=16)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
BoxUnits = Literal["pixels", "fraction"]
Activation = Literal["none", "sigmoid", "softmax"]


class Decoder(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True, tag_field="decoder"):
    """Base of all; immutable, refuses unknown keys."""


class Detector(Decoder, frozen=True, kw_only=True):
    """What all decoders that give boxes share."""

    score_threshold: Fraction = 0.35
    iou_threshold: Fraction = 0.45
    class_agnostic: bool = False
    max_detections: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 300


class Yolox(Detector, frozen=True, kw_only=True, tag="yolox"):
    """Raw YOLOX head (Ge et al. 2021, arXiv:2107.08430): ``[1, N, 5 + C]``."""

    strides: Strides = (8, 16, 32)


class Yolov5(Detector, frozen=True, kw_only=True, tag="yolov5"):
    """YOLOv5 and YOLOv7 (Ultralytics; Wang et al. 2022, arXiv:2207.02696).

    Without ``anchors``: decoded in the graph, ``[1, N, 5 + C]``: centre, size, objectness, classes. With
    ``anchors`` (one row of widths and heights in pixels a stride, ``[[10,13,16,30,33,23], ...]``): raw heads
    before the sigmoid, one output a stride, ``[1, A * (5 + C), H, W]`` or ``[1, A, H, W, 5 + C]``.
    """

    strides: Strides = (8, 16, 32)
    anchors: tuple[tuple[float, ...], ...] = ()
    box_units: BoxUnits = "pixels"


class Yolov8(Detector, frozen=True, kw_only=True, tag="yolov8"):
    """YOLOv8 and YOLO11 detection (Ultralytics): ``[1, 4 + C, N]`` or ``[1, N, 4 + C]``, centre and size."""

    box_units: BoxUnits = "pixels"


class Yolov8Pose(Detector, frozen=True, kw_only=True, tag="yolov8_pose"):
    """YOLOv8 and YOLO11 pose (Ultralytics): ``[1, 4 + C + K * D, N]`` or transposed.

    ``K`` is the number of ``keypoints`` (their names), ``D`` is 3 with a visibility, else 2.
    """

    keypoints: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1, max_length=1000)]
    visibility: bool = True
    box_units: BoxUnits = "pixels"


class Yolov8Seg(Detector, frozen=True, kw_only=True, tag="yolov8_seg"):
    """YOLOv8 and YOLO11 instance segmentation (Ultralytics; prototypes: Bolya et al. 2019, arXiv:1904.02689).

    Outputs: ``[1, 4 + C + M, N]`` or transposed, then prototypes ``[1, M, MH, MW]`` or ``[1, MH, MW, M]``.
    """

    mask_threshold: Fraction = 0.5
    box_units: BoxUnits = "pixels"


class Yolov10(Detector, frozen=True, kw_only=True, tag="yolov10"):
    """YOLOv10-style end to end (Wang et al. 2024, arXiv:2405.14458): ``[1, N, 6]``: corners, score, class.

    There is no suppression: ``iou_threshold`` is not used unless it is below 1.
    """

    iou_threshold: Fraction = 1.0
    box_units: BoxUnits = "pixels"


class Dfl(Detector, frozen=True, kw_only=True, tag="dfl"):
    """Heads with distances as distributions (Li et al. 2020, arXiv:2006.04388): NanoDet, PicoDet, raw YOLOv8.

    ``layout``: ``rows``, one output ``[1, N, C + 4 * (reg_max + 1)]`` (NanoDet-Plus); ``split_rows``, class
    scores ``[1, n, C]`` of each stride, then distances ``[1, n, 4 * (reg_max + 1)]`` of each (PicoDet);
    ``maps``, for each stride distances ``[1, 4 * (reg_max + 1), h, w]``, then class scores ``[1, C, h, w]``
    (YOLOv8 cut before its decoder, as NPU exports are). Distances are in units of the stride, left, top,
    right, bottom, from ``(cell + cell_offset) * stride``. ``activation`` is what class scores still need.
    """

    strides: Strides = (8, 16, 32, 64)
    reg_max: Annotated[int, msgspec.Meta(ge=1, le=64)] = 7
    layout: Literal["rows", "split_rows", "maps"] = "rows"
    cell_offset: float = 0.0
    activation: Literal["none", "sigmoid"] = "none"


class FastestDet(Detector, frozen=True, kw_only=True, tag="fastestdet"):
    """FastestDet (github.com/dog-qiuqiu/FastestDet): ``[1, 5 + C, H, W]``: objectness, x, y, w, h, classes.

    score = objectness ^ 0.6 * class ^ 0.4.
    """

    score_threshold: Fraction = 0.65


class Ssd(Detector, frozen=True, kw_only=True, tag="ssd"):
    """SSD without post-processing in the graph (Liu et al. 2016, arXiv:1512.02325).

    Outputs: box offsets ``[1, N, 4]``, then class scores ``[1, N, C]`` or, with ``background``,
    ``[1, N, 1 + C]``. ``priors`` names a file of the bundle: float32 little-endian ``[N, 4]``, centre y,
    centre x, height, width as fractions of the input. ``order`` is that of the offsets, ``scales`` divide
    them (y, x, height, width): 10, 10, 5, 5 are variances 0.1 and 0.2.
    """

    priors: str
    order: Literal["yxhw", "xywh"] = "yxhw"
    scales: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)
    background: bool = True
    activation: Activation = "sigmoid"


class SsdPostprocessed(Detector, frozen=True, kw_only=True, tag="ssd_postprocessed"):
    """SSD with TensorFlow's ``TFLite_Detection_PostProcess`` in the graph.

    Outputs: boxes ``[1, N, 4]`` (y1, x1, y2, x2 as fractions), class indices ``[1, N]``, scores ``[1, N]``,
    count ``[1]``. ``label_offset`` is added to the class index.
    """

    iou_threshold: Fraction = 1.0
    label_offset: Annotated[int, msgspec.Meta(ge=-1, le=1)] = 0


class UltraFace(Detector, frozen=True, kw_only=True, tag="ultraface"):
    """Ultra-light faces (github.com/Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB).

    Outputs: scores ``[1, N, 1 + C]`` with the background first, boxes ``[1, N, 4]``: corners as fractions.
    """

    score_threshold: Fraction = 0.7
    iou_threshold: Fraction = 0.3


class YuNet(Detector, frozen=True, kw_only=True, tag="yunet"):
    """YuNet (Wu et al. 2023, doi:10.1007/s11633-023-1423-y), faces with five landmarks.

    Outputs: for each stride class scores ``[1, n, 1]``, then objectness ``[1, n, 1]`` of each stride, boxes
    ``[1, n, 4]`` of each, landmarks ``[1, n, 10]`` of each: cls_8, cls_16, cls_32, obj_8, ..., kps_32.
    """

    strides: Strides = (8, 16, 32)
    score_threshold: Fraction = 0.6
    iou_threshold: Fraction = 0.3
    keypoints: Annotated[tuple[Text, ...], msgspec.Meta(min_length=5, max_length=5)] = (
        "right_eye",
        "left_eye",
        "nose",
        "right_mouth",
        "left_mouth",
    )


class Classification(Decoder, frozen=True, kw_only=True, tag="classification"):
    """Class scores ``[1, C]``, also with further sizes of 1. The best ``top_k`` that pass the threshold."""

    activation: Activation = "none"
    top_k: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 5
    score_threshold: Fraction = 0.0


class MoveNet(Decoder, frozen=True, kw_only=True, tag="movenet"):
    """MoveNet (TensorFlow Hub): single pose ``[1, 1, K, 3]``: y, x as fractions, score; or multi-pose.

    Multi-pose ``[1, P, K * 3 + 5]`` ends in y1, x1, y2, x2, score. A pose is a detection of the only label,
    its box around the keypoints that pass ``keypoint_threshold`` where the model gives none.
    """

    keypoints: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1, max_length=1000)]
    score_threshold: Fraction = 0.3
    keypoint_threshold: Fraction = 0.2


class Semantic(Decoder, frozen=True, kw_only=True, tag="semantic"):
    """Class scores a pixel ``[1, C, H, W]`` or ``[1, H, W, C]``, or class indices ``[1, H, W]``.

    With one label and one channel the score is compared with ``score_threshold`` instead.
    """

    layout: Literal["nchw", "nhwc"] = "nchw"
    activation: Literal["none", "sigmoid"] = "none"
    score_threshold: Fraction = 0.5


class Embedding(Decoder, frozen=True, kw_only=True, tag="embedding"):
    """A vector ``[1, D]``, also with further dimensions of 1; of length one where ``normalise`` says so."""

    normalise: bool = True


class Tensors(Decoder, frozen=True, kw_only=True, tag="tensors"):
    """The raw outputs as they are, at most 1 MiB a frame: for models that somebody else decodes."""


class Plugin(Decoder, frozen=True, kw_only=True, tag="plugin"):
    """A decoder of another package, found by its name among the entry points ``edgeward.decoders``."""

    name: Text
    options: dict[str, str | int | float | bool] = {}


Postprocess = (
    Yolox
    | Yolov5
    | Yolov8
    | Yolov8Pose
    | Yolov8Seg
    | Yolov10
    | Dfl
    | FastestDet
    | Ssd
    | SsdPostprocessed
    | UltraFace
    | YuNet
    | Classification
    | MoveNet
    | Semantic
    | Embedding
    | Tensors
    | Plugin
)

Task = Literal["detection", "classification", "keypoints", "segmentation", "embedding", "tensors"]

TASKS: dict[type[Decoder], tuple[Task, ...]] = {
    Classification: ("classification",),
    MoveNet: ("keypoints",),
    Yolov8Pose: ("keypoints",),
    YuNet: ("detection", "keypoints"),
    Yolov8Seg: ("segmentation",),
    Semantic: ("segmentation",),
    Embedding: ("embedding",),
    Tensors: ("tensors",),
    Plugin: ("detection", "classification", "keypoints", "segmentation", "embedding", "tensors"),
}


def tasks(decoder: Decoder) -> tuple[Task, ...]:
    """The tasks that results of this decoder can be for; the first is the usual one."""
    return TASKS.get(type(decoder), ("detection",))


def needs_labels(decoder: Decoder) -> bool:
    """Whether the decoder gives names of classes."""
    return not isinstance(decoder, Embedding | Tensors | Plugin)
