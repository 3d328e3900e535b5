"""``edgeward top``: a live view of this device in the terminal."""

from __future__ import annotations

import argparse
import importlib.util
import sys

from agent.cli import device, number
from runtime.errors import Code, EdgewardError

EXAMPLES = """\
examples:
  edgeward top
  edgeward top --interval 0.5
  edgeward top --socket /run/edgeward/control.sock

Keys: arrows choose a row, o changes the order, r restarts the chosen pipeline (it asks first), s saves a
snapshot of the chosen stream in this folder, ? explains, q ends. It needs the package textual:
pip install 'edgeward[top]'. Without it, 'edgeward status --watch' shows the same figures.
"""


def add(subparsers: device.Actions) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "top",
        help="a live view of pipelines, health and events",
        description="Show pipelines, streams, health and events of the running agent, live in the terminal.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--interval",
        type=number.interval,
        default=1.0,
        metavar="S",
        help="seconds between two looks (default 1)",
    )
    device.add_socket_option(parser)
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """Run it until its user leaves."""
    if importlib.util.find_spec("textual") is None:
        raise EdgewardError(
            Code.USAGE,
            "the live view needs the package textual, which is not installed",
            remedy="pip install 'edgeward[top]', or use 'edgeward status --watch'",
        )
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        what, remedy = "the live view needs a terminal", "use 'edgeward status --watch', or 'ssh -t'"
        raise EdgewardError(Code.USAGE, what, remedy=remedy)
    with device.connect(options) as agent:
        agent.run(
            lambda client: client.get_status()
        )  # why it cannot be reached is told before the screen turns
    from agent.cli.top_app import Top  # noqa: PLC0415 - textual, for this command only
    from agent.control.client import Client, socket_path  # noqa: PLC0415 - grpclib

    path = socket_path(options.socket)
    return Top(lambda: Client(path), interval_s=options.interval).run() or 0
