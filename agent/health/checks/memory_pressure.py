"""Does the device have memory to work with?"""

from __future__ import annotations

from collections.abc import Iterable

from agent.health.view import Finding, View

MEANING = "the device has free memory and does not lose time waiting for it"
WARN_PERCENT = 10.0
CRITICAL_PERCENT = 4.0
STALLED_PERCENT = 10.0


def check(view: View) -> Iterable[Finding]:
    """By what is available and, where the kernel tells (PSI), by the time lost waiting for memory."""
    pressed = view.pressure_percent is not None and view.pressure_percent > STALLED_PERCENT
    if view.memory_free_percent < CRITICAL_PERCENT or pressed:
        text = "programs wait for memory" if pressed else f"under {CRITICAL_PERCENT:g} % of memory is free"
        yield Finding(
            severity="critical",
            text=text,
            code="system.memory",
            remedy="run fewer pipelines or streams, or a smaller model",
        )
    elif view.memory_free_percent < WARN_PERCENT:
        yield Finding(
            severity="warning",
            text=f"under {WARN_PERCENT:g} % of memory is free",
            code="system.memory",
            remedy="run fewer pipelines or streams, or a smaller model",
        )
    else:
        yield Finding(severity="ok", text="enough memory is free")
