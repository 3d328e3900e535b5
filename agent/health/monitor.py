"""Runs the checks, remembers since when each says what it says, and sums up."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from agent.events import EventLog
from agent.health.checks import Check, find_checks
from agent.health.view import Finding, View
from agent.link.clock import WallClock
from agent.link.messages import CheckResult, Health

log = logging.getLogger("health")

State = Literal["ok", "degraded", "failed"]
Key = tuple[str, str]
_WORST: dict[str, State] = {"ok": "ok", "warning": "degraded", "critical": "failed"}
_RANK = {"ok": 0, "warning": 1, "critical": 2}
# The summary names so many findings, the worst first.
_NAMED = 3
_LONGEST_NAMED = 120


@dataclass(frozen=True, slots=True)
class _Found:
    """What is reported, and since when; ``worse`` is what will be if it holds, since ``worse_ns``."""

    finding: Finding
    since_ns: int
    worse: Finding | None = None
    worse_ns: int = 0


class HealthMonitor:
    """Holds what was found last. Times are monotonic; wall time is added when a message is made."""

    def __init__(self, checks: Sequence[Check] | None = None, events: EventLog | None = None) -> None:
        self._checks = tuple(checks) if checks is not None else find_checks()
        self._by_id = {check.id: check for check in self._checks}
        self._events = events
        self._found: dict[Key, _Found] = {}
        self.state: State = "ok"
        self.summary = "nothing was looked at yet"

    def look(self, view: View, now_ns: int) -> bool:
        """Run all checks; ``True`` when anything that is reported has changed."""
        view = replace(view, was={key: found.finding for key, found in self._found.items()})
        now: dict[Key, _Found] = {}
        for check in self._checks:
            for finding in _run(check, view):
                key = check.id, finding.subject
                now[key] = _judged(self._found.get(key), finding, check.after_s, now_ns)
        before, self._found = self._found, now
        changed = {key: each.finding for key, each in now.items()} != {
            key: each.finding for key, each in before.items()
        }
        if changed:
            self._tell(before)
            self._sum_up()
        return changed

    def body(self, clock: WallClock) -> Health:
        """What to report."""
        checks = tuple(
            CheckResult(
                id=identity,
                subject=subject,
                severity=found.finding.severity,
                code=found.finding.code,
                text=found.finding.text,
                remedy=found.finding.remedy,
                since=clock.at_ms(found.since_ns),
                docs=self._by_id[identity].docs,
            )
            for (identity, subject), found in self._found.items()
        )
        return Health(state=self.state, summary=self.summary, checks=checks)

    def _tell(self, before: dict[Key, _Found]) -> None:
        """Log what got worse or better. What is gone (a pipeline that was removed) is no news."""
        for (identity, subject), found in self._found.items():
            finding = found.finding
            was = before.get((identity, subject))
            severity = was.finding.severity if was else "ok"
            if finding.severity == severity or self._by_id[identity].told_elsewhere:
                continue
            name = f"{identity} {subject}".strip()
            bad = finding.severity != "ok"
            level = logging.WARNING if bad else logging.INFO
            log.log(level, "%s is %s: %s%s", name, finding.severity, finding.text, _then(finding))
            if self._events is not None:
                self._events.add(
                    f"health.{finding.severity}",
                    f"{identity}: {finding.text}",
                    subject=subject,
                    severity=finding.severity,
                    code=finding.code,
                    remedy=finding.remedy,
                )

    def _sum_up(self) -> None:
        bad = [(key, found.finding) for key, found in self._found.items() if found.finding.severity != "ok"]
        bad.sort(key=lambda each: -_RANK[each[1].severity])
        state = _WORST[bad[0][1].severity if bad else "ok"]
        self.summary = _summary(bad)
        if state != self.state:
            log.info("health is %s, was %s: %s", state, self.state, self.summary)
            self.state = state


def _judged(before: _Found | None, finding: Finding, after_s: float, now_ns: int) -> _Found:
    """What to report of ``finding``: what is worse than before only when it has held for ``after_s``."""
    shown = before.finding.severity if before else "ok"
    if _RANK[finding.severity] <= _RANK[shown] or not after_s:
        return _Found(finding, _since(before, finding, now_ns))
    worse_ns = before.worse_ns if before and before.worse else now_ns
    if now_ns - worse_ns >= after_s * 1e9:
        return _Found(finding, worse_ns)
    calm = (
        before.finding if before else Finding(severity="ok", subject=finding.subject, text="not judged yet")
    )
    return _Found(calm, before.since_ns if before else now_ns, finding, worse_ns)


def _since(before: _Found | None, finding: Finding, now_ns: int) -> int:
    same = before is not None and (before.finding.severity, before.finding.code) == (
        finding.severity,
        finding.code,
    )
    return before.since_ns if before is not None and same else now_ns


def _summary(bad: list[tuple[Key, Finding]]) -> str:
    """``1 critical, 2 warnings: line-1/cam-2: stalled, no results: ...; clock_sync: not synchronised``."""
    if not bad:
        return "all is well"
    critical = sum(finding.severity == "critical" for _, finding in bad)
    warnings = len(bad) - critical
    counts = [f"{critical} critical"] if critical else []
    counts += [f"{warnings} warning{'s' if warnings > 1 else ''}"] if warnings else []
    named = [_named(key, finding) for key, finding in bad[:_NAMED]]
    if len(bad) > _NAMED:
        named.append(f"{len(bad) - _NAMED} more")
    return f"{', '.join(counts)}: {'; '.join(named)}"


def _named(key: Key, finding: Finding) -> str:
    text = f"{key[1] or key[0]}: {finding.text}"
    return text if len(text) <= _LONGEST_NAMED else f"{text[: _LONGEST_NAMED - 4]} ..."


def _then(finding: Finding) -> str:
    return f"; {finding.remedy}" if finding.severity != "ok" and finding.remedy else ""


def _run(check: Check, view: View) -> Iterable[Finding]:
    try:
        return list(check.run(view))
    except Exception as error:
        log.exception("the check %s failed", check.id)
        text = f"the check itself failed: {type(error).__name__}"
        return [Finding(severity="critical", text=text, code="internal", remedy="please report it")]
