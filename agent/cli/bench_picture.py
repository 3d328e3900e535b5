"""The stages of a frame as a table, and as a flame-like picture: the whole above, its parts below."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from typing import TextIO

from agent.cli.bench_measure import Stage

_WIDEST, _NARROWEST = 120, 40
_CORNER = "a frame"
# Background colours of a terminal that differ from their neighbours: blue, green, yellow, magenta, cyan, red.
_COLOURS = (44, 42, 43, 45, 46, 41)


def stages(parts: Sequence[Stage], total_ms: float, to: TextIO | None = None, width: int = 0) -> list[str]:
    """Lines for stdout, or for ``to``: no wider than it, in colour only on a terminal.

    Args:
        parts: in the order of a frame's way.
        total_ms: CPU of the whole frame.
        to: where the lines go.
        width: columns, 0: those of the terminal.
    """
    to = to or sys.stdout
    columns = width or shutil.get_terminal_size((100, 24)).columns
    columns = max(_NARROWEST, min(_WIDEST, columns - 1))
    full, part = ("█", "▏▎▍▌▋▊▉") if _can_say("█▏", to) else ("#", "")
    colour = to.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM", "dumb") != "dumb"
    return [
        *_table(parts, total_ms, columns, full, part),
        "",
        *_flame(parts, total_ms, columns, colour=colour),
    ]


def _can_say(text: str, to: TextIO) -> bool:
    try:
        text.encode(to.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _table(parts: Sequence[Stage], total_ms: float, columns: int, full: str, part: str) -> list[str]:
    """A line a stage: its CPU, its wall time, and a bar as long as its part of the whole."""
    name_width = max(len(_CORNER), *(len(stage.name) for stage in parts))
    room = columns - name_width - 28
    lines = [f"{_CORNER:{name_width}} {'CPU ms':>9} {'wall ms':>9}   part"]
    for stage in parts:
        wall = f"{stage.wall_ms:9.3f}" if stage.wall_ms is not None else f"{'':9}"
        share = stage.cpu_ms / total_ms if total_ms > 0 else 0.0
        bar = _bar(share * room, full, part)
        lines.append(
            f"{stage.name:{name_width}} {stage.cpu_ms:9.3f} {wall} {share * 100:4.0f} % {bar}".rstrip()
        )
    lines.append(f"{'all':{name_width}} {total_ms:9.3f}")
    return lines


def _bar(length: float, full: str, part: str) -> str:
    """``length`` cells, the last one as full as it should be where there are signs for that."""
    whole = int(length)
    eighths = int((length - whole) * (len(part) + 1))
    return full * whole + (part[eighths - 1] if eighths else "")


def _flame(parts: Sequence[Stage], total_ms: float, columns: int, *, colour: bool) -> list[str]:
    """Two rows, as a flame graph has them: the whole frame, and under it what it is made of."""
    inner = columns - 2
    title = f"frame {total_ms:.2f} ms CPU"
    cells = _share_out([stage.cpu_ms for stage in parts], inner)
    row = ""
    for index, (stage, width) in enumerate(zip(parts, cells, strict=True)):
        label = _label(stage, width)
        row += f"\x1b[30;{_COLOURS[index % len(_COLOURS)]}m{label}\x1b[0m" if colour else label
    return [f"|{title:^{inner}}|", f"|{row}|"]


def _label(stage: Stage, width: int) -> str:
    """What fits into ``width`` cells; the last one parts it from the next stage."""
    if width == 0:
        return ""
    room = width - 1
    texts = (f"{stage.name} {stage.cpu_ms:.2f}", stage.name, stage.name[:4], stage.name[:1])
    text = next((text for text in texts if len(text) <= room), "")
    return f"{text:-^{room}}|" if room else "|"


def _share_out(values: Sequence[float], cells: int) -> list[int]:
    """``cells`` shared out in proportion to ``values``, largest remainders first; their sum is ``cells``."""
    total = sum(values)
    if total <= 0:
        return [0] * (len(values) - 1) + [cells]
    exact = [value * cells / total for value in values]
    shares = [int(value) for value in exact]
    by_remainder = sorted(range(len(values)), key=lambda index: shares[index] - exact[index])
    for index in by_remainder[: cells - sum(shares)]:
        shares[index] += 1
    return shares
