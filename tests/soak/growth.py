"""What grew: a straight line through the samples after the warm-up, against a stated bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WARM_UP_SHARE = 0.2
WARM_UP_MOST_S = 600.0
WARM_UP_LEAST_S = 60.0
FEWEST_SAMPLES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """How much a figure may grow: ``once`` for what settles late, ``per_hour`` for every hour measured.

    ``most`` bounds the figure itself at any moment, from the first sample on; None leaves it free.
    """

    figure: str
    unit: str
    once: float
    per_hour: float = 0.0
    most: float | None = None

    def allowed(self, hours: float) -> float:
        """The growth that is allowed in so many hours."""
        return self.once + self.per_hour * hours


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One line of the table: ``grew`` is the line's rise over ``hours``, both after the warm-up."""

    bound: Bound
    samples: int
    hours: float
    first: float
    last: float
    largest: float
    grew: float
    allowed: float

    @property
    def kept(self) -> bool:
        """Whether the figure stayed within its bound; one that was hardly measured did not."""
        within = self.bound.most is None or self.largest <= self.bound.most
        return self.samples >= FEWEST_SAMPLES and self.grew <= self.allowed and within


def warm_up_s(length_s: float) -> float:
    """How long a run of ``length_s`` is left to settle: a fifth, at least a minute, at most ten."""
    return min(max(WARM_UP_SHARE * length_s, WARM_UP_LEAST_S), WARM_UP_MOST_S)


def rise(points: Sequence[tuple[float, float]]) -> float:
    """How far the least-squares line through ``(seconds, value)`` rises from the first to the last second."""
    if len(points) < 2:
        return 0.0
    middle_s = sum(at for at, _ in points) / len(points)
    middle = sum(value for _, value in points) / len(points)
    spread = sum((at - middle_s) ** 2 for at, _ in points)
    if spread == 0:
        return 0.0
    slope = sum((at - middle_s) * (value - middle) for at, value in points) / spread
    return slope * (points[-1][0] - points[0][0])


def judge(bound: Bound, points: Sequence[tuple[float, float]], settled_s: float) -> Judged:
    """The line of one figure.

    Args:
        bound: what is allowed.
        points: seconds since the start and the value, in order of time.
        settled_s: what came before is no part of the growth.
    """
    fitted = [point for point in points if point[0] >= settled_s]
    hours = (fitted[-1][0] - fitted[0][0]) / 3600 if fitted else 0.0
    return Judged(
        bound=bound,
        samples=len(fitted),
        hours=hours,
        first=fitted[0][1] if fitted else 0.0,
        last=fitted[-1][1] if fitted else 0.0,
        largest=max((value for _, value in points), default=0.0),
        grew=rise(fitted),
        allowed=bound.allowed(hours),
    )
