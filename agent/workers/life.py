"""One life of a worker: from its start to its end, and why it ended."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent import config as schema
from agent.redact import Redactor
from agent.workers.process import WorkerProcess
from agent.workers.rate_cap import RateCap
from agent.workers.reason import Reason
from agent.workers.requests import Requests
from agent.workers.stream_watch import Change, StreamWatch
from runtime import ipc
from runtime.errors import Code, EdgewardError


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Who is told of what a worker says. Called on the event loop; must return at once."""

    ready: Callable[[ipc.Ready], None]
    result: Callable[[StreamWatch, ipc.Result, int], None]
    changed: Callable[[str, Change | None], None]
    line: Callable[[str], None]


class Life:
    """A worker that is about to start, runs, or has ended.

    Attributes:
        ready: what it said once its models were loaded.
        metrics: the last that it sent.
        cpu_percent: what it took of one processor between the last two of these.
        verdict: why it ended or is made to, once that is known.
        in_order: it ended as it should: it was told to, or all sources had ended.
        progress_from_ns: when its first result came.
    """

    def __init__(
        self,
        config: schema.Pipeline,
        streams: Mapping[str, StreamWatch],
        told: Told,
        redactor: Redactor,
    ) -> None:
        now = time.monotonic_ns()
        self.ready: ipc.Ready | None = None
        self.metrics: ipc.Metrics | None = None
        self.cpu_percent = 0.0
        self.verdict: Reason | None = None
        self.in_order = False
        self.progress_from_ns: int | None = None
        self._config = config
        self._streams = streams
        self._told = told
        self._redactor = redactor
        self._worker: WorkerProcess | None = None
        self._requests = Requests()
        self._cap = RateCap(now)
        self._heard_ns = now

    @property
    def pid(self) -> int | None:
        """The worker's process id, while it lives."""
        return self._worker.pid if self._worker is not None and self._worker.alive else None

    @property
    def last_lines(self) -> list[str]:
        """What it printed last, without secrets."""
        return [self._redactor(line) for line in self._worker.last_lines] if self._worker else []

    @property
    def how(self) -> str:
        """How its process ended: ``killed by SIGSEGV``."""
        return self._worker.describe_exit() if self._worker else "never started"

    @property
    def ended_by_request(self) -> bool:
        """Whether a signal ended it that asks politely: a person's or a script's, never a crash's."""
        return self.how in {"killed by SIGTERM", "killed by SIGINT", "killed by SIGHUP"}

    async def run(
        self,
        start: ipc.Start,
        *,
        command: Sequence[str],
        folder: Path,
        on_start: Callable[[int], None],
        grace_s: float,
    ) -> None:
        """Start it, hear it until its end; ``verdict`` says why that came, unless it was ``in_order``.

        Args:
            start: what it is told first.
            command: its program.
            folder: its working directory.
            on_start: told its process id.
            grace_s: how long it may take to exit once it has closed its end of the socket.

        Raises:
            OSError: no process can be started.
        """
        for watch in self._streams.values():
            watch.worker_started()
        self._heard_ns = time.monotonic_ns()
        worker = await WorkerProcess.start(start, on_log=self._told.line, command=command, folder=folder)
        self._worker = worker
        on_start(worker.pid)
        try:
            while (message := await worker.receive()) is not None:
                self._hear(message)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await worker.wait()
        except EdgewardError as error:
            self.give_up(Reason(error.code.text, self._text(error)))
        finally:
            self._requests.end()
            worker.kill()
            await asyncio.shield(worker.wait())
            worker.close()
        if self.verdict is None and not self.in_order:
            self.verdict = Reason(Code.WORKER_DIED.text, f"the worker ended: {worker.describe_exit()}")

    def tick(self, now_ns: int) -> None:
        """Notice silence: of the whole worker, or of a stream that it says it reads."""
        if self.pid is None or self.verdict is not None or self.in_order:
            return
        loading = self.ready is None
        allowed = self._config.load_timeout_s if loading else self._config.worker_timeout_s
        if now_ns - self._heard_ns > allowed * 1e9:
            what = "did not load its bundle" if loading else "gave no sign of life"
            self.give_up(Reason(Code.WORKER_HUNG.text, f"the worker {what} for {allowed:g} s"))
            return
        for name, watch in self._streams.items():
            if not loading and watch.silent_too_long(now_ns):
                text = f"the worker reads stream {name} and gives no results"
                self.give_up(Reason(Code.WORKER_HUNG.text, text))
                return

    def excuse(self, late_ns: int, now_ns: int) -> None:
        """The agent was held up for so long until now: silence meanwhile is not the worker's."""
        self._heard_ns = min(self._heard_ns + late_ns, now_ns)

    def give_up(self, reason: Reason) -> None:
        """Kill the worker; ``run`` notices its end."""
        self.verdict = reason
        self.kill()

    def kill(self) -> None:
        """End the worker now."""
        if self._worker is not None:
            self._worker.kill()

    async def stop(self, grace_s: float) -> None:
        """End it in order, within ``grace_s`` seconds where it obeys."""
        self.in_order, self.verdict = True, None
        if self._worker is not None and self._worker.alive:
            await self._worker.stop(grace_s)

    def send(self, message: ipc.ToWorker) -> None:
        """Tell it something; silently nothing when it has ended."""
        if self._worker is not None:
            self._worker.send(message)

    async def ask(self, request: ipc.Request, timeout_s: float) -> ipc.Reply:
        """Ask it something; raises as ``Requests.ask``."""
        return await self._requests.ask(self.send, request, timeout_s)

    def _hear(self, message: ipc.FromWorker) -> None:
        now = time.monotonic_ns()
        self._heard_ns = now
        self._cap.take((watch.expected_fps for watch in self._streams.values()), now)
        match message:
            case ipc.Result():
                self._hear_result(message, now)
            case ipc.Metrics():
                self.cpu_percent = _cpu_percent(self.metrics, message)
                self.metrics = message
                for name, counters in message.streams.items():
                    if name in self._streams:
                        self._streams[name].counters = counters
            case ipc.StreamChanged():
                self._hear_source(message, now)
            case ipc.Ready():
                self.ready = message
                for watch in self._streams.values():
                    watch.worker_ready(now)
                self._told.ready(message)
            case ipc.Fatal():
                text = f"{message.where}: {message.what}" if message.where else message.what
                self.verdict = Reason(message.code, self._redactor(text), self._redactor(message.remedy))
            case ipc.Stopped():
                if message.reason == "sources-ended":
                    self.in_order = True
                    self.verdict = Reason("", "all sources have ended")
            case ipc.Reply():
                self._requests.resolve(message)

    def _hear_result(self, message: ipc.Result, now: int) -> None:
        watch = self._streams.get(message.stream)
        if watch is None:
            raise EdgewardError(Code.WORKER_PROTOCOL, "a result of a stream that is not configured")
        if self.progress_from_ns is None:
            self.progress_from_ns = now
        self._told.changed(message.stream, watch.result(message, now))
        self._told.result(watch, message, now)

    def _hear_source(self, message: ipc.StreamChanged, now: int) -> None:
        watch = self._streams.get(message.stream)
        if watch is None:
            raise EdgewardError(Code.WORKER_PROTOCOL, "news of a stream that is not configured")
        reason = None
        if message.code or message.what:
            text = f"{message.where}: {message.what}" if message.where else message.what
            reason = Reason(message.code, self._redactor(text), self._redactor(message.remedy))
        self._told.changed(message.stream, watch.source_changed(message, reason, now))

    def _text(self, error: EdgewardError) -> str:
        return self._redactor(f"{error.where}: {error.what}" if error.where else error.what)


def _cpu_percent(before: ipc.Metrics | None, now: ipc.Metrics) -> float:
    if before is None or now.mono_ns <= before.mono_ns:
        return 0.0
    spent_s = now.cpu_s.get("process", 0.0) - before.cpu_s.get("process", 0.0)
    return max(0.0, 100 * spent_s / ((now.mono_ns - before.mono_ns) / 1e9))
