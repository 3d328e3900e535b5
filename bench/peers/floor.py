"""The physical floor: decode alone and inference alone, each as bare as it gets, nothing between them."""

from __future__ import annotations

import av
import numpy as np
import onnxruntime as ort

from bench.opencv_way import WAYS
from bench.peers import job


def run(work: job.Job) -> None:
    """Decode the frames and drop them; run the model as often on a kept tensor."""
    size = WAYS[work.name].size
    session = job.onnx_session(work.model)
    binding = session.io_binding()
    tensor = np.random.default_rng(1).uniform(0, 1, (1, 3, size, size)).astype(np.float32)
    value = ort.OrtValue.ortvalue_from_numpy(tensor)
    binding.bind_ortvalue_input(session.get_inputs()[0].name, value)
    binding.bind_output(session.get_outputs()[0].name)
    session.run_with_iobinding(binding)
    spent = job.Spent()
    container = av.open(work.video)
    container.streams.video[0].codec_context.thread_count = 1
    done = 0
    for _ in container.decode(video=0):
        session.run_with_iobinding(binding)
        done += 1
        if done == work.frames:
            break
    job.answer(done, 0, spent.seconds())


if __name__ == "__main__":
    job.main(run)
