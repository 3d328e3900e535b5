"""``edgeward run``: a bundle on a source, in the foreground, with no broker and no daemon."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from agent.cli import output
from agent.cli.run_report import Report
from agent.cli.run_result import result_line
from agent.config import Stream
from agent.trust.ingest import ingest
from agent.workers.process import WorkerProcess
from runtime import ipc
from runtime.bundle.ingested import Ingested
from runtime.errors import Code, EdgewardError, ExitStatus, from_os_error

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


MOST_TILES = 16


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
    parser.add_argument(
        "--then",
        action="append",
        default=[],
        type=Path,
        metavar="Y.ewb",
        help="a bundle that looks at the crops of what the first one found; may be given again",
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
    _add_model_options(parser)
    parser.add_argument(
        "--timeout", type=_seconds, default=10.0, metavar="S", help="seconds to wait for the source"
    )
    parser.add_argument("--json", action="store_true", help="end with a JSON line that sums up; no progress")
    parser.set_defaults(handler=handle)


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    """How the model runs."""
    parser.add_argument(
        "--score-threshold", type=_fraction, metavar="S", help="0 to 1, instead of the bundle's"
    )
    parser.add_argument(
        "--threads", type=_threads, default=1, metavar="N", help="threads of the model (default 1)"
    )
    parser.add_argument("--variant", default="", metavar="ID", help="take this variant of the bundle")
    parser.add_argument(
        "--provider",
        default="",
        metavar="NAME",
        help="run the bundle with this provider of its engine, or not at all",
    )
    parser.add_argument(
        "--tiles",
        type=_tiles,
        metavar="COLSxROWS",
        help="look at so many overlapping tiles and at the whole picture, for small objects",
    )
    parser.add_argument(
        "--tile-overlap",
        type=_overlap,
        default=0.2,
        metavar="S",
        help="0 to 0.5 of a tile's side that neighbours share (default 0.2)",
    )


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
        bundles = [
            await ingest(bundle, options.key, self._scratch) for bundle in (options.bundle, *options.then)
        ]
        if not options.json:
            for bundle in bundles:
                output.progress(f"bundle {bundle.name} {bundle.version}, signed by {bundle.signed_by[:16]}")
        start = self._start_message(bundles[0], bundles[1:])
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

    def _start_message(self, bundle: Ingested, then: Sequence[Ingested]) -> ipc.Start:
        options = self._options
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
            engine=ipc.EngineOptions(
                threads=options.threads, variant=options.variant, provider=options.provider
            ),
            score_threshold=options.score_threshold,
            tiling=ipc.Tiling(columns=options.tiles[0], rows=options.tiles[1], overlap=options.tile_overlap)
            if options.tiles
            else None,
            stages=_stages(then, options.threads),
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
        to.write(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n")
        if to is sys.stdout:
            to.flush()


def _stages(bundles: Sequence[Ingested], threads: int) -> tuple[ipc.Stage, ...]:
    """One stage for each further bundle, named after it; a second of one name gets a number."""
    stages: list[ipc.Stage] = []
    seen: Counter[str] = Counter()
    for bundle in bundles:
        seen[bundle.name] += 1
        number = f"#{seen[bundle.name]}" if seen[bundle.name] > 1 else ""
        stages.append(
            ipc.Stage(
                name=f"{bundle.name}{number}",
                bundle_dir=bundle.folder,
                manifest_sha256=bundle.manifest_sha256,
                engine=ipc.EngineOptions(threads=threads),
            )
        )
    return tuple(stages)


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


def _overlap(text: str) -> float:
    return float(_number(text, float, 0, 0.5, "a part of a tile between 0 and 0.5"))


def _tiles(text: str) -> tuple[int, int]:
    columns, rows = (int(part) if part.isdecimal() else 0 for part in (text.partition("x")[::2]))
    if not (1 <= columns <= MOST_TILES and 1 <= rows <= MOST_TILES and columns * rows > 1):
        what = f"COLSxROWS with 1 to {MOST_TILES} each and at least two tiles, as 3x2"
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return columns, rows


def _seconds(text: str) -> float:
    return float(_number(text, float, 0.1, 3600, "a number of seconds between 0.1 and 3600"))
