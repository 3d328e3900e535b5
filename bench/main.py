"""script/bench: one run, ratios against peers and against the physical floor."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import platform
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import footage, models, pipeline, postprocess, preprocess
from bench.measure import Ratio

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / "build" / "bench"


def main() -> int:
    """Command line; see ``--help``."""
    parser = argparse.ArgumentParser(
        prog="script/bench",
        description=__doc__,
        epilog="examples:\n  script/bench --json bench.json    everything, about 10 minutes on two cores\n"
        "  script/bench --quick              fewer rounds, to see a trend",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: wider spread")
    parser.add_argument("--only", choices=("preprocess", "postprocess", "pipeline"), help="one part of it")
    options = parser.parse_args()
    document: dict[str, Any] = {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": {"cpu": _cpu(), "arch": platform.machine(), "python": platform.python_version()},
        "ratios": {},
        "cpu_ms": {},
    }
    kernel_rounds, pipeline_rounds = (9, 3) if options.quick else (31, 15)
    if options.only in {None, "preprocess"}:
        _preprocess(document, kernel_rounds)
    if options.only in {None, "postprocess"}:
        _postprocess(document, kernel_rounds)
    if options.only in {None, "pipeline"}:
        _pipeline(document, pipeline_rounds)
    if options.json:
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    return 0


def _preprocess(document: dict[str, Any], rounds: int) -> None:
    print("preprocess 1080p to letterboxed float32 NCHW, one thread; above 1: so many times faster")
    picture = footage.i420()
    for size in (416, 640):
        result = preprocess.run(picture, size, rounds)
        for name in result.seconds:
            document["cpu_ms"][f"preprocess {name} {size}"] = round(result.median_ms(name), 3)
        print(f"  {size}: native {result.median_ms('native'):.3f} ms")
        _note(document, f"preprocess_vs_opencv_{size}", result.ratio("opencv colour first", "native"))
        _note(document, f"preprocess_vs_opencv_planes_{size}", result.ratio("opencv planes first", "native"))
        _note(
            document, f"preprocess_vs_memory_{size}", result.ratio("native", "memory"), "below 1: less than"
        )
        _note(document, f"preprocess_nv12_vs_i420_{size}", result.ratio("native nv12", "native"))


def _postprocess(document: dict[str, Any], rounds: int) -> None:
    print("YOLOX decode and NMS; above 1: so many times faster than NumPy and OpenCV")
    for size, rows in ((416, 3549), (640, 8400)):
        result = postprocess.run(size, rounds)
        print(f"  {rows}x85: native {result.median_ms('native'):.3f} ms")
        document["cpu_ms"][f"postprocess {rows}"] = round(result.median_ms("native"), 4)
        _note(document, f"postprocess_vs_numpy_{rows}", result.ratio("numpy", "native"))


def _pipeline(document: dict[str, Any], rounds: int) -> None:
    data = models.test_data()
    if data is None:
        print("pipeline: left out, yolox_nano.onnx is not here; set EDGEWARD_TEST_DATA to its folder")
        return
    print(f"pipeline, yolox_nano, 1080p, {footage.FRAMES} frames, CPU per frame; {rounds} rounds")
    files = footage.make(CACHE)
    with tempfile.TemporaryDirectory(prefix="edgeward-bench-") as work:
        model = models.yolox_nano(data, Path(work))
        for codec, video in files.items():
            result, shares = pipeline.run(video, model, footage.FRAMES, rounds)
            for name in result.seconds:
                milliseconds = result.median_ms(name, per=footage.FRAMES)
                document["cpu_ms"][f"pipeline {codec} {name}"] = round(milliseconds, 3)
                print(f"  {codec} {name}: {milliseconds:.2f} ms")
            own = sorted(share.own for share in shares)
            _note(
                document,
                f"own_share_{codec}",
                Ratio(statistics.median(own), own[0], own[-1]),
                "of all CPU is neither decode nor engine",
            )
            stages = {
                stage: round(statistics.median(share.cpu_ms[stage] for share in shares), 3)
                for stage in shares[0].cpu_ms
            }
            document["cpu_ms"][f"stages {codec}"] = stages
            print(f"    stages, ms: {stages}")
            _note(document, f"pipeline_vs_script_{codec}", result.ratio("edgeward", "opencv script"))
            _note(document, f"pipeline_vs_floor_{codec}", result.ratio("edgeward", "floor"))
            _note(document, f"script_vs_floor_{codec}", result.ratio("opencv script", "floor"))


def _note(document: dict[str, Any], name: str, ratio: Ratio, comment: str = "") -> None:
    document["ratios"][name] = {
        "median": round(ratio.median, 4),
        "low": round(ratio.low, 4),
        "high": round(ratio.high, 4),
    }
    print(f"    {name:34} {ratio}  {comment}".rstrip(), flush=True)


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "Model")):
            return line.split(":", 1)[1].strip()
    return platform.processor()


if __name__ == "__main__":
    sys.exit(main())
