"""What a comparison with golden results says."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """Whether answers are the author's own.

    ``figures``: by name, finite. ``why``: one sentence with them, for a refusal and for a report.
    """

    passed: bool
    figures: dict[str, float]
    why: str


class Bound(msgspec.Struct, frozen=True):
    """A figure and the bound that it must keep; ``most`` where it must not be over it."""

    name: str
    value: float
    limit: float
    most: bool = False

    @property
    def kept(self) -> bool:
        """Whether it is; NaN is not."""
        return self.value <= self.limit if self.most else self.value >= self.limit

    def __str__(self) -> str:
        return f"{self.name} {self.value:.3g} ({'at most' if self.most else 'at least'} {self.limit:g})"


def judged(bounds: Iterable[Bound], figures: dict[str, float], remark: str = "") -> Agreement:
    """Passed when every bound is kept; ``why`` names the broken ones, or all of them."""
    listed = list(bounds)
    broken = [bound for bound in listed if not bound.kept]
    text = ", ".join(map(str, broken or listed))
    if remark and broken:
        text = f"{text}; {remark}"
    return Agreement(passed=not broken, figures=figures, why=text)
