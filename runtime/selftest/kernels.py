"""Runs every instruction set of the native core on one picture: all must make the same tensor of it."""

from __future__ import annotations

from typing import Any

import numpy as np

import native
from runtime.errors import Code, EdgewardError

WIDTH, HEIGHT, OUT = 64, 48, 32


def run(_task: dict[str, Any]) -> dict[str, Any]:
    """Which instruction sets this CPU has, and which one is used.

    Raises:
        EdgewardError: ``INTERNAL``: two of them give different pixels, or none at all.
    """
    luma = (np.arange(WIDTH * HEIGHT) * 7 % 251).astype(np.uint8).reshape(HEIGHT, WIDTH)
    blue, red = (np.full((HEIGHT // 2, WIDTH // 2), value, np.uint8) for value in (90, 170))
    planes: list[Any] = [luma, blue, red]
    used, found = native.simd(), {}
    try:
        for name in native.available_simd():
            native.set_simd(name)
            plan = native.Preprocess(format="i420", width=WIDTH, height=HEIGHT, out_width=OUT, out_height=OUT)
            tensor = np.zeros((3, OUT, OUT), np.float32)
            plan.run(planes, [WIDTH, WIDTH // 2, WIDTH // 2], tensor)
            found[name] = tensor
    finally:
        native.set_simd(used)
    wrong = [name for name, tensor in found.items() if not np.array_equal(tensor, found["scalar"])]
    if wrong or not found["scalar"].any():
        what = f"the native core gives wrong pixels with {', '.join(wrong) or 'scalar'} on this CPU"
        raise EdgewardError(Code.INTERNAL, what, where=native.__file__, remedy="please report it")
    return {"simd": used, "available": list(found)}
