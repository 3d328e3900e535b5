"""Entry point of ``edgeward``: finds the subcommand, turns errors into one line and an exit status."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from agent.cli import output
from runtime.errors import Code, EdgewardError, ExitStatus, from_os_error

# Each command and the module of this package that adds it, in the order of --help. Only the one that is run
# gets imported: `edgeward status` has no use for what `edgeward bench` loads.
COMMANDS = {
    "status": "status",
    "top": "top",
    "events": "events",
    "logs": "logs",
    "snapshot": "snapshot",
    "pipelines": "pipelines",
    "bundles": "bundles",
    "config": "config_command",
    "reload": "reload",
    "drain": "drain",
    "run": "run",
    "bench": "bench",
    "preflight": "preflight",
    "agent": "agent_command",
    "bundle": "bundle",
    "keys": "keys",
    "trust": "trust",
    "engines": "engines",
    "profile": "profile",
    "doctor": "doctor",
    "completion": "completion",
    "version": "version",
}

EPILOG = """\
examples:
  edgeward keys generate --out keys/release
  edgeward bundle pack my-model/ --out my-model.ewb
  edgeward bundle sign my-model.ewb --key keys/release.key
  edgeward run --bundle my-model.ewb --key keys/release.pub --source rtsp://camera/stream
  edgeward bench my-model.ewb film.mp4 --key keys/release.pub
  edgeward agent --config /etc/edgeward/edgeward.toml
  edgeward status
  edgeward events --follow
  edgeward config check && edgeward reload
  source <(edgeward completion bash)
"""


class _Parser(argparse.ArgumentParser):
    """Names the remedy, and ends with the documented status."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As its base, but what a command does not know is its own error: its --help tells what it does."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str) -> None:  # type: ignore[override]
        raise EdgewardError(Code.USAGE, message, where=self.prog, remedy=f"see '{self.prog} --help'")


def build_parser(only: str = "") -> argparse.ArgumentParser:
    """The whole command line, for ``--help`` and for the reference page; or that of one command, sooner."""
    parser = _Parser(
        prog="edgeward",
        description="Run signed model bundles on camera streams and report over MQTT.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        if only in {"", name}:
            importlib.import_module(f"agent.cli.{module}").add(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the returned number is the exit status (``docs/ref/exit-codes.md``)."""
    output.prepare()
    arguments = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in arguments
    try:
        with _ending_in_order():
            return _run(arguments)
    except EdgewardError as error:
        output.print_error(error, as_json=as_json)
        return int(error.code.exit_status)
    except KeyboardInterrupt:
        return int(ExitStatus.INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output went away (`edgeward ... | head`): nothing is left to say.
        return int(ExitStatus.OK)
    except OSError as error:
        where = str(error.filename or "")
        output.print_error(from_os_error(error, where=where, fallback=Code.SYSTEM_IO), as_json=as_json)
        return int(ExitStatus.SYSTEM)
    finally:
        output.settle()


def _run(arguments: Sequence[str]) -> int:
    try:
        first = arguments[0] if arguments else ""
        options = build_parser(first if first in COMMANDS else "").parse_args(arguments)
        status = int(options.handler(options))
    except SystemExit:
        output.flush()  # --help prints too
        raise
    output.flush()
    return status


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """SIGTERM and SIGHUP unwind the command, so that nothing half made is left.

    ``agent`` and ``run`` put handlers of their own in the place of these. A signal that is ignored, as
    ``nohup`` does it, stays ignored.
    """

    def end(number: int, _frame: FrameType | None) -> None:
        for other in before:
            signal.signal(other, signal.SIG_IGN)  # what is being tidied up must not be left half tidy
        raise SystemExit(128 + number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main())
