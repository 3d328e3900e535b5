"""``edgeward drain``: the pipelines of this device end in order; the agent stays up."""

from __future__ import annotations

import argparse
import sys

from agent.cli import device, number, output

EXAMPLES = """\
examples:
  edgeward drain
  edgeward drain --wait 60 --json

For maintenance: frames that are in work are finished, then every worker ends. The agent goes on reporting.
'edgeward pipelines start PIPELINE' brings a pipeline back; so does a start of the agent, for all of them.
"""
WAIT_S = 30.0


def add(subparsers: device.Actions) -> None:
    """Register the command."""
    parser = device.command(
        subparsers, "drain", "stop all pipelines in order, and leave the agent up", EXAMPLES
    )
    parser.add_argument(
        "--wait",
        type=number.long_wait,
        default=WAIT_S,
        metavar="S",
        help=f"seconds to wait until they have ended (default {WAIT_S:g})",
    )
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """Tell which were stopped."""
    with device.connect(options) as agent:
        reply = agent.run(lambda client: client.drain(wait_s=options.wait))
    if options.json:
        output.print_document(device.document(reply))
    else:
        names = ", ".join(reply.stopped) or "nothing ran"
        sys.stdout.write(output.plain(f"stopped: {names}" if reply.stopped else names) + "\n")
    return 0
