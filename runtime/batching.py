"""How many pictures at a time: measured on this device, for some engines gain by batches and others lose."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

_SIZES = (2, 4, 8, 16, 32, 64)
_GAIN = 0.95
_RUNS = 3
_ENOUGH_S = 0.5  # noise of a run that takes so long is small, and the streams wait for the measuring to end


def worthwhile(measure: Callable[[int], float], *, limit: int) -> tuple[int, ...]:
    """The batch sizes worth using, 1 among them, smallest first.

    A size is kept when a picture costs at most 95 % of what it costs in the best smaller batch; with the
    first size that does not gain the search ends, since larger ones hold up the first picture for longer.

    Args:
        measure: seconds that one inference over so many pictures takes.
        limit: the largest size to try.
    """
    kept: tuple[int, ...] = (1,)
    best = measure(1) if limit > 1 else 0.0
    for size in _SIZES:
        if size > limit:
            break
        each = measure(size) / size
        if each > best * _GAIN:
            break
        kept, best = (*kept, size), each
    return kept


def fastest_of(run: Callable[[], None]) -> float:
    """Seconds of the fastest of a few runs, after one that warms up; fewer where each takes long."""
    run()
    took: list[float] = []
    while len(took) < _RUNS and sum(took) < _ENOUGH_S:
        started = time.perf_counter()
        run()
        took.append(time.perf_counter() - started)
    return min(took)


def portions(waiting: int, sizes: tuple[int, ...]) -> Iterator[int]:
    """Cut ``waiting`` pictures into batches of ``sizes``, the largest that are full first."""
    for size in reversed(sizes):
        while waiting >= size:
            yield size
            waiting -= size
