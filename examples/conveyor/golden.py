"""Renders the golden pictures of the conveyor model: ``python -m examples.conveyor.golden``.

Scenes that were neither trained on nor scored; as JPEG, whose planes a bundle keeps as they are.
"""

from __future__ import annotations

from pathlib import Path

import cv2

from examples.conveyor.render import Scene

FOLDER = Path(__file__).parent / "model" / "golden"
SEEDS = (9301, 9302, 9303, 9304, 9305, 9306)
WIDTH, HEIGHT, QUALITY = 640, 360, 85
FRAME = 40


def main() -> None:
    """Write them."""
    FOLDER.mkdir(exist_ok=True)
    for seed in SEEDS:
        picture = Scene(seed, WIDTH, HEIGHT).frame(FRAME)[0]
        path = FOLDER / f"scene-{seed}.jpg"
        if not cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY]):
            raise OSError(f"{path} cannot be written")


if __name__ == "__main__":
    main()
