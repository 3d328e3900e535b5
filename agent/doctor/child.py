"""Children of the doctor: the self-test, and commands of the system. Each has its time, and ends with it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from agent.doctor.site import as_dict, environment
from agent.workers.process import worker_environment
from runtime.errors import Code, EdgewardError

SELFTEST = (sys.executable, "-P", "-s", "-m", "runtime.selftest")
ENGINES = (sys.executable, "-P", "-m", "runtime.engine.listing")
_MOST = 4 << 20


class Said(NamedTuple):
    """How a command ended and what it printed; ``status`` is None when it could not be started."""

    status: int | None
    out: str
    err: str


async def selftest(task: dict[str, Any], *, seconds: float) -> dict[str, Any]:
    """The answer of ``runtime.selftest`` to a task.

    Raises:
        EdgewardError: what the task raised; ``SYSTEM_TIMEOUT``, or ``WORKER_DIED`` when there is no answer.
    """
    answer = await last_line(SELFTEST, json.dumps(task).encode(), seconds=seconds)
    if error := as_dict(answer.get("error")):
        raise EdgewardError(
            Code.of(str(error.get("code"))),
            str(error.get("what", "")),
            where=str(error.get("where", "")),
            remedy=str(error.get("remedy", "")),
        )
    return answer


async def last_line(command: Sequence[str], given: bytes, *, seconds: float) -> dict[str, Any]:
    """The JSON in the last line that one of our own programs prints: libraries may print before it.

    Raises:
        EdgewardError: ``SYSTEM_TIMEOUT``, ``WORKER_DIED``.
    """
    said = await run(command, given, env=worker_environment(1), seconds=seconds)
    try:
        if said.status == 0:
            return as_dict(json.loads(said.out.strip().splitlines()[-1]))
    except (ValueError, IndexError):
        pass  # told below, as every end without an answer
    last = (said.err.strip().splitlines() or ["it printed nothing"])[-1][:300]
    how = f"status {said.status}" if (said.status or 0) >= 0 else f"signal {-(said.status or 0)}"
    raise EdgewardError(
        Code.WORKER_DIED, f"{command[-1]} ended with {how}: {last}", remedy="see the output of the command"
    )


async def run(
    command: Sequence[str], given: bytes = b"", *, seconds: float, env: dict[str, str] | None = None
) -> Said:
    """Run a command; ``Said.status`` is None when there is no such program.

    Raises:
        EdgewardError: ``SYSTEM_TIMEOUT``; the command and all that it started are killed.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE if given else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment() if env is None else env,
            start_new_session=True,
            limit=_MOST,
        )
    except OSError as error:
        return Said(None, "", error.strerror or str(error))
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate(given or None)
    except TimeoutError as error:
        what = f"no answer within {seconds:g} s"
        raise EdgewardError(Code.SYSTEM_TIMEOUT, what, where=" ".join(command[-2:])) from error
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    return Said(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))
