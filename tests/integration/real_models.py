"""The real models of the test data, with the manifests that are all edgeward knows of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runtime.bundle.ingest import ingest_file
from tests.conftest import Signed, make_signed


@dataclass(frozen=True)
class RealModel:
    """``manifest`` is the author's ``bundle.toml`` without ``[bundle]``; ``labels`` by file or as text."""

    file: str
    manifest: str
    labels: Callable[[Path], list[str]]
    files: Mapping[str, bytes] = field(default_factory=dict)

    def signed(self, work: Path, models: Path) -> Signed:
        """Packed and signed."""
        author = work / "author"
        author.mkdir(parents=True)
        name = Path(self.file).stem.lower().replace(" ", "-")
        (author / "labels.txt").write_text("\n".join(self.labels(models)))
        (author / self.file).write_bytes((models / self.file).read_bytes())
        head = (
            f'[bundle]\nname = "{name}"\nversion = "1.0.0"\nrelease_counter = 1\nlabels_file = "labels.txt"\n'
        )
        (author / "bundle.toml").write_text(head + self.manifest.replace("FILE", self.file))
        return make_signed(work, author, author / self.file)

    def folder(self, work: Path, models: Path) -> tuple[Path, str]:
        """Packed, signed and verified: the bundle's folder and its manifest's digest."""
        signed = self.signed(work, models)
        bundle = ingest_file(signed.bundle, [signed.key], work / "store")
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
