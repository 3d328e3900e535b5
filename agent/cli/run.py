"""``edgeward run``: a bundle on a source, in the foreground, with no broker and no daemon."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import unquote, urlsplit

from agent.cli import arguments, output
from agent.cli.run_report import Report
from agent.cli.run_result import result_line
from agent.trust.ingest import ingest
from agent.workers.process import WorkerProcess
from runtime import ipc
from runtime.bundle.ingested import Ingested
from runtime.errors import Code, EdgewardError, ExitStatus, from_os_error
from runtime.redact import redact

EPILOG = """\
examples:
  edgeward run --bundle belt.ewb --key release.pub --source belt.mp4
  edgeward run --bundle belt.ewb --key release.pub --source rtsp://camera/stream --max-frames 100
  edgeward run --bundle belt.ewb --key release.pub --source belt.mp4 --events out.jsonl --annotate seen.mp4
  edgeward run --bundle cars.ewb --then plates.ewb --key release.pub --source gate.mp4
  edgeward run --bundle people.ewb --key release.pub --source square-4k.mp4 --tiles 3x2

Each line of the results is one frame: "detections" (what was found, perhaps nothing), "skipped" or "failed",
and why. Data of raw tensors are Base64. What a --then bundle found in the crop of a detection stands there
under "inside".
A file is read as fast as the model can, every frame; a camera as it comes, the newest frame first.
"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "run",
        help="run a bundle on a file or camera, in the foreground",
        description="Verify a bundle, run it on a source and print a JSON line for each frame.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bundle", required=True, type=Path, metavar="X.ewb", help="the signed bundle")
    arguments.add_key_option(parser)
    parser.add_argument("--source", required=True, metavar="URL", help="a path, or an rtsp:// or http:// URL")
    arguments.add_source_options(parser)
    parser.add_argument(
        "--events", default="-", metavar="FILE", help="where results go; - is stdout (default)"
    )
    parser.add_argument(
        "--annotate", type=Path, metavar="OUT.mp4", help="also write the pictures with their boxes"
    )
    parser.add_argument(
        "--max-frames", type=arguments.count, default=0, metavar="N", help="end after N frames"
    )
    parser.add_argument(
        "--max-fps", type=arguments.rate, default=0.0, metavar="N", help="look at N frames a second at most"
    )
    parser.add_argument(
        "--score-threshold", type=arguments.fraction, metavar="S", help="0 to 1, instead of the bundle's"
    )
    arguments.add_model_options(parser)
    parser.add_argument("--json", action="store_true", help="end with a JSON line that sums up; no progress")
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """Run; the status of the first stream that failed, or 0."""
    arguments.check(options, "edgeward run")
    _check_outputs(options)
    with contextlib.ExitStack() as stack:
        events = _open_events(options.events, stack)
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="edgeward-run-"))
        return asyncio.run(_Run(options, events, Path(scratch)).run())


class _Run:
    """One run: verify, start the worker, pass on what it says, sum up."""

    def __init__(self, options: argparse.Namespace, events: TextIO, scratch: Path) -> None:
        self._options = options
        self._events = events
        self._scratch = scratch
        self._report = Report(live=not options.json)
        self._stop_asked = 0
        self._stopping: asyncio.Task[int] | None = None

    async def run(self) -> int:
        options = self._options
        bundles = [
            await ingest(bundle, options.key, self._scratch) for bundle in (options.bundle, *options.then)
        ]
        if not options.json:
            for bundle in bundles:
                output.progress(f"bundle {bundle.name} {bundle.version}, signed by {bundle.signed_by[:16]}")
        start = self._start_message(bundles[0], bundles[1:])
        worker = await WorkerProcess.start(start, on_log=self._log)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._ask_to_stop, worker)
        try:
            failure = await self._listen(worker)
        finally:
            await worker.stop()
        self._report.finish()
        if options.json:
            self._write({"type": "summary", **self._report.summary()}, sys.stdout)
        if not self._stop_asked:
            failure = failure or self._report.nothing_done(redact(self._options.source))
        if failure is not None:
            raise failure
        return int(ExitStatus.INTERRUPTED if self._stop_asked else ExitStatus.OK)

    def _start_message(self, bundle: Ingested, then: Sequence[Ingested]) -> ipc.Start:
        options = self._options
        stream = ipc.StreamSpec(
            name="source",
            url=arguments.source_url(options),
            pacing="every" if arguments.is_file(options.source) else "live",
            open_timeout_s=options.timeout,
            read_timeout_s=options.timeout,
            reconnect=False,
            max_fps=options.max_fps,
            max_frames=options.max_frames,
        )
        return ipc.Start(
            pipeline="run",
            bundle_dir=str(bundle.folder),
            manifest_sha256=bundle.manifest_sha256,
            streams=(stream,),
            engine=arguments.engine_options(options),
            score_threshold=options.score_threshold,
            tiling=arguments.tiling(options),
            stages=arguments.stages(then, options),
            annotate=str(options.annotate.absolute()) if options.annotate else "",
        )

    def _log(self, line: str) -> None:
        if not self._options.json:
            output.progress(f"worker: {line}")

    def _ask_to_stop(self, worker: WorkerProcess) -> None:
        self._stop_asked += 1
        if self._stop_asked == 1:
            self._stopping = asyncio.ensure_future(worker.stop())
        else:
            worker.kill()

    async def _listen(self, worker: WorkerProcess) -> EdgewardError | None:
        """Pass on messages until the worker has ended; what made it fail, or None."""
        failure: EdgewardError | None = None
        while (message := await worker.receive()) is not None:
            self._report.hear(message)
            match message:
                case ipc.Result():
                    self._write(result_line(message, self._report.task), self._events)
                case ipc.Fatal() | ipc.StreamChanged(state="failed"):
                    failure = EdgewardError(
                        Code.of(message.code), message.what, where=message.where, remedy=message.remedy
                    )
                case ipc.Stopped():
                    return failure
                case _:
                    pass
        await worker.wait()
        if failure is None and not self._stop_asked:
            last = worker.last_lines[-1:] or ["it printed nothing"]
            failure = EdgewardError(
                Code.WORKER_DIED,
                f"the worker was {worker.describe_exit()}; its last line: {last[0]}",
                where=str(self._options.bundle),
                remedy="try another file or camera; report it with the log if it happens again",
            )
        return failure

    def _write(self, document: dict[str, Any], to: TextIO) -> None:
        with _telling(self._options.events if to is self._events else "-"):
            to.write(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n")
            if to is sys.stdout:
                to.flush()


def _check_outputs(options: argparse.Namespace) -> None:
    """Nothing that is read is overwritten, and no film gets the name of something else."""
    where, remedy = "edgeward run", "give another name"
    source = unquote(urlsplit(options.source).path) if "://" in options.source else options.source
    read = [options.bundle, *options.then, *options.key, options.password_file]
    read += [Path(source)] if arguments.is_file(options.source) else []
    written = {
        "--events": None if options.events == "-" else Path(options.events),
        "--annotate": options.annotate,
    }
    for option, path in written.items():
        if path is not None and any(_same_file(path, other) for other in read if other is not None):
            what = f"argument {option}: {path} is what is read, it would be overwritten"
            raise EdgewardError(Code.USAGE, what, where=where, remedy=remedy)
    if options.annotate and options.annotate.suffix.lower() not in {"", ".mp4"}:
        what = f"argument --annotate: {options.annotate} would be an MP4 film under another name"
        raise EdgewardError(Code.USAGE, what, where=where, remedy="end the name with .mp4")


def _same_file(one: Path, other: Path) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return one.is_file() and one.samefile(other)
    return False


@contextlib.contextmanager
def _telling(name: str) -> Iterator[None]:
    """An error of a write names where results go."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        where = "standard output" if name == "-" else name
        raise from_os_error(error, where=where, fallback=Code.SYSTEM_IO) from error


def _open_events(name: str, stack: contextlib.ExitStack) -> TextIO:
    if name == "-":
        return sys.stdout
    with _telling(name):
        file = Path(name).open("w", encoding="utf-8")  # noqa: SIM115

    def close() -> None:
        with _telling(name):
            file.close()  # it writes the rest

    stack.callback(close)
    return file
