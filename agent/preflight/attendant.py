"""One preflight child, attended to from its start to its end: whatever it does becomes a finding."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from agent.preflight.report import Refusal
from agent.workers.process import WorkerProcess
from runtime import ipc
from runtime.errors import Code, EdgewardError
from runtime.preflight.messages import STEPS, Candidates, Examined, Examining, Step

log = logging.getLogger("preflight")

# -P: `python -m` must not import from whatever folder the command was called in.
COMMAND: tuple[str, ...] = (sys.executable, "-P", "-m", "runtime.preflight")
# What an engine may print while it loads and runs; past it, it would fill the log of the agent as well.
MAX_PRINTED = 2 << 20
_MAX_MESSAGES = 10_000
_LOOK_EVERY_S = 0.05
_PAGE = os.sysconf("SC_PAGE_SIZE")
_END_WITHIN_S = 2.0
_GONE_WITHIN_S = 10.0
_DOING: dict[Step, str] = {
    "load": "loading",
    "golden": "answering the golden frames",
    "latency": "measuring its latency",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a child may take: seconds for each step, and MB of memory (proportional set size)."""

    load_s: float
    step_s: float
    memory_mb: float

    def of(self, step: Step) -> float:
        """The seconds for ``step``."""
        return self.load_s if step == "load" else self.step_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Attended:
    """What came of a child: its answer, or why there is none.

    ``pss_mb`` is the most that was seen; ``last_lines`` the end of what it printed, when it was refused.
    """

    answer: Candidates | Examined | None = None
    refusal: Refusal | None = None
    pss_mb: float = 0.0
    last_lines: tuple[str, ...] = ()


class Attendant:
    """Attends to one child. The child ends with it, and with this process.

    Args:
        bounds: past which the child is killed.
        measuring: held while a child measures its latency, so that no two disturb each other.
        command: the child's program; ``--fd N --parent PID`` are appended.
        on_log: gets each line that the child prints.
        on_step: is told how far it is.
        on_start: is told its process id.
    """

    def __init__(
        self,
        bounds: Bounds,
        measuring: asyncio.Lock,
        *,
        command: Sequence[str] = COMMAND,
        on_log: Callable[[str], None] = lambda _: None,
        on_step: Callable[[Examining], None] = lambda _: None,
        on_start: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._bounds = bounds
        self._measuring = measuring
        self._command = command
        self._on_log = on_log
        self._on_step = on_step
        self._on_start = on_start
        self._step: Step = "load"
        self._so_far = ""
        self._killed_for: Refusal | None = None
        self._pss_mb = 0.0

    async def examine(self, task: ipc.Examine) -> Attended:
        """Have ``task`` done. Await it in the main thread: the child dies with the thread that started it.

        Raises:
            EdgewardError: ``SYSTEM_IO`` when no process can be started.
        """
        worker = await self._started(task)
        watch = asyncio.create_task(self._watch(worker))
        try:
            self._on_start(worker.pid)
            async with AsyncExitStack() as held:
                answer = await self._answer(worker, held)
        finally:
            watch.cancel()
            worker.kill()
            await _gone(worker)
        if isinstance(answer, Refusal):
            refusal = self._killed_for or answer
            return Attended(refusal=refusal, pss_mb=self._pss_mb, last_lines=tuple(worker.last_lines[-5:]))
        return Attended(answer=answer, pss_mb=self._pss_mb)

    async def _started(self, task: ipc.Examine) -> WorkerProcess:
        try:
            return await WorkerProcess.start(task, on_log=self._on_log, command=self._command)
        except OSError as error:
            what = f"no process can be started: {error.strerror}"
            raise EdgewardError(Code.SYSTEM_IO, what, where=sys.executable, remedy="check memory") from error

    async def _answer(self, worker: WorkerProcess, held: AsyncExitStack) -> Candidates | Examined | Refusal:
        deadline = _from_now(self._bounds.of(self._step))
        for _ in range(_MAX_MESSAGES):
            message = await self._next(worker, deadline)
            if not (isinstance(message, Examining) and STEPS.index(message.step) >= STEPS.index(self._step)):
                return self._last_word(message)
            if message.step != self._step:
                self._step = message.step
                if message.step == "latency":
                    await held.enter_async_context(self._measuring)
                    worker.send(ipc.Measure())
                deadline = _from_now(self._bounds.of(self._step))
            self._so_far = f", {message.done} of {message.total} frames" if message.done else ""
            self._on_step(message)
        return self._nonsense()

    async def _next(self, worker: WorkerProcess, deadline: float) -> ipc.FromWorker | Refusal:
        """The next message, or why none will come."""
        try:
            async with asyncio.timeout_at(deadline):
                message = await worker.receive()
        except TimeoutError:
            text = f"{_DOING[self._step]} did not end within {self._bounds.of(self._step):g} s{self._so_far}"
            remedy = "allow it more time, if it is slow and not stuck"
            return Refusal(Code.PREFLIGHT_TIMEOUT.text, text, remedy)
        except EdgewardError as error:
            return Refusal(Code.PREFLIGHT_MISBEHAVED.text, f"its process talked nonsense: {error.what}")
        return await self._ended(worker) if message is None else message

    def _last_word(self, message: ipc.FromWorker | Refusal) -> Candidates | Examined | Refusal:
        match message:
            case Refusal() | Candidates():
                return message
            case Examined() if _makes_sense(message):
                return message
            case ipc.Fatal():
                named = message.where and message.code != Code.ENGINE_UNAVAILABLE.text
                text = f"{message.where}: {message.what}" if named else message.what
                return Refusal(message.code, text, message.remedy)
            case _:
                return self._nonsense()

    def _nonsense(self) -> Refusal:
        text = f"its process talked nonsense while {_DOING[self._step]}"
        return Refusal(Code.PREFLIGHT_MISBEHAVED.text, text)

    async def _ended(self, worker: WorkerProcess) -> Refusal:
        """It closed its end without an answer: it is about to die, or it must be made to."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_END_WITHIN_S):
                await worker.wait()
        how = worker.describe_exit()
        if how == "still running":
            how = "it closed its end and went on"
        elif how == "killed by SIGKILL":
            how = "killed from outside, perhaps for want of memory"
        last = worker.last_lines[-1:]
        said = f"; its last line: {last[0][:300]}" if last else ""
        text = f"its process ended while {_DOING[self._step]}: {how}{said}"
        return Refusal(Code.PREFLIGHT_CRASHED.text, text)

    async def _watch(self, worker: WorkerProcess) -> None:
        """Kill it when it takes too much memory, or prints without end."""
        highest = 0
        while worker.alive:
            resident = _resident(worker.pid)
            # To ask for the proportional size holds up the process; it cannot be more than what is resident.
            if resident > highest:
                highest = resident + (1 << 20)
                self._pss_mb = max(self._pss_mb, round((_proportional(worker.pid) or resident) / 1e6, 1))
            if self._pss_mb > self._bounds.memory_mb:
                text = (
                    f"took {self._pss_mb:.0f} MB of memory while {_DOING[self._step]}, "
                    f"over this device's limit of {self._bounds.memory_mb:.0f} MB"
                )
                self._kill(worker, Refusal(Code.PREFLIGHT_MEMORY.text, text))
            elif worker.printed_bytes > MAX_PRINTED:
                text = f"printed more than {MAX_PRINTED >> 20} MiB while {_DOING[self._step]}"
                self._kill(worker, Refusal(Code.PREFLIGHT_MISBEHAVED.text, text))
            await asyncio.sleep(_LOOK_EVERY_S)

    def _kill(self, worker: WorkerProcess, why: Refusal) -> None:
        self._killed_for = self._killed_for or why
        worker.kill()


async def _gone(worker: WorkerProcess) -> None:
    """Until it is reaped; but a process that hangs inside a driver of the kernel cannot even be killed."""
    try:
        async with asyncio.timeout(_GONE_WITHIN_S):
            await worker.stop(_END_WITHIN_S)
    except TimeoutError:
        log.warning("process %d cannot be killed: it hangs in a driver, and is left behind", worker.pid)


def _from_now(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


def _makes_sense(found: Examined) -> bool:
    figures = [found.load_ms, found.peak_mb]
    if found.latency is not None:
        figures += [found.latency.p50_ms, found.latency.p95_ms, found.latency.max_ms]
    wrong = found.golden is not None and not found.golden.passed
    # Without its latency a variant cannot be ranked.
    return all(math.isfinite(one) and one >= 0 for one in figures) and (found.latency is not None or wrong)


def _resident(pid: int) -> int:
    """Resident set size in bytes; 0 when the process is gone."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * _PAGE
    return 0


def _proportional(pid: int) -> int:
    """Proportional set size in bytes; 0 where the kernel does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
