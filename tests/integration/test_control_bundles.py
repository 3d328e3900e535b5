"""Bundles by the control socket: installed from a stick, listed, rolled back; a bad one changes nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.control import control_pb2 as pb
from agent.control.client import Blocking
from bench.footage import encode
from examples.conveyor.render import Scene
from runtime.errors import Code, EdgewardError
from tests.conftest import ROOT, make_signed
from tests.integration.agent_peers import AgentProcess
from tests.integration.control_peer import connected, wait_status
from tests.integration.test_agent_trust import Site

pytestmark = pytest.mark.integration


@pytest.fixture(name="site")
def site_with_release_7(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    site.write_config("line")
    # What runs for a moment counts as good, so that there is a way back.
    site.config.write_text("[supervision]\ncalm_after_s = 1\n" + site.config.read_text())
    site.add("release")
    site.release(7)
    yield site
    site.agents.close()


def start(site: Site) -> AgentProcess:
    return site.agents.start(site.config, real_ingest=True, refused_retry=60)


def stick(site: Site, counter: int, **more: str) -> Path:
    """A release on a medium that will be pulled; the configured file stays what it was."""
    configured = site.folder / "line.ewb"
    marks = configured.stat()
    configured.rename(site.folder / "aside")
    site.release(counter, **more)
    medium = site.folder / "stick"
    medium.mkdir(exist_ok=True)
    file = medium / f"gate-{counter}.ewb"
    configured.rename(file)
    (site.folder / "aside").rename(configured)
    assert configured.stat().st_ino == marks.st_ino
    return file


def version(status: pb.Status) -> str:
    (pipeline,) = status.pipelines
    runs = pipeline.state == "running" and pipeline.streams[0].fps > 2
    return pipeline.bundles[0].version if runs else ""


def is_known_as_good(folder: Path, wanted: str) -> bool:
    """Whether the device has written down that this version ran well."""
    record = folder / "state" / "pipelines" / "line.json"
    text = record.read_text() if record.is_file() else ""
    return f'"version": "{wanted}"' in text.partition('"current"')[2].partition("}")[0]


def install(client: Blocking, file: Path, wait_s: float = 30) -> list[pb.InstallProgress]:
    return list(client.each(lambda c: c.install_bundle(file, "line", wait_s=wait_s)))


def test_a_bundle_from_a_stick_runs_from_the_store_after_a_restart_too_and_leads_back(site: Site) -> None:
    agent = start(site)
    with connected(site.folder, agent) as client:
        wait_status(client, lambda s: version(s) == "1.0.7" and is_known_as_good(site.folder, "1.0.7"))
        file = stick(site, 8)
        told = install(client, file)
        steps = [one.step for one in told]
        assert steps[:2] == ["verifying", "installed"]
        assert (steps[-1], told[-1].done) == ("running", True)
        assert [one.done for one in told[:-1]] == [False] * (len(told) - 1)
        assert told[-1].pipeline.bundles[0].version == "1.0.8"
        file.unlink()
        wait_status(client, lambda s: version(s) == "1.0.8" and is_known_as_good(site.folder, "1.0.8"))
        listed = {one.version: one for one in client.run(lambda c: c.list_bundles()).bundles}
        assert list(listed["1.0.8"].current) == ["line"]
        assert list(listed["1.0.7"].previous) == ["line"]
        assert listed["1.0.8"].release_counter == 8
        assert listed["1.0.8"].bytes > 500
    assert agent.end() == 0

    agent = start(site)
    with connected(site.folder, agent) as client:
        wait_status(client, lambda s: version(s) == "1.0.8")
        back = client.run(lambda c: c.rollback_bundle("line", wait_s=20))
        assert (back.state, back.bundles[0].version) == ("running", "1.0.7")
        assert site.floor() == 8, "a way back lowers no floor"
        # A new configured file is the administrator's word, and stands above what was installed.
        site.release(9)
        client.run(lambda c: c.restart_pipeline("line"))
        wait_status(client, lambda s: version(s) == "1.0.9")
    assert agent.end() == 0


def test_what_is_refused_changes_nothing(site: Site) -> None:
    agent = start(site)
    with connected(site.folder, agent) as client:
        before = wait_status(client, lambda s: version(s) == "1.0.7" and site.floor() == 7)
        fifo = site.folder / "fifo"
        os.mkfifo(fifo)
        refusals = {
            stick(site, 6): Code.BUNDLE_ROLLBACK,
            stick(site, 9, key="other"): Code.BUNDLE_UNTRUSTED_KEY,
            site.folder / "nothing.ewb": Code.BUNDLE_MISSING,
            fifo: Code.BUNDLE_NOT_A_FILE,
        }
        for file, code in refusals.items():
            with pytest.raises(EdgewardError) as caught:
                install(client, file)
            assert caught.value.code is code, file
        with pytest.raises(EdgewardError) as caught:
            list(client.each(lambda c: c.install_bundle(stick(site, 10), "line", stage="faces")))
        assert caught.value.code is Code.CONTROL_UNKNOWN_PIPELINE
        after = client.run(lambda c: c.get_status())
        assert after.pipelines[0].pid == before.pipelines[0].pid
        assert version(after) == "1.0.7"
    assert agent.end() == 0


def test_one_whose_worker_dies_again_and_again_is_taken_out_again(site: Site) -> None:
    site.config.write_text(site.config.read_text().replace("calm_after_s", "bad_ends = 2\ncalm_after_s", 1))
    agent = start(site)
    with connected(site.folder, agent) as client:
        wait_status(client, lambda s: version(s) == "1.0.7" and is_known_as_good(site.folder, "1.0.7"))
        with pytest.raises(EdgewardError) as caught:
            install(client, stick(site, 8, text="behaviour: exit=7"), wait_s=60)
        assert "is in quarantine" in caught.value.what
        assert "the former bundle is started again" in caught.value.what
        after = wait_status(client, lambda s: version(s) == "1.0.7")
        assert not after.pipelines[0].bundles[0].HasField("quarantined")
    assert agent.end() == 0


def test_one_that_does_not_run_on_this_device_is_taken_out_again(site: Site, tmp_path: Path) -> None:
    film = tmp_path / "belt.mp4"
    (tmp_path / "desk").mkdir()
    scene = Scene(5, 640, 360, fps=10)
    encode(film, "libx264", [scene.frame(index)[0] for index in range(20)], 10)
    author = ROOT / "examples" / "conveyor" / "model"
    good = make_signed(tmp_path / "desk", author, author / "conveyor.onnx")
    bad = stick(site, 8)  # its model is no model
    site.config.write_text(
        '[device]\nid = "dev"\nstate_dir = "state"\n[control]\nsocket = "control.sock"\n'
        f'[mqtt]\nurl = "mqtt://127.0.0.1:9"\n[trust]\nrelease_keys = ["{good.key}", "release.pub"]\n'
        f'[[pipeline]]\nname = "line"\nbundle = "{good.bundle}"\n'
        f'[[pipeline.stream]]\nname = "cam"\nurl = "{film}"\nloop = true\n'
    )
    agent = AgentProcess([sys.executable, "-m", "agent.cli.main", "agent", "--config", str(site.config)])
    try:
        with connected(site.folder, agent) as client:
            before = wait_status(client, lambda s: version(s) != "", seconds=60)
            with pytest.raises(EdgewardError) as caught:
                install(client, bad, wait_s=60)
            assert caught.value.code is Code.MODEL_LOAD
            assert "the former bundle is started again" in caught.value.what
            after = wait_status(client, lambda s: version(s) != "", seconds=60)
            assert after.pipelines[0].bundles[0].digest == before.pipelines[0].bundles[0].digest
    finally:
        assert agent.end() == 0, agent.log
