"""What became of the requests since the worker started."""

from __future__ import annotations

import threading

from runtime.serve.messages import Served
from runtime.serve.refusal import Status


class Figures:
    """Counts from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answered = 0
        self._pictures = 0
        self._waited_s = 0.0
        self._ran_s = 0.0
        self._refused: dict[str, int] = {}

    def answered(self, *, pictures: int, waited_s: float, ran_s: float) -> None:
        """A request with ``pictures`` got its answer after waiting for its turn and running the model."""
        with self._lock:
            self._answered += 1
            self._pictures += pictures
            self._waited_s += waited_s
            self._ran_s += ran_s

    def refused(self, status: Status) -> None:
        """A request got none."""
        with self._lock:
            self._refused[status] = self._refused.get(status, 0) + 1

    def snapshot(self, *, listen: str, problem: str, waiting: int) -> Served:
        """All of it, as it goes to the agent."""
        with self._lock:
            return Served(
                listen=listen,
                problem=problem,
                waiting=waiting,
                answered=self._answered,
                pictures=self._pictures,
                refused=dict(self._refused),
                waited_s=self._waited_s,
                ran_s=self._ran_s,
            )
