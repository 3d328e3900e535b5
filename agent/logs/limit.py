"""Of lines that are alike, lets some through and counts the rest, so that a fault cannot flood the log."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass

from agent.logs.line import template_of
from agent.redact import Redactor

# Different texts that are watched at once; the one that was quiet longest is forgotten.
MAX_KINDS = 256
# A worker's traceback is many lines of one kind; what a worker prints is bounded by `LineLog` already.
WORKER_SHARE = 4

Key = tuple[str, int, str, str]


@dataclass(slots=True)
class _Kind:
    began: float
    passed: int = 0
    left_out: int = 0
    sample: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """So many lines like ``sample`` were not logged."""

    count: int
    part: str
    sample: str


class RateLimit:
    """By logger, level, template and pipeline. The first of a kind always passes, as does all critical."""

    def __init__(self, burst: int, window_s: float, redactor: Redactor) -> None:
        self.burst = burst
        self.window_s = window_s
        self._redactor = redactor
        self._lock = threading.Lock()
        self._kinds: OrderedDict[Key, _Kind] = OrderedDict()

    def passes(self, record: logging.LogRecord, now: float) -> bool:
        """Whether to log ``record``; ``now`` in seconds of any clock that only grows."""
        if record.levelno >= logging.CRITICAL:
            return True
        pipeline = getattr(record, "pipeline", "")
        template = template_of(record)
        key: Key = (record.name, record.levelno, template[:200], str(pipeline))
        share = WORKER_SHARE if pipeline else 1
        with self._lock:
            kind = self._kinds.get(key)
            if kind is None or (now - kind.began >= self.window_s and not kind.left_out):
                # One whose window is over and that has left something out stays for ``due`` to tell of it.
                kind = self._kinds[key] = _Kind(now)
                self._forget_quietest()
            self._kinds.move_to_end(key)
            if kind.passed >= self.burst * share:
                kind.left_out += 1
                if kind.left_out == 1:
                    # Cut after the secrets are out, as every line is.
                    kind.sample = self._redactor(template)[:80]
                return False
            kind.passed += 1
            return True

    def due(self, now: float) -> list[LeftOut]:
        """What was left out in windows that are over; those kinds begin anew."""
        found = []
        with self._lock:
            for key, kind in list(self._kinds.items()):
                if kind.left_out and now - kind.began >= self.window_s:
                    found.append(LeftOut(kind.left_out, key[0], kind.sample))
                    del self._kinds[key]
        return found

    def next_due(self) -> float | None:
        """When ``due`` will have something to tell; ``None`` while nothing is left out."""
        with self._lock:
            began = [kind.began for kind in self._kinds.values() if kind.left_out]
        return min(began) + self.window_s if began else None

    def _forget_quietest(self) -> None:
        """One that has left nothing out, so that no count is lost; else the oldest."""
        if len(self._kinds) <= MAX_KINDS:
            return
        quiet = next((key for key, kind in self._kinds.items() if not kind.left_out), None)
        self._kinds.pop(quiet if quiet is not None else next(iter(self._kinds)))
