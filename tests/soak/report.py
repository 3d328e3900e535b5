"""The soak's figures: a table for people, a document for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.soak.growth import Judged


@dataclass(slots=True)
class Done:
    """What became of one kind of disturbance; ``slowest_s`` from doing it to being well again."""

    times: int = 0
    slowest_s: float = 0.0
    faults: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Run:
    """A whole run, or as much of it as there was."""

    seconds: float = 0.0
    asked_s: float = 0.0
    results: dict[str, int] = field(default_factory=dict)
    not_understood: int = 0
    silences: dict[str, float] = field(default_factory=dict)
    disturbances: dict[str, Done] = field(default_factory=dict)
    figures: list[Judged] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def well(self) -> bool:
        """Whether every bound was kept and the device became well again each time."""
        disturbed = any(done.faults for done in self.disturbances.values())
        return not self.faults and not disturbed and all(figure.kept for figure in self.figures)

    def document(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "well": self.well,
            "seconds": round(self.seconds, 1),
            "asked_s": self.asked_s,
            "results": self.results,
            "not_understood": self.not_understood,
            "longest_silence_s": self.silences,
            "faults": self.faults,
            "disturbances": {
                name: {"times": done.times, "slowest_s": round(done.slowest_s, 2), "faults": done.faults}
                for name, done in self.disturbances.items()
            },
            "growth": {
                item.bound.figure: {
                    "unit": item.bound.unit,
                    "samples": item.samples,
                    "hours": round(item.hours, 3),
                    "first": round(item.first, 2),
                    "last": round(item.last, 2),
                    "largest": round(item.largest, 2),
                    "grew": round(item.grew, 2),
                    "allowed": round(item.allowed, 2),
                    "most": item.bound.most,
                    "kept": item.kept,
                }
                for item in self.figures
            },
        }

    def lines(self) -> list[str]:
        """The tables, as Markdown."""
        lines = [f"{self.seconds / 60:.1f} minutes, {sum(self.results.values())} results"]
        lines += ["", "| done | times | slowest to be well again | faults |", "| --- | ---: | ---: | ---: |"]
        for name, done in self.disturbances.items():
            lines.append(f"| {name} | {done.times} | {done.slowest_s:.1f} s | {len(done.faults)} |")
        lines += ["", "| figure | first | last | largest | grew | allowed | |"]
        lines += ["| --- | ---: | ---: | ---: | ---: | ---: | --- |"]
        lines += [_line(figure) for figure in self.figures]
        longest = ", ".join(f"{name} {seconds:g} s" for name, seconds in sorted(self.silences.items()))
        lines += [""] * bool(longest) + [f"longest silence: {longest}"] * bool(longest)
        named = [f"{name}: {fault}" for name, done in self.disturbances.items() for fault in done.faults]
        return lines + [""] * bool(named or self.faults) + [f"FAULT: {text}" for text in named + self.faults]


def _line(item: Judged) -> str:
    bound = item.bound
    name = f"{bound.figure}, {bound.unit}" if bound.unit else bound.figure
    allowed = f"{item.allowed:.1f}" + ("" if bound.most is None else f", at most {bound.most:g}")
    said = "kept" if item.kept else "OVER" if item.samples else "not measured"
    figures = " | ".join(f"{value:.1f}" for value in (item.first, item.last, item.largest, item.grew))
    return f"| {name} | {figures} | {allowed} | {said} |"
