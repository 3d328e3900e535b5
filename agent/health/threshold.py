"""Thresholds that differ up and down, so that a value which wavers about one does not ring all day."""

from __future__ import annotations

from dataclasses import dataclass

from agent.link.messages import Severity


@dataclass(frozen=True, slots=True)
class Floor:
    """Less than ``warning`` or ``critical`` is bad; it is good again only ``margin`` (a share) above."""

    warning: float
    critical: float
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
class Ceiling:
    """More than ``warning`` or ``critical`` is bad; it is good again only ``margin`` below."""

    warning: float
    critical: float
    margin: float

    def judge(self, value: float, before: Severity) -> Severity:
        """How bad ``value`` is, after ``before``."""
        if value > self.critical or (before == "critical" and value > self.critical - self.margin):
            return "critical"
        if value > self.warning or (before != "ok" and value > self.warning - self.margin):
            return "warning"
        return "ok"
