"""How far long work is."""

from __future__ import annotations

from typing import Literal, Protocol


class Progress(Protocol):
    """Told what is being done, and how much of how much is done."""

    def __call__(
        self, doing: str, done: int, total: int, *, unit: Literal["bytes", "frames"] = "bytes"
    ) -> None:
        """``done`` of ``total`` in ``unit``."""


def no_progress(doing: str, done: int, total: int, *, unit: Literal["bytes", "frames"] = "bytes") -> None:
    """Say nothing."""
