"""Quantiles of a stream of values with a bounded relative error, in constant time and memory.

Buckets grow by a constant ratio, so that the middle of a bucket is at most ``RELATIVE_ERROR`` off whatever
fell into it: C. Masson, J. E. Rim, H. K. Lee, "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with
Relative-Error Guarantees", VLDB 2019; here with a fixed range, and so with a fixed size of 3 KiB. (PyPI's
``hdrhistogram`` has no wheels for ARM, and takes 23 KiB for a histogram and 2 MB for itself.)
"""

from __future__ import annotations

import math
from array import array
from itertools import accumulate

RELATIVE_ERROR = 0.02
# Milliseconds, from what no stream reaches to a quarter of an hour. What lies outside counts as the edge.
LOWEST = 0.05
HIGHEST = 900_000.0

_RATIO = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_PER_LOG = 1 / math.log(_RATIO)
_FIRST = math.ceil(math.log(LOWEST) * _PER_LOG)
_BUCKETS = math.ceil(math.log(HIGHEST) * _PER_LOG) - _FIRST + 1


class Histogram:
    """Counts of values by bucket."""

    __slots__ = ("_counts", "count")

    def __init__(self) -> None:
        self._counts = array("Q", bytes(8 * _BUCKETS))
        self.count = 0

    def record(self, value: float) -> None:
        """Count ``value``; one that is not positive counts as the lowest."""
        index = math.ceil(math.log(value) * _PER_LOG) - _FIRST if value > LOWEST else 0
        self._counts[min(index, _BUCKETS - 1)] += 1
        self.count += 1


def quantile(parts: list[Histogram], share: float) -> float | None:
    """The value that ``share`` (0 to 1) of all in ``parts`` do not exceed; ``None`` without any.

    The nearest-rank quantile of what was recorded, at most ``RELATIVE_ERROR`` off: the same as if one had
    recorded all.
    """
    total = sum(part.count for part in parts)
    if not total:
        return None
    rank = max(1, math.ceil(share * total))
    seen = accumulate(map(sum, zip(*(part._counts for part in parts), strict=True)))  # noqa: SLF001 - its own
    index = next(index for index, count in enumerate(seen) if count >= rank)
    upper = _RATIO ** (index + _FIRST)
    return float(2 * upper / (_RATIO + 1))
