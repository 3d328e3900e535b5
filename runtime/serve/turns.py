"""When a request may have the inference thread: the cameras come first.

A request cannot be interrupted while the engine runs, so a frame may have to wait for one. How long frames
waited because of requests is measured, and the next request then has to wait in proportion: of any stretch
of time frames are held up for at most ``max_share`` and the one request that runs. Requests that hold up no
frame are not limited.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from runtime.engine import Array
from runtime.errors import EdgewardError
from runtime.serve.refusal import Refused
from runtime.serve.served_model import Work


class Job:
    """One request in the queue; ``done`` is set once ``outputs`` or ``error`` stands."""

    def __init__(self, work: Work, deadline: float | None) -> None:
        self.done = threading.Event()
        self.outputs: list[Array] = []
        self.error: Refused | None = None
        self.queued = time.monotonic()
        self.began: float | None = None
        self.ran_s = 0.0
        self._work = work
        self._deadline = deadline

    @property
    def waited_s(self) -> float:
        """Seconds in the queue, until it ran for the first time."""
        return 0.0 if self.began is None else self.began - self.queued

    def step(self) -> None:
        """Run the model once; by the inference thread."""
        started = time.monotonic()
        self.began = self.began or started
        try:
            next(self._work)
        except StopIteration as end:
            self.outputs = end.value
            self.done.set()
        except EdgewardError as error:
            self.fail(Refused("INTERNAL", f"the model failed: {error}"))
        finally:
            self.ran_s += time.monotonic() - started

    def overdue(self, now: float) -> bool:
        """Whether nobody waits for the answer any more."""
        return self._deadline is not None and now >= self._deadline

    def fail(self, error: Refused) -> None:
        """There will be no answer."""
        if not self.done.is_set():
            self.error = error
            self.done.set()


class Turns:
    """The bounded queue of requests, and who may go next.

    Args:
        max_queue: requests that wait at most, beside the one that runs.
        max_share: of the time, 0 to 1, that frames may be held up.
        wake: called without a lock when there is something to do for the inference thread.
    """

    def __init__(self, *, max_queue: int, max_share: float, wake: Callable[[], None]) -> None:
        self._max_queue = max_queue
        self._max_share = max_share
        self._wake = wake
        self._lock = threading.Lock()
        self._waiting: deque[Job] = deque()
        self._current: Job | None = None
        self._not_before = 0.0
        self._pace = 1.0
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether no request is taken any more."""
        return self._closed

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._waiting)

    def check_room(self) -> None:
        """Refuse a request before anything is done for it; it may still be refused later.

        Raises:
            Refused: as ``submit``, but for the deadline.
        """
        with self._lock:
            self._check_room()

    def submit(self, work: Work, deadline: float | None) -> Job:
        """Put a request at the end of the queue; ``deadline`` by the monotonic clock.

        Raises:
            Refused: ``RESOURCE_EXHAUSTED`` when the queue is full, ``UNAVAILABLE`` when the worker stops,
                ``DEADLINE_EXCEEDED``.
        """
        job = Job(work, deadline)
        with self._lock:
            self._check_room()
            if job.overdue(job.queued):
                raise _overdue()
            self._waiting.append(job)
        self._wake()
        return job

    def cancel(self, job: Job) -> None:
        """Nobody waits for it any more: it need not run (further)."""
        with self._lock:
            if job in self._waiting:
                self._waiting.remove(job)
            if job is self._current:
                self._current = None
        job.fail(Refused("CANCELLED", "the request was cancelled"))

    def due_in_s(self) -> float | None:
        """Seconds until a request may run; 0 for now, None when there is none."""
        with self._lock:
            if self._current is None and not self._waiting:
                return None
            return max(0.0, self._not_before - time.monotonic())

    def take(self, held_up_s: Callable[[float, float], float]) -> None:
        """Run one step of the next request if it may run now; by the inference thread.

        Args:
            held_up_s: how long, between two times of the monotonic clock, a frame waited.
        """
        if self.due_in_s() != 0.0:
            return
        job = self._next()
        if job is None:
            return
        started = time.monotonic()
        job.step()
        ended = time.monotonic()
        held = held_up_s(started, ended)
        rest = max(held * (1 / self._max_share - 1), (ended - started) * (1 / self._pace - 1))
        with self._lock:
            if job.done.is_set() and self._current is job:
                self._current = None
            self._not_before = ended + rest

    def slow_down(self, factor: float) -> None:
        """Use at most this share (0 to 1) of the inference thread, whether frames wait or not."""
        self._pace = min(1.0, max(0.01, factor))

    def close(self) -> None:
        """Take no more requests; those that wait get ``UNAVAILABLE``."""
        with self._lock:
            self._closed = True
            left = [*self._waiting, *([self._current] if self._current else [])]
            self._waiting.clear()
            self._current = None
        for job in left:
            job.fail(_stopping())

    def _check_room(self) -> None:
        if self._closed:
            raise _stopping()
        if len(self._waiting) >= self._max_queue:
            text = f"{self._max_queue} requests wait already, which is all that may; try again later"
            raise Refused("RESOURCE_EXHAUSTED", text)

    def _next(self) -> Job | None:
        """The request whose turn it is; those that are overdue are told so, and never run."""
        now = time.monotonic()
        with self._lock:
            while True:
                if self._current is None:
                    if not self._waiting:
                        return None
                    self._current = self._waiting.popleft()
                if not self._current.overdue(now):
                    return self._current
                self._current.fail(_overdue())
                self._current = None


def _stopping() -> Refused:
    return Refused("UNAVAILABLE", "this worker stops; try again in a few seconds")


def _overdue() -> Refused:
    return Refused("DEADLINE_EXCEEDED", "the deadline had passed before its turn came; the model was not run")
