"""The real models of the test data: their manifests, and reference scripts that know nothing of edgeward.

A reference script reads the picture with OpenCV, makes the tensor with NumPy, runs the engine's own Python
API and reads the outputs by the formula that the model's authors give. It returns boxes, or class scores.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.bundle.ingest import ingest
from tests.conftest import make_signed

Array = NDArray[Any]


class Box(NamedTuple):
    """Label, score, ``x1, y1, x2, y2`` in pixels of the picture, points in the model's order."""

    label: str
    score: float
    box: tuple[float, float, float, float]
    points: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class RealModel:
    """``manifest`` is the author's ``bundle.toml`` without ``[bundle]``; ``labels`` by file or as text."""

    file: str
    manifest: str
    labels: Callable[[Path], list[str]]
    files: Mapping[str, bytes] = field(default_factory=dict)

    def folder(self, work: Path, models: Path) -> tuple[Path, str]:
        """Packed, signed and verified: the bundle's folder and its manifest's digest."""
        author = work / "author"
        author.mkdir(parents=True)
        name = Path(self.file).stem.lower().replace(" ", "-")
        (author / "labels.txt").write_text("\n".join(self.labels(models)))
        (author / self.file).write_bytes((models / self.file).read_bytes())
        head = (
            f'[bundle]\nname = "{name}"\nversion = "1.0.0"\nrelease_counter = 1\nlabels_file = "labels.txt"\n'
        )
        (author / "bundle.toml").write_text(head + self.manifest.replace("FILE", self.file))
        signed = make_signed(work, author, author / self.file)
        bundle = ingest(signed.bundle, [signed.key], work / "store")
        return Path(bundle.folder), bundle.manifest_sha256


def lines(name: str) -> Callable[[Path], list[str]]:
    return lambda models: [line.strip() for line in (models / name).read_text().splitlines() if line.strip()]


def words(*labels: str) -> Callable[[Path], list[str]]:
    return lambda _: list(labels)


def _json_labels(models: Path) -> list[str]:
    return [name for _, name in sorted(json.loads((models / "Labels.json").read_text()).items(), key=_number)]


def _number(item: tuple[str, str]) -> int:
    return int(item[0])


YOLOX_TFLITE = RealModel(
    "yolox_nano_float16_quantize.tflite",
    """
[[variant]]
id = "tflite-float16"
engine = "litert"
file = "FILE"
precision = "float16"
input = [{ name = "serving_default_images:0", dtype = "float32", shape = [1, 3, 416, 416] }]
output = [{ name = "PartitionedCall:0", dtype = "float32", shape = [1, 3549, 85] }]
[preprocess]
fit = "letterbox_topleft"
order = "bgr"
[postprocess]
decoder = "yolox"
""",
    lines("coco.names"),
)

YOLOX_ONNX = RealModel(
    "yolox_nano.onnx",
    YOLOX_TFLITE.manifest.replace("litert", "onnxruntime")
    .replace("serving_default_images:0", "images")
    .replace("PartitionedCall:0", "output")
    .replace('precision = "float16"\n', ""),
    lines("coco.names"),
)

FASTESTDET = RealModel(
    "FastestDet.onnx",
    """
[[variant]]
id = "onnx"
engine = "onnxruntime"
file = "FILE"
input = [{ name = "input.1", dtype = "float32", shape = [1, 3, 352, 352] }]
output = [{ name = "758", dtype = "float32", shape = [1, 85, 22, 22] }]
[preprocess]
fit = "stretch"
order = "bgr"
scale = 0.00392156862745098
[postprocess]
decoder = "fastestdet"
""",
    lines("coco.names"),
)

ULTRAFACE = RealModel(
    "version-RFB-320.onnx",
    """
[[variant]]
id = "onnx"
engine = "onnxruntime"
file = "FILE"
input = [{ name = "input", dtype = "float32", shape = [1, 3, 240, 320] }]
output = [
  { name = "scores", dtype = "float32", shape = [1, 4420, 2] },
  { name = "boxes", dtype = "float32", shape = [1, 4420, 4] },
]
[preprocess]
fit = "stretch"
order = "rgb"
mean = [127, 127, 127]
std = [128, 128, 128]
[postprocess]
decoder = "ultraface"
""",
    words("face"),
)

_YUNET_OUTPUTS = "\n".join(
    f'  {{ name = "{kind}_{stride}", dtype = "float32", shape = ["batch", "dim", {columns}] }},'
    for kind, columns in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10))
    for stride in (8, 16, 32)
)


def yunet(height: int, width: int) -> RealModel:
    return RealModel(
        "yunet_n_dynamic.onnx",
        f"""
[[variant]]
id = "onnx"
engine = "onnxruntime"
file = "FILE"
dimensions = {{ height = {height}, width = {width} }}
input = [{{ name = "input", dtype = "float32", shape = ["batch", 3, "height", "width"] }}]
output = [
{_YUNET_OUTPUTS}
]
[preprocess]
fit = "stretch"
order = "bgr"
[postprocess]
decoder = "yunet"
""",
        words("face"),
    )


SSD = RealModel(
    "ssd_mobilenet.tflite",
    """
[[variant]]
id = "tflite"
engine = "litert"
file = "FILE"
precision = "int8"
input = [{ name = "normalized_input_image_tensor", dtype = "uint8", shape = [1, 300, 300, 3] }]
output = [
  { name = "TFLite_Detection_PostProcess", dtype = "float32", shape = [1, 10, 4] },
  { name = "TFLite_Detection_PostProcess:1", dtype = "float32", shape = [1, 10] },
  { name = "TFLite_Detection_PostProcess:2", dtype = "float32", shape = [1, 10] },
  { name = "TFLite_Detection_PostProcess:3", dtype = "float32", shape = [1] },
]
[preprocess]
fit = "stretch"
order = "rgb"
layout = "nhwc"
[postprocess]
decoder = "ssd_postprocessed"
label_offset = 1
score_threshold = 0.5
""",
    lines("ssd_mobilenet.txt"),
)

MOBILENET = RealModel(
    "mobilenet_v2_1.0_224_quant.tflite",
    """
[[variant]]
id = "tflite"
engine = "litert"
file = "FILE"
precision = "int8"
input = [{ name = "input", dtype = "uint8", shape = [1, 224, 224, 3] }]
output = [{ name = "MobilenetV2/Predictions/Softmax", dtype = "uint8", shape = [1, 1001] }]
[preprocess]
fit = "stretch"
order = "rgb"
layout = "nhwc"
sampling = "area"
[postprocess]
decoder = "classification"
""",
    lines("imagenet_labels.txt"),
)

SQUEEZENET = RealModel(
    "SqueezeNet_fp16.onnx",
    """
[[variant]]
id = "onnx"
engine = "onnxruntime"
file = "FILE"
precision = "float16"
input = [{ name = "data_0", dtype = "float16", shape = [1, 3, 224, 224] }]
output = [{ name = "softmaxout_1", dtype = "float16", shape = [1, 1000, 1, 1] }]
[preprocess]
fit = "stretch"
order = "bgr"
sampling = "area"
[postprocess]
decoder = "classification"
""",
    _json_labels,
)

VWW = RealModel(
    "vww_96_int8.tflite",
    """
[[variant]]
id = "tflite"
engine = "litert"
file = "FILE"
precision = "int8"
input = [{ name = "input_1_int8", dtype = "int8", shape = [1, 96, 96, 3] }]
output = [{ name = "Identity_int8", dtype = "int8", shape = [1, 2] }]
[preprocess]
fit = "stretch"
order = "rgb"
layout = "nhwc"
sampling = "area"
mean = [128, 128, 128]
[postprocess]
decoder = "classification"
""",
    words("nobody", "person"),
)


# ---- the references ----


def run_onnx(path: Path, tensor: Array) -> list[Array]:
    import onnxruntime as ort  # noqa: PLC0415 - not every test needs it

    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, {session.get_inputs()[0].name: tensor}))


def run_tflite(path: Path, tensor: Array) -> list[Array]:
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415

    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], tensor)
    interpreter.invoke()
    return [interpreter.get_tensor(one["index"]) for one in interpreter.get_output_details()]


def chw(picture: Array) -> Array:
    return np.ascontiguousarray(picture.transpose(2, 0, 1)[None])


def suppressed(found: list[Box], iou: float) -> list[Box]:
    """Greedy and class by class, best score first."""
    kept: list[Box] = []
    for one in sorted(found, key=lambda box: -box.score):
        if all(other.label != one.label or overlap(other.box, one.box) <= iou for other in kept):
            kept.append(one)
    return kept


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def clipped(corners: Any, bgr: Array) -> tuple[float, float, float, float]:
    height, width = bgr.shape[:2]
    x1, y1, x2, y2 = (float(value) for value in corners)
    return max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))


def yolox_reference(
    run: Callable[[Path, Array], list[Array]],
) -> Callable[[Path, Array, list[str]], list[Box]]:
    def reference(path: Path, bgr: Array, labels: list[str]) -> list[Box]:
        ratio = min(416 / bgr.shape[1], 416 / bgr.shape[0])
        small = cv2.resize(bgr, (round(bgr.shape[1] * ratio), round(bgr.shape[0] * ratio)))
        boxed = np.full((416, 416, 3), 114, np.uint8)
        boxed[: small.shape[0], : small.shape[1]] = small
        head = run(path, chw(boxed).astype(np.float32))[0][0]
        found, row = [], 0
        for stride in (8, 16, 32):
            for y in range(416 // stride):
                for x in range(416 // stride):
                    values = head[row]
                    row += 1
                    best = int(values[5:].argmax())
                    score = float(values[4] * values[5 + best])
                    if score >= 0.35:
                        centre = (values[:2] + np.array((x, y))) * stride
                        half = np.exp(values[2:4]) * stride / 2
                        corners = np.concatenate((centre - half, centre + half)) / ratio
                        found.append(Box(labels[best], score, clipped(corners, bgr)))
        return suppressed(found, 0.45)

    return reference


def fastestdet_reference(path: Path, bgr: Array, labels: list[str]) -> list[Box]:
    head = run_onnx(path, chw(cv2.resize(bgr, (352, 352))).astype(np.float32) / 255)[0][0]
    height, width = bgr.shape[:2]
    found = []
    for y in range(22):
        for x in range(22):
            values = head[:, y, x]
            best = int(values[5:].argmax())
            score = float(values[0] ** 0.6 * values[5 + best] ** 0.4)
            if score >= 0.65:
                cx, cy = (x + np.tanh(values[1])) / 22 * width, (y + np.tanh(values[2])) / 22 * height
                w, h = width / (1 + np.exp(-values[3])), height / (1 + np.exp(-values[4]))
                corners = (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
                found.append(Box(labels[best], score, clipped(corners, bgr)))
    return suppressed(found, 0.45)


def ultraface_reference(path: Path, bgr: Array, labels: list[str]) -> list[Box]:
    rgb = cv2.cvtColor(cv2.resize(bgr, (320, 240)), cv2.COLOR_BGR2RGB)
    scores, boxes = run_onnx(path, (chw(rgb).astype(np.float32) - 127) / 128)
    size = np.tile((bgr.shape[1], bgr.shape[0]), 2)
    found = [
        Box(labels[0], float(score), clipped(box * size, bgr))
        for score, box in zip(scores[0, :, 1], boxes[0], strict=True)
        if score >= 0.7
    ]
    return suppressed(found, 0.3)


def yunet_reference(height: int, width: int) -> Callable[[Path, Array, list[str]], list[Box]]:
    def reference(path: Path, bgr: Array, labels: list[str]) -> list[Box]:
        outputs = run_onnx(path, chw(cv2.resize(bgr, (width, height))).astype(np.float32))
        to_picture = np.array((bgr.shape[1] / width, bgr.shape[0] / height))
        found = []
        for at, stride in enumerate((8, 16, 32)):
            classes, objects, boxes, points = (outputs[kind * 3 + at][0] for kind in range(4))
            for row in range(len(classes)):
                score = float(np.sqrt(np.clip(classes[row, 0], 0, 1) * np.clip(objects[row, 0], 0, 1)))
                if score < 0.6:
                    continue
                cell = np.array((row % (width // stride), row // (width // stride)))
                centre = (cell + boxes[row, :2]) * stride
                half = np.exp(boxes[row, 2:]) * stride / 2
                corners = np.concatenate(((centre - half) * to_picture, (centre + half) * to_picture))
                marks = (points[row].reshape(5, 2) + cell) * stride * to_picture
                landmarks = tuple((float(x), float(y)) for x, y in marks)
                found.append(Box(labels[0], score, clipped(corners, bgr), landmarks))
        return suppressed(found, 0.3)

    return reference


def ssd_reference(path: Path, bgr: Array, labels: list[str]) -> list[Box]:
    rgb = cv2.cvtColor(cv2.resize(bgr, (300, 300)), cv2.COLOR_BGR2RGB)
    boxes, classes, scores, count = run_tflite(path, rgb[None])
    height, width = bgr.shape[:2]
    return [
        Box(
            labels[int(classes[0, at]) + 1],
            float(scores[0, at]),
            clipped(boxes[0, at, [1, 0, 3, 2]] * (width, height, width, height), bgr),
        )
        for at in range(int(count.reshape(-1)[0]))
        if scores[0, at] >= 0.5
    ]


def area(bgr: Array, side: int) -> Array:
    return cv2.resize(bgr, (side, side), interpolation=cv2.INTER_AREA)


def mobilenet_reference(path: Path, bgr: Array) -> Array:
    rgb = cv2.cvtColor(area(bgr, 224), cv2.COLOR_BGR2RGB)
    return np.asarray(run_tflite(path, rgb[None])[0][0] / 256)


def squeezenet_reference(path: Path, bgr: Array) -> Array:
    return run_onnx(path, chw(area(bgr, 224)).astype(np.float16))[0].reshape(-1).astype(np.float32)


def vww_reference(path: Path, bgr: Array) -> Array:
    rgb = cv2.cvtColor(area(bgr, 96), cv2.COLOR_BGR2RGB)
    raw = run_tflite(path, (rgb.astype(np.int16) - 128).astype(np.int8)[None])[0][0]
    return np.asarray((raw.astype(np.float32) + 128) / 256)
