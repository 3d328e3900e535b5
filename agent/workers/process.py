"""One worker process: started with a socketpair of its own, heard, stopped, and always reaped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import runtime
from agent.workers.channel import Channel
from agent.workers.log_lines import LineLog
from runtime import ipc

# -P: `python -m` must not import from whatever folder the command was called in.
COMMAND: tuple[str, ...] = (sys.executable, "-P", "-m", "runtime.worker_process")
TERM_GRACE_S = 2.0
# How long what a worker has said before its end is read after it.
LAST_WORDS_S = 1.0
OOM_SCORE_ADJ = "500"
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# A worker must neither speak to systemd in the agent's name nor see where credentials lie.
_NOT_FOR_WORKERS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "CREDENTIALS_DIRECTORY")


class WorkerProcess:
    """A running worker. Made by ``start`` only.

    Its end is seen by a thread that waits without reaping; the reaping itself is done on the event
    loop, after the whole process group was killed. So no signal can hit a process number that was
    given to somebody else, nothing of the worker's session outlives it, and no kernel is too old.
    """

    def __init__(self, process: subprocess.Popen[bytes], on_log: Callable[[str], None]) -> None:
        self._process = process
        self._loop = asyncio.get_running_loop()
        self._exited: asyncio.Future[int] = self._loop.create_future()
        self._channel = Channel()
        self._log = LineLog(on_log)
        threading.Thread(target=self._watch, name=f"worker-{process.pid}", daemon=True).start()

    @classmethod
    async def start(
        cls,
        start: ipc.Start | ipc.Examine,
        *,
        on_log: Callable[[str], None],
        command: Sequence[str] = COMMAND,
        folder: Path | None = None,
    ) -> WorkerProcess:
        """Start a worker and send it ``start``.

        Args:
            start: what to load and run; it goes over the socket, for its URLs may hold passwords.
            on_log: gets each line that the worker prints.
            command: the program; ``--fd N --parent PID`` are appended.
            folder: its working directory, and where its temporary files go; ``None`` leaves both as they are.

        Raises:
            OSError: the process cannot be started.
        """
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            with theirs:
                process = _spawn(command, theirs.fileno(), start.engine.threads, folder)
        except BaseException:
            ours.close()
            raise
        worker = cls(process, on_log)
        _offer_to_oom_killer(process.pid)
        try:
            await worker._connect(ours)
            worker._channel.send(start)
        except BaseException:
            worker.kill()
            ours.close()
            raise
        return worker

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its process group."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether its end has not been seen yet."""
        return not self._exited.done()

    @property
    def printed_bytes(self) -> int:
        """How much it has printed, as far as that was read."""
        return self._log.received

    @property
    def last_lines(self) -> list[str]:
        """The last lines that it printed, oldest first."""
        return list(self._log.kept)

    def send(self, message: ipc.ToWorker) -> None:
        """Tell it something; silently nothing when it has closed its end."""
        self._channel.send(message)

    async def receive(self) -> ipc.FromWorker | None:
        """The next message; ``None`` when the worker has closed its end. Safe to cancel.

        Raises:
            EdgewardError: ``WORKER_PROTOCOL`` when what it sent is no message.
        """
        return await self._channel.receive()

    async def wait(self) -> int:
        """Its return code, as of ``subprocess``: negative is a signal. Safe to cancel."""
        code = await asyncio.shield(self._exited)
        # The pipe is at its end now; what is still in it belongs to the report.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._log.ended.wait(), 0.5)
        return code

    async def stop(self, grace_s: float = 5.0) -> int:
        """Ask it to end; after ``grace_s`` SIGTERM, then SIGKILL for its whole group.

        Messages that still come can be received at the same time. When cancelled it kills at once.
        """
        self._channel.never_block_the_worker()
        self._channel.send(ipc.Stop())
        try:
            if not await self._ends_within(grace_s):
                self._signal(signal.SIGTERM)
                if not await self._ends_within(TERM_GRACE_S):
                    self.kill()
            return await self.wait()
        except asyncio.CancelledError:
            self.kill()
            raise
        finally:
            self.close()

    def close(self) -> None:
        """Hear nothing more: what it started in a session of its own may still hold the other ends."""
        self._channel.close()
        self._log.close()

    def kill(self) -> None:
        """SIGKILL for its whole process group, now."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self._channel.never_block_the_worker()

    def describe_exit(self) -> str:
        """How it ended: ``killed by SIGSEGV``, ``exit status 6``, ``still running``."""
        code = self._process.returncode
        if code is None:
            return "still running"
        if code >= 0:
            return f"exit status {code}"
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"

    async def _connect(self, ours: socket.socket) -> None:
        await self._loop.create_connection(lambda: self._channel, sock=ours)
        await self._loop.connect_read_pipe(lambda: self._log, self._process.stdout)

    async def _ends_within(self, seconds: float) -> bool:
        await asyncio.wait([self._exited], timeout=seconds)
        return self._exited.done()

    def _signal(self, number: int) -> None:
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _watch(self) -> None:
        """In a thread of its own: wait for the end, and leave the reaping to the event loop."""
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        try:
            self._loop.call_soon_threadsafe(self._reap)
        except RuntimeError:
            # The loop is closed: nobody can signal it any more, so it is safe to reap here.
            self._process.wait()

    def _reap(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        code = self._process.wait()
        # Something that it started may hold its end open for ever; what it said itself is read by then.
        self._loop.call_later(LAST_WORDS_S, self.close)
        if not self._exited.done():
            self._exited.set_result(code)


def _spawn(command: Sequence[str], fd: int, threads: int, folder: Path | None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*command, "--fd", str(fd), "--parent", str(os.getpid())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
        pass_fds=(fd,),
        start_new_session=True,
        cwd=folder,
        env=worker_environment(threads, folder),
    )


def _offer_to_oom_killer(pid: int) -> None:
    """When memory runs out a worker goes first: the agent must live to restart it and to say so."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text(OOM_SCORE_ADJ, "ascii")


def worker_environment(threads: int, folder: Path | None = None) -> dict[str, str]:
    """What a process that loads engines is started with: nothing of systemd's, threads as they are wanted.

    ``folder`` is where it keeps what it keeps for a while, whatever a library takes for its place.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_WORKERS}
    environment.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))
    environment["PYTHONUNBUFFERED"] = "1"
    if folder is not None:
        environment.update(dict.fromkeys(("TMPDIR", "XDG_CACHE_HOME"), str(folder)))
    root = str(Path(runtime.__file__).resolve().parent.parent)
    if root not in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        # From a checkout: the worker must find the same packages as this process.
        known = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = f"{root}{os.pathsep}{known}" if known else root
    return environment
