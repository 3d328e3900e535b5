"""``edgeward snapshot``: a picture of what a stream sees now."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cli import device, number, output
from runtime.errors import Code, EdgewardError

if TYPE_CHECKING:
    from agent.control import control_pb2 as pb

EXAMPLES = """\
examples:
  edgeward snapshot line/cam1 -o now.jpg
  edgeward snapshot line --annotate --max-width 800 -o found.jpg
  edgeward snapshot line > now.jpg
  ssh box edgeward snapshot line --annotate | feh -

The picture is the newest one, as JPEG; with --annotate it is the newest one that the model has looked at.
"""


def add(subparsers: device.Actions) -> None:
    """Register the command."""
    parser = device.command(
        subparsers,
        "snapshot",
        "a picture of what a stream sees now",
        EXAMPLES,
        description="Take a picture of what a stream sees now, with what was found in it if asked.",
    )
    device.add_pipeline_argument(
        parser,
        metavar="PIPELINE[/STREAM]",
        help="whose picture; the stream may be left out where there is only one",
    )
    parser.add_argument(
        "--out", "-o", type=Path, metavar="FILE", help="the JPEG file (default: standard output)"
    )
    parser.add_argument("--annotate", action="store_true", help="draw what was found")
    parser.add_argument(
        "--max-width", type=number.width, default=0, metavar="N", help="make it no wider than N pixels"
    )
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """Ask for it, then write all of it or nothing."""
    if options.json and options.out is None:
        what, remedy = "the picture cannot go where the JSON goes", "add -o FILE"
        raise EdgewardError(Code.USAGE, what, where="--json", remedy=remedy)
    if options.out is None and sys.stdout.isatty():
        what, remedy = "a JPEG file is nothing for a terminal", "add -o FILE, or send the output somewhere"
        raise EdgewardError(Code.USAGE, what, remedy=remedy)
    if options.out is not None:
        from runtime.bundle.replace import check_target  # noqa: PLC0415 - for this command only

        check_target(options.out)  # before the agent is put to work
    pipeline, _, stream = options.pipeline.partition("/")
    with device.connect(options) as agent:
        reply = agent.run(
            lambda client: client.take_snapshot(
                pipeline, stream, annotate=options.annotate, max_width=options.max_width
            )
        )
    if options.out is None:
        sys.stdout.buffer.write(reply.jpeg)
        sys.stdout.buffer.flush()
        return 0
    _write(options.out, reply.jpeg)
    if options.json:
        output.print_document(as_document(reply, options.out))
    else:
        size = f"{reply.width}x{reply.height}, {len(reply.jpeg) / 1024:.0f} kB"
        output.progress(f"{options.out}: {size}, of {pipeline}/{reply.stream}")
    return 0


def as_document(reply: pb.SnapshotReply, out: Path) -> dict[str, Any]:
    """For ``--json``: all but the picture itself, which is in the file."""
    found = device.document(reply)
    del found["jpeg"]
    found["json"] = json.loads(reply.json) if reply.json else None
    return {"file": str(out), "bytes": len(reply.jpeg), **found}


def _write(path: Path, data: bytes) -> None:
    from runtime.bundle.replace import replacing  # noqa: PLC0415 - for this command only

    with replacing(path) as file:
        file.write(data)
