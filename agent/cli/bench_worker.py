"""The workers of ``edgeward bench``: started, heard, ended, one after the other, under one Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable

from agent.cli import output
from agent.workers.process import WorkerProcess
from runtime import ipc
from runtime.errors import Code, EdgewardError

_EVERY_S = 5.0
_IN_PLACE_EVERY_S = 0.2

Hear = Callable[[ipc.FromWorker, int], bool]


class Progress:
    """What happens at the moment, on stderr: in place on a terminal, else a line each five seconds."""

    def __init__(self, *, live: bool) -> None:
        self._live = live
        self._in_place = live and output.can_rewrite()
        self._last = time.monotonic()

    def tell(self, line: str) -> None:
        """A line that stays."""
        if self._live:
            self.clear()
            output.progress(line)

    def step(self, line: str) -> None:
        """How far it is; most of these lines are never shown."""
        now = time.monotonic()
        if not self._live or now - self._last < (_IN_PLACE_EVERY_S if self._in_place else _EVERY_S):
            return
        self._last = now
        if self._in_place:
            output.rewrite(line)
        else:
            output.progress(line)

    def clear(self) -> None:
        """Take away the line that is in place."""
        if self._in_place:
            output.rewrite()


class Attendance:
    """Runs workers; remembers whether somebody pressed Ctrl-C, after which no more is to be started."""

    def __init__(self, progress: Progress, bundle: str) -> None:
        self.interrupted = False
        self._progress = progress
        self._bundle = bundle
        self._worker: WorkerProcess | None = None
        self._stopping: asyncio.Task[int] | None = None

    async def run(self, start: ipc.Start, hear: Hear) -> EdgewardError | None:
        """Start a worker and attend to it until it has ended.

        Args:
            start: what it is to do.
            hear: gets each message and the worker's process id; True when that was enough.

        Returns:
            What made it fail, or None, also when it was interrupted.
        """
        worker = self._worker = await WorkerProcess.start(start, on_log=self._log)
        self._stopping = None
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._interrupt)
        try:
            failure = await self._listen(worker, hear)
        finally:
            await worker.stop()
        return None if self.interrupted else failure

    def _log(self, line: str) -> None:
        self._progress.tell(f"worker: {line}")

    def _interrupt(self) -> None:
        if self._worker is None:
            return
        if self.interrupted:
            self._worker.kill()
        self.interrupted = True
        self._stop(self._worker)

    def _stop(self, worker: WorkerProcess) -> None:
        self._stopping = self._stopping or asyncio.ensure_future(worker.stop())

    async def _listen(self, worker: WorkerProcess, hear: Hear) -> EdgewardError | None:
        failure: EdgewardError | None = None
        while (message := await worker.receive()) is not None:
            if hear(message, worker.pid):
                self._stop(worker)
            match message:
                case ipc.Fatal() | ipc.StreamChanged(state="failed"):
                    failure = EdgewardError(
                        Code.of(message.code), message.what, where=message.where, remedy=message.remedy
                    )
                case ipc.Stopped():
                    return failure
                case _:
                    pass
        await worker.wait()
        if failure is None:
            last = worker.last_lines[-1:] or ["it printed nothing"]
            what = f"the worker was {worker.describe_exit()}; its last line: {last[0]}"
            remedy = "report it with the log if it happens again"
            failure = EdgewardError(Code.WORKER_DIED, what, where=self._bundle, remedy=remedy)
        return failure
