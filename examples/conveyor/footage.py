"""Write rendered footage as a recording for the RTSP server, and beside it what is really in each frame.

`python -m examples.conveyor.footage belt.aus --seed 7 --codec h265 --seconds 20 --truth belt.json`

The truth file is JSON: {"seed", "fps", "frames", "width", "height", "labels", "truth": [frame, ...]}, each
frame a list of {"label", "box": [x1, y1, x2, y2], "visible", "part"}. When the recording loops, frame i of
the stream is frame i modulo "frames" of the file.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from examples.conveyor.render import Image, Scene
from examples.conveyor.truth import LABELS, Truth
from examples.rtsp.access_units import Codec, encode_access_units


def as_json(truth: Truth) -> dict[str, Any]:
    """A truth as the file holds it."""
    box = [round(value, 2) for value in truth.box]
    return {"label": truth.label, "box": box, "visible": round(truth.visible, 4), "part": truth.part_id}


def read_truth(path: Path) -> list[list[Truth]]:
    """The frames of a truth file."""
    frames = json.loads(path.read_text())["truth"]
    return [
        [Truth(part["label"], tuple(part["box"]), part["visible"], part["part"]) for part in frame]
        for frame in frames
    ]


def write_footage(
    out: Path,
    *,
    seed: int,
    codec: Codec,
    frames: int,
    truth_path: Path | None = None,
    size: tuple[int, int] = (1280, 720),
    fps: int = 15,
) -> list[list[Truth]]:
    """Render and encode the first `frames` frames of a scene; returns the truth of each."""
    scene = Scene(seed, *size, fps=fps)
    truths: list[list[Truth]] = []

    def images() -> Iterator[Image]:
        for index in range(frames):
            image, found = scene.frame(index)
            truths.append(found)
            yield image

    encode_access_units(images(), out, codec=codec, fps=Fraction(fps))
    if truth_path is not None:
        content = {
            "seed": seed,
            "fps": fps,
            "frames": frames,
            "width": size[0],
            "height": size[1],
            "labels": list(LABELS),
            "truth": [[as_json(truth) for truth in found] for found in truths],
        }
        truth_path.write_text(json.dumps(content))
    return truths


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Write footage of a rendered conveyor belt.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--codec", choices=["h264", "h265"], default="h264")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("--fps", type=int, default=15)
    parser.add_argument("--truth", type=Path, help="write the truth here (JSON)")
    arguments = parser.parse_args()
    frames = round(arguments.seconds * arguments.fps)
    write_footage(
        arguments.out,
        seed=arguments.seed,
        codec=arguments.codec,
        frames=frames,
        truth_path=arguments.truth,
        size=(arguments.width, arguments.height),
        fps=arguments.fps,
    )
    print(f"{arguments.out}: {frames} frames")


if __name__ == "__main__":
    main()
