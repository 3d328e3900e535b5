"""``edgeward status``: what this device does and what is wrong with it, on one screen."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from agent.cli import device, number, output
from agent.cli.paint import paint_for, width_of_screen
from runtime.errors import Code, EdgewardError, ExitStatus

if TYPE_CHECKING:
    from agent.control import control_pb2 as pb

EXAMPLES = """\
examples:
  edgeward status
  edgeward status line
  edgeward status --watch
  edgeward status --json | jq '.pipelines[].streams[].fps'
  edgeward status --exit-code >/dev/null || echo "look at this device"

The exit status is 0 when the agent answered, whatever it said. With --exit-code it is 0 for a device, or a
pipeline, that works as it should, 18 for one that is degraded and 19 for one that has failed.
"""

HEALTH = {"ok": ExitStatus.OK, "degraded": ExitStatus.DEGRADED}
PIPELINE = {
    "running": ExitStatus.OK,
    "stopped": ExitStatus.OK,
    "verifying": ExitStatus.DEGRADED,
    "preflight": ExitStatus.DEGRADED,
    "starting": ExitStatus.DEGRADED,
}
STREAM = {"running": ExitStatus.OK, "ended": ExitStatus.OK, "starting": ExitStatus.DEGRADED}
AGAIN_S = 1.0


def add(subparsers: device.Actions) -> None:
    """Register the command."""
    parser = device.command(
        subparsers,
        "status",
        "what this device does and what is wrong with it",
        EXAMPLES,
        description="Show device, link, health and pipelines of the running agent on one screen; under what "
        "is wrong, the reason and what to do. With the name of a pipeline, its details.",
    )
    device.add_pipeline_argument(parser, nargs="?", default="", help="show the details of this pipeline")
    parser.add_argument("--watch", action="store_true", help="show it anew again and again, until Ctrl-C")
    parser.add_argument(
        "--interval", type=number.interval, default=1.0, metavar="S", help="seconds, with --watch (default 1)"
    )
    parser.add_argument(
        "--exit-code", action="store_true", help="end with 18 when it is degraded, 19 when it has failed"
    )
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """Once, or again and again."""
    if options.watch:
        return _watch(options)
    with device.connect(options) as agent:
        status = agent.run(lambda client: client.get_status())
    shown = chosen(status, options.pipeline)
    if options.json:
        output.print_document(device.document(shown))
    else:
        sys.stdout.write(text(shown))
    return int(judged(shown)) if options.exit_code else 0


def chosen(status: pb.Status, pipeline: str) -> pb.Status | pb.Pipeline:
    """The whole device, or the pipeline of that name.

    Raises:
        EdgewardError: ``CONTROL_UNKNOWN_PIPELINE``.
    """
    if not pipeline:
        return status
    for item in status.pipelines:
        if item.name == pipeline:
            return item
    names = ", ".join(item.name for item in status.pipelines) or "none"
    what = f"no pipeline is called {pipeline!r}"
    raise EdgewardError(Code.CONTROL_UNKNOWN_PIPELINE, what, remedy=f"there are: {names}")


def text(shown: pb.Status | pb.Pipeline) -> str:
    """As a person reads it."""
    from agent.cli import pipeline_report, status_report  # noqa: PLC0415 - with --json they are not needed
    from agent.control import control_pb2 as pb  # noqa: PLC0415 - protobuf, for these commands only

    paint, width = paint_for(sys.stdout), width_of_screen()
    if isinstance(shown, pb.Pipeline):
        return pipeline_report.details(shown, paint, width)
    return status_report.screen(shown, paint, width)


def judged(shown: pb.Status | pb.Pipeline) -> ExitStatus:
    """How well it is, as an exit status."""
    from agent.control import control_pb2 as pb  # noqa: PLC0415 - protobuf, for these commands only

    if isinstance(shown, pb.Status):
        return HEALTH.get(shown.health.state, ExitStatus.FAILED)
    found = [PIPELINE.get(shown.state, ExitStatus.FAILED)]
    if shown.state == "running":
        found += [STREAM.get(stream.state, ExitStatus.FAILED) for stream in shown.streams]
        found += [ExitStatus.DEGRADED for bundle in shown.bundles if bundle.HasField("quarantined")]
    return max(found)


def _watch(options: argparse.Namespace) -> int:
    """Until Ctrl-C. On a terminal it stays while the agent is started again."""
    in_place = not options.json and sys.stdout.isatty()
    for status in _statuses(options, stay=in_place):
        if isinstance(status, EdgewardError):
            _redraw(f"edgeward: {output.plain(str(status))}\n")
        elif options.json:
            device.print_line(device.document(chosen(status, options.pipeline)))
        elif in_place:
            _redraw(text(chosen(status, options.pipeline)))
        else:
            sys.stdout.write(text(chosen(status, options.pipeline)) + "\n")
            sys.stdout.flush()
    return 0


def _statuses(options: argparse.Namespace, *, stay: bool) -> Iterator[pb.Status | EdgewardError]:
    """Each status; the error instead while the agent is away, if it has been there once."""
    seen = False
    while True:
        try:
            with device.connect(options) as agent:
                for status in agent.each(lambda client: client.watch_status(interval_s=options.interval)):
                    yield status
                    seen = True
        except EdgewardError as error:
            if not (stay and seen and error.code is Code.CONTROL_UNAVAILABLE):
                raise
            yield error
        else:
            if not stay:
                return
        time.sleep(AGAIN_S)


def _redraw(screen: str) -> None:
    """Put it over what was there, without a moment of nothing; what is too long for the terminal is cut."""
    lines = screen.splitlines()
    height = max(1, shutil.get_terminal_size().lines - 1)
    if len(lines) > height:
        lines = [*lines[: height - 1], f"... {len(lines) - height + 1} more lines: edgeward status | less"]
    # Lines that are wider than the terminal are cut by it: wrapped ones would push the first out of sight.
    text = "".join(f"{line}\x1b[K\n" for line in lines)
    sys.stdout.write(f"\x1b[?7l\x1b[H{text}\x1b[J\x1b[?7h")
    sys.stdout.flush()
