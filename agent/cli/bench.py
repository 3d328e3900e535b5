"""``edgeward bench``: what a bundle costs on this device, frame by frame, and how many streams it carries."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from agent.cli import arguments, bench_report, output
from agent.cli.bench_board import board
from agent.cli.bench_capacity import Capacity, Rate, capacity
from agent.cli.bench_measure import Measurement
from agent.cli.bench_verify import Trial, Verdict
from agent.cli.bench_worker import Attendance, Progress
from agent.trust.ingest import ingest
from runtime import ipc
from runtime.bundle.ingested import Ingested
from runtime.errors import Code, EdgewardError, ExitStatus

MOST_STREAMS = 64  # of one worker, as in the configuration
MOST_TRIALS = 4

EPILOG = """\
examples:
  edgeward bench belt.ewb belt.mp4 --key release.pub
  edgeward bench belt.ewb belt.mp4 --key release.pub --fps 5 --verify
  edgeward bench cars.ewb gate.mp4 --then plates.ewb --key release.pub
  edgeward bench people.ewb square-4k.mp4 --tiles 3x2 --fps 2 --key release.pub
  edgeward bench belt.ewb rtsp://camera/stream --key release.pub --seconds 20 --json

A file is read as fast as it goes, from its start again when it is short. A camera gives its own rate: what a
frame costs is measured, how fast it could go is not. Other programs that run meanwhile are measured with it.
"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "bench",
        help="measure a bundle on this device, and how many streams it carries",
        description="Verify a bundle, run it on a source, and tell what each stage of a frame costs here, "
        "latency, memory, and how many such streams this board carries.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the signed bundle")
    parser.add_argument("source", metavar="SOURCE", help="a path, or an rtsp:// or http:// URL")
    arguments.add_key_option(parser)
    arguments.add_source_options(parser)
    parser.add_argument(
        "--frames", type=arguments.count, default=300, metavar="N", help="measure N frames (default 300)"
    )
    parser.add_argument(
        "--seconds",
        type=arguments.seconds,
        default=30.0,
        metavar="S",
        help="but no longer than that (default 30)",
    )
    parser.add_argument(
        "--fps",
        type=arguments.rate,
        default=0.0,
        metavar="N",
        help="count streams of which N frames a second are looked at (default: all)",
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="run that many streams of the file in real time: do all keep their rate? If not, fewer",
    )
    parser.add_argument(
        "--verify-seconds", type=arguments.seconds, default=8.0, metavar="S", help="for so long (default 8)"
    )
    arguments.add_model_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document instead; no progress")
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """Measure; 0 also when the board carries no such stream at all: that is a finding."""
    arguments.check(options, "edgeward bench")
    if options.verify and not arguments.is_file(options.source):
        raise EdgewardError(
            Code.USAGE,
            "--verify needs a file: a camera cannot be multiplied",
            where="edgeward bench",
            remedy="record some seconds of it and give the recording",
        )
    with tempfile.TemporaryDirectory(prefix="edgeward-bench-") as scratch:
        return asyncio.run(_Bench(options, Path(scratch)).run())


class _Bench:
    """One run: verify, measure one stream, count, perhaps try the count, tell."""

    def __init__(self, options: argparse.Namespace, scratch: Path) -> None:
        self._options = options
        self._scratch = scratch
        self._progress = Progress(live=not options.json)
        self._attendance = Attendance(self._progress, str(options.bundle))
        self._measurement = Measurement()
        self._verdicts: list[Verdict] = []

    async def run(self) -> int:
        """Measure and print; the exit status."""
        options = self._options
        bundles = [
            await ingest(bundle, options.key, self._scratch) for bundle in (options.bundle, *options.then)
        ]
        for bundle in bundles:
            self._progress.tell(f"bundle {bundle.name} {bundle.version}, signed by {bundle.signed_by[:16]}")
        free = board()  # before the first worker takes of it
        failure = await self._attendance.run(self._start(bundles, [self._measured_stream()]), self._hear)
        measured = self._measurement
        self._progress.clear()
        failure = failure or self._all_failed()
        if failure is not None and not measured.measured:
            raise failure
        rate, cost = self._rate(), measured.cost()
        carried = capacity(cost, rate, free) if cost and rate else None
        if options.verify and carried and rate and failure is None:
            failure = await self._verify(bundles, carried, rate)
        report = bench_report.Report(
            bundle=bundles[0],
            then=bundles[1:],
            threads=options.threads,
            measured=measured,
            rate=rate,
            board=free,
            carried=carried,
            verdicts=self._verdicts,
            as_fast_as_it_goes=arguments.is_file(options.source),
            interrupted=self._attendance.interrupted,
        )
        if options.json:
            output.print_document(report.document())
        else:
            sys.stdout.write(report.text())
        if failure is not None:
            raise failure
        return int(ExitStatus.INTERRUPTED if self._attendance.interrupted else ExitStatus.OK)

    def _start(self, bundles: Sequence[Ingested], streams: list[ipc.StreamSpec]) -> ipc.Start:
        options, (first, *then) = self._options, bundles
        return ipc.Start(
            pipeline="bench",
            bundle_dir=first.folder,
            manifest_sha256=first.manifest_sha256,
            streams=tuple(streams),
            engine=arguments.engine_options(options),
            tiling=arguments.tiling(options),
            stages=arguments.stages(then, options),
        )

    def _measured_stream(self) -> ipc.StreamSpec:
        options = self._options
        return ipc.StreamSpec(
            name="source",
            url=arguments.source_url(options),
            pacing="every" if arguments.is_file(options.source) else "live",
            open_timeout_s=options.timeout,
            read_timeout_s=options.timeout,
            reconnect=False,
            loop=arguments.is_file(options.source),
            max_frames=options.frames,
        )

    def _hear(self, message: ipc.FromWorker, pid: int) -> bool:
        measured, options = self._measurement, self._options
        measured.hear(message, pid)
        if isinstance(message, ipc.Ready):
            self._progress.tell(
                f"model on {message.engine} ({message.provider}), loaded in {message.load_ms:.0f} ms"
            )
        elif isinstance(message, ipc.Result):
            self._progress.step(f"{measured.results} of {options.frames} frames")
        return bool(measured.elapsed_s >= options.seconds)

    def _all_failed(self) -> EdgewardError | None:
        counts = self._measurement.counts
        if counts.failed and not counts.results:
            what = f"every frame failed: {self._measurement.last_why}"
            remedy = "send the bundle back to its author with this line"
            return EdgewardError(Code.MODEL_RUN, what, where=str(self._options.bundle), remedy=remedy)
        return None

    def _rate(self) -> Rate | None:
        """Of one stream: as the source sends and as ``--fps`` asks; None when neither is known."""
        source_fps, wanted = self._measurement.source_fps(), self._options.fps
        source_fps = source_fps or wanted
        return Rate(source_fps, min(wanted or source_fps, source_fps)) if source_fps else None

    async def _verify(
        self, bundles: Sequence[Ingested], carried: Capacity, rate: Rate
    ) -> EdgewardError | None:
        """Run as many streams as were counted, at least one, in real time; fewer if they do not keep up.

        What made a worker fail is returned: the figures that were found are told all the same.
        """
        number = min(max(1, carried.streams), MOST_STREAMS)
        while number and len(self._verdicts) < MOST_TRIALS and not self._attendance.interrupted:
            failure, verdict = await self._try(bundles, number, rate)
            if failure is not None or verdict is None:
                return failure
            self._verdicts.append(verdict)
            number = 0 if verdict.kept else min(number - 1, round(number * 0.85))
        return None

    async def _try(
        self, bundles: Sequence[Ingested], number: int, rate: Rate
    ) -> tuple[EdgewardError | None, Verdict | None]:
        options = self._options
        self._progress.tell(f"verify: {number} streams in real time for {options.verify_seconds:g} s")
        streams = [
            ipc.StreamSpec(
                name=f"stream-{index + 1}",
                url=options.source,
                pacing="live",
                reconnect=False,
                loop=True,
                max_fps=options.fps,
            )
            for index in range(number)
        ]
        trial = Trial(tuple(stream.name for stream in streams), rate.fps, options.verify_seconds)

        def hear(message: ipc.FromWorker, pid: int) -> bool:
            self._progress.step(f"verify: {trial.elapsed_s:.0f} s")
            return trial.hear(message, pid)

        failure = await self._attendance.run(self._start(bundles, streams), hear)
        self._progress.clear()
        return failure, trial.verdict(interrupted=self._attendance.interrupted)
