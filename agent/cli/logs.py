"""``edgeward logs``: lines that the running agent and its workers logged."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from agent.cli import device, number, output
from agent.cli.paint import Paint, Tone, moment

if TYPE_CHECKING:
    from agent.control import control_pb2 as pb

EXAMPLES = """\
examples:
  edgeward logs
  edgeward logs --follow --level WARNING
  edgeward logs --pipeline line --recent 500
  edgeward logs --follow --json

The agent keeps the last lines in memory. Older ones, and those of agents before this one, are in the journal:
journalctl -u edgeward
"""

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_TONES: dict[str, Tone] = {"DEBUG": "dim", "WARNING": "warn", "ERROR": "bad", "CRITICAL": "bad"}


def add(subparsers: device.Actions) -> None:
    """Register the command."""
    parser = device.command(
        subparsers,
        "logs",
        "what the agent and its workers logged",
        EXAMPLES,
        description="List the last lines that the running agent and its workers logged, or follow them.",
    )
    parser.add_argument("--follow", "-f", action="store_true", help="go on with those to come, until Ctrl-C")
    parser.add_argument(
        "--recent", type=number.lines, default=100, metavar="N", help="begin with the last N (default 100)"
    )
    parser.add_argument(
        "--pipeline", default="", metavar="PIPELINE", help="lines about this pipeline and of its worker only"
    )
    parser.add_argument(
        "--level", type=str.upper, choices=LEVELS, default="", help="lines of this level and above only"
    )
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """A line each."""
    device.print_each(
        options,
        lambda client: client.get_logs(
            recent=options.recent,
            follow=options.follow,
            pipeline=options.pipeline,
            level=options.level,
        ),
        as_document=device.document,
        line=line,
    )
    return 0


def line(entry: pb.LogLine, paint: Paint) -> str:
    """One line; before it, how many were lost."""
    lost = f"... {entry.lost} lines were too fast to be shown\n" if entry.lost else ""
    level = paint(f"{output.plain(entry.level):<8}", _TONES.get(entry.level, "none"))
    return f"{lost}{moment(entry.time_ms)} {level} {output.plain(f'{entry.part}: {entry.text}')}\n"
