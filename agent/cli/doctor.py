"""``edgeward doctor``: every check and the whole chain, with the command that mends what is wrong."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cli import output
from agent.cli.device import DEFAULT_CONFIG
from runtime.errors import Code, EdgewardError, ExitStatus

if TYPE_CHECKING:
    from agent.doctor.finding import Finding, Report
    from agent.doctor.site import Site

EPILOG = """\
examples:
  sudo edgeward doctor
  edgeward doctor --config site.toml --only broker --only streams
  edgeward doctor --json > findings.json
  sudo edgeward doctor --bundle support.tar.gz
  edgeward doctor --list

It runs with and without the agent, changes nothing, and leaves running cameras alone. Exit status:
0 nothing is broken (there may be warnings), 19 something is; see docs/guide/doctor.md.
"""
_MARKS = {"ok": "ok", "warn": "WARN", "fail": "FAIL", "skip": "skip"}
_COLOURS = {"ok": "\x1b[32m", "warn": "\x1b[33m", "fail": "\x1b[31m", "skip": "\x1b[2m"}


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "doctor",
        help="find what is wrong with this device, and how to mend it",
        description="Look at everything that a pipeline needs, from the configuration to the first picture "
        "and the broker, and tell the command that mends what is wrong.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--config",
        type=Path,
        default=DEFAULT_CONFIG,
        metavar="FILE",
        help=f"edgeward.toml (default {DEFAULT_CONFIG})",
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="ID",
        help="this probe and what it needs; may be given again",
    )
    parser.add_argument("--list", action="store_true", help="tell which probes there are, and run none")
    parser.add_argument(
        "--bundle",
        type=Path,
        metavar="OUT.tar.gz",
        help="write an archive for support as well, without secrets",
    )
    parser.add_argument("--force", action="store_true", help="write over an archive that is there")
    parser.add_argument(
        "--socket", metavar="PATH", help="the agent's control socket, instead of the configured one"
    )
    parser.add_argument(
        "--root",
        type=Path,
        default=Path("/"),
        metavar="DIR",
        help="look for /proc, /sys, /run and /dev below DIR",
    )
    output.add_json_option(parser)
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """Look at everything; 0 when nothing is broken."""
    # Imported here: --help is spared what the probes load.
    from agent.doctor.probes import find_probes, wanted  # noqa: PLC0415

    probes = find_probes()
    if options.list:
        return _list([(probe.id, probe.meaning) for probe in probes], as_json=options.json)
    known = {probe.id for probe in probes}
    for name in options.only:
        if name not in known:
            raise EdgewardError(
                Code.USAGE,
                f"no probe {name!r}",
                where="--only",
                remedy=f"there is {', '.join(sorted(known))}",
            )
    if not options.root.is_dir():
        what, remedy = "no such folder", "name the folder in which /proc, /sys and /dev lie"
        raise EdgewardError(Code.USAGE, what, where=f"--root {options.root}", remedy=remedy)
    if options.bundle is not None:
        from agent.doctor import archive  # noqa: PLC0415

        archive.check_target(options.bundle, force=options.force)
    # Cameras come first: the doctor and all that it starts take what is left of the machine.
    os.nice(19)
    with _scratch() as scratch:
        from agent.doctor.start import site_of  # noqa: PLC0415

        site = site_of(options.config, Path(scratch), root=options.root, socket=options.socket)
        chosen = wanted(probes, options.only) if options.only else probes
        screen = _Screen(len(chosen), as_json=options.json)
        reports = asyncio.run(_examine(site, chosen, screen))
        screen.clear()
        # First what was found: a disk that takes no archive must not take that along.
        if options.json:
            output.print_document(document(reports))
        else:
            sys.stdout.write(_summary(reports))
        output.flush()
        if options.bundle is not None:
            archive.write(options.bundle, site, reports, force=options.force)
            output.progress(f"written: {options.bundle}")
    failed = [report for report in reports if report.result == "fail"]
    return int(ExitStatus.FAILED if failed else ExitStatus.OK)


def _scratch() -> tempfile.TemporaryDirectory[str]:
    """A private folder; in memory where no disk takes one, since that is when a doctor is called."""
    prefix = "edgeward-doctor-"
    try:
        return tempfile.TemporaryDirectory(prefix=prefix)
    except OSError:
        return tempfile.TemporaryDirectory(prefix=prefix, dir="/dev/shm")


def document(reports: Sequence[Report]) -> dict[str, Any]:
    """The reports as ``--json`` prints them."""
    import msgspec  # noqa: PLC0415 - as above

    results = [report.result for report in reports]
    return {
        "well": "fail" not in results,
        "probes": [{**msgspec.to_builtins(report), "result": report.result} for report in reports],
    }


async def _examine(site: Site, probes: Sequence[Any], screen: _Screen) -> list[Report]:
    from agent.doctor.examination import Examination  # noqa: PLC0415

    return await Examination(site, probes, on_start=screen.started, on_end=screen.ended).run()


class _Screen:
    """Shows what is being looked at, and each report as it comes."""

    def __init__(self, total: int, *, as_json: bool) -> None:
        self._total = total
        self._json = as_json
        self._done = 0
        self._at_work: list[str] = []
        self._live = output.can_rewrite() and not as_json
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ and not as_json

    def started(self, probe: Any) -> None:
        self._at_work.append(probe.id)
        self._show()

    def ended(self, report: Report) -> None:
        self._done += 1
        if report.probe in self._at_work:
            self._at_work.remove(report.probe)
        self.clear()
        if not self._json:
            for finding in report.findings:
                sys.stdout.write(self._lines(report.probe, finding))
            output.flush()
        self._show()

    def clear(self) -> None:
        if self._live:
            output.rewrite()

    def _show(self) -> None:
        if self._live and self._at_work:
            output.rewrite(f"{self._done} of {self._total}: {', '.join(self._at_work)} ...")

    def _lines(self, probe: str, finding: Finding) -> str:
        mark = f"{_MARKS[finding.result]:<4}"
        if self._colour:
            mark = f"{_COLOURS[finding.result]}{mark}\x1b[0m"
        name = f"{probe}: {finding.subject}" if finding.subject else probe
        code = f" [{finding.code}]" if finding.code else ""
        lines = [f"{mark}  {output.plain(name)}: {output.plain(finding.text)}{code}"]
        if finding.remedy:
            lines.append(f"      {output.plain(finding.remedy)}")
        if finding.command:
            lines.append(f"      $ {output.plain(finding.command)}")
        return "".join(f"{line}\n" for line in lines)


def _summary(reports: Sequence[Report]) -> str:
    findings = [finding.result for report in reports for finding in report.findings]
    broken, doubts, left = findings.count("fail"), findings.count("warn"), findings.count("skip")
    what = "all is well" if not broken and not doubts else f"{broken} broken, {doubts} warnings"
    return (
        f"\n{what}; {findings.count('ok')} looked at and well" + (f", {left} skipped" if left else "") + "\n"
    )


def _list(probes: Sequence[tuple[str, str]], *, as_json: bool) -> int:
    if as_json:
        output.print_document({"probes": [{"id": name, "meaning": meaning} for name, meaning in probes]})
    else:
        for name, meaning in probes:
            sys.stdout.write(f"{name:<14} {meaning}\n")
    return 0
