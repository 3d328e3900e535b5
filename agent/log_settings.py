"""``[log]``: what the agent logs, in which form, and how much of the same."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from agent.config_types import Seconds, Section

LogFormat = Literal["auto", "text", "json", "pretty"]
LogLevel = Literal["debug", "info", "warning", "error"]


class Log(Section, frozen=True, kw_only=True):
    """``[log]``. ``auto`` is JSON for the journal, ``pretty`` on a terminal, else plain text.

    Of lines that are alike, ``burst`` are let through in ``window_s``; the rest is counted.
    """

    format: LogFormat = "auto"
    level: LogLevel = "info"
    burst: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 50
    window_s: Seconds = 10.0
