"""``edgeward reload``: the running agent reads its configuration file again."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from agent.cli import device, output

if TYPE_CHECKING:
    from agent.control import control_pb2 as pb

EXAMPLES = """\
examples:
  edgeward config check && edgeward reload
  edgeward reload --json

A file with an error changes nothing: the agent goes on with what it has, and the error is told here.
Pipelines that did not change keep their workers and their streams.
"""


def add(subparsers: device.Actions) -> None:
    """Register the command."""
    parser = device.command(
        subparsers,
        "reload",
        "make the running agent read its configuration file again",
        EXAMPLES,
    )
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """Tell what changed."""
    with device.connect(options) as agent:
        reply = agent.run(lambda client: client.reload())
    if options.json:
        output.print_document(device.document(reply))
        return 0
    for warning in reply.warnings:
        output.warn(output.plain(warning))
    sys.stdout.write(text(reply))
    return 0


def text(reply: pb.ReloadReply) -> str:
    """What became of the pipelines, and what is still as it was."""
    found = [
        (word, list(names))
        for word, names in (
            ("started", reply.started),
            ("stopped", reply.stopped),
            ("restarted", reply.restarted),
            ("unchanged", reply.unchanged),
        )
    ]
    lines = [f"{word}: {', '.join(names)}" for word, names in found if names]
    if reply.needs_restart:
        keys = ", ".join(reply.needs_restart)
        lines.append(f"only after 'systemctl restart edgeward': {keys}")
    return "".join(f"{output.plain(line)}\n" for line in lines or ["reloaded: no pipeline is configured"])
