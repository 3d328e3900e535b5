"""The physical floor: decode alone and inference alone, each as bare as it gets, nothing between them.

Prints one JSON line: CPU seconds of the whole process from the first frame on, and frames.
"""

from __future__ import annotations

import json
import sys
import time

import av
import numpy as np
import onnxruntime as ort


def main(video: str, model: str, size: int, frames: int) -> None:
    """Decode ``frames`` frames and drop them; run the model as often on a kept tensor."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    tensor = np.random.default_rng(1).uniform(0, 255, (1, 3, size, size)).astype(np.float32)
    value = ort.OrtValue.ortvalue_from_numpy(tensor)
    binding.bind_ortvalue_input(session.get_inputs()[0].name, value)
    binding.bind_output(session.get_outputs()[0].name)
    session.run_with_iobinding(binding)
    container = av.open(video)
    container.streams.video[0].codec_context.thread_count = 1
    started = time.process_time()
    done = 0
    for _ in container.decode(video=0):
        session.run_with_iobinding(binding)
        done += 1
        if done == frames:
            break
    print(json.dumps({"cpu_s": time.process_time() - started, "frames": done}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
