"""What ``edgeward status`` shows: a message of the agent as one screen of text, no line longer than asked.

Under whatever is wrong stand the reason and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from agent.cli.paint import Paint, Tone, duration, fit, megabytes, moment, wrapped
from agent.cli.pipeline_report import pipelines, problem

if TYPE_CHECKING:
    from agent.control import control_pb2 as pb

_LABEL = 11


def screen(status: pb.Status, paint: Paint, width: int) -> str:
    """The whole device."""
    lines = [_headline(status, paint, width), *_device(status, width), *_agent(status, width)]
    lines += [*_config(status, paint, width), *_link(status.link, paint, width)]
    lines += [*_governor(status.governor, paint, width), *_health(status, paint, width), ""]
    lines += pipelines(list(status.pipelines), paint, width)
    return "".join(f"{line}\n" for line in lines)


def _headline(status: pb.Status, paint: Paint, width: int) -> str:
    state = fit(status.health.state or "unknown", 12)
    drained = ", drained" if status.draining else ""
    name = fit(status.device.id, width - len(state) - len(drained) - 1)
    return f"{paint(name, 'bold')} {paint.state(state)}{drained}"


def _row(label: str, text: str, width: int) -> Iterator[str]:
    yield from wrapped(text, width, f"  {label:<{_LABEL - 2}}", " " * _LABEL)


def _device(status: pb.Status, width: int) -> Iterator[str]:
    device = status.device
    what = [device.profile_title or device.profile, device.os, device.machine]
    kernel = f"kernel {device.kernel}" if device.kernel else ""
    yield from _row("device", ", ".join(part for part in (*what, kernel) if part) or "unknown", width)
    if device.profile:
        source = f" ({device.profile_source})" if device.profile_source else ""
        yield from _row("profile", f"{device.profile}{source}", width)
    cpus = f"CPU {device.cpu_percent:.0f} % of {device.cpu_count}"
    memory = f"memory {device.memory_percent:.0f} % of {megabytes(device.memory_mb)}"
    figures = [cpus, memory, f"{megabytes(device.disk_free_mb)} of disk free"]
    if device.HasField("temperature_c"):
        figures.append(f"{device.temperature_c:.0f} °C")
    clock = "clock synchronised" if device.clock_synchronised else "clock NOT synchronised"
    yield from _row("load", ", ".join([*figures, clock]), width)


def _agent(status: pb.Status, width: int) -> Iterator[str]:
    memory = f", {status.agent_pss_mb:.0f} MB" if status.agent_pss_mb else ""
    text = f"edgeward {status.version}, pid {status.pid}, up {duration(status.uptime_s)}{memory}"
    yield from _row("agent", text, width)


def _config(status: pb.Status, paint: Paint, width: int) -> Iterator[str]:
    since = f", in force since {moment(status.config_loaded_ms)}" if status.config_loaded_ms else ""
    yield from _row("config", f"{status.config_file or 'unknown'}{since}", width)
    if status.HasField("config_problem"):
        yield from _told("the file was refused: ", status.config_problem, paint, width)


def _link(link: pb.Link, paint: Paint, width: int) -> Iterator[str]:
    word = "connected to" if link.connected else "NOT connected to"
    waiting = f", {link.queued_bytes / 1024:.0f} kB waiting" if link.queued_bytes else ""
    dropped = f", {link.dropped} messages dropped" if link.dropped else ""
    text = f"{word} {link.address or 'the broker'} for {duration(link.for_s)}{waiting}{dropped}"
    yield from _row("link", text, width)
    if link.HasField("problem"):
        yield from _told("", link.problem, paint, width)


def _told(before: str, what: pb.Problem, paint: Paint, width: int) -> Iterator[str]:
    yield from problem(what, paint, width, indent=_LABEL, before=before)


def _governor(governor: pb.Governor, paint: Paint, width: int) -> Iterator[str]:
    if governor.level == 0 and not governor.reasons:
        return
    because = "; ".join(governor.reasons)
    text = f"streams run at {governor.rate:.0%} (level {governor.level})"
    yield from (
        paint(line, "warn") for line in _row("governor", f"{text}: {because}" if because else text, width)
    )


def _health(status: pb.Status, paint: Paint, width: int) -> Iterator[str]:
    """What is not well, but for what another place of the screen says anyway."""
    found = [check for check in status.health.checks if check.severity != "ok"]
    elsewhere = list(_told_elsewhere(status))
    above, places = [], []
    for check in found:
        there = [place for place, subject, told in elsewhere if _is_told(check, subject, told)]
        places += there[:1]
        above += [] if there else [check]
    text = _counted(found) or status.health.summary or f"{len(status.health.checks)} checks, all ok"
    see = f", see {' and '.join(dict.fromkeys(places))}" if places else ""
    yield from _row("health", text + see, width)
    indent = " " * _LABEL
    for check in sorted(above, key=lambda check: check.severity != "critical"):
        about = f"{check.subject}: " if check.subject else ""
        tone: Tone = "bad" if check.severity == "critical" else "warn"
        text = f"{about}{check.text} [{check.code or check.id}]"
        yield from (paint(line, tone) for line in wrapped(text, width, f"{indent}! ", f"{indent}  "))
        if check.remedy:
            yield from wrapped(check.remedy, width, f"{indent}  -> ", f"{indent}     ")


def _counted(checks: Sequence[pb.Check]) -> str:
    critical = sum(check.severity == "critical" for check in checks)
    warnings = len(checks) - critical
    words = [f"{critical} critical"] if critical else []
    words += [f"{warnings} warning{'s' * (warnings > 1)}"] if warnings else []
    return ", ".join(words)


def _told_elsewhere(status: pb.Status) -> Iterator[tuple[str, str, pb.Problem]]:
    """What has its own place on the screen: that place, what it is about, and what it says."""
    if status.link.HasField("problem"):
        yield "link", "", status.link.problem
    if status.HasField("config_problem"):
        yield "config", "", status.config_problem
    for pipeline in status.pipelines:
        if pipeline.HasField("problem"):
            yield "pipelines", pipeline.name, pipeline.problem
        for bundle in pipeline.bundles:
            if bundle.HasField("quarantined"):
                yield "pipelines", pipeline.name, bundle.quarantined
        for stream in pipeline.streams:
            if stream.HasField("problem"):
                yield "pipelines", f"{pipeline.name}/{stream.name}", stream.problem


def _is_told(check: pb.Check, subject: str, problem: pb.Problem) -> bool:
    if check.subject != subject:
        return False
    return check.code == problem.code if problem.code else bool(problem.text) and problem.text in check.text
