"""Is the broker there, and does it take what this device may send?"""

from __future__ import annotations

from collections.abc import Iterable

from agent.health.view import Finding, View

MEANING = "the device is connected to its broker and may publish on its topics"
TOLD_ELSEWHERE = True


def check(view: View) -> Iterable[Finding]:
    """Warning without a connection: inference goes on, messages wait or are dropped and counted."""
    link = view.link
    if link is None:
        return
    if not link.connected and link.reason:
        yield Finding(severity="warning", text=link.reason, code=link.code, remedy=link.remedy)
    elif not link.connected:
        # The first try: how it ends is known within seconds.
        yield Finding(severity="ok", text=f"connecting to {link.address}")
    elif link.refused_topic:
        yield Finding(
            severity="warning",
            text=f"the broker refuses messages on {link.refused_topic}",
            code="link.refused-topic",
            remedy="allow this device to write below ew/1/<device>/up/ in the broker's access list",
        )
    else:
        yield Finding(severity="ok", text=f"connected to {link.address}")
