"""What commands that ask the running agent share: its socket, one connection, how answers are shown."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from agent.cli import output
from runtime.errors import Code, EdgewardError

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from agent.cli.paint import Paint
    from agent.control import control_pb2 as pb
    from agent.control.client import Blocking, Client

DEFAULT_CONFIG = Path("/etc/edgeward/edgeward.toml")
USUAL_SOCKET = "/run/edgeward/control.sock"

_Answer = TypeVar("_Answer")
Actions: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no other name


def command(
    actions: Actions, name: str, text: str, examples: str, *, description: str = ""
) -> argparse.ArgumentParser:
    """A command that asks the agent: with ``--socket`` and ``--json``."""
    parser = actions.add_parser(
        name,
        help=text,
        description=description or f"{text[0].upper()}{text[1:]}.",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_socket_option(parser)
    output.add_json_option(parser)
    return parser


def add_socket_option(parser: argparse.ArgumentParser) -> None:
    """``--socket``."""
    parser.add_argument(
        "--socket",
        type=Path,
        metavar="FILE",
        help=f"the agent's control socket (default $EDGEWARD_SOCKET, else {USUAL_SOCKET})",
    )


def add_pipeline_argument(parser: argparse.ArgumentParser, **more: Any) -> None:
    """The name of a pipeline, which shells complete by asking the agent."""
    parser.add_argument("pipeline", **{"metavar": "PIPELINE", "help": "its name", **more})


def connect(options: argparse.Namespace) -> Blocking:
    """The agent of this device, to be used as a context. Nothing is sent yet."""
    # Imported here: --help is spared grpclib, protobuf and asyncio.
    from agent.control.client import Blocking, socket_path  # noqa: PLC0415

    return Blocking(socket_path(options.socket))


def document(message: Message) -> dict[str, Any]:
    """A message as plain data, for ``--json``."""
    from agent.cli import message_document  # noqa: PLC0415 - protobuf, for these commands only

    return message_document.document(message)


def print_line(document: Mapping[str, Any]) -> None:
    """A JSON document in one line, at once: for what goes on."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_each(
    options: argparse.Namespace,
    ask: Callable[[Client], AsyncIterator[_Answer]],
    *,
    as_document: Callable[[_Answer], dict[str, Any]],
    line: Callable[[_Answer, Paint], str],
) -> None:
    """The answers of a request that has many, as they come: a text each, with ``--json`` a document."""
    from agent.cli.paint import paint_for  # noqa: PLC0415

    paint = paint_for(sys.stdout)
    with connect(options) as agent:
        for message in agent.each(ask):
            if options.json:
                print_line(as_document(message))
            else:
                sys.stdout.write(line(message, paint))
                if options.follow:
                    sys.stdout.flush()


def print_pipeline(pipeline: pb.Pipeline, *, as_json: bool) -> None:
    """What became of a pipeline: one line, and why it is not as it should be."""
    from agent.cli.paint import duration, paint_for, width_of_screen  # noqa: PLC0415
    from agent.cli.pipeline_report import problem  # noqa: PLC0415

    if as_json:
        output.print_document(document(pipeline))
        return
    paint = paint_for(sys.stdout)
    name = output.plain(pipeline.name)
    lines = [f"{name}: {paint.state(pipeline.state)} for {duration(pipeline.for_s)}"]
    if pipeline.HasField("problem"):
        lines += problem(pipeline.problem, paint, width_of_screen(), indent=2)
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def check_reached(pipeline: pb.Pipeline, wanted: str, wait_s: float) -> None:
    """See that a pipeline came, in the time that was given to it, where its user wanted it.

    Raises:
        EdgewardError: ``CONTROL_STATE`` when it will not get there by itself, ``CONTROL_TIMEOUT`` when it
            may.
    """
    if wait_s == 0 or pipeline.state == wanted:
        return
    name = pipeline.name
    if pipeline.state in {"failed", "quarantined", "stopped"}:
        why = f": {pipeline.problem.text}" if pipeline.problem.text else ""
        now = "has failed" if pipeline.state == "failed" else f"is {pipeline.state}"
        what, code = f"the pipeline {now}{why}", Code.CONTROL_STATE
        raise EdgewardError(
            code, what, where=name, remedy=pipeline.problem.remedy or f"edgeward status {name}"
        )
    raise EdgewardError(
        Code.CONTROL_TIMEOUT,
        f"the pipeline is {pipeline.state} after {wait_s:g} s, and not {wanted}",
        where=name,
        remedy=f"look again with 'edgeward status {name}', or wait longer with --wait",
    )
