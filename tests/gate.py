"""A bundle.toml that packs, for tests that never load its model."""

GATE = """\
[bundle]
name = "gate"
version = "1.0.0"
release_counter = 1
labels = ["person"]
[[variant]]
id = "cpu"
engine = "onnxruntime"
file = "model.onnx"
input = [{ name = "images", dtype = "float32", shape = [1, 3, 32, 32] }]
output = [{ name = "output", dtype = "float32", shape = [1, 21, 6] }]
[preprocess]
[postprocess]
decoder = "yolox"
"""
