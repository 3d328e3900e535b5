"""GStreamer: decodebin, videoscale, videoconvert and an appsink, from which Python takes small pictures."""

from __future__ import annotations

import sys
from typing import Any

import cv2
import numpy as np

# Debian's PyGObject, for the Python of this version; what is in the environment comes first.
sys.path.append("/usr/lib/python3/dist-packages")
import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
from gi.repository import Gst, GstApp  # noqa: E402 - must come after the versions

from bench.opencv_way import WAYS  # noqa: E402
from bench.peers import job  # noqa: E402
from bench.preprocess import HEIGHT, WIDTH  # noqa: E402

Gst.init(None)
for needed in ("avdec_h264", "avdec_h265", "qtdemux", "h264parse", "appsink"):
    if Gst.ElementFactory.find(needed) is None:
        sys.exit(f"GStreamer has no {needed} here")
assert GstApp is not None  # gives the appsink its methods


def run(work: job.Job) -> None:
    """Pull sample by sample; decoding runs in GStreamer's threads of this process."""
    cv2.setNumThreads(1)
    way = WAYS[work.name]()
    session = job.onnx_session(work.model)
    name = session.get_inputs()[0].name
    session.run(None, {name: np.zeros((1, 3, way.size, way.size), np.float32)})
    width, height = way.fit(WIDTH, HEIGHT)
    pipeline = Gst.parse_launch(
        f"filesrc location={work.video} ! decodebin name=decode ! videoscale ! "
        f"videoconvert ! video/x-raw,format=BGR,width={width},height={height} ! "
        "appsink name=sink max-buffers=1 drop=false sync=false"
    )
    pipeline.get_by_name("decode").connect("deep-element-added", _one_thread)
    sink = pipeline.get_by_name("sink")
    pipeline.set_state(Gst.State.PLAYING)
    done = found = 0
    cpu_s = 0.0
    spent = None
    while done < work.frames and (sample := sink.pull_sample()) is not None:
        spent = spent or job.Spent()
        buffer = sample.get_buffer()
        mapped, info = buffer.map(Gst.MapFlags.READ)
        assert mapped
        try:
            picture = np.frombuffer(info.data, np.uint8).reshape(height, width, 3)
            blob = way.blob(picture)
        finally:
            buffer.unmap(info)
        (output,) = session.run(None, {name: blob})
        boxes, _, _ = way.detections(output, WIDTH, HEIGHT)
        found += len(boxes)
        done += 1
        cpu_s = spent.seconds()
    pipeline.set_state(Gst.State.NULL)
    # The first picture was decoded before the clock ran.
    job.answer(done, found, cpu_s * done / (done - 1))


def _one_thread(_bin: Any, _inner: Any, element: Any) -> None:
    """FFmpeg's decoders take a thread for each core unless they are told."""
    if element.get_factory().get_name().startswith("avdec_"):
        element.set_property("max-threads", 1)


if __name__ == "__main__":
    job.main(run)
