"""Probes run in their order and in their time, and one that fails, hangs or breaks hides no other."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.doctor.examination import Examination
from agent.doctor.finding import Finding, Report, ok
from agent.doctor.probes import Probe, find_probes, wanted
from agent.doctor.site import Site
from runtime.errors import Code, EdgewardError

pytestmark = pytest.mark.unit


def made(
    name: str,
    run: Callable[[Site], Any],
    *,
    needs: Sequence[str] = (),
    heavy: bool = False,
    timeout_s: float = 5,
) -> Probe:
    return Probe(
        id=name, meaning=name, needs=tuple(needs), after=(), timeout_s=timeout_s, heavy=heavy, run=run
    )


def examine(tmp_path: Path, *probes: Probe) -> dict[str, Report]:
    site = Site(file=tmp_path / "edgeward.toml", socket=tmp_path / "socket", scratch=tmp_path)
    site.redactor.learn("hunter2!")
    reports = asyncio.run(Examination(site, probes).run())
    return {report.probe: report for report in reports}


def well(_site: Site) -> list[Finding]:
    return [ok("well")]


def test_what_needs_a_probe_that_failed_is_skipped_and_so_is_what_needs_that(tmp_path: Path) -> None:
    def broken(_site: Site) -> list[Finding]:
        raise EdgewardError(Code.KEY_MISSING, "no such file", where="release.pub")

    found = examine(
        tmp_path,
        made("a", broken),
        made("b", well, needs=["a"]),
        made("c", well, needs=["b"]),
        made("d", well),
    )
    assert found["a"].result == "fail"
    assert found["b"].result == found["c"].result == "skip"
    assert "needs a" in found["b"].findings[0].text
    assert found["d"].result == "ok"


def test_a_fault_that_does_not_block_leaves_the_rest_to_be_looked_at(tmp_path: Path) -> None:
    def one_is_wrong(_site: Site) -> list[Finding]:
        return [ok("well"), Finding(result="fail", text="the other one")]

    found = examine(tmp_path, made("a", one_is_wrong), made("b", well, needs=["a"]))
    assert found["a"].result == "fail"
    assert found["b"].result == "ok"


def test_a_probe_that_hangs_is_given_up_and_holds_up_nobody(tmp_path: Path) -> None:
    release = threading.Event()

    def hangs(_site: Site) -> list[Finding]:
        release.wait(60)
        return [ok("too late")]

    began = time.monotonic()
    found = examine(tmp_path, made("a", hangs, timeout_s=0.2), made("b", well))
    took = time.monotonic() - began
    release.set()
    assert took < 10
    assert found["a"].findings[0].code == "system.timeout"
    assert found["b"].result == "ok"


def test_a_defect_in_a_probe_is_told_and_hides_nothing(tmp_path: Path) -> None:
    def defect(_site: Site) -> list[Finding]:
        return [ok(str(dict[str, str]()["hunter2!"]))]

    found = examine(tmp_path, made("a", defect), made("b", well))
    (finding,) = found["a"].findings
    assert (finding.result, finding.code) == ("fail", "internal")
    assert "KeyError" in finding.text
    assert "hunter2!" not in finding.text
    assert found["b"].result == "ok"


def test_what_this_user_may_not_read_is_no_fault_of_the_device(tmp_path: Path) -> None:
    def kept(_site: Site) -> list[Finding]:
        raise PermissionError(13, "Permission denied", "/var/lib/edgeward/bundles")

    (finding,) = examine(tmp_path, made("a", kept))["a"].findings
    assert finding.result == "skip"
    assert "/var/lib/edgeward/bundles" in finding.text
    assert finding.command.startswith("sudo edgeward doctor")


def test_what_loads_the_machine_runs_alone(tmp_path: Path) -> None:
    at_work = 0
    most = 0

    async def heavy(_site: Site) -> list[Finding]:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(0.01)
        at_work -= 1
        return [ok("done")]

    examine(tmp_path, *(made(f"{number}", heavy, heavy=True) for number in range(4)))
    assert most == 1


def test_a_secret_leaves_in_no_field_of_a_finding(tmp_path: Path) -> None:
    def leaks(_site: Site) -> list[Finding]:
        text = "rtsp://viewer:geheim@host/x says hunter2!"
        return [Finding(result="fail", text=text, subject=text, remedy=text, command=text)]

    (finding,) = examine(tmp_path, made("a", leaks))["a"].findings
    for text in (finding.text, finding.subject, finding.remedy, finding.command):
        assert "hunter2!" not in text
        assert "geheim" not in text


def test_every_probe_says_what_it_means_and_comes_after_what_it_needs() -> None:
    seen: set[str] = set()
    for probe in find_probes():
        assert probe.meaning
        assert not probe.meaning.endswith(".")
        assert seen >= {*probe.needs, *probe.after}, probe.id
        seen.add(probe.id)


def test_a_probe_that_is_asked_for_brings_what_it_needs() -> None:
    chosen = [probe.id for probe in wanted(find_probes(), ["models"])]
    assert chosen == sorted(chosen, key=chosen.index)
    assert set(chosen) == {"models", "bundles", "trust", "configuration"} | set(chosen)
    assert "broker" not in chosen
