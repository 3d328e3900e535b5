"""The picture that the demo leaves behind: a frame of each camera with what the device reported of it."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from examples.conveyor.score import Detection
from examples.rtsp.access_units import read_aus

COLOURS = {"bolt": (80, 200, 80), "nut": (230, 160, 50), "washer": (60, 190, 240), "damaged": (60, 60, 235)}
Picture = npt.NDArray[np.uint8]


def draw(footage: Path, index: int, detections: list[Detection], caption: str) -> Picture:
    """Frame ``index`` of a recording, decoded again, with boxes; uint8 ``[H, W, 3]`` BGR."""
    picture = _decode(footage, index)
    for one in detections:
        colour = COLOURS[one.label]
        x1, y1, x2, y2 = (round(edge) for edge in one.box)
        cv2.rectangle(picture, (x1, y1), (x2, y2), colour, 2)
        text = f"{one.label} {one.score:.2f}"
        (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.6, 1)
        top = max(0, y1 - height - 8)
        cv2.rectangle(picture, (x1 - 1, top), (x1 + width + 6, top + height + 8), colour, -1)
        cv2.putText(
            picture, text, (x1 + 3, top + height + 3), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 1, 16
        )
    cv2.rectangle(picture, (0, 0), (picture.shape[1], 34), (30, 30, 30), -1)
    cv2.putText(picture, caption, (12, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (235, 235, 235), 1, 16)
    return picture


def write(path: Path, pictures: list[Picture]) -> None:
    """The pictures one above the other, as JPEG."""
    cv2.imwrite(str(path), np.vstack(pictures), [cv2.IMWRITE_JPEG_QUALITY, 85])


def _decode(footage: Path, index: int) -> Picture:
    header, units = read_aus(footage)
    decoder = av.CodecContext.create("hevc" if header["codec"] == "h265" else "h264", "r")
    number = -1
    for data in [*(unit.data for unit in units), None]:
        for frame in decoder.decode(av.Packet(data) if data is not None else None):
            number += 1
            if number == index:
                return np.ascontiguousarray(frame.to_ndarray(format="bgr24"))
    raise ValueError(f"{footage} has {number + 1} frames, not {index + 1}")
