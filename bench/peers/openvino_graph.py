"""OpenVINO with its own preprocessing API: colour, resize and padding are part of the compiled model."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
import openvino as ov
from openvino.preprocess import ColorFormat, PaddingMode, PrePostProcessor, ResizeAlgorithm

from bench.opencv_way import PAD, WAYS, Array, Way
from bench.peers import job
from bench.preprocess import HEIGHT, WIDTH


def run(work: job.Job) -> None:
    """PyAV decodes; the planes go into the kept request as they are."""
    way = WAYS[work.name]()
    compiled = _compile(work.model, way, letterbox=work.name == "yolox_nano")
    request = compiled.create_infer_request()
    for port in compiled.inputs:
        request.set_tensor(port, ov.Tensor(np.zeros(list(port.shape), np.uint8)))
    request.infer()
    spent = job.Spent()
    container = av.open(work.video)
    container.streams.video[0].codec_context.thread_count = 1
    done = found = 0
    for frame in container.decode(video=0):
        for port, plane in zip(compiled.inputs, frame.planes, strict=True):
            request.set_tensor(port, ov.Tensor(_plane(plane), shared_memory=True))
        request.infer()
        boxes, _, _ = way.detections(request.get_output_tensor(0).data, WIDTH, HEIGHT)
        found += len(boxes)
        done += 1
        if done == work.frames:
            break
    job.answer(done, found, spent.seconds())


def _plane(plane: Any) -> Array:
    """A plane as ``[1, rows, columns, 1]``, without a copy unless its rows have gaps between them."""
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
    return np.ascontiguousarray(rows)[None, :, :, None]


def _compile(path: str, way: Way, *, letterbox: bool) -> Any:
    core = ov.Core()
    steps = PrePostProcessor(core.read_model(path))
    tensor = steps.input().tensor()
    tensor.set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    tensor.set_color_format(ColorFormat.I420_THREE_PLANES).set_spatial_static_shape(HEIGHT, WIDTH)
    width, height = way.fit(WIDTH, HEIGHT)
    todo = steps.input().preprocess()
    todo.convert_color(ColorFormat.BGR)
    todo.resize(ResizeAlgorithm.RESIZE_LINEAR, height, width)
    todo.convert_element_type(ov.Type.f32)
    if letterbox:
        gap = [0, way.size - height, way.size - width, 0]
        todo.pad([0, 0, 0, 0], gap, float(PAD), PaddingMode.CONSTANT)
    else:
        todo.scale(255.0)
    steps.input().model().set_layout(ov.Layout("NCHW"))
    one_thread = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    return core.compile_model(steps.build(), "CPU", one_thread)


if __name__ == "__main__":
    job.main(run)
