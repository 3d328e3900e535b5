"""The supervisor in this process, its workers fake: what operators and new configurations do to pipelines."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent import config_file
from agent.config import Config
from agent.redact import Redactor
from agent.workers.limits import Limits
from agent.workers.pipeline import Pipeline, PipelineState
from agent.workers.stream_watch import StreamWatch
from agent.workers.supervisor import Supervisor
from runtime import ipc
from runtime.errors import Code, EdgewardError
from tests.integration.agent_with_fake_worker import FAKE, ingest

pytestmark = pytest.mark.integration

SOON = 20.0
HEAD = """\
[device]
state_dir = "state"
[trust]
release_keys = ["release.pub"]
[preflight]
enabled = false
[supervision]
confine = false
core_dumps = 0
bad_ends = 2
calm_after_s = 1
"""


class Heard:
    """A listener that keeps what it heard: results by pipeline, with the worker that they came from."""

    def __init__(self) -> None:
        self.results: list[tuple[str, int | None, int]] = []
        self.states: list[tuple[str, PipelineState]] = []

    def on_result(self, pipeline: Pipeline, _watch: StreamWatch, result: ipc.Result, _now_ns: int) -> None:
        self.results.append((pipeline.config.name, pipeline.pid, result.frame))

    def on_change(self, pipeline: Pipeline) -> None:
        self.states.append((pipeline.config.name, pipeline.state))


class Device:
    """A folder with a configuration, bundles that say what their workers do, and a supervisor."""

    def __init__(self, folder: Path, **limits: float) -> None:
        self.folder = folder
        self.limits = limits
        self.heard = Heard()
        self.behave("a", "ok")
        self.behave("b", "ok")
        self.supervisor = self._made(self.config(self.pipeline("a"), self.pipeline("b")))

    def behave(self, name: str, behaviour: str) -> None:
        (self.folder / f"{name}.ewb").write_text(behaviour)

    def pipeline(self, name: str, more: str = "", stream: str = "") -> str:
        return (
            f'[[pipeline]]\nname = "{name}"\nbundle = "{name}.ewb"\n{more}\n'
            f'[[pipeline.stream]]\nname = "cam"\nurl = "rtsp://127.0.0.1/x"\n{stream}\n'
        )

    def config(self, *pipelines: str, head: str = HEAD) -> Config:
        return config_file.parse(head + "".join(pipelines), where="edgeward.toml", folder=self.folder)

    def _made(self, config: Config) -> Supervisor:
        quick = {"first_restart": 0.05, "slowest_restart": 0.1, "look_for_bundle": 0.05, "stop_grace": 1.0}
        limits = Limits(**{**quick, **self.limits})
        return Supervisor(
            config,
            ingest=ingest,
            listener=self.heard,
            redactor=Redactor(),
            limits=limits,
            command=FAKE,
        )

    async def reaches(self, name: str, state: PipelineState) -> Pipeline:
        pipeline = self.supervisor.pipelines[name]
        assert await pipeline.wait_for({state}, SOON), f"{name} is {pipeline.state}: {pipeline.reason}"
        return pipeline

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(SOON):
            while not true():
                await asyncio.sleep(0.01)


@asynccontextmanager
async def running(folder: Path, **limits: float) -> AsyncIterator[Device]:
    device = Device(folder, **limits)
    device.supervisor.start()
    try:
        await device.reaches("a", "running")
        await device.reaches("b", "running")
        yield device
    finally:
        await device.supervisor.stop()


async def test_a_pipeline_that_did_not_change_keeps_its_worker_and_every_frame(tmp_path: Path) -> None:
    async with running(tmp_path) as device:
        supervisor, a = device.supervisor, device.pipeline("a")
        pids = {name: pipeline.pid for name, pipeline in supervisor.pipelines.items()}
        pipelines = supervisor.pipelines
        device.behave("c", "ok")
        for number in range(5):
            changed = device.pipeline("b", f"weight = {90 - number}")
            applied = await supervisor.apply(device.config(a, changed, device.pipeline("c")))
            assert (applied.unchanged[0], applied.restarted) == ("a", ("b",))
            assert applied.started == (("c",) if number == 0 else ())
        assert supervisor.pipelines is pipelines
        assert list(pipelines) == ["a", "b", "c"]
        await device.reaches("b", "running")
        assert pipelines["a"].pid == pids["a"]
        assert pipelines["b"].pid != pids["b"]
        assert pipelines["b"].config.weight == 86
        applied = await supervisor.apply(device.config(device.pipeline("c"), a))
        assert (applied.stopped, applied.unchanged) == (("b",), ("a", "c"))
        assert list(pipelines) == ["c", "a"]
        enough = len(device.heard.results) + 20
        await device.until(lambda: len(device.heard.results) > enough)
        frames = [frame for name, _, frame in device.heard.results if name == "a"]
        assert frames == list(range(len(frames))), "no frame is missing, and none is of another session"


async def test_what_all_share_restarts_all(tmp_path: Path) -> None:
    async with running(tmp_path) as device:
        both = device.pipeline("a"), device.pipeline("b")
        applied = await device.supervisor.apply(
            device.config(*both, head=HEAD.replace("bad_ends = 2", "bad_ends = 9"))
        )
        assert applied.restarted == ("a", "b")
        assert applied.unchanged == ()


async def test_a_new_password_restarts_its_pipeline(tmp_path: Path) -> None:
    secret = tmp_path / "camera.password"
    secret.write_text("the first one")
    secret.chmod(0o600)
    async with running(tmp_path) as device:
        login = 'username = "me"\npassword_file = "camera.password"'
        config = device.config(device.pipeline("a", stream=login), device.pipeline("b"))
        assert (await device.supervisor.apply(config)).restarted == ("a",)
        assert (await device.supervisor.apply(config)).restarted == ()
        secret.write_text("another one")
        assert (await device.supervisor.apply(config)).restarted == ("a",)


async def test_an_operator_stops_starts_and_restarts_a_pipeline(tmp_path: Path) -> None:
    async with running(tmp_path) as device:
        supervisor = device.supervisor
        a = supervisor.pipelines["a"]
        pid = a.pid
        await supervisor.stop_pipeline("a")
        assert (a.state, a.pid) == ("stopped", None)
        assert a.reason is not None
        assert "on request" in a.reason.text
        # A new configuration that leaves it as it is leaves it stopped; so does one that changes it.
        both = device.pipeline("a", "weight = 50"), device.pipeline("b")
        applied = await supervisor.apply(device.config(*both))
        assert (applied.stopped, applied.restarted) == (("a",), ())
        assert a.state == "stopped"
        await supervisor.start_pipeline("a")
        assert await a.wait_for({"running"}, SOON)
        assert a.pid not in {None, pid}
        pid = a.pid
        await supervisor.start_pipeline("a")
        assert a.pid == pid, "one that runs is left alone"
        await supervisor.restart_pipeline("a")
        assert await a.wait_for({"running"}, SOON)
        assert a.pid != pid
        assert a.restarts == 0, "none of this was a bad end"
        with pytest.raises(EdgewardError) as caught:
            await supervisor.stop_pipeline("c")
        assert caught.value.code is Code.CONTROL_UNKNOWN_PIPELINE
        assert caught.value.remedy == "there is a, b"


async def test_nothing_is_expected_of_the_streams_of_what_was_stopped_on_request(tmp_path: Path) -> None:
    async with running(tmp_path) as device:
        supervisor, a = device.supervisor, device.supervisor.pipelines["a"]
        cam = a.streams["cam"]
        await device.until(lambda: cam.state == "running")
        await supervisor.stop_pipeline("a")
        a.tick(time.monotonic_ns() + 500_000_000)
        for _ in range(20):
            cam.tick(time.monotonic_ns() + 3600_000_000_000, a.reason)
        assert (cam.state, cam.reason) == ("ended", a.reason)
        # Started again, silence counts again.
        device.behave("a", "no-results")
        await supervisor.start_pipeline("a")
        await device.reaches("a", "running")
        change = cam.tick(time.monotonic_ns() + 3600_000_000_000, None)
        assert change is not None
        assert change.state == "stalled"


async def test_what_is_stopped_or_drained_before_its_turn_does_not_start(tmp_path: Path) -> None:
    device = Device(tmp_path)
    supervisor = device.supervisor
    supervisor.start()
    try:
        await supervisor.stop_pipeline("b")
        await device.reaches("a", "running")
        assert supervisor._starting is not None
        await device.until(supervisor._starting.done)
        assert supervisor.pipelines["b"].state == "stopped"
    finally:
        await supervisor.stop()
    device = Device(tmp_path)
    device.supervisor.start()
    try:
        assert await device.supervisor.drain() == ["a", "b"]
        assert {one.state for one in device.supervisor.pipelines.values()} == {"stopped"}
    finally:
        await device.supervisor.stop()


async def test_what_came_to_its_end_starts_with_a_new_configuration(tmp_path: Path) -> None:
    async with running(tmp_path) as device:
        device.behave("a", "sources-ended")
        await device.supervisor.restart_pipeline("a")
        await device.reaches("a", "stopped")
        device.behave("a", "ok")
        both = device.pipeline("a", "weight = 50"), device.pipeline("b")
        assert (await device.supervisor.apply(device.config(*both))).restarted == ("a",)
        await device.reaches("a", "running")


@pytest.mark.parametrize("change", ["start_pipeline", "stop_pipeline", "restart_pipeline"])
async def test_a_change_that_waited_while_its_pipeline_was_removed_is_refused(
    tmp_path: Path, change: str
) -> None:
    async with running(tmp_path) as device:
        supervisor = device.supervisor
        removal = asyncio.create_task(supervisor.apply(device.config(device.pipeline("b"))))
        await asyncio.sleep(0)
        with pytest.raises(EdgewardError) as caught:
            await getattr(supervisor, change)("a")
        assert caught.value.code is Code.CONTROL_UNKNOWN_PIPELINE
        assert (await removal).stopped == ("a",)


async def test_a_drained_device_has_no_worker_until_a_start_or_a_reload(tmp_path: Path) -> None:
    async with running(tmp_path) as device:
        supervisor = device.supervisor
        pids = [pipeline.pid for pipeline in supervisor.pipelines.values()]
        assert await supervisor.drain() == ["a", "b"]
        assert supervisor.draining
        for pid in pids:
            assert pid is not None
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
        assert await supervisor.drain() == []
        await supervisor.start_pipeline("b")
        await device.reaches("b", "running")
        assert supervisor.pipelines["a"].state == "stopped"
        await supervisor.drain()
        await supervisor.apply(device.config(device.pipeline("a"), device.pipeline("b")))
        await device.reaches("a", "running")
        await device.reaches("b", "running")
        assert not supervisor.draining


async def test_an_operators_start_lets_what_is_in_quarantine_be_tried_again(tmp_path: Path) -> None:
    async with running(tmp_path) as device:
        a = device.supervisor.pipelines["a"]
        device.behave("a", "exit=7")
        os.kill(a.pid or 0, signal.SIGKILL)
        await device.reaches("a", "quarantined")
        assert a.quarantine[""].code == Code.BUNDLE_QUARANTINED.text
        assert a.last_lines == ["fake worker: exit=7"]
        device.behave("a", "ok")  # the bundle's digest is the same
        await device.supervisor.start_pipeline("a")
        assert await a.wait_for({"running"}, SOON)
        assert a.quarantine == {}
        kinds = [event.kind for event in device.supervisor.events.recent()]
        for kind in ("worker.ended", "bundle.quarantined", "pipeline.quarantined", "bundle.released"):
            assert kind in kinds


async def test_what_is_not_the_bundles_doing_puts_nothing_in_quarantine(tmp_path: Path) -> None:
    async with running(tmp_path) as device:
        a = device.supervisor.pipelines["a"]
        for _ in range(4):
            await device.supervisor.restart_pipeline("a")
            assert await a.wait_for({"running"}, SOON)
        device.behave("a", "fatal-engine")
        os.kill(a.pid or 0, signal.SIGKILL)
        await device.until(lambda: a.restarts >= 5)
        assert a.quarantine == {}


async def test_a_slower_rate_is_told_to_every_worker_also_after_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path) as device:
        a = device.supervisor.pipelines["a"]
        a.set_rate(0.5)
        await device.until(lambda: "fake worker: rate 0.5" in a._life.last_lines if a._life else False)
        os.kill(a.pid or 0, signal.SIGKILL)
        await device.until(lambda: a.restarts == 1 and a.state == "running")
        await device.until(lambda: "fake worker: rate 0.5" in a._life.last_lines if a._life else False)
