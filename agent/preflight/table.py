"""A report for a person: a line for each variant, then why each that is refused is refused."""

from __future__ import annotations

from collections.abc import Sequence

from agent.preflight.report import Budgets, Report, VariantReport

_NONE = "-"
_HEAD = ("variant", "engine", "runs on", "load", "answers", "median", "95 %", "memory", "")
_NUMBERS = {3, 5, 6, 7}


def table(report: Report) -> str:
    """The report as lines of text."""
    order = [*report.ranked, *(one.id for one in report.variants if one.id not in report.ranked)]
    variants = sorted(report.variants, key=lambda one: (one.state == "unfit", order.index(one.id)))
    lines = [f"{report.name} {report.version} on this {report.machine}"]
    lines += _columns([_HEAD, *(_row(variant, report) for variant in variants)])
    lines += [_measured(report)]
    for variant in variants:
        for refusal in variant.refusals:
            verb = "does not fit:" if variant.state == "unfit" else "refused:"
            lines.append(f"{variant.id} {verb} {refusal.text} [{refusal.code}]")
    lines.append(_verdict(report))
    return "\n".join(line for line in lines if line) + "\n"


def _row(variant: VariantReport, report: Report) -> tuple[str, ...]:
    latency, golden = variant.latency, variant.golden
    memory = variant.pss_mb if variant.peak_mb is None else variant.peak_mb
    state = "chosen" if variant.id == report.chosen else variant.state
    answers = _NONE if golden is None else ("agree" if golden.passed else "differ")
    if golden is None and variant.state == "passed":
        answers = "not checked"
    return (
        variant.id,
        variant.engine,
        variant.provider or _NONE,
        _NONE if variant.load_ms is None else f"{variant.load_ms:.0f} ms",
        answers,
        _NONE if latency is None else f"{latency.p50_ms:.1f} ms",
        _NONE if latency is None else f"{latency.p95_ms:.1f} ms",
        _NONE if memory is None else f"{memory:.0f} MB",
        state,
    )


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [
        "  "
        + "  ".join(
            cell.rjust(width) if at in _NUMBERS else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _measured(report: Report) -> str:
    """Over what the figures were taken, and the budgets."""
    parts = []
    for latency in (variant.latency for variant in report.variants):
        if latency is not None:
            parts.append(f"latency of {latency.rounds} frames of {latency.width}x{latency.height}")
            break
    for golden in (variant.golden for variant in report.variants):
        if golden is not None:
            parts.append(f"answers to {golden.frames} golden frames")
            break
    allowed = _budgets(report.budgets)
    return "; ".join([*parts, f"budgets: {allowed}" if allowed else "no budgets"])


def _budgets(allowed: Budgets) -> str:
    parts = []
    if allowed.latency_p95_ms is not None:
        parts.append(f"{allowed.latency_p95_ms:g} ms for 95 % of the frames")
    if allowed.memory_mb is not None:
        parts.append(f"{allowed.memory_mb:g} MB")
    if allowed.load_ms is not None:
        parts.append(f"{allowed.load_ms:g} ms to load")
    return ", ".join(parts)


def _verdict(report: Report) -> str:
    if not report.chosen:
        return "no variant can run here"
    second = f", before {report.ranked[1]}" if len(report.ranked) > 1 else ""
    return f"{report.chosen} is the one to run{second}"
