"""Has a bundle verified and stored by a short-lived child, and reads the child's answer.

The crypto library and the parsers of what strangers wrote live in that child only.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

import runtime
from runtime.bundle import staging
from runtime.bundle.ingested import Answer, Ingested
from runtime.bundle.limits import FORMAT, Limits
from runtime.errors import Code, EdgewardError

log = logging.getLogger("trust")

_MAX_OUTPUT = 1 << 20
_LEFT_OVER = 19
_told: set[str] = set()


class Stream(NamedTuple):
    """A bundle that arrives by an open descriptor: a pipe, a socket, a file.

    Attributes:
        descriptor: at the bundle's first byte; it stays the caller's to close.
        source: what it is called in errors.
    """

    descriptor: int
    source: str

    def __str__(self) -> str:
        return self.source


class Stored(NamedTuple):
    """A bundle that lies in the store already, by its digest: it is verified where it lies."""

    digest: str

    def __str__(self) -> str:
        return f"stored bundle {self.digest[:12]}"


def _command(
    bundle: Path | Stream | Stored, keys: Sequence[Path], into: Path, limits: Limits, floors: Path | None
) -> list[str]:
    # -P: the folder in which the agent was started must not shadow a module of the child.
    command = [sys.executable, "-P", "-s", "-m", "runtime.bundle.ingest", f"--parent={os.getpid()}"]
    if isinstance(bundle, Stream):
        command += [f"--fd={bundle.descriptor}", f"--source={bundle.source}"]
    elif isinstance(bundle, Stored):
        command += [f"--stored={bundle.digest}"]
    else:
        command += [f"--bundle={bundle}"]
    command += [f"--into={into.absolute()}", f"--max-members={limits.members}"]
    command += [f"--max-bytes={limits.total}", f"--max-path={limits.path}"]
    if floors is not None:
        command += [f"--floors={floors}"]
    return command + [f"--key={key}" for key in keys]


def _environment() -> dict[str, str]:
    """Nothing of the agent's own: only where the code lies, and UTF-8 for file names."""
    code = Path(str(runtime.__file__)).resolve().parent.parent
    return {"PYTHONPATH": str(code), "LC_ALL": "C.UTF-8", "PATH": os.defpath}


async def ingest(
    bundle: Path | Stream | Stored,
    keys: Sequence[Path],
    into: Path,
    *,
    limits: Limits = FORMAT,
    floors: Path | None = None,
    timeout_s: float = 300,
    background: bool = False,
) -> Ingested:
    """Verify ``bundle`` against the public key files ``keys`` and store it as ``into/<digest>``.

    When the caller is cancelled, or the time is over, the child is killed and its staging removed.
    Await it in the main thread: the kernel kills the child when the thread that started it ends.

    Args:
        bundle: the file, the stream by which it comes, or one that is stored already.
        keys: public key files, and trust folders, of those who may sign.
        into: the folder of bundles; made when missing.
        limits: how large the bundle may be.
        floors: the file with the rollback floors; ``None``: any release may come.
        timeout_s: for all of it.
        background: nobody waits for it: it gets the processor time that is left over.

    Raises:
        EdgewardError: ``BUNDLE_*``, ``KEY_*``, ``TRUST_*``, ``SYSTEM_*``; ``USAGE`` without a key;
            ``INTERNAL`` when the child dies without an answer.
    """
    if not keys:
        raise EdgewardError(Code.USAGE, "no trusted key was given", remedy="name one with --key FILE.pub")
    child = await _started(_command(bundle, keys, into, limits, floors), bundle)
    if background:
        with contextlib.suppress(OSError):  # it has ended already
            os.setpriority(os.PRIO_PROCESS, child.pid, _LEFT_OVER)
    try:
        async with asyncio.timeout(timeout_s):
            stdout, stderr = await asyncio.gather(_output(child, child.stdout), _output(child, child.stderr))
            await child.wait()
    except TimeoutError as error:
        what = f"not verified within {timeout_s:g} s"
        remedy = "check the medium that it lies on and the disk"
        raise EdgewardError(Code.SYSTEM_TIMEOUT, what, where=str(bundle), remedy=remedy) from error
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
        # Also of what the child may not remove: a damaged folder without rights, which it has set aside.
        staging.sweep(into)
    return _result(stdout, stderr, child.returncode or 0, bundle)


async def _started(command: Sequence[str], bundle: Path | Stream | Stored) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            # A bundle that comes by standard input is the child's too; else there is nothing to read.
            stdin=None
            if isinstance(bundle, Stream) and bundle.descriptor == 0
            else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_environment(),
            pass_fds=[bundle.descriptor] if isinstance(bundle, Stream) else [],
        )
    except ValueError as error:
        # A zero byte in a name: no such file can be.
        raise EdgewardError(
            Code.USAGE, "not a file name", where=repr(str(bundle)), remedy="check it"
        ) from error
    except OSError as error:
        what = f"the verifier cannot be started: {error.strerror}"
        raise EdgewardError(Code.SYSTEM_IO, what, where=sys.executable, remedy="check memory") from error


async def _output(child: asyncio.subprocess.Process, pipe: asyncio.StreamReader | None) -> bytes:
    """What the child says there, cut at one byte more than an answer has: then the child is killed."""
    said = bytearray()
    while pipe is not None and (data := await pipe.read(1 << 16)):
        said += data[: _MAX_OUTPUT + 1 - len(said)]
        if len(said) > _MAX_OUTPUT:
            # Read on: what is in the pipe already ends soon, and the child counts as ended only then.
            with contextlib.suppress(ProcessLookupError):
                child.kill()
    return bytes(said)


def _result(stdout: bytes, stderr: bytes, status: int, bundle: Path | Stream | Stored) -> Ingested:
    if max(len(stdout), len(stderr)) > _MAX_OUTPUT:
        what = f"the verifier was killed: it said more than {_MAX_OUTPUT} bytes"
        raise EdgewardError(Code.INTERNAL, what, where=str(bundle), remedy="please report it")
    try:
        answer = msgspec.json.decode(stdout, type=Answer)
    except msgspec.DecodeError:
        raise _no_answer(stderr, status, bundle) from None
    for lack in answer.lacks:
        if lack not in _told:
            _told.add(lack)
            log.debug("verifying bundles: %s", lack)
    if answer.error is not None:
        error = answer.error
        raise EdgewardError(Code.of(error.code), error.what, where=error.where, remedy=error.remedy)
    if answer.ok is None or status != 0:
        raise _no_answer(stderr, status, bundle)
    return answer.ok


def _no_answer(stderr: bytes, status: int, bundle: Path | Stream | Stored) -> EdgewardError:
    if status == -signal.SIGKILL:
        what = "the verifier was killed, perhaps for want of memory"
        return EdgewardError(Code.SYSTEM_IO, what, where=str(bundle), remedy="free some memory and try again")
    lines = stderr.decode(errors="replace").strip().splitlines()
    why = lines[-1] if lines else f"exit status {status}"
    what = f"the verifier ended without an answer: {why}"
    return EdgewardError(Code.INTERNAL, what, where=str(bundle), remedy="please report it")
