"""A good user's script: VideoCapture, resize, onnxruntime, NumPy decode, NMS."""

from __future__ import annotations

import os

os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "threads;1"

import cv2
import numpy as np

from bench.opencv_way import WAYS
from bench.peers import job


def run(work: job.Job) -> None:
    """One frame after the other."""
    cv2.setNumThreads(1)
    way = WAYS[work.name]()
    session = job.onnx_session(work.model)
    name = session.get_inputs()[0].name
    session.run(None, {name: np.zeros((1, 3, way.size, way.size), np.float32)})
    spent = job.Spent()
    capture = cv2.VideoCapture(work.video, cv2.CAP_FFMPEG)
    done = found = 0
    while done < work.frames:
        ok, picture = capture.read()
        if not ok:
            break
        height, width = picture.shape[:2]
        small = cv2.resize(picture, way.fit(width, height), interpolation=cv2.INTER_LINEAR)
        (output,) = session.run(None, {name: way.blob(small)})
        boxes, _, _ = way.detections(output, width, height)
        found += len(boxes)
        done += 1
    job.answer(done, found, spent.seconds())


if __name__ == "__main__":
    job.main(run)
