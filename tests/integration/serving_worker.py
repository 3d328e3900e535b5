"""A worker that serves its models, and what it says meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from runtime import ipc
from runtime.serve.messages import Served
from tests.integration.worker_peer import Worker


class Serving:
    """A worker that serves, and what it says."""

    def __init__(self, start: ipc.Start) -> None:
        assert start.serve is not None
        self.address = start.serve.listen
        self.worker = Worker(start)
        self.messages: list[tuple[float, ipc.FromWorker]] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for message in self.worker.messages(120):
            with self._news:
                self.messages.append((time.monotonic(), message))
                self._news.notify_all()

    def wait(self, fits: Callable[[ipc.FromWorker], bool], seconds: float = 60, *, after: int = 0) -> Any:
        """The first message from index ``after`` on that fits."""
        found: list[ipc.FromWorker] = []

        def look() -> bool:
            found[:] = [message for _, message in self.messages[after:] if fits(message)][:1]
            return bool(found)

        with self._news:
            assert self._news.wait_for(look, seconds), f"no such message among {len(self.messages)}"
        return found[0]

    def listens(self) -> Served:
        """Wait until it does."""
        self.wait(lambda one: isinstance(one, ipc.Ready))
        return self.figures(lambda served: not served.problem)

    def figures(self, fits: Callable[[Served], bool], seconds: float = 60) -> Served:
        after = len(self.messages)
        message = self.wait(
            lambda one: isinstance(one, ipc.Metrics) and one.served is not None and fits(one.served),
            seconds,
            after=max(0, after - 2),
        )
        assert message.served is not None
        return cast("Served", message.served)

    def results(self, began: float, ended: float) -> list[ipc.Result]:
        """What came between two times of the monotonic clock."""
        with self._news:
            return [
                message
                for at, message in self.messages
                if isinstance(message, ipc.Result) and began <= at < ended
            ]

    def end(self) -> None:
        self.worker.process.kill()
        self._reader.join(10)
        self.worker.__exit__()


@contextmanager
def served(start: ipc.Start) -> Iterator[Serving]:
    running = Serving(start)
    try:
        yield running
    finally:
        running.end()
