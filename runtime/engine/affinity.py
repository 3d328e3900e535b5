"""On which CPUs an engine's threads run.

Linux gives a new thread the CPU set of the thread that makes it. So a model is loaded with the calling
thread held to the CPUs that are wanted, and every pool that the engine starts is on them, whatever its own
way to say so; and since engines also compute on the thread that calls ``run``, that one is moved when it
first comes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from runtime.errors import Code, EdgewardError


@contextmanager
def held(cpus: tuple[int, ...]) -> Iterator[None]:
    """Threads that are started inside run on ``cpus`` (all, when empty); the caller is put back after.

    Raises:
        EdgewardError: ``CONFIG_VALUE`` when this process may run on none of them.
    """
    if not cpus:
        yield
        return
    before = os.sched_getaffinity(0)
    _move(cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def returned() -> Iterator[None]:
    """Put the caller back on its CPUs, wherever models that ran inside moved it: new threads inherit them."""
    before = os.sched_getaffinity(0)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Home:
    """Keeps whichever thread runs a model on its CPUs; costs a system call when it is there already."""

    def __init__(self, cpus: tuple[int, ...]) -> None:
        self._cpus = cpus
        self._set = set(cpus)

    def enter(self) -> None:
        """Move the calling thread, unless it is there already.

        Raises:
            EdgewardError: ``CONFIG_VALUE`` when this process may run on none of the CPUs.
        """
        if os.sched_getaffinity(0) != self._set:
            _move(self._cpus)


def home(cpus: tuple[int, ...]) -> Home | None:
    """The thread's place, or None when it may run anywhere."""
    return Home(cpus) if cpus else None


def _move(cpus: tuple[int, ...]) -> None:
    try:
        os.sched_setaffinity(0, cpus)
    except (OSError, ValueError, OverflowError) as error:
        here = ", ".join(map(str, sorted(os.sched_getaffinity(0))))
        raise EdgewardError(
            Code.CONFIG_VALUE,
            f"the engine is to run on the CPUs {', '.join(map(str, cpus))}; this process may use {here}",
            where="affinity",
            remedy="correct the affinity in the device's profile or configuration",
        ) from error
