"""The process in which ``pack`` has golden frames and results made: ``python -m runtime.golden PID``.

It reads a ``Request`` from its standard input and prints lines of JSON; PID is its parent's. It is one of its
own because it loads engines and OpenCV, which the ``edgeward`` command does not, and a model may abort it.
"""

from __future__ import annotations

import os
import sys

import msgspec

from runtime.bundle.golden_messages import Failed, FromChild, Request
from runtime.bundle.ingested import Refusal
from runtime.errors import Code, EdgewardError, from_os_error
from runtime.process_limits import die_with


def main() -> int:
    """Do what is asked on standard input."""
    die_with(int(sys.argv[1]))
    # Engines print what they like: the answers have a descriptor of their own.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    encoder = msgspec.json.Encoder()

    def tell(message: FromChild) -> None:
        answers.write(encoder.encode(message) + b"\n")
        answers.flush()

    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    try:
        from runtime.golden.make import make  # noqa: PLC0415 - OpenCV may be missing

        tell(make(request, tell))
    except ModuleNotFoundError as error:
        what = f"golden results are made with a package that is not installed: {error.name}"
        remedy = "pip install 'edgeward[author]'"
        tell(_failed(EdgewardError(Code.BUNDLE_GOLDEN, what, where=request.toml, remedy=remedy)))
    except EdgewardError as error:
        tell(_failed(error))
    except OSError as error:
        tell(_failed(from_os_error(error, where=request.into, fallback=Code.SYSTEM_IO)))
    return 0


def _failed(error: EdgewardError) -> Failed:
    refusal = Refusal(code=error.code.text, what=error.what, where=error.where, remedy=error.remedy)
    return Failed(error=refusal)


if __name__ == "__main__":
    sys.exit(main())
