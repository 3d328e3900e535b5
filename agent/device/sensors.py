"""All sensors of a board together: found once, then read again and again."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from agent.device import thermal
from agent.device.power import Power, PowerSensors
from agent.device.pressure import Pressure, memory_pressure
from agent.device.profile import Profile
from agent.device.settings import Governor as Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What was measured last."""

    temperatures: tuple[thermal.Temperature, ...] = ()
    power: Power | None = None
    pressure: Pressure | None = None


class Sensors:
    """Those that are there now; ``watches`` names them for a person."""

    def __init__(self, settings: Settings, profile: Profile) -> None:
        self._root = Path(settings.root)
        self.zones = thermal.find_zones(self._root, profile.thermal, settings)
        self._power = PowerSensors(self._root)
        pressed = memory_pressure(self._root) is not None
        self.watches: tuple[str, ...] = (
            *(f"zone {zone.name} (from {zone.warn_c:.0f} °C on)" for zone in self.zones),
            *self._power.found,
            *(["memory pressure"] if pressed else []),
        )

    def read(self) -> Readings:
        """What they say now. Takes as long as their drivers do."""
        return Readings(
            temperatures=thermal.read(self.zones),
            power=self._power.read(),
            pressure=memory_pressure(self._root),
        )


async def beside(call: Callable[[], T], name: str) -> T:
    """What ``call`` returns, from a thread of its own: a driver that hangs hangs nobody else.

    Not the loop's own executor: the end of the agent would wait for its threads.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(value: T | None, error: Exception | None) -> None:
        if answer.done():
            return  # nobody waits any more
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(value)  # type: ignore[arg-type] # without an error it is a T

    def work() -> None:
        value, error = None, None
        try:
            value = call()
        except Exception as caught:
            error = caught
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, value, error)

    threading.Thread(target=work, name=name, daemon=True).start()
    return await answer
