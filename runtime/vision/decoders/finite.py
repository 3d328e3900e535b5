"""What a model gives that is no number is a failure of the model, never "nothing seen"."""

from __future__ import annotations

import math

from runtime.engine import Array
from runtime.errors import Code, EdgewardError


def not_numbers(what: str, *, where: str) -> EdgewardError:
    """The error for outputs that are NaN or infinite; ``what`` counts them: ``"3 rows"``."""
    return EdgewardError(
        Code.MODEL_RUN,
        f"the model gave {what} that are not numbers",
        where=where,
        remedy="send the bundle back to its author: this variant overflows on this board",
    )


def all_finite(values: Array) -> bool:
    """Whether no element is NaN or infinite, without an array of answers. ``values``: not empty."""
    return math.isfinite(values.min()) and math.isfinite(values.max())
