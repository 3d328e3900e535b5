"""The way of NVRs: an ffmpeg process decodes and scales, raw small pictures come by a pipe."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from typing import cast

import cv2
import numpy as np

from bench.opencv_way import WAYS
from bench.peers import job
from bench.preprocess import HEIGHT, WIDTH

if shutil.which("ffmpeg") is None:
    sys.exit("ffmpeg is not installed")


def run(work: job.Job) -> None:
    """Read picture by picture; the CPU time is that of both processes."""
    cv2.setNumThreads(1)
    way = WAYS[work.name]()
    session = job.onnx_session(work.model)
    name = session.get_inputs()[0].name
    session.run(None, {name: np.zeros((1, 3, way.size, way.size), np.float32)})
    width, height = way.fit(WIDTH, HEIGHT)
    # fmt: off
    command = [
        "ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-threads", "1", "-i", work.video, "-an",
        "-filter_threads", "1", "-vf", f"scale={width}:{height}:flags=bilinear", "-pix_fmt", "bgr24",
        "-threads", "1", "-f", "rawvideo", "pipe:1",
    ]
    # fmt: on
    with subprocess.Popen(command, stdout=subprocess.PIPE) as ffmpeg:
        pipe = cast("io.BufferedReader", ffmpeg.stdout)
        picture = np.empty((height, width, 3), np.uint8)
        done = found = 0
        cpu_s = 0.0
        spent = None
        while done < work.frames and pipe.readinto(picture.reshape(-1).data) == picture.nbytes:
            spent = spent or job.Spent(ffmpeg.pid)
            (output,) = session.run(None, {name: way.blob(picture)})
            boxes, _, _ = way.detections(output, WIDTH, HEIGHT)
            found += len(boxes)
            done += 1
            cpu_s = spent.seconds()
        ffmpeg.kill()
    # The first picture was decoded before the clock ran.
    job.answer(done, found, cpu_s * done / (done - 1))


if __name__ == "__main__":
    job.main(run)
