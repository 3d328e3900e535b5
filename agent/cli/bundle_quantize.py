"""``edgeward bundle quantize``: an int8 variant beside the float32 one, taken only when it answers alike."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from agent.cli import arguments, author_child, output
from agent.cli.bundle_report import size

EPILOG = """\
examples:
  edgeward bundle quantize my-model/ --calibrate belt.mp4
  edgeward bundle quantize my-model/ --calibrate pictures/ night.mp4 --frames 200 --min-kept 0.95
  edgeward bundle quantize my-model/ --calibrate belt.mp4 --json

Calibrate with frames of what the cameras will see, day and night. The new variant is judged by the golden
frames of bundle.toml, and without any by a quarter of the frames, which is kept back. It must keep what the
metric of [golden] asks: of detections 0.9 matched, with a mean overlap of 0.8; --min-kept changes the first.
One that loses more is refused, and the folder stays as it was.
"""


def add(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the action."""
    parser = actions.add_parser(
        "quantize",
        help="add an int8 variant to a folder, and say what it costs and gains",
        allow_abbrev=False,
        description="Add a static int8 ONNX variant to a folder, made of its float32 one.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="holds bundle.toml and the model files")
    parser.add_argument(
        "--calibrate",
        metavar="FILE",
        nargs="+",
        action="extend",
        default=[],
        type=Path,
        help="films, pictures, or folders of them (default: the golden frames)",
    )
    parser.add_argument(
        "--frames",
        type=_frames,
        default=64,
        metavar="N",
        help="take N frames at most, evenly spread (default 64)",
    )
    parser.add_argument(
        "--variant", default="", metavar="ID", help="the one to quantise (default: the first that can be)"
    )
    parser.add_argument(
        "--min-kept",
        type=arguments.fraction,
        metavar="S",
        help="0 to 1: the least share of answers that must stay (default: the metric's own)",
    )
    parser.add_argument(
        "--threads", type=arguments.threads, default=1, metavar="N", help="to measure with (default 1)"
    )
    output.add_json_option(parser)
    parser.set_defaults(handler=handle)


def _frames(text: str) -> int:
    if not text.isdecimal() or not 4 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of frames from 4 to 10000")
    return int(text)


def handle(options: argparse.Namespace) -> int:
    """Quantise."""
    request = {
        "folder": str(options.folder.absolute()),
        "calibrate": [str(path.absolute()) for path in options.calibrate],
        "frames": options.frames,
        "variant": options.variant,
        "min_kept": options.min_kept,
        "threads": options.threads,
    }
    found = author_child.run("quantize", request, where=str(options.folder), threads=options.threads)
    if options.json:
        output.print_document(found)
    else:
        sys.stdout.write(_summary(found))
    return 0


def _summary(found: dict[str, Any]) -> str:
    base, new = found["from"], found["variant"]
    latency, weight = found["latency_ms"], found["bytes"]
    judged, kept = found["judged"], found["kept"]
    width = max(len(base), len(new), 7)
    text = f"added the variant {new!r} to {found['folder']}/bundle.toml: {found['file']}\n"
    threads = "one thread" if found["threads"] == 1 else f"{found['threads']} threads"
    text += f"  {'variant':{width}}  {'ms a frame':>10}  {'size':>9}   on {threads}, median\n"
    text += f"  {base:{width}}  {latency[base]:10.2f}  {size(weight[base]):>9}\n"
    faster = latency[base] / latency[new]
    text += f"  {new:{width}}  {latency[new]:10.2f}  {size(weight[new]):>9}   {_times(faster)}\n"
    frames = "golden frames" if judged["golden"] else "frames that did not calibrate"
    text += f"  kept       {kept['why']}, on {judged['frames']} {frames}\n"
    if judged["golden"] and not judged["apart"]:
        text += "             the same frames calibrated it: other ones would judge it better\n"
    text += f"  calibrated {judged['calibrated']} frames\n"
    for one in found["tried"]:
        verdict = "taken" if one["taken"] else "passed" if one["passed"] else "refused"
        ms = f", {one['latency_ms']:.2f} ms" if one["passed"] else ""
        text += f"  tried      {one['plan']}: kept {one['kept']:.3f}{ms}, {verdict}\n"
    text += f"the way back: remove that table from bundle.toml, and {found['file']}\n"
    return text + "next: raise version and release_counter, and pack the folder again\n"


def _times(faster: float) -> str:
    return f"{faster:.2f} times as fast" if faster >= 1 else f"{1 / faster:.2f} times as SLOW on this machine"
