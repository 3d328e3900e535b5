"""A running agent reads its configuration again: what did not change goes on, what is bad changes nothing."""

from __future__ import annotations

import itertools
import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.control import control_pb2 as pb
from agent.control.client import Blocking
from runtime.errors import Code, EdgewardError
from tests.integration.agent_peers import AgentFolder, wait_gone
from tests.integration.control_peer import connected, wait_status

pytestmark = pytest.mark.integration

NOWHERE = "mqtt://127.0.0.1:9"


class Site:
    """An agent with two pipelines, its configuration and a client."""

    def __init__(self, agents: AgentFolder) -> None:
        self.agents = agents
        self.config = agents.write(NOWHERE, {"line": "ok", "other": "ok"})
        self.agent = agents.start(self.config)

    def edit(self, old: str, new: str) -> None:
        """Change the file, all at once as editors do."""
        text = self.config.read_text()
        assert old in text
        beside = self.config.with_suffix(".new")
        beside.write_text(text.replace(old, new, 1))
        beside.rename(self.config)

    def section(self, name: str) -> str:
        """The text of one pipeline."""
        text = self.config.read_text()
        begin = text.index(f'[[pipeline]]\nname = "{name}"')
        end = text.find("[[pipeline]]", begin + 1)
        return text[begin : end if end > 0 else None]


def pids(status: pb.Status) -> dict[str, int]:
    return {one.name: one.pid for one in status.pipelines}


def all_run(status: pb.Status) -> bool:
    return all(one.state == "running" and one.streams[0].fps > 5 for one in status.pipelines)


def severity(status: pb.Status, check: str) -> str:
    return next((one.severity for one in status.health.checks if one.id == check), "")


@pytest.fixture(name="site")
def site_that_runs(agents: AgentFolder) -> Iterator[Site]:
    site = Site(agents)
    yield site
    assert site.agent.end() == 0


@pytest.fixture(name="client")
def client_of_it(site: Site) -> Iterator[Blocking]:
    with connected(site.agents.folder, site.agent) as client:
        wait_status(client, all_run)
        yield client


def reload(client: Blocking) -> pb.ReloadReply:
    return client.run(lambda c: c.reload())


def test_ten_reloads_cost_an_unchanged_pipeline_not_a_frame(site: Site, client: Blocking) -> None:
    before = pids(client.run(lambda c: c.get_status()))
    events = client.each(lambda c: c.get_events(follow=True, detections=True, pipeline="line"))
    following = (json.loads(event.json) for event in events if event.kind == "detections")
    seen = [next(following)]
    other = site.section("other")
    for index in range(10):
        if index:
            site.edit(f"weight = {index}\n", f"weight = {index + 1}\n")
        else:
            site.edit(other, other.replace("worker_timeout_s = 2\n", "worker_timeout_s = 2\nweight = 1\n"))
        reply = reload(client)
        assert (list(reply.restarted), list(reply.unchanged)) == (["other"], ["line"])
        seen += itertools.islice(following, 3)
    frames = [body["frame"] for body in seen]
    assert frames == list(range(frames[0], frames[0] + len(frames)))
    assert {body["session"] for body in seen} == {0}
    after = pids(wait_status(client, all_run))
    assert after["line"] == before["line"]
    assert after["other"] != before["other"]


def test_pipelines_come_and_go(site: Site, client: Blocking) -> None:
    before = pids(client.run(lambda c: c.get_status()))
    gone = site.section("other")
    site.agents.behave("third", "ok")
    site.edit(gone, gone.replace("other", "third"))
    reply = reload(client)
    assert (list(reply.started), list(reply.stopped)) == (["third"], ["other"])
    assert list(reply.unchanged) == ["line"]
    status = wait_status(client, all_run)
    assert pids(status).keys() == {"line", "third"}
    assert pids(status)["line"] == before["line"]


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        ("[device]\nid = ", Code.CONFIG_SYNTAX, "edgeward.toml"),
        ("[devise]\n", Code.CONFIG_UNKNOWN_KEY, "devise"),
        ("[mqtt]\nkeepalive_s = 'x'\n", Code.CONFIG_VALUE, "mqtt.keepalive_s"),
        ("", Code.CONFIG_MISSING, "edgeward.toml"),
    ],
    ids=["syntax", "unknown key", "wrong type", "no file"],
)
def test_a_bad_file_changes_nothing_and_is_told_until_it_is_mended(
    site: Site, client: Blocking, text: str, code: Code, where: str
) -> None:
    before = client.run(lambda c: c.get_status())
    good = site.config.read_text()
    site.config.unlink()
    if text:
        site.config.write_text(text)
    with pytest.raises(EdgewardError) as caught:
        reload(client)
    assert caught.value.code is code
    assert where in caught.value.where
    status = client.run(lambda c: c.get_status())
    assert pids(status) == pids(before)
    assert status.config_problem.code == code.text
    assert status.config_loaded_ms == pytest.approx(before.config_loaded_ms, abs=1000)
    told = wait_status(client, lambda s: severity(s, "config_reload") == "warning")
    assert pids(told) == pids(before)
    (event,) = (e for e in client.each(lambda c: c.get_events(recent=100)) if e.kind == "config.refused")
    assert event.code == code.text
    site.config.write_text(good)
    assert list(reload(client).unchanged) == ["line", "other"]
    status = client.run(lambda c: c.get_status())
    assert not status.HasField("config_problem")
    wait_status(client, lambda s: severity(s, "config_reload") == "ok")
    assert pids(status) == pids(before)


def test_what_only_a_restart_takes_over_is_named_and_stays_as_it_was(site: Site, client: Blocking) -> None:
    site.edit('id = "dev"', 'id = "dev2"')
    site.edit(NOWHERE, "mqtt://127.0.0.1:10")
    reply = reload(client)
    assert list(reply.needs_restart) == ["device.id", "mqtt.url"]
    assert list(reply.unchanged) == ["line", "other"]
    status = client.run(lambda c: c.get_status())
    assert (status.device.id, status.link.address) == ("dev", "127.0.0.1:9")
    assert list(reload(client).needs_restart) == ["device.id", "mqtt.url"]


def test_another_profile_of_the_board_is_named_and_taken_over_by_no_part(
    site: Site, client: Blocking
) -> None:
    before = client.run(lambda c: c.get_status())
    good = site.config.read_text()
    site.edit('id = "dev"', 'id = "dev"\nprofile = "rk3588"')
    assert list(reload(client).needs_restart) == ["device.profile"]
    site.config.write_text(good)
    assert list(reload(client).needs_restart) == []
    profiles = site.agents.folder / "profiles"
    profiles.mkdir(exist_ok=True)
    name = before.device.profile
    (profiles / "own.toml").write_text(f'name = "{name}"\nextends = "{name}"\ntitle = "ours"\n')
    site.edit('id = "dev"', 'id = "dev"\nprofiles_dir = "profiles"')
    reply = reload(client)
    assert list(reply.needs_restart) == ["device.profiles_dir"]
    assert list(reply.unchanged) == ["line", "other"]
    assert client.run(lambda c: c.get_status()).device.profile_title == before.device.profile_title


def test_a_new_password_in_the_same_file_restarts_the_streams_that_use_it(
    site: Site, client: Blocking
) -> None:
    secret = site.agents.folder / "camera"
    secret.write_text("first-secret\n")
    secret.chmod(0o600)
    other = site.section("other")
    site.edit(other, other + 'username = "ew"\npassword_file = "camera"\n')
    assert list(reload(client).restarted) == ["other"]
    wait_status(client, all_run)
    secret.write_text("another-secret\n")
    reply = reload(client)
    assert (list(reply.restarted), list(reply.unchanged)) == (["other"], ["line"])
    assert "secret\n" not in site.agent.log
    assert "another-secret" not in site.agent.log


def test_reloads_at_once_take_turns_and_all_come_true(site: Site, client: Blocking) -> None:
    replies: list[pb.ReloadReply] = []

    def ask() -> None:
        with connected(site.agents.folder) as one:
            replies.append(reload(one))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [list(reply.unchanged) for reply in replies] == [["line", "other"]] * 6
    assert all_run(wait_status(client, all_run))


def test_sighup_reloads_as_well(site: Site, client: Blocking) -> None:
    other = site.section("other")
    site.edit(other, other.replace("worker_timeout_s = 2", "worker_timeout_s = 3"))
    site.agent.process.send_signal(signal.SIGHUP)
    assert "restarted: other" in site.agent.wait_line("was read again")
    before = client.run(lambda c: c.get_status())
    Path(site.config).write_text("[")
    site.agent.process.send_signal(signal.SIGHUP)
    site.agent.wait_line("the configuration stays as it was")
    assert pids(wait_status(client, all_run))["line"] == pids(before)["line"]


def test_a_reload_is_carried_out_though_its_client_has_left(agents: AgentFolder) -> None:
    config = agents.write(NOWHERE, {"line": "ok", "other": "ok ignore-stop"})
    agent = agents.start(config)
    with connected(agents.folder, agent) as client:
        before = pids(wait_status(client, all_run))
        # Its worker does not obey, so the change takes a second; nobody waits for so long.
        config.write_text(config.read_text().replace("worker_timeout_s = 2", "worker_timeout_s = 3"))
        with connected(agents.folder) as hasty, pytest.raises(EdgewardError) as caught:
            hasty.run(lambda c: c.reload(timeout_s=0.2))
        assert caught.value.code is Code.CONTROL_TIMEOUT
        agent.wait_line("was read again: restarted: line, other")
        after = pids(wait_status(client, all_run))
        assert not set(before.values()) & set(after.values())
    assert agent.end() == 0


def test_an_agent_that_is_stopped_in_the_middle_of_a_reload_leaves_in_order(agents: AgentFolder) -> None:
    config = agents.write(NOWHERE, {"line": "ok", "other": "ok ignore-stop"})
    agent = agents.start(config)
    with connected(agents.folder, agent) as client:
        before = wait_status(client, all_run)
        config.write_text(config.read_text().replace("worker_timeout_s = 2", "worker_timeout_s = 3"))
        with connected(agents.folder) as hasty, pytest.raises(EdgewardError):
            hasty.run(lambda c: c.reload(timeout_s=0.2))
    assert agent.end() == 0
    for pid in pids(before).values():
        wait_gone(pid)
    assert "Traceback" not in agent.log
    assert "never retrieved" not in agent.log
