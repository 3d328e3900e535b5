"""Where decode threads leave frames for the inference thread: one slot a stream, the newest wins."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from runtime.source.frame import Frame


class Mailbox:
    """Bounded by construction: at most one frame a stream waits, so latency stays flat under load.

    Streams take turns: the one served longest ago comes first.
    """

    def __init__(self, streams: Iterable[str]) -> None:
        self._slots: dict[str, Frame | None] = dict.fromkeys(streams)
        self._open = set(self._slots)
        self._waiting = 0
        self._waiting_since = 0.0
        self._current: frozenset[str] = frozenset()
        self._closed = False
        self._changed = threading.Condition()

    def put(self, stream: str, frame: Frame) -> Frame | None:
        """Leave ``frame``; returns the older one that it replaces, which is thereby dropped."""
        with self._changed:
            replaced = self._slots[stream]
            self._slots[stream] = frame
            if self._waiting == 0:
                self._waiting_since = time.monotonic()
            self._waiting += replaced is None
            self._changed.notify_all()
            return replaced

    def wait_free(self, stream: str) -> bool:
        """Wait until the stream's slot is empty; False when the box was closed meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._slots[stream] is None)
            return not self._closed

    def wait_done(self, stream: str) -> None:
        """Wait until the stream's last frame has been taken *and* worked on."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or (self._slots[stream] is None and stream not in self._current)
            )

    def finish(self, stream: str) -> None:
        """The stream will leave no more frames."""
        with self._changed:
            self._open.discard(stream)
            self._changed.notify_all()

    def wake(self) -> None:
        """Something else is there to do: whoever is in ``wait`` asks ``other_in_s`` again."""
        with self._changed:
            self._changed.notify_all()

    def held_up_s(self, since: float, until: float) -> float:
        """For how long, between two times of the monotonic clock, a frame waited that waits still."""
        with self._changed:
            return max(0.0, until - max(since, self._waiting_since)) if self._waiting else 0.0

    def wait(self, other_in_s: Callable[[], float | None]) -> bool:
        """Wait until ``take`` would not, and say true; false when it is time for something else before.

        A call also says that the frames taken before have been worked on.

        Args:
            other_in_s: in how many seconds there is something else to do, or None for nothing.
        """
        with self._changed:
            self._worked_on()
            while not self._ready():
                other_s = other_in_s()
                if other_s == 0.0:
                    return False
                self._changed.wait(other_s)
            return True

    def take(self, most: int = 1) -> list[tuple[str, Frame]]:
        """The next frames, by turns, at most ``most`` and one a stream.

        Waits for one frame and not for more. Empty when every stream has finished or the box was closed.
        A call also says that the frames taken before have been worked on.
        """
        with self._changed:
            self._worked_on()
            self._changed.wait_for(self._ready)
            if self._closed:
                return []
            taken: list[tuple[str, Frame]] = []
            for stream, frame in list(self._slots.items()):
                if frame is not None and len(taken) < most:
                    # To the end of the order: dicts keep insertion order.
                    del self._slots[stream]
                    self._slots[stream] = None
                    self._waiting -= 1
                    taken.append((stream, frame))
            self._current = frozenset(stream for stream, _ in taken)
            if taken:
                self._changed.notify_all()
            return taken

    def close(self) -> None:
        """Let every waiting thread go; frames that wait are dropped."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _ready(self) -> bool:
        return self._closed or not self._open or self._waiting > 0

    def _worked_on(self) -> None:
        if self._current:
            self._current = frozenset()
            self._changed.notify_all()
