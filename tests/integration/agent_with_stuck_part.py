"""An agent one part of which gets stuck soon, as a driver or a resolver would make it; the loop turns on.

The third argument names the part: ``supervision``, ``link`` or ``store``; ``start`` is supervision that never
makes a round. With ``stop`` nothing is stuck, but
the agent loses patience early when it ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from pathlib import Path

from agent import daemon
from agent.health.probe import Probe
from agent.link.connection import Connection
from agent.workers.supervisor import Supervisor
from tests.integration import agent_with_fake_worker

LIMIT_S = 0.8


def stick(part: str) -> None:
    """Let ``part`` make its first turns, and none after; shorten its time."""
    for_ever = threading.Event()
    if part == "supervision":
        daemon.SUPERVISION_LIMIT_S = LIMIT_S
        look_at, calls = Supervisor._look_at, []

        def look_once(self: Supervisor, *arguments: object) -> None:
            calls.append(1)
            look_at(self, *arguments)  # type: ignore[arg-type]
            if len(calls) == 3:
                # Its task waits for what never comes.
                raise asyncio.CancelledError

        Supervisor._look_at = look_once  # type: ignore[method-assign, assignment]
    elif part == "start":

        async def wait(_: Supervisor) -> None:
            await asyncio.Event().wait()

        Supervisor._look_after = wait  # type: ignore[method-assign, assignment]
    elif part == "stop":
        daemon.USUAL_STOP_S = 0.2
    elif part == "link":
        daemon.LINK_LIMIT_S = LIMIT_S
        Connection.turn = lambda self: for_ever.wait()  # type: ignore[method-assign, assignment, return-value]
    else:
        daemon.LIMIT_S = LIMIT_S
        Probe.ask = lambda self, *, seldom=True: for_ever.wait()  # type: ignore[method-assign, assignment, return-value]


if __name__ == "__main__":
    stick(sys.argv[3])
    sys.exit(asyncio.run(agent_with_fake_worker.run(Path(sys.argv[1]), json.loads(sys.argv[2]))))
