"""What waits to be sent: bounded by count and bytes, the oldest goes first when it is full.

Invariant, tested: for each kind ``enqueued = sent + queued + dropped``. A message that is under way
(handed to the network, not yet acknowledged) still counts as queued.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal

from agent.link.messages import KindCounts

Dropped = Literal["full", "replaced", "expired", "refused", "too-large"]
MAX_COUNT = 2000
MAX_BYTES = 2 << 20


@dataclass(frozen=True, eq=False, slots=True)
class Outgoing:
    """One message on its way. ``kind`` is what it is counted under; ``deadline`` is monotonic seconds."""

    topic: str
    payload: bytes
    kind: str
    qos: Literal[0, 1] = 1
    retain: bool = False
    deadline: float | None = None


@dataclass(slots=True)
class _Counts:
    enqueued: int = 0
    sent: int = 0
    queued: int = 0
    dropped: Counter[str] = field(default_factory=Counter)


class OutgoingQueue:
    """Used from two threads: the agent puts, the network thread takes and settles.

    A retained message replaces the one of the same topic that still waits, and goes before the others:
    only the newest state is worth sending.
    """

    def __init__(self, *, max_count: int = MAX_COUNT, max_bytes: int = MAX_BYTES) -> None:
        self._max_count = max_count
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._states: OrderedDict[str, Outgoing] = OrderedDict()
        self._others: deque[Outgoing] = deque()
        self._under_way: dict[int, Outgoing] = {}
        # The last retained message of each topic, sent or not.
        self._latest: dict[str, Outgoing] = {}
        self._bytes = 0
        self._counts: dict[str, _Counts] = {}

    def put(self, message: Outgoing) -> None:
        """Queue a message; drops older ones to make room."""
        with self._lock:
            if message.retain:
                self._latest[message.topic] = message
            self._add(message)

    def requeue_retained(self) -> None:
        """Queue the last retained message of each topic again, unless the topic waits or is under way."""
        with self._lock:
            busy = self._states.keys() | {message.topic for message in self._under_way.values()}
            for topic, message in self._latest.items():
                if topic not in busy:
                    self._add(message)

    def take(self) -> Outgoing | None:
        """The next message to send; it stays counted as queued until ``settle``, ``drop`` or ``put_back``."""
        with self._lock:
            while self._states or self._others:
                message = self._states.popitem(last=False)[1] if self._states else self._others.popleft()
                if message.deadline is not None and time.monotonic() > message.deadline:
                    self._drop(message, "expired")
                    continue
                self._under_way[id(message)] = message
                return message
            return None

    def settle(self, message: Outgoing) -> None:
        """It arrived: acknowledged, or for QoS 0 handed to the network."""
        with self._lock:
            del self._under_way[id(message)]
            self._forget(message).sent += 1

    def drop(self, message: Outgoing, reason: Dropped) -> None:
        """It was taken and can never be sent."""
        with self._lock:
            del self._under_way[id(message)]
            self._drop(message, reason)

    def put_back(self) -> None:
        """The connection is gone: what was under way goes to the front again, in its order."""
        with self._lock:
            back = list(self._under_way.values())
            self._under_way.clear()
            for message in reversed(back):
                if not message.retain:
                    self._others.appendleft(message)
                elif message.topic in self._states:
                    self._drop(message, "replaced")
                else:
                    self._states[message.topic] = message
                    self._states.move_to_end(message.topic, last=False)
            self._make_room()

    @property
    def waiting(self) -> int:
        """Messages that nobody has taken yet."""
        return len(self._states) + len(self._others)

    @property
    def empty(self) -> bool:
        """Nothing waits and nothing is under way."""
        with self._lock:
            return not (self._states or self._others or self._under_way)

    def counts(self) -> tuple[int, dict[str, KindCounts]]:
        """Bytes that are held, and the counts of each kind."""
        with self._lock:
            return self._bytes, {
                kind: KindCounts(
                    enqueued=counts.enqueued,
                    sent=counts.sent,
                    queued=counts.queued,
                    dropped=dict(counts.dropped),
                )
                for kind, counts in self._counts.items()
            }

    def held(self) -> list[Outgoing]:
        """All that is held, for tests of the invariant."""
        with self._lock:
            return list(chain(self._under_way.values(), self._states.values(), self._others))

    def _add(self, message: Outgoing) -> None:
        counts = self._counts.setdefault(message.kind, _Counts())
        counts.enqueued += 1
        counts.queued += 1
        self._bytes += len(message.payload)
        if message.retain:
            replaced = self._states.pop(message.topic, None)
            self._states[message.topic] = message
            if replaced is not None:
                self._drop(replaced, "replaced")
        else:
            self._others.append(message)
        self._make_room()

    def _make_room(self) -> None:
        while self._others and (self._bytes > self._max_bytes or len(self._others) > self._max_count):
            self._drop(self._others.popleft(), "full")

    def _drop(self, message: Outgoing, reason: Dropped) -> None:
        self._forget(message).dropped[reason] += 1

    def _forget(self, message: Outgoing) -> _Counts:
        self._bytes -= len(message.payload)
        counts = self._counts[message.kind]
        counts.queued -= 1
        return counts
