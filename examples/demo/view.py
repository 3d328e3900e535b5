"""What the demo shows while it runs: streams, last detections, health; on a terminal in place."""

from __future__ import annotations

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from examples.demo.site import Camera
from examples.demo.watcher import Watcher, percentile

_STATE = {"running": "green", "starting": "yellow", "stalled": "red", "failed": "red"}
_HEALTH = {"ok": "green", "degraded": "yellow", "failed": "red"}
_LABEL = {"bolt": "green", "nut": "cyan", "washer": "yellow", "damaged": "bold red"}
_RECENT = 200


def screen(watcher: Watcher, cameras: tuple[Camera, ...], footer: str) -> Group:
    """The whole screen as it is now."""
    with watcher.lock:
        parts = [_streams(watcher, cameras), _detections(watcher, cameras), _health(watcher)]
    return Group(*parts, Text(footer, style="dim"))


def line(watcher: Watcher, cameras: tuple[Camera, ...]) -> str:
    """The same in a line, for logs and pipes."""
    with watcher.lock:
        parts = []
        for camera in cameras:
            seen = watcher.cameras[camera.name]
            latency = percentile(seen.latency_ms[-_RECENT:], 50)
            waiting = "no result yet" if latency is None else f"{latency:.0f} ms"
            parts.append(f"{camera.name} {camera.codec} {watcher.rate(camera.name):.1f} fps {waiting}")
        state = watcher.health.state if watcher.health else "unknown"
        return f"{'; '.join(parts)}; health {state}; {sum(watcher.topics.values())} messages"


def _streams(watcher: Watcher, cameras: tuple[Camera, ...]) -> Panel:
    table = Table(box=None, expand=True, header_style="bold")
    for title in ("camera", "state", "codec", "size", "fps", "latency p50 / p95", "results", "dropped"):
        table.add_column(title, justify="left" if title in {"camera", "state", "codec", "size"} else "right")
    for camera in cameras:
        seen, told = watcher.cameras[camera.name], watcher.stream(camera.name)
        recent = seen.latency_ms[-_RECENT:]
        state = told.state if told else "starting"
        table.add_row(
            camera.name,
            Text(state, style=_STATE.get(state, "")),
            told.codec if told else "",
            f"{told.width}x{told.height}" if told else "",
            f"{watcher.rate(camera.name):.1f}",
            f"{percentile(recent, 50):.1f} / {percentile(recent, 95):.1f} ms" if recent else "",
            str(seen.results),
            str(sum(told.dropped.values()) if told else 0),
        )
    return Panel(table, title="streams, frame to MQTT", title_align="left")


def _detections(watcher: Watcher, cameras: tuple[Camera, ...]) -> Panel:
    table = Table(box=None, expand=True, show_header=False)
    for camera in cameras:
        seen = watcher.cameras[camera.name]
        found = Text()
        if seen.last is not None:
            for one in sorted(seen.last.detections, key=lambda one: one.box[0]):
                x, y = (round((one.box[a] + one.box[a + 2]) / 2) for a in (0, 1))
                found.append(f"{one.label}", style=_LABEL.get(one.label, ""))
                found.append(f" {one.score:.2f} at {x},{y}   ", style="dim")
        table.add_row(camera.name, found)
    return Panel(table, title="last detections", title_align="left", height=6)


def _health(watcher: Watcher) -> Panel:
    health = watcher.health
    if health is None:
        return Panel(Text("nothing heard yet"), title="health", title_align="left")
    text = Text(health.state, style=_HEALTH[health.state])
    for check in health.checks:
        if check.severity != "ok":
            text.append(f"\n{check.id} {check.subject}: {check.text}", style="yellow")
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(watcher.topics.items()))
    text.append(f"\nat the broker: {kinds}", style="dim")
    return Panel(text, title="health", title_align="left")
