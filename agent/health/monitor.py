"""Runs the checks, remembers since when each says what it says, and sums up."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Literal

from agent.health.checks import Check, find_checks
from agent.health.view import Finding, View
from agent.link.clock import WallClock
from agent.link.messages import CheckResult, Health

log = logging.getLogger("health")

State = Literal["ok", "degraded", "failed"]
_WORST: dict[str, State] = {"ok": "ok", "warning": "degraded", "critical": "failed"}
_RANK = {"ok": 0, "warning": 1, "critical": 2}


class HealthMonitor:
    """Holds what was found last. Times are monotonic; wall time is added when a message is made."""

    def __init__(self, checks: Sequence[Check] | None = None) -> None:
        self._checks = tuple(checks) if checks is not None else find_checks()
        self._found: dict[tuple[str, str], tuple[Finding, int]] = {}
        self.state: State = "ok"

    def look(self, view: View, now_ns: int) -> bool:
        """Run all checks; ``True`` when anything that is reported has changed."""
        found: dict[tuple[str, str], tuple[Finding, int]] = {}
        for check in self._checks:
            for finding in _run(check, view):
                key = check.id, finding.subject
                before = self._found.get(key)
                same = before is not None and (before[0].severity, before[0].code) == (
                    finding.severity,
                    finding.code,
                )
                found[key] = finding, before[1] if before is not None and same else now_ns
        changed = {key: value[0] for key, value in found.items()} != {
            key: value[0] for key, value in self._found.items()
        }
        self._found = found
        worst = max((finding.severity for finding, _ in found.values()), key=_RANK.__getitem__, default="ok")
        if _WORST[worst] != self.state:
            log.info("health is %s, was %s", _WORST[worst], self.state)
            self.state = _WORST[worst]
        return changed

    def body(self, clock: WallClock) -> Health:
        """What to report."""
        checks = tuple(
            CheckResult(
                id=identity,
                subject=subject,
                severity=finding.severity,
                code=finding.code,
                text=finding.text,
                remedy=finding.remedy,
                since=clock.at_ms(since_ns),
            )
            for (identity, subject), (finding, since_ns) in self._found.items()
        )
        return Health(state=self.state, checks=checks)


def _run(check: Check, view: View) -> Iterable[Finding]:
    try:
        return list(check.run(view))
    except Exception as error:
        log.exception("the check %s failed", check.id)
        text = f"the check itself failed: {type(error).__name__}"
        return [Finding(severity="critical", text=text, code="internal", remedy="please report it")]
