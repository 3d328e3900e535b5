"""Draw a result into its picture: boxes, keypoints, masks, classes, segmentations, finds of cascades."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import ModuleType

import numpy as np

from runtime.engine import Array
from runtime.findings import Classified, Detection, Findings, Keypoint, Mask, Segmentation
from runtime.ipc import Result

Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]

COLOURS: tuple[Colour, ...] = (
    (80, 220, 80),
    (240, 160, 40),
    (60, 180, 250),
    (250, 80, 200),
    (60, 60, 240),
    (220, 220, 60),
)
_PLAIN: Colour = (200, 200, 200)
_BLACK: Colour = (0, 0, 0)
_WHITE: Colour = (255, 255, 255)
_FONT = 0
_SMOOTH = 16
_SEEN = 0.2
"""Keypoints with less are left out: models give a place also to those that they do not see."""


class Drawing:
    """Draws into uint8 ``[H, W, 3]`` BGR pictures; a label keeps its colour from picture to picture.

    Args:
        cv2: OpenCV's module, which is an extra.
    """

    def __init__(self, cv2: ModuleType) -> None:
        self._cv2 = cv2
        self._colours: dict[str, Colour] = {}

    def draw(self, picture: Array, result: Result) -> None:
        """Draw all of ``result``, which is about this ``picture``."""
        page = _Page(self._cv2, picture, self._colours)
        found = Findings(
            detections=result.detections,
            classes=result.classes,
            segmentation=result.segmentation,
        )
        # Areas first, so that no line or name disappears below one.
        page.areas(found)
        page.boxes(found.detections)
        lines = [] if result.status == "detections" else [(f"{result.status}: {result.why}", _PLAIN)]
        lines += page.legend(found.classes, found.segmentation)
        page.lines(lines, 0, 0)


class _Page:
    """One picture that is drawn into. Sizes of letters and lines go by its height."""

    def __init__(self, cv2: ModuleType, picture: Array, colours: dict[str, Colour]) -> None:
        self._cv2 = cv2
        self._picture = picture
        self._colours = colours
        self.height, self.width = picture.shape[:2]
        self._thickness = max(1, self.height // 360)
        self._letters = max(0.4, self.height / 1200)
        self._stroke = max(1, self.height // 540)

    def _reaches(self, point: Keypoint) -> bool:
        """Whether its dot is in the picture: a model may see it anywhere, also where OpenCV cannot draw."""
        edge = 4 * self._thickness
        inside: bool = -edge <= point.x <= self.width + edge and -edge <= point.y <= self.height + edge
        return inside

    def _colour(self, label: str) -> Colour:
        return self._colours.setdefault(label, COLOURS[len(self._colours) % len(COLOURS)])

    def areas(self, found: Findings) -> None:
        """Segmentation and masks, half transparent, those inside of boxes as well."""
        if found.segmentation is not None:
            self._segmentation(found.segmentation)
        for detection in found.detections:
            if detection.mask is not None:
                self._mask(detection.mask, self._colour(detection.label))
            for inside in detection.inside:
                self.areas(inside.findings)

    def boxes(self, detections: Iterable[Detection]) -> None:
        """Boxes with keypoints and names; below a name what cascades found inside."""
        for detection in detections:
            colour = self._colour(detection.label)
            left, top, right, bottom = (round(edge) for edge in detection.box)
            self._cv2.rectangle(self._picture, (left, top), (right, bottom), colour, self._thickness)
            for point in detection.keypoints:
                if point.score >= _SEEN and self._reaches(point):
                    centre = round(point.x), round(point.y)
                    self._cv2.circle(self._picture, centre, 3 * self._thickness, _BLACK, -1, _SMOOTH)
                    self._cv2.circle(self._picture, centre, 2 * self._thickness, colour, -1, _SMOOTH)
            names = [(f"{detection.label} {detection.score:.2f}", colour)]
            for inside in detection.inside:
                self.boxes(inside.findings.detections)
                legend = self.legend(inside.findings.classes, inside.findings.segmentation)
                names += [(f"{inside.stage}: {text}", own) for text, own in legend]
            self.lines(names, left, top, above=True)

    def legend(
        self, classes: Sequence[Classified], segmentation: Segmentation | None
    ) -> list[tuple[str, Colour]]:
        """A line for each class of a picture, best first, then for each class of a segmentation."""
        lines = [(f"{found.label} {found.score:.2f}", self._colour(found.label)) for found in classes]
        if segmentation is not None:
            shares = sorted(segmentation.shares.items(), key=lambda item: -item[1])
            lines += [(f"{label} {share:.0%}", self._colour(label)) for label, share in shares]
        return lines

    def lines(self, lines: Sequence[tuple[str, Colour]], left: int, top: int, *, above: bool = False) -> None:
        """Lines of text, each on a ground of its colour, moved so that they lie in the picture.

        Args:
            lines: text and colour.
            left: where they begin, pixels.
            top: upper edge of the first line; with ``above`` the first line stands on it.
            above: the first line is a title over a box, the others follow inside the box.
        """
        for at, (text, colour) in enumerate(lines):
            (width, ascent), descent = self._cv2.getTextSize(text, _FONT, self._letters, self._stroke)
            height = ascent + descent + 2
            if at == 0:
                # At the upper edge the title goes inside the box.
                y = top - height if above and top >= height else max(0, top)
            x = min(max(0, left), max(0, self.width - width - 2))
            y = min(y, max(0, self.height - height))
            self._cv2.rectangle(self._picture, (x, y), (x + width + 1, y + height - 1), colour, -1)
            base = (x + 1, y + ascent + 1)
            ink = _ink(colour)
            self._cv2.putText(self._picture, text, base, _FONT, self._letters, ink, self._stroke, _SMOOTH)
            y += height

    def _mask(self, mask: Mask, colour: Colour) -> None:
        inside = np.arange(len(mask.runs)) % 2 == 1
        grid = np.repeat(inside, mask.runs).reshape(mask.height, mask.width)
        self._blend(grid, mask.box, np.array([(0, 0, 0), colour], np.uint8))

    def _segmentation(self, found: Segmentation) -> None:
        values = np.array([value for value, _ in found.runs], np.int64)
        lengths = [length for _, length in found.runs]
        order = list(dict.fromkeys(value for value in values.tolist() if value >= 0))
        # The decoder names the shares in the order in which their classes occur.
        named = len(order) == len(found.shares)
        names = list(found.shares) if named else [str(value) for value in order]
        palette = np.zeros((max(order, default=0) + 2, 3), np.uint8)
        for value, name in zip(order, names, strict=True):
            palette[value + 1] = self._colour(name)
        grid = np.repeat(values + 1, lengths).reshape(found.height, found.width)
        self._blend(grid, found.box, palette)

    def _blend(self, grid: Array, box: Box, palette: Array) -> None:
        """Half of the colour ``palette[value]`` wherever the grid, which lies over ``box``, is not 0."""
        rows, ys = _cells(box[1], box[3], grid.shape[0], self.height)
        columns, xs = _cells(box[0], box[2], grid.shape[1], self.width)
        part = self._picture[rows, columns]
        values = grid[np.ix_(ys, xs)]
        mixed = part // 2 + palette[values.astype(np.intp)] // 2
        np.copyto(part, mixed, where=(values != 0)[:, :, np.newaxis])


def _cells(low: float, high: float, count: int, size: int) -> tuple[slice, Array]:
    """The pixels whose middle lies between two edges and in the picture, and the cell in which each lies."""
    first, last = max(0, round(low)), min(size, round(high))
    middles = np.arange(first, max(first, last)) + 0.5
    cells = np.floor((middles - low) * count / max(high - low, 1e-9)).astype(np.intp)
    return slice(first, max(first, last)), np.clip(cells, 0, count - 1)


def _ink(ground: Colour) -> Colour:
    """Black or white, whichever is easier to read on ``ground`` (BGR; weights of BT.601)."""
    blue, green, red = ground
    return _BLACK if 0.114 * blue + 0.587 * green + 0.299 * red > 128 else _WHITE
