"""Logs to stderr: JSON for the journal, colours on a terminal, plain lines elsewhere; without secrets.

Logging never waits for whoever reads the log, nor lets one fault flood it; ``Recent`` keeps the last lines.
"""

from __future__ import annotations

import logging
import sys

from agent.log_settings import Log
from agent.logs.handler import LogHandler
from agent.logs.line import Line
from agent.logs.recent import Recent
from agent.redact import Redactor

__all__ = ["Line", "LogHandler", "Recent", "apply", "installed", "set_up"]


def set_up(redactor: Redactor, settings: Log | None = None, *, fd: int | None = None) -> LogHandler:
    """All loggers of this process write to ``fd``, stderr unless told otherwise.

    What they write waits in memory until it is written; leave by ``logging.shutdown`` (as the interpreter
    does at its end), or the last lines are lost.
    """
    settings = settings or Log()
    # A log that cannot be written (its reader has gone) must not raise in whoever logs.
    logging.raiseExceptions = False
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    handler = LogHandler(redactor, settings, _stderr() if fd is None else fd)
    root.addHandler(handler)
    apply(handler, settings)
    return handler


def apply(handler: LogHandler, settings: Log) -> None:
    """Take over changed settings while the agent runs."""
    handler.apply(settings)
    logging.getLogger().setLevel(settings.level.upper())


def installed() -> LogHandler | None:
    """The handler that ``set_up`` made in this process."""
    return next((each for each in logging.getLogger().handlers if isinstance(each, LogHandler)), None)


def _stderr() -> int:
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # there is none, or a test has put something else there
        return 2
