"""Logs to stderr: one plain line each, with time, level and part, and without secrets."""

from __future__ import annotations

import logging
import sys
import time

from agent.redact import Redactor


class _Formatter(logging.Formatter):
    """``2026-01-31T12:00:00.000Z WARNING link: text``."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
        self.converter = time.gmtime
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """One line: a line break in a text could be taken for a new entry."""
        lines = super().format(record).splitlines()
        return self._redactor(" | ".join(line.strip() for line in lines if line.strip()))


def set_up(redactor: Redactor) -> None:
    """All loggers of this process write to stderr."""
    # A log that cannot be written (its reader has gone) must not raise in whoever logs.
    logging.raiseExceptions = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(redactor))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
