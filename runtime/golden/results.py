"""Golden results: what the author's reference path gave for each golden frame. A ``.json`` of the bundle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from runtime.errors import Code, EdgewardError
from runtime.findings import Findings
from runtime.golden import soundness

_REMEDY = "pack the bundle again"


class GoldenFrameResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``source``: what the author called the frame, ``film.mp4#40``. ``findings``: in its pixels."""

    source: str
    findings: Findings


class GoldenResults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One result for each golden frame, in their order. ``made_by``: libraries and their versions."""

    schema: Literal[1]
    made_by: dict[str, str]
    frames: tuple[GoldenFrameResult, ...]

    @property
    def findings(self) -> tuple[Findings, ...]:
        """What is expected of each frame."""
        return tuple(frame.findings for frame in self.frames)


def encode(frames: Sequence[GoldenFrameResult], made_by: dict[str, str]) -> bytes:
    """The file: the same results give the same bytes. Numbers are written so that they come back exactly."""
    results = GoldenResults(schema=1, made_by=dict(sorted(made_by.items())), frames=tuple(frames))
    return msgspec.json.encode(results) + b"\n"


def parse(data: bytes, *, where: str, count: int | None = None) -> GoldenResults:
    """Read the file.

    Args:
        data: its bytes.
        where: the file's name, for errors.
        count: golden frames, as the manifest says; None where that is of no matter.

    Raises:
        EdgewardError: ``BUNDLE_GOLDEN``.
    """
    try:
        results = msgspec.json.decode(data, type=GoldenResults)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what = f"not golden results: {error}"
        raise EdgewardError(Code.BUNDLE_GOLDEN, what, where=where, remedy=_REMEDY) from error
    if count is not None and len(results.frames) != count:
        what = f"results of {len(results.frames)} frames, the manifest says {count}"
        raise EdgewardError(Code.BUNDLE_GOLDEN, what, where=where, remedy=_REMEDY)
    for at, frame in enumerate(results.frames):
        for what in soundness.problems(frame.findings):
            raise EdgewardError(Code.BUNDLE_GOLDEN, f"frame {at}: {what}", where=where, remedy=_REMEDY)
    return results
