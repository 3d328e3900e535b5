"""What every logger of the agent ends in: limit, redact, keep, write."""

from __future__ import annotations

import itertools
import logging
import threading
import time

from agent.log_settings import Log
from agent.logs.formats import Format, choose
from agent.logs.limit import RateLimit
from agent.logs.line import Line, line_of, note
from agent.logs.recent import Recent
from agent.logs.writer import Writer
from agent.redact import Redactor


class LogHandler(logging.Handler):
    """The only handler of the root logger. A line is redacted before anything else sees it."""

    def __init__(self, redactor: Redactor, settings: Log, fd: int) -> None:
        super().__init__()
        self.recent = Recent()
        self._redactor = redactor
        self._fd = fd
        self._seq = itertools.count(1)
        # Not the handler's own lock: `logging.shutdown` holds that one while it waits for the writer.
        self._order = threading.RLock()
        self._limit = RateLimit(settings.burst, settings.window_s, redactor)
        self._format: Format = choose(settings.format, fd)
        self._writer = Writer(fd, lost=self._lost_line, idle=self._tell_left_out)

    def apply(self, settings: Log) -> None:
        """From now on by ``settings``; what was kept stays."""
        self._format = choose(settings.format, self._fd)
        self._limit.burst, self._limit.window_s = settings.burst, settings.window_s

    def emit(self, record: logging.LogRecord) -> None:
        """Log ``record``, or count it. Never waits for whoever reads the log."""
        if not self._limit.passes(record, time.monotonic()):
            self._writer.wake()
            return
        with self._order:
            line = line_of(record, next(self._seq), self._redactor)
            self._show(line, urgent=record.levelno >= logging.WARNING)

    def flush(self) -> None:
        """Wait a moment for what is not written yet."""
        self._writer.flush()

    def close(self) -> None:
        """Write the rest, for a second at most."""
        self._note_left_out(float("inf"))
        self._writer.close()
        super().close()

    def _show(self, line: Line, *, urgent: bool) -> None:
        self.recent.add(line)
        self._writer.put(self._format(line), urgent=urgent)

    def _tell_left_out(self) -> float | None:
        """In the writer's thread, whenever it has nothing to write: counts whose window is over."""
        self._note_left_out(time.monotonic())
        due = self._limit.next_due()
        return None if due is None else max(due - time.monotonic(), 0.0)

    def _note_left_out(self, now: float) -> None:
        for found in self._limit.due(now):
            text = f"{found.count} lines of {found.part} left out that were like {found.sample!r}"
            with self._order:
                self._show(note(text, next(self._seq)), urgent=True)

    def _lost_line(self, count: int) -> str:
        text = f"{count} lines lost: whoever reads this log is too slow"
        return self._format(note(text, next(self._seq)))
