"""Files as a tree and variants as a table, in lines for a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

_DRAWN = ("├─ ", "└─ ", "│  ")
_PLAIN = ("|- ", "`- ", "|  ")


def tree(leaves: Mapping[str, Sequence[str]]) -> list[str]:
    """Lines for files by their paths, folders as branches, with what is said of each file in columns.

    Args:
        leaves: by path, such as ``golden/frames.y4m``, texts of equal number.
    """
    root: dict[str, Any] = {}
    for path in leaves:
        *folders, name = path.split("/")
        place = root
        for folder in folders:
            place = place.setdefault(f"{folder}/", {})
        place[name] = path
    drawn = list(_branches(root, "", _DRAWN if _can_say(_DRAWN) else _PLAIN))
    width = max((len(line) for line, _ in drawn), default=0)
    columns = _aligned([leaves[path] for _, path in drawn if path])
    return [f"{line:{width}}  {next(columns)}" if path else line for line, path in drawn]


def _branches(
    folder: Mapping[str, Any], before: str, signs: tuple[str, str, str]
) -> Iterator[tuple[str, str]]:
    """A line and the path of its file; empty for a folder."""
    for number, (name, inside) in enumerate(folder.items(), 1):
        last = number == len(folder)
        line = f"{before}{signs[1] if last else signs[0]}{name}"
        if isinstance(inside, str):
            yield line, inside
        else:
            yield line, ""
            yield from _branches(inside, before + ("   " if last else signs[2]), signs)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines in columns under ``heads``; a column that is empty throughout is left out."""
    used = [at for at in range(len(heads)) if any(row[at] for row in rows)]
    return list(_aligned([[row[at] for at in used] for row in (heads, *rows)]))


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not rows:
        return
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        pad: list[Callable[[str, int], str]] = [str.rjust if _is_size(text) else str.ljust for text in row]
        cells = (fill(text, width) for fill, text, width in zip(pad, row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _is_size(text: str) -> bool:
    return text[:1].isdigit() and text.endswith((" B", " kB", " MB"))


def _can_say(signs: Sequence[str]) -> bool:
    try:
        "".join(signs).encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
