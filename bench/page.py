"""docs/benchmarks.md, made from one file of figures."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.models import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
RESULTS = ROOT / "bench" / "results"
CODECS = {"h264": "H.264", "h265": "H.265"}
MODELS = {"yolox_nano": "yolox_nano", "fastestdet": "FastestDet"}
PEERS = {
    "opencv_script": "OpenCV and onnxruntime: VideoCapture, resize, NumPy, NMS",
    "openvino": "OpenVINO, preprocessing in the graph",
    "ffmpeg_pipe": "FFmpeg process, small pictures by a pipe, onnxruntime",
    "gstreamer": "GStreamer appsink, small pictures, onnxruntime",
}
KERNELS = {
    "preprocess_vs_opencv": "times faster than OpenCV, colour first (the usual way)",
    "preprocess_vs_opencv_planes": "times faster than OpenCV, planes first (its best way)",
    "preprocess_vs_memory": "of the time of a memcpy of the frame and a memset of the tensor",
    "preprocess_nv12_vs_i420": "NV12: of the time of I420",
}

HEAD = """\
# Benchmarks

Made by `script/bench --save`; [how to measure a device](guide/benchmark.md) is another page.

Everything here is a ratio of one run: what is compared is measured in turns, by CPU time, and a figure is
the median of the rounds with the 10th and 90th percentile behind it. Times of a shared machine differ by
30 % from minute to minute, ratios hold better. One thread for decoding and one for the model, for
everybody.
"""

PIPELINE = """\
All look at the same {frames} frames in each of {rounds} rounds, use the same model and the same
thresholds, and find about the same objects: a run in which somebody finds a quarter more or less than
edgeward fails. What counts is the CPU time of the process and of its children: of those that decode in
their own thread from the opening of the source on, of FFmpeg's and GStreamer's from the first frame on,
and of edgeward's worker from the loaded model on, the opening and the messages to the agent included;
what the agent does with them is not in it. The floor decodes and runs the model, each as bare as it gets,
and does nothing between them.
"""

BUNDLE = """\
Verified and stored by the agent's short-lived child, from its start to its answer: signature, digests of
files and blocks, private staging, the bytes on the disk. Against `sha256sum`, `cp` and `sync` of the same
file, by the clock.
"""

FOOTPRINT = """\
The agent as it is installed, with one pipeline whose camera rests: a worker with a loaded model and a frame
in ten seconds. Only the agent's process is counted. Beside it the least that a Python program with a link
to a broker costs: asyncio and paho. Memory is proportional: what processes share is divided among them.
Over {seconds} s.
"""

TAIL = """\
The own share is what is neither reading, decoding nor the engine, over the whole, by the thread clock
inside one run: it holds preprocessing, decoding of the outputs, messages, threads and the interpreter.
"""


def render(document: Mapping[str, Any]) -> str:
    """The page; tables whose figures are not there are left out."""
    machine, versions = document["machine"], document.get("versions", {})
    libraries = ", ".join(f"{name} {version}" for name, version in versions.items())
    lines = [HEAD]
    cores = f", {machine['cpus']} cores" if "cpus" in machine else ""
    lines.append(
        f"Measured {document['date']} on {machine['cpu']} ({machine['arch']}{cores}) with Python "
        f"{machine['python']}{', ' if libraries else ''}{libraries}."
    )
    lines += ["", *_kernels(document), *_pipeline(document), *_bundle(document), *_footprint(document)]
    return "\n".join(lines).rstrip() + "\n"


def _kernels(document: Mapping[str, Any]) -> list[str]:
    ratios, cpu_ms = document["ratios"], document["cpu_ms"]
    lines = []
    if "preprocess_vs_opencv_416" in ratios:
        lines += ["## Preprocess: 1080p I420 to a letterboxed float32 NCHW tensor", ""]
        lines += _table(
            ["", "416", "640"],
            [
                ["native, ms", *(_ms(cpu_ms, f"preprocess native {size}") for size in (416, 640))],
                *(
                    [text, *(_told(ratios[f"{key}_{size}"]) for size in (416, 640))]
                    for key, text in KERNELS.items()
                ),
            ],
        )
    if "postprocess_vs_numpy_3549" in ratios:
        lines += ["## YOLOX decode and NMS", ""]
        rows = ("3549", "8400")
        lines += _table(["", *(f"{number}x85" for number in rows)], [
            ["native, ms", *(_ms(cpu_ms, f"postprocess native {number}") for number in rows)],
            ["times faster than NumPy and OpenCV's batched NMS, same boxes",
             *(_told(ratios[f"postprocess_vs_numpy_{number}"]) for number in rows)],
        ])  # fmt: skip
    return lines


def _pipeline(document: Mapping[str, Any]) -> list[str]:
    ratios, cpu_ms = document["ratios"], document["cpu_ms"]
    columns = [
        (codec, model) for model in MODELS for codec in CODECS if f"own_share_{codec}_{model}" in ratios
    ]
    if not columns:
        return []
    lines = ["## The whole pipeline: 1080p, CPU of a frame", "", PIPELINE.format(**document)]
    rows = [
        ["edgeward's worker process, ms", *_each(cpu_ms, "pipeline edgeward {} {}", columns)],
        ["decode and inference alone (the floor), ms", *_each(cpu_ms, "pipeline floor {} {}", columns)],
        ["own share", *(_percent(ratios.get(f"own_share_{codec}_{model}")) for codec, model in columns)],
        ["**edgeward against the floor**", *_each(ratios, "pipeline_vs_floor_{}_{}", columns)],
    ]
    for peer, text in PEERS.items():
        rows.append(
            [f"**edgeward against** {text}", *_each(ratios, f"pipeline_vs_peer_{peer}_{{}}_{{}}", columns)]
        )
    for peer, text in PEERS.items():
        rows.append(
            [f"{text}, against the floor", *_each(ratios, f"peer_vs_floor_{peer}_{{}}_{{}}", columns)]
        )
    heading = [f"{MODELS[model]}, {CODECS[codec]}" for codec, model in columns]
    lines += _table(["", *heading], rows)
    lines.append(TAIL)
    for name, why in document.get("left_out", {}).items():
        lines.append(f"Left out: {name}, {why}.")
    return lines


def _bundle(document: Mapping[str, Any]) -> list[str]:
    ratios, peak = document["ratios"], document.get("ingest_child_mb", {})
    if "bundle_vs_copy" not in ratios:
        return []
    rows = [
        ["verify and store, CPU ms", _ms(document["cpu_ms"], "bundle ingest")],
        ["`sha256sum` + `cp` + `sync`, CPU ms", _ms(document["cpu_ms"], "bundle copy")],
        ["**of their time by the clock**", _told(ratios["bundle_vs_copy"])],
        ["of their CPU time", _told(ratios["bundle_vs_copy_cpu"])],
        *(
            [f"the child's memory at its peak, a bundle of {size}, MB", f"{mb:.1f}"]
            for size, mb in peak.items()
        ),
    ]
    return ["## A bundle of 100 MB", "", BUNDLE, *_table(["", ""], rows)]


def _footprint(document: Mapping[str, Any]) -> list[str]:
    figures = document.get("footprint")
    if not figures:
        return []
    rows = [
        [text, *(str(figures[f"{who}_{key}"]) for who in ("agent", "floor")), aim]
        for key, text, aim in (
            ("pss_mb", "memory, proportional, MB", "40"),
            ("own_mb", "of it nobody else's, MB", ""),
            ("cpu_pct", "CPU, percent of a core", "0.5"),
            ("ready_s", "from start to ready, s", "1.0"),
            ("threads", "threads", ""),
        )
    ]
    heading = ["", "agent", "asyncio and paho", "at most"]
    return ["## The agent itself", "", FOOTPRINT.format(**figures), *_table(heading, rows)]


def _each(figures: Mapping[str, Any], key: str, columns: Iterable[tuple[str, str]]) -> list[str]:
    return [_told(figures.get(key.format(codec, model))) for codec, model in columns]


def _ms(cpu_ms: Mapping[str, float], name: str) -> str:
    return f"{cpu_ms[name]:.3f}" if name in cpu_ms else "-"


def _told(figure: Mapping[str, float] | float | None) -> str:
    if figure is None:
        return "-"
    if isinstance(figure, Mapping):
        return f"{figure['median']:.2f} ({figure['low']:.2f} to {figure['high']:.2f})"
    return f"{figure:.2f}"


def _percent(figure: Mapping[str, float] | None) -> str:
    if figure is None:
        return "-"
    return f"{figure['median'] * 100:.1f} % ({figure['low'] * 100:.1f} to {figure['high'] * 100:.1f})"


def _table(heading: list[str], rows: Iterable[list[str]]) -> list[str]:
    lines = [f"| {' | '.join(heading)} |", f"|{' --- |' * len(heading)}"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]


def newest() -> Path:
    """The newest file of figures."""
    return max(RESULTS.glob("*.json"))


if __name__ == "__main__":
    sys.stdout.write(render(json.loads(newest().read_text())))
