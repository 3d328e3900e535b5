"""The preflight child: ``python -m runtime.preflight --fd N --parent PID``, for one variant, then it ends.

``N`` is its end of a socketpair to the agent, as a worker has it: the first message says what to examine, the
last one is the answer. Whatever a model or an engine does to this process, it does to nobody else.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import signal
import socket
import sys
import traceback
from typing import NoReturn

from runtime import ipc
from runtime.agent_link import Agent
from runtime.confinement import confine
from runtime.errors import Code, EdgewardError
from runtime.preflight.messages import Candidates, Examined
from runtime.process_limits import die_with


def main() -> NoReturn:
    """Entry point of the process."""
    parser = argparse.ArgumentParser(prog="runtime.preflight", description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="this end of the socketpair")
    parser.add_argument("--parent", type=int, required=True, help="process id of the agent")
    options = parser.parse_args()
    die_with(options.parent)
    # Ctrl-C reaches the whole terminal group; the parent decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A variant that crashes is an answer, not an accident: nobody wants a core file for it.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.set_inheritable(options.fd, False)  # no program that a library starts is to hold it
    agent = Agent(socket.socket(fileno=options.fd))
    answer = _answer(agent)
    if answer is not None:
        agent.send(answer)
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    # An engine's threads or its tidying up must not keep the process when all is said.
    os._exit(0)


def _answer(agent: Agent) -> Candidates | Examined | ipc.Fatal | None:
    """The figures, or why there are none."""
    try:
        task = agent.receive(None)
        if not isinstance(task, ipc.Examine):
            return None
        if task.rights is not None:
            confine(task.rights)
        from runtime.preflight.examination import Examination, candidates  # noqa: PLC0415 - starts threads

        return Examination(task, agent).run() if task.engine.variant else candidates(task)
    except EdgewardError as error:
        code = Code.PREFLIGHT_MEMORY if isinstance(error.__cause__, MemoryError) else error.code
        return ipc.Fatal(code=code.text, what=error.what, where=error.where, remedy=error.remedy)
    except MemoryError:
        return ipc.Fatal(code=Code.PREFLIGHT_MEMORY.text, what="out of memory")
    except Exception as error:
        # Of a plug-in, as likely as not: told as what it did here, with its trace among the last lines.
        traceback.print_exc()
        what = f"failed with {type(error).__name__}: {error}"
        return ipc.Fatal(code=Code.PREFLIGHT_CRASHED.text, what=what[:500])


if __name__ == "__main__":
    main()
