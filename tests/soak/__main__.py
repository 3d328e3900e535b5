"""Disturbs a real agent for as long as it is told, and judges what grew meanwhile.

A broker, two RTSP cameras (H.264 and H.265), three pipelines with the conveyor model: cameras and broker go
away and come back, workers are killed, configurations are loaded, good ones and a bad one, and pictures
taken, one thing each 15 s. Memory, descriptors, threads, log and disk are sampled each 10 s; after a warm-up
(a fifth of the run) a line is laid through each, and its rise is held against a stated bound.
"""

from __future__ import annotations

import argparse
import itertools
import json
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

import psutil

from examples.demo.site import ROOT, DemoError
from runtime.errors import EdgewardError
from tests.soak.disturbances import ALL, AWAY_S, Disturbance, NotWellError
from tests.soak.growth import judge, warm_up_s
from tests.soak.report import Done, Run
from tests.soak.samples import BOUNDS, Sampler
from tests.soak.site import Site, SoakError

OUT = ROOT / "build" / "soak"
EVERY_S = 15.0
# Beside the outage itself: to notice it, to connect again, and to wait for a key frame on a busy machine.
SILENT_S = 20.0
EPILOG = """\
examples:
  script/soak --minutes 5
  script/soak --minutes 60 --json soak.json

Exit status: 0 within all bounds, 1 over one of them or a device that did not become well again,
130 ended by Ctrl-C, with the table so far.
"""


class _Ended(BaseException):
    """SIGTERM: end in order, as with Ctrl-C."""


def main() -> int:
    """Command line; see ``--help``."""
    parser = argparse.ArgumentParser(
        prog="script/soak",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=_minutes, default=5.0, metavar="N", help="length of the run (5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there at the end")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)
    run = Run(asked_s=options.minutes * 60)
    status = 1
    try:
        if options.json:
            # A path that cannot be written is said now, not after an hour.
            options.json.open("a").close()
        status = _soak(run)
    except (DemoError, SoakError) as error:
        run.faults.append(str(error))
    except OSError as error:
        print(f"soak: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, _Ended):
        status = 130
    print("\n".join(["", *run.lines()]))
    if options.json:
        options.json.write_text(json.dumps(run.document(), indent=2) + "\n")
    return status


def _soak(run: Run) -> int:
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT.parent / "demo").mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="edgeward-soak-") as work,
        Site(Path(work), OUT, lambda text: _say(f"== {text}")) as site,
    ):
        site.start()
        assert site.agent is not None
        sampler = Sampler(site.agent.pid, site.heard.pid, site.log, site.state, site.scratch)
        sampler.start()
        try:
            _disturb(site, sampler, run)
        finally:
            sampler.stop()
            run.seconds = sampler.seconds
            settled = warm_up_s(min(run.asked_s, run.seconds))
            run.figures = [judge(bound, sampler.points[bound.figure], settled) for bound in BOUNDS]
            run.results = {"/".join(key): count for key, count in site.heard.results.items()}
            run.not_understood = site.heard.not_understood
            _judge_silence(site, run)
            _leave(site, run)
    return 0 if run.well else 1


def _disturb(site: Site, sampler: Sampler, run: Run) -> None:
    """One disturbance after another until the time is over."""
    run.disturbances = {item.name: Done() for item in ALL}
    due = EVERY_S
    for item in itertools.cycle(ALL):
        while sampler.seconds < min(due, run.asked_s):
            site.check()
            time.sleep(min(0.5, max(0.0, min(due, run.asked_s) - sampler.seconds)))
        if sampler.seconds >= run.asked_s:
            return
        _do(item, site, sampler, run.disturbances[item.name])
        due = max(due + EVERY_S, sampler.seconds + 2)


def _do(item: Disturbance, site: Site, sampler: Sampler, done: Done) -> None:
    began = time.monotonic()
    fault = ""
    try:
        item.run(site)
    except NotWellError as error:
        fault = str(error)
    except EdgewardError as error:
        fault = f"the agent answered: {error}"
    except (OSError, TimeoutError, AssertionError) as error:
        fault = f"{type(error).__name__}: {error}"
    site.check()
    took = time.monotonic() - began
    done.times += 1
    done.slowest_s = max(done.slowest_s, took)
    if fault:
        done.faults.append(f"after {sampler.seconds:.0f} s: {fault}")
    pss = sampler.latest("agent memory (PSS)") or 0.0
    steady = sampler.latest("steady worker memory (PSS)") or 0.0
    results = sum(site.heard.results.values())
    _say(
        f"{sampler.seconds:6.0f} s  {item.name:<28} {took:5.1f} s  {'FAULT ' + fault if fault else 'well'}"
        f"  agent {pss:.1f} MB, steady worker {steady:.1f} MB, {results} results"
    )


def _judge_silence(site: Site, run: Run) -> None:
    """The pipeline that nobody touches is silent while its cameras or the broker are gone, and no longer."""
    for key, seconds in site.heard.longest_silence_s().items():
        name = "/".join(key)
        run.silences[name] = round(seconds, 1)
        if key[0] == "steady" and seconds > AWAY_S + SILENT_S:
            run.faults.append(f"{name} was silent for {seconds:.1f} s")


def _leave(site: Site, run: Run) -> None:
    """The end is a promise too: in order, in time, with nobody left behind."""
    assert site.agent is not None
    family = psutil.Process(site.agent.pid).children(recursive=True) if site.agent.poll() is None else []
    status = site.stop_agent()
    if status != 0:
        run.faults.append(f"the agent did not stop in order: {status}; see {OUT / 'agent.log'}")
    _, alive = psutil.wait_procs(family, timeout=5)
    if alive:
        run.faults.append(f"left behind: {', '.join(str(process.pid) for process in alive)}")


def _say(line: str) -> None:
    print(line, flush=True)


def _minutes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1 <= value <= 7 * 1440:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of minutes from 1 to 10080")
    return value


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise _Ended


if __name__ == "__main__":
    sys.exit(main())
