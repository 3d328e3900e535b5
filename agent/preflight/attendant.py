"""One preflight child, attended to from its start to its end: whatever it does becomes a finding."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from agent.preflight.report import Refusal
from agent.preflight.turns import Turn, Turns
from agent.workers.process import WorkerProcess
from runtime import ipc
from runtime.errors import Code, EdgewardError
from runtime.preflight.messages import STEPS, Candidates, Examined, Examining, LatencyFigures, Step

log = logging.getLogger("preflight")

# -P: `python -m` must not import from whatever folder the command was called in.
COMMAND: tuple[str, ...] = (sys.executable, "-P", "-m", "runtime.preflight")
# What an engine may print while it loads and runs; past it, it would fill the log of the agent as well.
MAX_PRINTED = 2 << 20
# A child tells five times a second how far it is.
_MESSAGES_PER_S = 10
_MOST_MESSAGES = 1000
# Of whatever a child sends: it goes into the log, the record and the report of health.
_MOST_TEXT = 2000
_MOST_OF_A_LINE = 300
_MOST_FIGURES = 100
# Of the memory that is free at the start, when the device sets no limit: the rest is for the others.
_SHARE_OF_FREE = 0.75
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
    """What a child may take: seconds for each step, and MB of memory (proportional set size).

    ``memory_mb`` 0: three quarters of what is free when it starts.
    """

    load_s: float
    step_s: float
    memory_mb: float

    def of(self, step: Step) -> float:
        """The seconds for ``step``."""
        return self.load_s if step == "load" else self.step_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Attended:
    """What came of a child: its answer, or why there is none.

    ``pss_mb`` is the most that was seen, ``limit_mb`` what was allowed; ``last_lines`` the end of what it
    printed, when it was refused.
    """

    answer: Candidates | Examined | None = None
    refusal: Refusal | None = None
    pss_mb: float = 0.0
    limit_mb: float = 0.0
    last_lines: tuple[str, ...] = ()


class Attendant:
    """Attends to one child. The child ends with it, and with this process.

    Args:
        bounds: past which the child is killed.
        turns: a child starts when it is its turn, and measures its latency in it.
        command: the child's program; ``--fd N --parent PID`` are appended.
        on_log: gets each line that the child prints.
        on_step: is told how far it is.
        on_start: is told its process id.
    """

    def __init__(
        self,
        bounds: Bounds,
        turns: Turns,
        *,
        command: Sequence[str] = COMMAND,
        on_log: Callable[[str], None] = lambda _: None,
        on_step: Callable[[Examining], None] = lambda _: None,
        on_start: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._bounds = bounds
        self._turns = turns
        self._command = command
        self._on_log = on_log
        self._on_step = on_step
        self._on_start = on_start
        self._step: Step = "load"
        self._so_far = ""
        self._killed_for: Refusal | None = None
        self._pss_mb = 0.0
        self._limit_mb = bounds.memory_mb

    async def examine(self, task: ipc.Examine) -> Attended:
        """Have ``task`` done. Await it in the main thread: the child dies with the thread that started it.

        Raises:
            EdgewardError: ``SYSTEM_IO`` when no process can be started.
        """
        async with self._turns.take() as turn:
            # Not before: while others are tried nobody knows what will be free.
            if not self._bounds.memory_mb:
                self._limit_mb = _SHARE_OF_FREE * psutil.virtual_memory().available / 1e6
            worker = await self._started(task)
            watch = asyncio.create_task(self._watch(worker))
            try:
                self._on_start(worker.pid)
                answer = await self._answer(worker, turn, task)
            finally:
                watch.cancel()
                worker.kill()
                await _gone(worker)
        # One that was killed may have answered just before.
        answer = self._killed_for or answer
        if isinstance(answer, Refusal):
            last_lines = tuple(line[:_MOST_OF_A_LINE] for line in worker.last_lines[-5:])
            return Attended(
                refusal=answer, pss_mb=self._pss_mb, limit_mb=self._limit_mb, last_lines=last_lines
            )
        return Attended(answer=answer, pss_mb=self._pss_mb, limit_mb=self._limit_mb)

    async def _started(self, task: ipc.Examine) -> WorkerProcess:
        try:
            folder = Path(task.rights.scratch) if task.rights and task.rights.scratch else None
            return await WorkerProcess.start(task, on_log=self._on_log, command=self._command, folder=folder)
        except OSError as error:
            what = f"no process can be started: {error.strerror}"
            raise EdgewardError(Code.SYSTEM_IO, what, where=sys.executable, remedy="check memory") from error

    async def _answer(
        self, worker: WorkerProcess, turn: Turn, task: ipc.Examine
    ) -> Candidates | Examined | Refusal:
        deadline = _from_now(self._bounds.of(self._step))
        in_all_s = self._bounds.load_s + 2 * self._bounds.step_s
        for _ in range(_MOST_MESSAGES + round(_MESSAGES_PER_S * in_all_s)):
            message = await self._next(worker, deadline)
            if not (isinstance(message, Examining) and STEPS.index(message.step) >= STEPS.index(self._step)):
                return self._last_word(message, task)
            if message.step != self._step:
                self._step = message.step
                if message.step == "latency":
                    await turn.keep()
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

    def _last_word(
        self, message: ipc.FromWorker | Refusal, task: ipc.Examine
    ) -> Candidates | Examined | Refusal:
        match message:
            case Refusal() | Candidates():
                return message
            case Examined() if _makes_sense(message, task.engine.variant, self._step):
                return message
            case ipc.Fatal():
                named = message.where and message.code != Code.ENGINE_UNAVAILABLE.text
                text = f"{message.where}: {message.what}" if named else message.what
                return Refusal(message.code, text[:_MOST_TEXT], message.remedy[:_MOST_TEXT])
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
        said = f"; its last line: {last[0][:_MOST_OF_A_LINE]}" if last else ""
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
                # In a thread, since it takes the kernel a while for one that has a lot.
                pss = await asyncio.to_thread(_proportional, worker.pid) or resident
                self._pss_mb = max(self._pss_mb, round(pss / 1e6, 1))
            if self._pss_mb > self._limit_mb:
                text = (
                    f"took {self._pss_mb:.0f} MB of memory while {_DOING[self._step]}, "
                    f"over this device's limit of {self._limit_mb:.0f} MB"
                )
                remedy = "free some memory, or allow it more"
                self._kill(worker, Refusal(Code.PREFLIGHT_MEMORY.text, text, remedy))
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


def _makes_sense(found: Examined, variant: str, step: Step) -> bool:
    """Whether these can be figures of ``variant``, whose child was at ``step`` when it told them.

    Against one that is broken, not one that lies: whatever can write into its process can invent any figure.
    """
    golden, latency = found.golden, found.latency
    texts = [found.variant, found.engine, found.provider]
    figures = [found.load_ms, found.peak_mb, found.pss_mb or 0.0]
    if golden is not None:
        texts += [golden.why, *golden.figures]
        figures += map(abs, golden.figures.values())
    if latency is not None:
        texts += latency.stages_ms
        figures += latency.stages_ms.values()
        right = step == "latency" and (golden is None or golden.passed) and _in_order(latency)
    else:
        # Without its latency a variant cannot be ranked.
        right = step == "golden" and golden is not None and not golden.passed
    return (
        right
        and found.variant == variant
        and len(figures) <= _MOST_FIGURES
        and all(len(text) <= _MOST_TEXT for text in texts)
        and all(math.isfinite(one) and one >= 0 for one in figures)
    )


def _in_order(latency: LatencyFigures) -> bool:
    # No comparison is true of what is no number.
    return latency.rounds > 0 and 0 <= latency.p50_ms <= latency.p95_ms <= latency.max_ms < math.inf


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
