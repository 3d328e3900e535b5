"""The worker process: what it does before anything else, and how it ends.

Started by the agent as ``python -m runtime.worker_process --fd N --parent PID``; ``N`` is its end of a
socketpair. It hears what it is to do, gives up the rights that it does not need for that, and only then loads
the code that works: engines and numeric libraries start threads as soon as they are imported.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import sys
import threading
from typing import NoReturn

from runtime import ipc
from runtime.agent_link import Agent
from runtime.errors import Code, EdgewardError
from runtime.process_limits import die_with
from runtime.serve import listener


def main() -> NoReturn:
    """Entry point of the process."""
    parser = argparse.ArgumentParser(prog="runtime.worker_process", description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="this end of the socketpair")
    parser.add_argument("--parent", type=int, required=True, help="process id of the agent")
    options = parser.parse_args()
    die_with(options.parent)
    # Ctrl-C reaches the whole terminal group; the agent decides, and says Stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.excepthook = _end_loudly
    os.set_inheritable(options.fd, False)  # no program that a library starts is to hold it
    agent = Agent(socket.socket(fileno=options.fd))
    status = 0
    try:
        start = agent.receive(None)
        if isinstance(start, ipc.Start):
            _work(start, agent)
    except EdgewardError as error:
        agent.send(ipc.Fatal(code=error.code.text, what=error.what, where=error.where, remedy=error.remedy))
        status = int(error.code.exit_status)
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    # A thread may be inside libav, waiting for a camera; interpreter shutdown would wait for it or
    # crash under it.
    os._exit(status)


def _work(start: ipc.Start, agent: Agent) -> None:
    lacks: list[str] = []
    if start.serve is not None:
        listener.clear(start.serve.listen)  # while it may still remove what a killed worker left
    if start.rights is not None:
        from runtime.confinement import confine  # noqa: PLC0415 - for those that the agent starts only

        lacks = confine(start.rights)
    from runtime.worker import Worker  # noqa: PLC0415 - see above

    Worker(start, agent, lacks=tuple(lacks)).run()


def _end_loudly(caught: threading.ExceptHookArgs) -> None:
    """A thread that dies by a defect of ours must not leave a process that looks alive."""
    threading.__excepthook__(caught)
    sys.stderr.flush()
    os._exit(int(Code.INTERNAL.exit_status))


if __name__ == "__main__":
    main()
