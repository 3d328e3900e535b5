"""Puts bodies into envelopes: time, boot, and a sequence number for each topic."""

from __future__ import annotations

import threading
from collections import Counter

from agent.link import messages
from agent.link.clock import WallClock, read_boot_id


class Composer:
    """Makes the bytes of messages; the agent and the network thread both use it."""

    def __init__(self, clock: WallClock) -> None:
        self.clock = clock
        self._boot = read_boot_id()
        self._lock = threading.Lock()
        self._next_seq: Counter[str] = Counter()

    def compose(self, topic: str, body: messages.Body) -> bytes:
        """``body`` in an envelope for ``topic``."""
        with self._lock:
            seq = self._next_seq[topic]
            self._next_seq[topic] += 1
        return self._encode(body, seq)

    def compose_will(self, topic: str, body: messages.Body) -> bytes:
        """As ``compose``, without using up a sequence number: a will may never be sent."""
        with self._lock:
            seq = self._next_seq[topic]
        return self._encode(body, seq)

    def _encode(self, body: messages.Body, seq: int) -> bytes:
        return messages.encode(
            body, ts=self.clock.now_ms(), ts_ok=self.clock.synchronised(), boot=self._boot, seq=seq
        )
