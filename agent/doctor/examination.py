"""Runs the probes: side by side where nothing speaks against it, each in its time, none where it cannot."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Sequence

import msgspec

from agent.doctor.finding import Finding, Report, skip
from agent.doctor.in_thread import in_thread
from agent.doctor.mend import as_root, finding_of
from agent.doctor.probes import Probe
from agent.doctor.site import Site
from runtime.errors import Code, EdgewardError, from_os_error

SIDE_BY_SIDE = 4


class Examination:
    """One visit of the doctor.

    Args:
        site: the device.
        probes: each after those that it needs.
        on_start: told of each probe that begins.
        on_end: told what each found, in the order in which they end.
    """

    def __init__(
        self,
        site: Site,
        probes: Sequence[Probe],
        *,
        on_start: Callable[[Probe], None] = lambda _: None,
        on_end: Callable[[Report], None] = lambda _: None,
    ) -> None:
        self._site = site
        self._probes = probes
        self._on_start = on_start
        self._on_end = on_end
        self._light = asyncio.Semaphore(SIDE_BY_SIDE)
        # What loads the machine goes one after the other: cameras may be at work beside it.
        self._heavy = asyncio.Semaphore(1)

    async def run(self) -> list[Report]:
        """Run all of them; the reports in the order of the probes."""
        tasks: dict[str, asyncio.Task[Report]] = {}
        for probe in self._probes:
            before = [tasks[name] for name in (*probe.needs, *probe.after) if name in tasks]
            tasks[probe.id] = asyncio.create_task(self._after(probe, before), name=probe.id)
        try:
            return list(await asyncio.gather(*tasks.values()))
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _after(self, probe: Probe, tasks: Sequence[asyncio.Task[Report]]) -> Report:
        before = [await asyncio.shield(task) for task in tasks]
        blocking = [report.probe for report in before if report.blocks and report.probe in probe.needs]
        if blocking:
            # It blocks in turn: what needs this one cannot be looked at either.
            why = f"needs {', '.join(blocking)}, which is not well"
            report = Report(probe=probe.id, findings=(Finding(result="skip", text=why, blocks=True),))
        else:
            async with self._heavy if probe.heavy else self._light:
                self._on_start(probe)
                began = time.monotonic()
                findings = await self._findings(probe)
                seconds = round(time.monotonic() - began, 3)
                report = Report(probe=probe.id, findings=tuple(findings), seconds=seconds)
        self._on_end(report)
        return report

    async def _findings(self, probe: Probe) -> list[Finding]:
        """What it says; what goes wrong in it is a finding too."""
        time_out = asyncio.timeout(probe.timeout_s)
        try:
            async with time_out:
                found = list(await self._answer(probe))
        except TimeoutError as error:
            # A probe may raise one of its own, of a socket or a network disk say.
            over = f"gave no answer within {probe.timeout_s:g} s"
            text = over if time_out.expired() else str(error) or "no answer in time"
            found = [
                Finding(
                    result="fail",
                    text=text,
                    code=Code.SYSTEM_TIMEOUT.text,
                    remedy="what it looked at hangs: a disk, a network file system, or the name service",
                    command="findmnt; sudo dmesg -T | tail -n 40",
                    blocks=True,
                )
            ]
        except EdgewardError as error:
            found = [finding_of(self._site.clean(error), self._site)]
        except PermissionError as error:
            found = [self._kept_from_us(error)]
        except OSError as error:
            named = from_os_error(error, where=str(error.filename or ""), fallback=Code.SYSTEM_IO)
            found = [finding_of(self._site.clean(named), self._site)]
        except Exception as error:  # a defect in one probe must not hide what the others found
            text = f"a defect in this probe: {type(error).__name__}: {self._site.redactor(str(error))}"
            found = [Finding(result="fail", text=text, code=Code.INTERNAL.text, remedy="please report it")]
        return [self._without_secrets(finding) for finding in found] or [skip("nothing to look at")]

    def _kept_from_us(self, error: PermissionError) -> Finding:
        """No fault of the device: whoever looks may not look there."""
        return Finding(
            result="skip",
            text=f"{error.filename}: this user may not read it",
            code=Code.SYSTEM_PERMISSION.text,
            remedy="run the doctor as root",
            command=as_root(self._site),
            blocks=True,
        )

    async def _answer(self, probe: Probe) -> Sequence[Finding]:
        if inspect.iscoroutinefunction(probe.run):
            found: Sequence[Finding] = await probe.run(self._site)
            return found
        return await in_thread(lambda: probe.run(self._site))  # type: ignore[arg-type,return-value]

    def _without_secrets(self, finding: Finding) -> Finding:
        clean = self._site.redactor
        return msgspec.structs.replace(
            finding,
            text=clean(finding.text),
            subject=clean(finding.subject),
            remedy=clean(finding.remedy),
            command=clean(finding.command),
        )
