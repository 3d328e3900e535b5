"""The process that an author's command works in: ``python -m runtime.authoring.child TOOL PARENT``.

It reads its request as one JSON document from standard input. It answers on the standard output that it was
given with a line of JSON each for how far it is, and one at the end for the result or the error. What
libraries print goes to standard error.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from runtime.errors import Code, EdgewardError, from_os_error
from runtime.process_limits import die_with

Progress = Callable[[str], None]
"""Called with a line of text that says how far the work is."""

Tool = Callable[[dict[str, Any], Progress], dict[str, Any]]


class Line(msgspec.Struct, omit_defaults=True):
    """One line of the answer; exactly one field is set."""

    progress: str | None = None
    error: dict[str, str] | None = None
    ok: dict[str, Any] | None = None


def main() -> None:
    """Run the tool that the command line names."""
    # Ctrl-C reaches the whole group of processes: the command says what there is to say.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as for a command behind a script's "&"
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    die_with(int(sys.argv[2]))
    # Engines print to the descriptor itself; the answer goes where nobody else writes.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)

    def say(line: Line) -> None:
        # Of the standard library: a path need not be text, and it can say that.
        answers.write(json.dumps(msgspec.to_builtins(line)).encode() + b"\n")

    try:
        tool = _tool(sys.argv[1])
        found = tool(json.load(sys.stdin.buffer), lambda text: say(Line(progress=text)))
    except EdgewardError as error:
        say(Line(error=error.as_dict()))
    except MemoryError:
        remedy = "close other programs, or use a machine with more"
        say(Line(error=EdgewardError(Code.SYSTEM_IO, "out of memory", remedy=remedy).as_dict()))
    except OSError as error:
        where = str(error.filename or "")
        say(Line(error=from_os_error(error, where=where, fallback=Code.SYSTEM_IO).as_dict()))
    else:
        say(Line(ok=found))


@contextmanager
def finishing() -> Iterator[None]:
    """What is short, comes last and must not be left half done: Ctrl-C and ``SIGTERM`` do not end it."""
    # A mask would not do: engines have threads of their own, which would take the signal.
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tool(name: str) -> Tool:
    # Each loads what the other has no need of.
    if name == "init":
        from runtime.authoring.init import run  # noqa: PLC0415

        return run
    from runtime.authoring.quantize import run as quantize  # noqa: PLC0415

    return quantize


if __name__ == "__main__":
    main()
