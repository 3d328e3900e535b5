"""The main job on one machine: signed bundle, two RTSP cameras, native core, agent, broker, subscriber."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rich.console import Console
from rich.live import Live

from examples.demo import picture, view
from examples.demo.site import CAMERAS, ROOT, DemoError, Site
from examples.demo.watcher import Watcher, summary

OUT = ROOT / "build" / "demo"
FOOTAGE_S = 20
FIRST_RESULT_WITHIN_S = 30
LINE_EVERY_S = 5.0


class _Ended(BaseException):
    """SIGTERM: end in order, as with Ctrl-C."""


def main() -> int:
    """Command line; see ``--help``."""
    parser = argparse.ArgumentParser(
        prog="script/demo",
        description=__doc__,
        epilog="examples:\n  script/demo                     until Ctrl-C\n"
        "  script/demo --once --json out.json    a run of 20 s and its figures",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--once", action="store_true", help="end after a run of --seconds, with a summary")
    parser.add_argument(
        "--seconds", type=_seconds, metavar="N", help="length of the run (default 20 with --once)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there at the end")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)
    length = options.seconds if options.seconds is not None else 20.0 if options.once else None
    try:
        if options.json:
            # A path that cannot be written is said now, not after the run.
            options.json.open("a").close()
        return _demo(length, options.json)
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
    except OSError as error:
        print(f"demo: {error.filename or ''}: {error.strerror}", file=sys.stderr)
    except (KeyboardInterrupt, _Ended):
        print("demo: ended before it was under way", file=sys.stderr)
        return 130
    return 1


def _demo(length: float | None, json_file: Path | None) -> int:
    console = Console()
    OUT.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="edgeward-demo-") as work,
        Site(Path(work), OUT, lambda text: console.print(f"== {text}", highlight=False)) as site,
    ):
        site.render(FOOTAGE_S)
        bundle, key = site.make_bundle()
        site.start_broker()
        watcher = Watcher(site.broker_port, {camera.name: site.footage(camera) for camera in CAMERAS})
        try:
            site.start_cameras()
            site.start_agent(bundle, key)
            seconds = _watch(site, watcher, console, length)
            site.stop_agent()
        finally:
            watcher.close()
        document = summary(watcher, CAMERAS, seconds)
        _leave_picture(site, watcher)
    _print_summary(console, document)
    if json_file:
        json_file.write_text(json.dumps(document, indent=2) + "\n")
    return 0


def _watch(site: Site, watcher: Watcher, console: Console, length: float | None) -> float:
    """Show what arrives until the time is over or Ctrl-C; returns the seconds of the run."""
    asked = time.monotonic()
    while not all(seen.results for seen in watcher.cameras.values()):
        site.check()
        if time.monotonic() - asked > FIRST_RESULT_WITHIN_S:
            raise DemoError(f"no result of every camera within {FIRST_RESULT_WITHIN_S} s; see {site.log}")
        time.sleep(0.05)
    started = time.monotonic()
    footer = f"log {site.log}" + ("" if length else "   Ctrl-C ends it")
    next_line = started + LINE_EVERY_S
    live = Live(console=console, refresh_per_second=5, transient=False) if console.is_terminal else None
    try:
        if live:
            live.start()
        while length is None or time.monotonic() - started < length:
            site.check()
            if live:
                live.update(view.screen(watcher, CAMERAS, footer))
            elif time.monotonic() >= next_line:
                next_line += LINE_EVERY_S
                console.print(view.line(watcher, CAMERAS), highlight=False, soft_wrap=True)
            time.sleep(0.2)
    except (KeyboardInterrupt, _Ended):
        if length is not None:
            raise
    finally:
        if live:
            live.stop()
    return time.monotonic() - started


def _leave_picture(site: Site, watcher: Watcher) -> None:
    pictures = []
    for camera in CAMERAS:
        index, found = watcher.cameras[camera.name].best
        caption = f"{camera.name}  {camera.codec}  frame {index}  {len(found)} detections over MQTT"
        pictures.append(picture.draw(site.footage(camera), index, found, caption))
    picture.write(OUT / "picture.jpg", pictures)


def _print_summary(console: Console, document: dict[str, object]) -> None:
    cameras = document["cameras"]
    assert isinstance(cameras, dict)
    for name, figures in cameras.items():
        latency = figures["latency_ms"]
        console.print(
            f"{name}: {figures['codec']} {figures['width']}x{figures['height']}, {figures['fps']} fps, "
            f"{figures['results']} results, frame to MQTT {latency['p50']} ms (p95 {latency['p95']} ms), "
            f"precision {figures['precision']}, recall {figures['recall']}",
            highlight=False,
            soft_wrap=True,
        )
    console.print(f"messages at the broker: {document['mqtt_messages']}", highlight=False, soft_wrap=True)
    console.print(
        f"annotated picture: {OUT / 'picture.jpg'}\nlog: {OUT / 'agent.log'}", highlight=False, soft_wrap=True
    )


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1 <= value <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds between 1 and 86400")
    return value


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise _Ended


if __name__ == "__main__":
    sys.exit(main())
