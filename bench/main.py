"""script/bench: one run, ratios against peers and against the physical floor."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import re
import sys
import tempfile
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from bench import bundle, footage, footprint, models, page, pipeline, postprocess, preprocess
from bench.measure import Ratio
from bench.models import ROOT

CACHE = ROOT / "build" / "bench"
RESULTS = ROOT / "bench" / "results"
PARTS = ("preprocess", "postprocess", "pipeline", "bundle", "footprint")
LIBRARIES = ("onnxruntime", "av", "opencv-python-headless", "openvino", "numpy")
KERNEL_ROUNDS, PIPELINE_ROUNDS = 31, 15
QUICK_KERNEL_ROUNDS, QUICK_PIPELINE_ROUNDS = 9, 3
FOOTPRINT_S, FOOTPRINT_STARTS = 300, 9
QUICK_FOOTPRINT_S, QUICK_FOOTPRINT_STARTS = 30, 3
# What the agent may cost: MB, percent of a core, seconds.
FOOTPRINT_AIMS = {"agent_pss_mb": 40.0, "agent_cpu_pct": 0.5, "agent_ready_s": 1.0}

EPILOG = """\
examples:
  script/bench                      everything, 20 minutes on two cores
  script/bench --save               the same, kept: bench/results/, docs/benchmarks.md
  script/bench --quick              fewer rounds, to see a trend
  script/bench --only pipeline --codec h264 --model fastestdet --peer openvino --rounds 5
"""


@dataclass
class Record:
    """What the run found so far; printed line by line, written as JSON at the end."""

    document: dict[str, Any] = field(default_factory=dict)

    def ratio(self, name: str, ratio: Ratio, comment: str = "") -> None:
        """A ratio with its spread."""
        figures = {"median": ratio.median, "low": ratio.low, "high": ratio.high}
        self.document["ratios"][name] = {key: round(value, 4) for key, value in figures.items()}
        print(f"    {name:52} {ratio}  {comment}".rstrip(), flush=True)

    def cpu_ms(self, name: str, milliseconds: float) -> None:
        """CPU milliseconds of one call, or of one frame."""
        self.document["cpu_ms"][name] = round(milliseconds, 4)
        print(f"  {name}: {milliseconds:.3f} ms", flush=True)


def main() -> int:
    """Command line; see ``--help``."""
    parser = _parser()
    options = parser.parse_args()
    partly = options.only or options.codec or options.model or options.peer
    if options.save and (partly or options.quick):
        parser.error("--save keeps a whole run only")
    record = Record(
        {
            "date": dt.datetime.now(dt.UTC).date().isoformat(),
            "machine": _machine(),
            "versions": _versions(),
            "ratios": {},
            "cpu_ms": {},
            "left_out": {},
        }
    )
    parts = options.only or PARTS
    kernel_rounds = options.rounds or (QUICK_KERNEL_ROUNDS if options.quick else KERNEL_ROUNDS)
    if "preprocess" in parts:
        _preprocess(record, kernel_rounds)
    if "postprocess" in parts:
        _postprocess(record, kernel_rounds)
    if "pipeline" in parts:
        rounds = options.rounds or (QUICK_PIPELINE_ROUNDS if options.quick else PIPELINE_ROUNDS)
        _pipeline(record, rounds, options)
    if "bundle" in parts:
        _bundle(record, options.rounds or (QUICK_PIPELINE_ROUNDS if options.quick else PIPELINE_ROUNDS))
    if "footprint" in parts:
        _footprint(record, quick=options.quick)
    text = json.dumps(record.document, indent=2) + "\n"
    if options.json:
        options.json.write_text(text)
    if options.save:
        _result_file(record.document).write_text(text)
        page.PAGE.write_text(page.render(record.document))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="script/bench",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    parser.add_argument("--save", action="store_true", help="keep the figures: bench/results/, docs/")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: wider spread")
    parser.add_argument("--rounds", type=int, metavar="N", help="so many rounds of everything")
    parser.add_argument("--only", action="append", choices=PARTS, help="this part; may be given again")
    parser.add_argument("--codec", action="append", choices=tuple(footage.CODECS), help="this codec only")
    parser.add_argument("--model", action="append", choices=tuple(models.MODELS), help="this model only")
    parser.add_argument("--peer", action="append", choices=tuple(pipeline.PEERS), help="this peer only")
    return parser


def _preprocess(record: Record, rounds: int) -> None:
    print("preprocess 1080p to letterboxed float32 NCHW, one thread; above 1: so many times faster")
    picture = footage.i420()
    for size in (416, 640):
        result = preprocess.run(picture, size, rounds)
        for name in result.seconds:
            record.cpu_ms(f"preprocess {name} {size}", result.median_ms(name))
        record.ratio(f"preprocess_vs_opencv_{size}", result.ratio("opencv colour first", "native"))
        record.ratio(f"preprocess_vs_opencv_planes_{size}", result.ratio("opencv planes first", "native"))
        record.ratio(f"preprocess_vs_memory_{size}", result.ratio("native", "memory"), "below 1: less than")
        record.ratio(f"preprocess_nv12_vs_i420_{size}", result.ratio("native nv12", "native"), "of its time")


def _postprocess(record: Record, rounds: int) -> None:
    print("YOLOX decode and NMS; above 1: so many times faster than NumPy and OpenCV")
    for size, rows in ((416, 3549), (640, 8400)):
        result = postprocess.run(size, rounds)
        for name in result.seconds:
            record.cpu_ms(f"postprocess {name} {rows}", result.median_ms(name))
        record.ratio(f"postprocess_vs_numpy_{rows}", result.ratio("numpy", "native"))


def _pipeline(record: Record, rounds: int, options: argparse.Namespace) -> None:
    data = models.test_data()
    if data is None:
        record.document["left_out"]["pipeline"] = "no real models: set EDGEWARD_TEST_DATA to their folder"
        print(f"pipeline: left out, {record.document['left_out']['pipeline']}")
        return
    peers = []
    for peer in options.peer or pipeline.PEERS:
        if why := pipeline.missing(peer):
            record.document["left_out"][peer] = why
            print(f"{peer}: left out, {why}")
        else:
            peers.append(peer)
    record.document |= {"rounds": rounds, "frames": footage.BENCH_FRAMES, "detections": {}}
    print(
        f"pipeline, 1080p, CPU of a frame; {rounds} rounds of {footage.BENCH_FRAMES} frames; below 1 is good"
    )
    files = footage.make(CACHE)
    for name in options.model or models.MODELS:
        with tempfile.TemporaryDirectory(prefix="edgeward-bench-") as work:
            model = models.bundle(name, data, Path(work))
            for codec in options.codec or files:
                found = pipeline.run(files[codec], model, footage.BENCH_FRAMES, rounds, peers)
                _note_pipeline(record, found, f"{codec}_{name}", peers)


def _bundle(record: Record, rounds: int) -> None:
    print("verify and store a 100 MB bundle, by the clock, against sha256sum + cp + sync; below 1.5 is good")
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bundle-", dir=CACHE) as work:
        found = bundle.run(Path(work), rounds)
    for name in found.cpu.seconds:
        record.cpu_ms(f"bundle {name}", found.cpu.median_ms(name))
    record.ratio("bundle_vs_copy", found.wall.ratio("ingest", "copy"))
    record.ratio("bundle_vs_copy_cpu", found.cpu.ratio("ingest", "copy"))
    record.document["ingest_child_mb"] = {size: round(mb, 1) for size, mb in found.child_mb.items()}
    print(f"    ingest_child_mb: {record.document['ingest_child_mb']}, resident at its peak; 40 is the most")


def _footprint(record: Record, *, quick: bool) -> None:
    seconds, starts = (
        (QUICK_FOOTPRINT_S, QUICK_FOOTPRINT_STARTS) if quick else (FOOTPRINT_S, FOOTPRINT_STARTS)
    )
    print(f"the agent alone, with one idle pipeline, over {seconds} s, beside a bare asyncio and paho")
    with tempfile.TemporaryDirectory(prefix="edgeward-bench-") as work:
        found = footprint.run(Path(work), seconds, starts)
    figures = {}
    for name, cost in (("agent", found.agent), ("floor", found.floor)):
        figures |= {
            f"{name}_pss_mb": round(cost.pss_mb, 1),
            f"{name}_own_mb": round(cost.own_mb, 1),
            f"{name}_cpu_pct": round(cost.cpu_pct, 3),
            f"{name}_ready_s": round(cost.ready_s, 3),
            f"{name}_threads": cost.threads,
        }
    record.document["footprint"] = {"seconds": seconds, **figures}
    for name, figure in figures.items():
        aim = f"at most {FOOTPRINT_AIMS[name]:g}" if name in FOOTPRINT_AIMS else ""
        print(f"    {name:52} {figure:8}  {aim}".rstrip(), flush=True)


def _note_pipeline(record: Record, found: pipeline.Outcome, key: str, peers: list[str]) -> None:
    codec, _, name = key.partition("_")
    print(f" {name}, {codec}")
    for contender in found.rounds.seconds:
        milliseconds = found.rounds.median_ms(contender, per=footage.BENCH_FRAMES)
        record.cpu_ms(f"pipeline {contender} {codec} {name}", milliseconds)
    stages = {stage: round(milliseconds, 3) for stage, milliseconds in found.stages().items()}
    record.document["cpu_ms"][f"stages {codec} {name}"] = stages
    record.document["detections"][key] = dict(found.detections)
    print(f"    stages, ms: {stages}\n    detections: {dict(found.detections)}")
    record.ratio(f"own_share_{key}", found.own_share(), "of all CPU is neither decode nor engine")
    record.ratio(f"pipeline_vs_floor_{key}", found.rounds.ratio("edgeward", "floor"))
    for peer in peers:
        record.ratio(f"pipeline_vs_peer_{peer}_{key}", found.rounds.ratio("edgeward", peer))
    for peer in peers:
        record.ratio(f"peer_vs_floor_{peer}_{key}", found.rounds.ratio(peer, "floor"))


def _result_file(document: dict[str, Any]) -> Path:
    """One file a day and machine; a later run of the day replaces it."""
    machine = document["machine"]
    cpu = re.sub(r"[^a-z0-9]+", "-", machine["cpu"].lower()).strip("-")
    return RESULTS / f"{document['date']}-{cpu}-{machine['cpus']}-cores.json"


def _machine() -> dict[str, Any]:
    return {
        "cpu": _cpu(),
        "cpus": len(os.sched_getaffinity(0)),
        "arch": platform.machine(),
        "python": platform.python_version(),
    }


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "Model")):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def _versions() -> dict[str, str]:
    """Of the libraries that were measured, those that are installed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    sys.exit(main())
