"""Has an author's tool run in a process of its own: no engine is loaded here, and none takes us along."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from typing import IO, Any

from agent.cli import output
from agent.workers.process import worker_environment
from runtime.errors import Code, EdgewardError

# What it may take to give new files their names, on a slow stick too.
_FINISHES_IN_S = 5.0


def run(tool: str, request: dict[str, Any], *, where: str, threads: int = 1) -> dict[str, Any]:
    """What ``runtime.authoring.child`` found; how far it is goes to standard error.

    Args:
        tool: ``init`` or ``quantize``.
        request: what the tool is asked.
        where: what it works on, for errors.
        threads: of the libraries that it loads.

    Raises:
        EdgewardError: the tool's own; ``MODEL_LOAD`` when the process died of what it worked on.
    """
    # -P: the folder in which the command was started must not shadow a module of the child.
    command = [sys.executable, "-P", "-m", "runtime.authoring.child", tool, str(os.getpid())]
    with (
        # Removed here, whatever becomes of the child: calibration writes gigabytes.
        tempfile.TemporaryDirectory(prefix="edgeward-author-") as scratch,
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            env=worker_environment(threads) | {"TMPDIR": scratch},
        ) as child,
    ):
        try:
            answer = _converse(child, request)
        except BaseException:
            _end(child)
            raise
        child.wait()
        if "ok" in answer:
            found: dict[str, Any] = answer["ok"]
            return found
        if error := answer.get("error"):
            raise EdgewardError(
                Code.of(error["code"]), error["what"], where=error["where"], remedy=error["remedy"]
            )
        raise _died(child.returncode, said, where)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End it; while it gives new files their names it is let finish."""
    child.terminate()
    try:
        child.wait(_FINISHES_IN_S)
    except subprocess.TimeoutExpired:
        child.kill()


def _converse(child: subprocess.Popen[bytes], request: dict[str, Any]) -> dict[str, Any]:
    """Ask, pass on how far it is, and return the last word; nothing when there was none."""
    assert child.stdin is not None  # noqa: S101 - both are pipes
    assert child.stdout is not None  # noqa: S101
    rewrites = output.can_rewrite()
    try:
        child.stdin.write(json.dumps(request).encode())
        child.stdin.close()
    except BrokenPipeError:
        return {}
    last: dict[str, Any] = {}
    progress = output.rewrite if rewrites else _Seldom()
    for line in child.stdout:
        if not line.endswith(b"\n"):
            return {}  # it was killed in the middle of a word
        last = json.loads(line)
        if text := last.get("progress"):
            progress(text)
    if rewrites:
        output.rewrite()
    return last


class _Seldom:
    """A line each second, from the second second on: short work stays silent, and logs short."""

    def __init__(self) -> None:
        self._next = time.monotonic() + 1.0

    def __call__(self, text: str) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + 1.0
            output.progress(text)


def _died(status: int, said: IO[bytes], where: str) -> EdgewardError:
    said.seek(0)
    lines = said.read().decode(errors="replace").strip().splitlines()
    if status >= 0:
        why = lines[-1] if lines else f"status {status}"
        what = f"the tool ended without an answer: {why}"
        return EdgewardError(Code.INTERNAL, what, where=where, remedy="please report it")
    if -status == signal.SIGKILL:
        what, remedy = "the tool was killed, perhaps for want of memory", "free some memory and try again"
        return EdgewardError(Code.SYSTEM_IO, what, where=where, remedy=remedy)
    name = signal.Signals(-status).name
    if -status in {signal.SIGINT, signal.SIGTERM}:
        what = f"the tool was ended by {name}; nothing was changed"
        return EdgewardError(Code.SYSTEM_IO, what, where=where, remedy="try again")
    what = f"the engine ended its process with {name} when it loaded or ran the model"
    return EdgewardError(Code.MODEL_LOAD, what, where=where, remedy="export the model again")
