"""``edgeward run``: a bundle on a source, in the foreground, with no broker and no daemon."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, TextIO

from agent.cli import output
from agent.cli.run_report import Report
from agent.config import Stream
from agent.trust.ingest import ingest
from agent.workers.process import WorkerProcess
from runtime import ipc
from runtime.errors import Code, EdgewardError, ExitStatus, from_os_error

EPILOG = """\
examples:
  edgeward run --bundle belt.ewb --key release.pub --source belt.mp4
  edgeward run --bundle belt.ewb --key release.pub --source rtsp://camera/stream --max-frames 100
  edgeward run --bundle belt.ewb --key release.pub --source belt.mp4 --events out.jsonl --annotate seen.mp4

Each line of the results is one frame: "detections" (perhaps none), "skipped" or "failed", and why.
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
    parser.add_argument(
        "--key",
        required=True,
        action="append",
        type=Path,
        metavar="PUB",
        help="a public key that may have signed it; may be given again",
    )
    parser.add_argument("--source", required=True, metavar="URL", help="a path, or an rtsp:// or http:// URL")
    parser.add_argument("--username", default="", help="the camera's user name")
    parser.add_argument(
        "--password-file", type=Path, metavar="FILE", help="a file with the camera's password"
    )
    parser.add_argument(
        "--events", default="-", metavar="FILE", help="where results go; - is stdout (default)"
    )
    parser.add_argument(
        "--annotate", type=Path, metavar="OUT.mp4", help="also write the pictures with their boxes"
    )
    parser.add_argument("--max-frames", type=_count, default=0, metavar="N", help="end after N frames")
    parser.add_argument(
        "--max-fps", type=_rate, default=0.0, metavar="N", help="look at N frames a second at most"
    )
    parser.add_argument(
        "--score-threshold", type=_fraction, metavar="S", help="0 to 1, instead of the bundle's"
    )
    parser.add_argument(
        "--threads", type=_threads, default=1, metavar="N", help="threads of the model (default 1)"
    )
    parser.add_argument(
        "--timeout", type=_seconds, default=10.0, metavar="S", help="seconds to wait for the source"
    )
    parser.add_argument("--json", action="store_true", help="end with a JSON line that sums up; no progress")
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """Run; the status of the first stream that failed, or 0."""
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
        start = self._start_message(await ingest(options.bundle, options.key, self._scratch))
        worker = await WorkerProcess.start(start, on_log=lambda line: output.progress(f"worker: {line}"))
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
        failure = failure or self._report.all_failed()
        if failure is not None:
            raise failure
        return int(ExitStatus.INTERRUPTED if self._stop_asked else ExitStatus.OK)

    def _start_message(self, bundle: Any) -> ipc.Start:
        options = self._options
        if not options.json:
            output.progress(f"bundle {bundle.name} {bundle.version}, signed by {bundle.signed_by[:16]}")
        login = Stream(
            name="source",
            url=options.source,
            username=options.username,
            password_file=str(options.password_file or ""),
        )
        stream = ipc.StreamSpec(
            name=login.name,
            url=login.url_for_worker(),
            pacing="every" if "://" not in options.source or options.source.startswith("file://") else "live",
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
            threads=options.threads,
            score_threshold=options.score_threshold,
            annotate=str(options.annotate.absolute()) if options.annotate else "",
        )

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
                    self._write(_line(message), self._events)
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
        to.write(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n")
        if to is sys.stdout:
            to.flush()


def _line(result: ipc.Result) -> dict[str, Any]:
    """One result as the JSON line that leaves."""
    return {
        "type": "result",
        "stream": result.stream,
        "session": result.session,
        "frame": result.frame,
        "pts_s": result.pts_s,
        "status": result.status,
        **({"why": result.why} if result.why else {}),
        "width": result.width,
        "height": result.height,
        "latency_ms": round((time.monotonic_ns() - result.arrived_ns) / 1e6, 2),
        "detections": [
            {"label": one.label, "score": round(one.score, 4), "box": [round(edge, 2) for edge in one.box]}
            for one in result.detections
        ],
    }


def _open_events(name: str, stack: contextlib.ExitStack) -> TextIO:
    if name == "-":
        return sys.stdout
    try:
        return stack.enter_context(Path(name).open("w", encoding="utf-8"))
    except OSError as error:
        raise from_os_error(error, where=name, fallback=Code.SYSTEM_IO) from error


def _number(text: str, kind: type[int] | type[float], lowest: float, highest: float, what: str) -> Any:
    try:
        value = kind(text)
    except ValueError:
        value = lowest - 1
    if not lowest <= value <= highest:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return value


def _count(text: str) -> int:
    return int(_number(text, int, 1, 1 << 62, "a number of frames, 1 or more"))


def _rate(text: str) -> float:
    return float(_number(text, float, 0.001, 1000, "a number of frames a second between 0.001 and 1000"))


def _fraction(text: str) -> float:
    return float(_number(text, float, 0, 1, "a score between 0 and 1"))


def _threads(text: str) -> int:
    return int(_number(text, int, 1, 256, "a number of threads between 1 and 256"))


def _seconds(text: str) -> float:
    return float(_number(text, float, 0.1, 3600, "a number of seconds between 0.1 and 3600"))
