"""Thresholds that differ up and down, so that a value which wavers about one does not ring all day."""

from __future__ import annotations

from dataclasses import dataclass

from agent.link.messages import Severity


@dataclass(frozen=True, slots=True)
class _Limits:
    warning: float
    critical: float

    def limit(self, severity: Severity) -> float:
        """The one that was passed, for the text: it does not move with every measurement."""
        return self.critical if severity == "critical" else self.warning


@dataclass(frozen=True, slots=True)
class Floor(_Limits):
    """Less than ``warning`` or ``critical`` is bad; it is good again only ``margin`` (a share) above."""

    margin: float = 0.2

    def judge(self, value: float, before: Severity) -> Severity:
        """How bad ``value`` is, after ``before``."""
        up = 1 + self.margin
        if value < self.critical or (before == "critical" and value < self.critical * up):
            return "critical"
        if value < self.warning or (before != "ok" and value < self.warning * up):
            return "warning"
        return "ok"


@dataclass(frozen=True, slots=True)
class Ceiling(_Limits):
    """More than ``warning`` or ``critical`` is bad; it is good again only ``margin`` below."""

    margin: float

    def judge(self, value: float, before: Severity) -> Severity:
        """How bad ``value`` is, after ``before``."""
        if value > self.critical or (before == "critical" and value > self.critical - self.margin):
            return "critical"
        if value > self.warning or (before != "ok" and value > self.warning - self.margin):
            return "warning"
        return "ok"
