"""What happened on this device, in order: kept in memory, bounded, and handed to whoever listens.

An event is a change that a person may want to know of (a worker ended, the governor took a step, a
configuration was loaded); detections are none. It is written to the log by whoever adds it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

from agent.link.messages import Severity

KEPT = 1000
# A listener that does not read loses its oldest events, and is told how many.
LISTENER_KEEPS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened; ``seq`` counts from 1 since the agent started. All texts without secrets.

    ``kind`` is dotted, from general to special: ``worker.died``, ``governor.step``, ``config.reloaded``.
    ``subject`` is what it happened to: a pipeline, ``pipeline/stream``, a zone; empty for the device.
    """

    seq: int
    mono_ns: int
    kind: str
    subject: str = ""
    severity: Severity = "ok"
    code: str = ""
    text: str
    remedy: str = ""


@dataclass(slots=True, eq=False)
class _Listener:
    waiting: deque[Event] = field(default_factory=lambda: deque(maxlen=LISTENER_KEEPS))
    wake: asyncio.Event = field(default_factory=asyncio.Event)


class EventLog:
    """Holds the last ``KEPT`` events. Belongs to the event loop: no other thread may touch it."""

    def __init__(self) -> None:
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self._listeners: set[_Listener] = set()
        self._seq = 0

    def add(
        self,
        kind: str,
        text: str,
        *,
        subject: str = "",
        severity: Severity = "ok",
        code: str = "",
        remedy: str = "",
    ) -> Event:
        """Note what happened now; returns at once."""
        self._seq += 1
        event = Event(
            seq=self._seq,
            mono_ns=time.monotonic_ns(),
            kind=kind,
            subject=subject,
            severity=severity,
            code=code,
            text=text,
            remedy=remedy,
        )
        self._kept.append(event)
        for listener in self._listeners:
            listener.waiting.append(event)
            listener.wake.set()
        return event

    def recent(self, count: int = KEPT) -> list[Event]:
        """The last ``count`` events, oldest first."""
        return list(self._kept)[-count:] if count > 0 else []

    async def follow(self) -> AsyncIterator[Event]:
        """Each event from now on. A gap in ``seq`` says how many were too fast for this listener."""
        with self._listening() as listener:
            while True:
                while listener.waiting:
                    yield listener.waiting.popleft()
                listener.wake.clear()
                await listener.wake.wait()

    @contextlib.contextmanager
    def _listening(self) -> Iterator[_Listener]:
        listener = _Listener()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
