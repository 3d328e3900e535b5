"""From measurements to what they call for: temperatures with their trend, power, memory pressure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from agent.device.ladder import Sign, Wish
from agent.device.power import Power
from agent.device.pressure import Pressure
from agent.device.thermal import Temperature, Zone

# A slope is measured over this time, and what rises now over the shorter one.
TREND_S = 20.0
NOW_S = 8.0
AHEAD_S = 15.0
# Times between which a rise is looked at step by step.
STEP_S = 2.0
# Flatter than this is steady: sensors step by up to 1 °C.
STEADY_C_PER_S = 0.02
# A fast rise far from the limit is a cold board that starts to work.
AHEAD_WITHIN_C = 15.0
# No chip changes so much from one look to the next: it is believed when the next look says it too.
JUMP_C = 40.0


class Trend:
    """How fast a value changes, by least squares over the last ``TREND_S`` seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=256)

    def add(self, now_s: float, value: float) -> None:
        """Take a sample."""
        self._samples.append((now_s, value))
        while now_s - self._samples[0][0] > TREND_S:
            self._samples.popleft()

    @property
    def slope(self) -> float:
        """The change per second; 0 until there are three samples."""
        return _slope(list(self._samples))

    def rise(self, ahead_s: float) -> float:
        """By how much it will have risen ``ahead_s`` from now; 0 when it does not rise.

        A jump that is over is no rise any more, and one that slows down comes to an end: a chip gets warm
        within seconds of its work, and then only as fast as its heat sink.
        """
        samples = list(self._samples)
        newest = samples[-1]
        middle = _before(samples, newest[0])
        oldest = _before(samples, middle[0]) if middle else None
        if middle is None or oldest is None:
            return 0.0
        now, then = _per_second(middle, newest), _per_second(oldest, middle)
        recent = [sample for sample in samples if newest[0] - sample[0] <= NOW_S]
        straight = ahead_s * min(_slope(samples), _slope(recent), now, then)
        if straight <= 0 or now >= then:
            return max(0.0, straight)
        return min(straight, (newest[1] - middle[1]) * now / (then - now))


def _before(samples: Sequence[tuple[float, float]], at_s: float) -> tuple[float, float] | None:
    """The newest sample that is ``STEP_S`` older than ``at_s``."""
    older = (sample for sample in reversed(samples) if at_s - sample[0] >= STEP_S - 1e-3)
    return next(older, None)


def _per_second(one: tuple[float, float], two: tuple[float, float]) -> float:
    return (two[1] - one[1]) / (two[0] - one[0])


def _slope(samples: Sequence[tuple[float, float]]) -> float:
    count = len(samples)
    if count < 3:
        return 0.0
    middle_s = sum(at for at, _ in samples) / count
    mean = sum(value for _, value in samples) / count
    spread = sum((at - middle_s) ** 2 for at, _ in samples)
    return sum((at - middle_s) * (value - mean) for at, value in samples) / spread if spread else 0.0


class ThermalSigns:
    """What the temperatures call for. Keeps the trend of each zone, and what it called for last."""

    def __init__(self, hysteresis_c: float) -> None:
        self._hysteresis_c = hysteresis_c
        self._trends: dict[str, Trend] = {}
        self._raw: dict[str, float] = {}
        self._wishes: dict[str, Wish] = {}

    def of(self, now_s: float, temperatures: Sequence[Temperature]) -> list[Sign]:
        """One sign for each zone."""
        return [self._of_zone(now_s, item) for item in temperatures]

    def _of_zone(self, now_s: float, item: Temperature) -> Sign:
        name, celsius = item.zone.name, item.celsius
        source = f"zone {name}"
        if celsius is None or self._jumps(name, celsius):
            # What is switched off while it is cool keeps nobody from the full rate.
            cool = self._wishes.get(name) == "up"
            return (
                Sign(source, "up")
                if cool
                else Sign(source, "stay", f"{source} says nothing that is believed")
            )
        trend = self._trends.setdefault(name, Trend())
        trend.add(now_s, celsius)
        sign = self._of_trend(item.zone, celsius, trend)
        self._wishes[name] = sign.wish
        return sign

    def _jumps(self, name: str, celsius: float) -> bool:
        before, self._raw[name] = self._raw.get(name, celsius), celsius
        return abs(celsius - before) > JUMP_C

    def _of_trend(self, zone: Zone, celsius: float, trend: Trend) -> Sign:
        source = f"zone {zone.name}"
        ahead_c = celsius + trend.rise(AHEAD_S)
        if celsius >= zone.limit_c:
            text = f"{source} is at {celsius:.0f} °C; the board slows down at {zone.limit_c:.0f} °C"
            return Sign(source, "down", text, urgent=True)
        if ahead_c >= zone.limit_c and celsius >= zone.warn_c - AHEAD_WITHIN_C:
            text = f"{source} is at {celsius:.0f} °C and would reach {zone.limit_c:.0f} °C soon"
            return Sign(source, "down", text, urgent=True)
        if celsius >= zone.warn_c and trend.slope > -STEADY_C_PER_S:
            text = f"{source} is at {celsius:.0f} °C, over {zone.warn_c:.0f} °C"
            return Sign(source, "down", text)
        cool_c = zone.warn_c - self._hysteresis_c
        if celsius <= cool_c and ahead_c < zone.warn_c:
            return Sign(source, "up")
        return Sign(source, "stay", f"{source} is not yet below {cool_c:.0f} °C")


class PowerSigns:
    """What the power sensors call for. Keeps the counters, of which only growth counts."""

    def __init__(self) -> None:
        self._events: dict[str, int] = {}

    def of(self, power: Power, *, warm: bool) -> list[Sign]:
        """One sign for each thing that is wrong; one that all is well when nothing is.

        Args:
            power: what was measured.
            warm: a zone is warm, or there is none to tell: only then are capped clocks a sign of heat, and
                not somebody's choice.
        """
        signs = []
        if power.under_voltage:
            signs.append(Sign("power", "down", "the supply voltage is too low"))
        if power.throttled:
            signs.append(Sign("clocks", "down", "the firmware slows the board down"))
        if power.capped and warm:
            signs.append(Sign("clocks", "down", f"the board slows itself down ({', '.join(power.capped)})"))
        for what, count in power.events.items():
            if count > self._events.get(what, count):
                signs.append(Sign("power", "down", f"the board reports: {what}"))
            self._events[what] = count
        return signs or [Sign("power", "up")]


def of_pressure(pressure: Pressure | None, limit_percent: float) -> list[Sign]:
    """What memory pressure calls for; nothing where the kernel does not measure it."""
    if pressure is None:
        return []
    if pressure.full >= limit_percent:
        text = "programs wait for memory"
        return [Sign("memory", "down", text)]
    if pressure.some >= limit_percent:
        return [Sign("memory", "stay", "some programs wait for memory")]
    return [Sign("memory", "up")]
