"""What the models find, for whoever follows it on the control socket; nothing is kept for nobody."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import msgspec

from agent.link.messages import Detections

# What a listener that does not read may have waiting; the oldest goes first, and is counted.
MOST_WAITING = 256
MOST_WAITING_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Seen:
    """A result as JSON; ``mono_ns`` is when it came, ``lost`` how many before it were too fast."""

    pipeline: str
    stream: str
    mono_ns: int
    json: str
    lost: int


@dataclass(slots=True, eq=False)
class _Listener:
    pipeline: str
    waiting: deque[Seen] = field(default_factory=deque)
    held: int = 0
    lost: int = 0
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, seen: Seen) -> None:
        self.waiting.append(seen)
        self.held += len(seen.json)
        while len(self.waiting) > 1 and (len(self.waiting) > MOST_WAITING or self.held > MOST_WAITING_BYTES):
            self.held -= len(self.waiting.popleft().json)
            self.lost += 1
        self.wake.set()

    def get(self) -> Seen:
        seen = self.waiting.popleft()
        self.held -= len(seen.json)
        lost, self.lost = self.lost, 0
        return Seen(seen.pipeline, seen.stream, seen.mono_ns, seen.json, lost)


class DetectionFeed:
    """Belongs to the event loop: no other thread may touch it."""

    def __init__(self) -> None:
        self._listeners: set[_Listener] = set()

    def offer(self, body: Detections, now_ns: int) -> None:
        """A result came. It is encoded only when somebody listens."""
        wanted = [one for one in self._listeners if one.pipeline in {"", body.pipeline}]
        if not wanted:
            return
        seen = Seen(body.pipeline, body.stream, now_ns, msgspec.json.encode(body).decode(), 0)
        for listener in wanted:
            listener.put(seen)

    async def follow(self, pipeline: str = "") -> AsyncIterator[Seen]:
        """Each result from now on, of one pipeline if named."""
        with self._listening(pipeline) as listener:
            while True:
                while listener.waiting:
                    yield listener.get()
                listener.wake.clear()
                await listener.wake.wait()

    @contextlib.contextmanager
    def _listening(self, pipeline: str) -> Iterator[_Listener]:
        listener = _Listener(pipeline)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
