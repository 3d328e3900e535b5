"""Are messages lost before the broker has them?"""

from __future__ import annotations

from collections.abc import Iterable

from agent.health.view import Finding, View

MEANING = "no event was dropped on its way to the broker lately"
# A newer state takes the place of an older one by design, and metrics of the past are not worth their bytes.
NO_LOSS = frozenset({"replaced", "expired"})
_WHY = {
    "full": ("the queue to the broker was full", "bring the broker back, or send less (publish)"),
    "refused": ("the broker refused them", "allow this device to write below ew/1/<device>/up/"),
    "too-large": ("they are too large for the broker", "raise the broker's limit of a packet's size"),
}


def check(view: View) -> Iterable[Finding]:
    """Warning when messages were dropped in the last ten minutes; by kind of message."""
    if view.link is None:
        return
    lost = {key for key, count in view.link.lost.items() if count and key[1] not in NO_LOSS}
    for kind, reason in sorted(lost):
        why, remedy = _WHY.get(reason, (reason, "see the log of the agent"))
        yield Finding(
            subject=kind,
            severity="warning",
            text=f"messages were dropped lately: {why}",
            code="link.lost-messages",
            remedy=remedy,
        )
    if not lost:
        yield Finding(severity="ok", text="nothing was dropped lately")
