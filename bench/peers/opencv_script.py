"""A good user's script: VideoCapture, letterbox, onnxruntime, NumPy decode, NMS.

Prints one JSON line: CPU seconds of the whole process from the first frame on, and frames.
"""

from __future__ import annotations

import json
import os
import sys
import time

os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "threads;1"

import cv2
import numpy as np
import onnxruntime as ort

from bench import opencv_way


def main(video: str, model: str, size: int, frames: int) -> None:
    """Run ``frames`` frames of ``video`` through ``model`` with a square input of ``size`` pixels."""
    cv2.setNumThreads(1)
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    session.run(None, {name: np.zeros((1, 3, size, size), np.float32)})
    decode = opencv_way.YoloxDecode(size)
    capture = cv2.VideoCapture(video, cv2.CAP_FFMPEG)
    started = time.process_time()
    done = 0
    while done < frames:
        ok, picture = capture.read()
        if not ok:
            break
        blob = opencv_way.letterbox_bgr(picture, size)
        (output,) = session.run(None, {name: blob})
        boxes, _, _ = decode(output[0], 0.35, 0.45)
        boxes /= min(size / picture.shape[1], size / picture.shape[0])
        done += 1
    print(json.dumps({"cpu_s": time.process_time() - started, "frames": done}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
