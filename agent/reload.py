"""Reads the configuration file again while the agent runs: what is wrong with it changes nothing.

A pipeline of which nothing changed goes on without losing a frame. What only a new agent can take over is
named, and stays as it was.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from agent import config_file, device
from agent.config import Config
from agent.device.profile import Profile
from agent.events import EventLog
from agent.redact import Redactor
from agent.workers.reason import Reason
from agent.workers.supervisor import Applied
from runtime.errors import EdgewardError

log = logging.getLogger("config")

# What the supervisor takes over while it runs. Of the other sections some have a taker of their own.
OF_PIPELINES = frozenset({"pipeline", "trust", "bundles", "engine", "preflight", "supervision"})


class Pipelines(Protocol):
    """The supervisor, as far as a reload goes."""

    def apply(self, config: Config) -> Awaitable[Applied]:
        """Run the pipelines of ``config`` from now on."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a reload did: names of pipelines, and the keys that wait for a restart of the agent."""

    started: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    restarted: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [
            f"{what}: {', '.join(names)}"
            for what, names in (
                ("started", self.started),
                ("stopped", self.stopped),
                ("restarted", self.restarted),
                ("only after a restart of the agent", self.needs_restart),
            )
            if names
        ]
        return "; ".join(parts) or "nothing changed"


class Reloader:
    """Holds the configuration in force.

    Args:
        path: the file.
        config: what was read from it at the start.
        pipelines: the supervisor.
        events: is told of each reload.
        redactor: takes secrets out of what is told.
        takers: by name of a section, who takes it over while the agent runs.
        turns: called with ``True`` when a reload begins and ``False`` when it has ended, for systemd.
        profile: of this board, as all parts of the agent go by it.

    Attributes:
        config: the configuration in force.
        problem: why the last reload changed nothing, if it did not.
        loaded_ns: when ``config`` came into force, monotonic nanoseconds.
    """

    def __init__(
        self,
        path: Path,
        config: Config,
        pipelines: Pipelines,
        *,
        events: EventLog,
        redactor: Redactor,
        takers: Mapping[str, Callable[[Config], None]] | None = None,
        turns: Callable[[bool], None] | None = None,
        profile: Profile | None = None,
    ) -> None:
        self.path = path
        self.config = config
        self.problem: Reason | None = None
        self.loaded_ns = time.monotonic_ns()
        self._pipelines = pipelines
        self._events = events
        self._redactor = redactor
        self._takers = dict(takers or {})
        self._turns = turns or (lambda _begins: None)
        self._profile = profile
        self._one_at_a_time = asyncio.Lock()

    async def reload(self) -> Outcome:
        """Read the file and put it into force. Those that come meanwhile wait for their turn.

        Raises:
            EdgewardError: ``CONFIG_*``: what is wrong with the file. Nothing has changed then.
        """
        async with self._one_at_a_time:
            self._turns(True)
            try:
                return await self._reload()
            except EdgewardError as error:
                self._refused(error)
                raise
            finally:
                self._turns(False)

    async def _reload(self) -> Outcome:
        # Files that it names may lie on a disk that hangs; supervision must not.
        new = await asyncio.to_thread(config_file.load, self.path)
        board = await asyncio.to_thread(device.current, new)
        waiting = tuple(self._needs_restart(new, board.profile))
        config = self._in_force(new)
        applied = await self._pipelines.apply(config)
        for section, take in self._takers.items():
            if getattr(config, section) != getattr(self.config, section):
                take(config)
        self.config = config
        self.loaded_ns, self.problem = time.monotonic_ns(), None
        outcome = Outcome(
            started=applied.started,
            stopped=applied.stopped,
            restarted=applied.restarted,
            unchanged=applied.unchanged,
            needs_restart=waiting,
            warnings=tuple(new.warnings()),
        )
        self._loaded(outcome)
        return outcome

    def _needs_restart(self, new: Config, profile: Profile) -> Iterator[str]:
        """Keys that changed and that nobody takes over while the agent runs."""
        for section in self._kept():
            yield from _differing(getattr(self.config, section), getattr(new, section), section)
        if self._profile is not None and profile != self._profile and new.device == self.config.device:
            yield f"the profile {profile.name}"

    def _in_force(self, new: Config) -> Config:
        return msgspec.structs.replace(new, **{name: getattr(self.config, name) for name in self._kept()})

    def _kept(self) -> list[str]:
        taken = OF_PIPELINES | self._takers.keys()
        return [field.name for field in msgspec.structs.fields(Config) if field.name not in taken]

    def _loaded(self, outcome: Outcome) -> None:
        log.info("%s was read again: %s", self.path, outcome)
        for warning in outcome.warnings:
            log.warning("%s", warning)
        for key in outcome.needs_restart:
            log.warning("%s has changed: it takes effect when the agent is restarted", key)
        self._events.add("config.reloaded", f"the configuration was read again: {outcome}")

    def _refused(self, error: EdgewardError) -> None:
        text = self._redactor(f"{error.where}: {error.what}" if error.where else error.what)
        self.problem = Reason(error.code.text, text, self._redactor(error.remedy))
        log.error("the configuration stays as it was: %s; %s", self.problem, self.problem.remedy)
        self._events.add(
            "config.refused",
            f"the configuration stays as it was: {text}",
            severity="warning",
            code=error.code.text,
            remedy=self.problem.remedy,
        )


def _differing(old: object, new: object, key: str) -> Iterator[str]:
    """Dotted keys below ``key`` whose values differ."""
    if old == new:
        return
    if isinstance(old, msgspec.Struct) and type(old) is type(new):
        for field in msgspec.structs.fields(old):
            yield from _differing(getattr(old, field.name), getattr(new, field.name), f"{key}.{field.name}")
        return
    yield key
