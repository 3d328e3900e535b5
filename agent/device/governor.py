"""Lowers the rate of detections step by step before heat, power or memory make the board do worse."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from agent.device.ladder import Ladder, Sign, Step
from agent.device.profile import Profile
from agent.device.sensors import Readings, Sensors, beside
from agent.device.settings import Governor as Settings
from agent.device.signs import PowerSigns, ThermalSigns, of_pressure
from agent.events import EventLog

log = logging.getLogger("governor")

# Sensors come and go with their drivers.
LOOK_FOR_SENSORS_S = 60.0
# A sensor that takes so long hangs.
HANGS_S = 10.0


class Governed(Protocol):
    """A pipeline, as far as the governor knows it."""

    def set_rate(self, factor: float) -> None:
        """Look at ``factor`` of the frames; holds for later workers too."""


@dataclass(frozen=True, slots=True)
class State:
    """What holds now. ``level`` 0 is the full rate; ``reasons`` say why it is lower."""

    active: bool
    level: int
    rate: float
    reasons: tuple[str, ...]


class Governor:
    """Measures every ``interval_s`` and sets the rate of all pipelines. Belongs to the event loop.

    Args:
        settings: ``[governor]``.
        profile: of the device: its zones and their limits.
        pipelines: those of the moment, called before each use.
        events: where steps are noted.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        settings: Settings,
        profile: Profile,
        pipelines: Callable[[], Iterable[Governed]],
        events: EventLog,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._profile = profile
        self._pipelines = pipelines
        self._events = events
        self._clock = clock
        self._told: weakref.WeakSet[Governed] = weakref.WeakSet()
        self._changed = asyncio.Event()
        self._put_in_force(settings)

    def configure(self, settings: Settings) -> None:
        """Take new settings over. The rate begins at the full one again."""
        self._put_in_force(settings)
        self._set_rates(changed=True)
        self._changed.set()

    def _put_in_force(self, settings: Settings) -> None:
        self._settings = settings
        self._ladder = Ladder(
            settings.steps,
            hold_s=settings.hold_s,
            recover_s=settings.recover_s,
            longest_recover_s=settings.longest_recover_s,
        )
        self._thermal_signs = ThermalSigns(settings.hysteresis_c)
        self._power_signs = PowerSigns()
        self._sensors: Sensors | None = None
        self._found_s = float("-inf")
        self.readings = Readings()

    @property
    def watches(self) -> tuple[str, ...]:
        """What is measured, in words."""
        return self._sensors.watches if self._sensors is not None else ()

    @property
    def state(self) -> State:
        """The rate that holds and why."""
        active = self._settings.enabled and bool(self.watches)
        return State(active, self._ladder.level, self._ladder.rate, self._ladder.reasons)

    async def run(self) -> None:
        """Measure and govern until cancelled. Where nothing can be measured, only look for sensors."""
        if not self._settings.enabled:
            log.info("the governor is switched off (governor.enabled)")
        while True:
            self._changed.clear()
            settings = self._settings
            sensors, readings = await self._measured()
            if settings is self._settings:  # else it was measured by what holds no more
                self._judge(sensors, readings)
            pause_s = self._settings.interval_s if self.state.active else LOOK_FOR_SENSORS_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._changed.wait()

    def look(self) -> Step | None:
        """Measure once, and take the step that follows, if one does.

        Measures as well when the governor is switched off: health tells of it.
        """
        return self._judge(*self._measure())

    async def _measured(self) -> tuple[Sensors, Readings]:
        """``_measure`` beside the event loop; says so when a sensor keeps everybody waiting."""
        measuring = asyncio.ensure_future(beside(self._measure, "governor"))
        done, _ = await asyncio.wait([measuring], timeout=HANGS_S)
        if not done:
            log.warning("a sensor of this board does not answer: the rate stays until it does")
            self.readings = Readings()  # health tells no temperature that was
        return await measuring

    def _measure(self) -> tuple[Sensors, Readings]:
        """What is there, and what it says. Changes nothing: it runs in a thread."""
        sensors = self._sensors
        if sensors is None or self._clock() - self._found_s >= LOOK_FOR_SENSORS_S:
            sensors = Sensors(self._settings, self._profile)
        return sensors, sensors.read()

    def _judge(self, sensors: Sensors, readings: Readings) -> Step | None:
        now_s = self._clock()
        if sensors is not self._sensors:
            self._found(sensors, now_s)
        step = None
        signs = self._signs(now_s, readings)
        if self._settings.enabled:
            step = self._ladder.look(now_s, signs)
        if step is not None:
            self._tell(step)
        self._set_rates(changed=step is not None)
        return step

    def _found(self, sensors: Sensors, now_s: float) -> None:
        first, before = self._sensors is None, self.watches
        self._sensors, self._found_s = sensors, now_s
        if sensors.watches == before and not first:
            return
        if not sensors.zones:
            log.info("no thermal zone whose limit is known: temperature is not governed")
        log.info("governed by: %s", ", ".join(sensors.watches) or "nothing, for nothing can be measured here")

    def _signs(self, now_s: float, readings: Readings) -> list[Sign]:
        power, before = readings.power, self.readings.power
        if power is not None and before is not None and power.mode != before.mode:
            text = f"the power mode of the board is {power.mode or 'not told'}"
            log.info("%s", text)
            self._events.add("governor.power-mode", text)
        self.readings = readings
        signs = self._thermal_signs.of(now_s, readings.temperatures)
        if power is not None:
            cool = bool(signs) and all(sign.wish == "up" for sign in signs)
            signs += self._power_signs.of(power, warm=not cool)
        return signs + of_pressure(readings.pressure, self._settings.pressure_percent)

    def _tell(self, step: Step) -> None:
        lower = step.rate < step.before
        what = "lowered" if lower else "raised"
        text = f"detection rate {what} to {step.rate:.0%}, was {step.before:.0%}: {'; '.join(step.reasons)}"
        (log.warning if lower else log.info)("%s", text)
        self._events.add(
            "governor.step",
            text,
            severity="warning" if lower else "ok",
            code="device.governed" if lower else "",
            remedy="cool the board, check its supply, or give it less to do" if lower else "",
        )

    def _set_rates(self, *, changed: bool) -> None:
        """All pipelines at a change; at other times those that are new, when the rate is not the full one."""
        rate = self._ladder.rate
        for pipeline in self._pipelines():
            if changed or (pipeline not in self._told and rate != 1.0):
                pipeline.set_rate(rate)
            self._told.add(pipeline)
