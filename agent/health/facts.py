"""Gathers what the checks look at, from the parts of the agent. Runs on the event loop and never blocks."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from agent.config import Config
from agent.device import Chosen
from agent.device.governor import Governor
from agent.health.frame_time import FrameTimes
from agent.health.probe import Probe, kernel
from agent.health.store import StoreRecheck
from agent.health.view import (
    LinkFacts,
    PipelineFacts,
    StreamFacts,
    VersionFacts,
    View,
    ZoneFacts,
)
from agent.link.clock import WallClock
from agent.link.session import Session
from agent.reload import Reloader
from agent.workers.pipeline import Pipeline
from agent.workers.reason import Reason
from agent.workers.stream_watch import StreamWatch

# Messages that were dropped count as lately for so long.
LATELY_S = 600.0
_LATELY_STEP_S = 20.0


class Facts:
    """Makes views. Parts that are made after it are attributes: ``None`` when there is none.

    Attributes:
        chosen: the profile of the device.
        governor: lowers rates.
        recheck: verifies the store.
        reloader: knows why the last reload changed nothing.
        metrics_problem: why the figures cannot be read.
    """

    def __init__(self, config: Config, session: Session, clock: WallClock, probe: Probe) -> None:
        self.chosen: Chosen | None = None
        self.governor: Governor | None = None
        self.recheck: StoreRecheck | None = None
        self.reloader: Reloader | None = None
        self.metrics_problem: Reason | None = None
        self._config = config
        self._session = session
        self._clock = clock
        self._probe = probe
        self._losses = Losses()
        self._frame_times = FrameTimes()
        self._watchdog_missing = "NOTIFY_SOCKET" in os.environ and "WATCHDOG_USEC" not in os.environ

    @property
    def celsius(self) -> dict[str, float]:
        """Temperatures by zone."""
        return {name: zone.celsius for name, zone in _zones(self.governor).items()}

    def view(self, pipelines: Mapping[str, Pipeline]) -> View:
        """The device now."""
        now_ns = time.monotonic_ns()
        self._frame_times.look(pipelines, now_ns)
        answers, chosen, governor = self._probe.latest, self.chosen, self.governor
        profile = chosen.profile if chosen else None
        power = governor.readings.power if governor else None
        rechecked = self.recheck.faults if self.recheck else {}
        drivers = {each.name: each for each in profile.driver if each.files} if profile else {}
        return View(
            link=self._link(now_ns),
            pipelines={name: self._pipeline(item, now_ns) for name, item in pipelines.items()},
            state_dir=self._config.device.state_dir,
            disk_answers=self._probe.answers_still(now_ns / 1e9),
            disk_free_mb=answers.disk.free_mb if answers else None,
            disk_total_mb=answers.disk.total_mb if answers else 0,
            disk_read_only=answers.disk.read_only if answers else False,
            disk_fault=answers.write_fault if answers else "",
            inodes_free_percent=answers.disk.inodes_free_percent if answers else None,
            memory_free_percent=answers.memory_free_percent if answers else None,
            pressure_percent=answers.memory_pressure if answers else None,
            load_per_cpu=answers.load_per_cpu if answers else None,
            zones=_zones(governor),
            throttled=power.slowed_by if power else None,
            clock_synchronised=self._clock.synchronised(),
            clock_year=time.gmtime().tm_year,
            certificates=answers.certificates if answers else {},
            store_faults={**answers.store_faults, **rechecked} if answers else None,
            kernel=VersionFacts(
                found=kernel(),
                least=profile.kernel_min,
                most=profile.kernel_max,
                note=profile.kernel.note if profile.kernel else "",
            )
            if profile
            else None,
            drivers={
                name: VersionFacts(
                    found=version, least=drivers[name].min, most=drivers[name].max, note=drivers[name].note
                )
                for name, version in (answers.drivers if answers else {}).items()
                if name in drivers
            },
            profile=profile.name if profile else "",
            profile_doubt=chosen.warning if chosen else "",
            governor=governor.state.reasons if governor and governor.state.active else None,
            config_problem=self.reloader.problem if self.reloader else None,
            metrics_problem=self.metrics_problem,
            watchdog_missing=self._watchdog_missing,
        )

    def _link(self, now_ns: int) -> LinkFacts:
        state = self._session.state
        fault = state.fault
        return LinkFacts(
            connected=state.connected,
            address=f"{self._config.mqtt.host}:{self._config.mqtt.port}",
            code=fault.code if fault else "",
            reason=fault.text if fault else "",
            remedy=fault.remedy if fault else "",
            refused_topic=state.refused_topic,
            lost=self._losses.lately(self._dropped(), now_ns / 1e9),
        )

    def _dropped(self) -> dict[tuple[str, str], int]:
        kinds = self._session.metrics().kinds
        return {(kind, why): count for kind, counts in kinds.items() for why, count in counts.dropped.items()}

    def _pipeline(self, pipeline: Pipeline, now_ns: int) -> PipelineFacts:
        reason, last, ready = pipeline.reason, pipeline.last_end, pipeline.ready
        told = pipeline.metrics
        budget_ms = ready.latency_budget_ms if ready else 0.0
        return PipelineFacts(
            state=pipeline.state,
            age_s=(now_ns - pipeline.since_ns) / 1e9,
            code=reason.code if reason else "",
            reason=reason.text if reason else "",
            remedy=reason.remedy if reason else "",
            last_end=last.text if last else "",
            last_end_code=last.code if last else "",
            last_end_age_s=(now_ns - pipeline.last_end_ns) / 1e9 if last else None,
            streams={name: _stream(watch, now_ns) for name, watch in pipeline.streams.items()},
            frame_ms=self._frame_times.of(pipeline.config.name) if budget_ms else None,
            budget_ms=budget_ms or None,
            quarantined={stage: why.text for stage, why in pipeline.quarantine.items()},
            unconfined="; ".join(ready.lacks) if ready else "",
            serve_problem=told.served.problem if told and told.served else "",
        )


class Losses:
    """Counts that only grow, turned into how much they grew lately."""

    def __init__(self) -> None:
        self._kept: deque[tuple[float, dict[tuple[str, str], int]]] = deque()

    def lately(self, counts: dict[tuple[str, str], int], now_s: float) -> dict[tuple[str, str], int]:
        """By how much each of ``counts`` grew in the last ``LATELY_S`` seconds; of what did not, nothing."""
        if not self._kept:
            self._kept.append((now_s, {}))  # what was there at the first look was lost since the start
        elif now_s - self._kept[-1][0] >= _LATELY_STEP_S:
            self._kept.append((now_s, counts))
        while len(self._kept) > 1 and now_s - self._kept[1][0] >= LATELY_S:
            self._kept.popleft()
        before = self._kept[0][1]
        return {
            key: count - before.get(key, 0) for key, count in counts.items() if count > before.get(key, 0)
        }


def _stream(watch: StreamWatch, now_ns: int) -> StreamFacts:
    reason = watch.reason
    last_ns = watch.last_result_ns or watch.watched_from_ns
    return StreamFacts(
        state=watch.state,
        code=reason.code if reason else "",
        reason=reason.text if reason else "",
        remedy=reason.remedy if reason else "",
        failing=watch.failing,
        last_result_age_s=(now_ns - last_ns) / 1e9,
        stall_after_s=watch.stall_ns / 1e9,
    )


def _zones(governor: Governor | None) -> dict[str, ZoneFacts]:
    told = governor.readings.temperatures if governor else ()
    return {
        each.zone.name: ZoneFacts(celsius=each.celsius, warn_c=each.zone.warn_c, limit_c=each.zone.limit_c)
        for each in told
        if each.celsius is not None
    }


def certificate_files(config: Config) -> list[Path]:
    """Those of the link, in their order, each once."""
    named = (config.mqtt.ca_file, config.mqtt.cert_file)
    return [Path(name) for name in dict.fromkeys(named) if name]
