"""Which bundles a running agent takes: by the key that signed them, and by what has run before.

The real agent with its real verifying child; only the worker is the fake one.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.cli.main import main
from agent.trust import floors as floor_store
from runtime.bundle import floors
from runtime.errors import Code
from tests.integration.agent_peers import AgentFolder, AgentProcess

pytestmark = pytest.mark.integration

TOML = """\
[bundle]
name = "gate"
version = "1.0.{counter}"
release_counter = {counter}
labels = ["person"]
description = "{text}"
[[variant]]
id = "cpu"
engine = "onnxruntime"
file = "model.onnx"
input = [{{ name = "images", dtype = "float32", shape = [1, 3, 32, 32] }}]
output = [{{ name = "output", dtype = "float32", shape = [1, 21, 6] }}]
[preprocess]
[postprocess]
decoder = "yolox"
"""


class Site:
    """A desk that makes bundles, and a device that runs them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.agents = AgentFolder(folder)
        self.config = folder / "edgeward.toml"
        self.floors = floor_store.path_in(folder / "state")
        for name in ("release", "other"):
            assert main(["keys", "generate", "--out", str(folder / name), "--json"]) == 0

    def write_config(self, *pipelines: str) -> None:
        text = '[device]\nid = "dev"\nstate_dir = "state"\n[control]\nsocket = "control.sock"\n'
        text += '[mqtt]\nurl = "mqtt://127.0.0.1:9"\n'
        text += '[trust]\nfolder = "trust.d"\n[preflight]\nenabled = false\n'
        for name in pipelines:
            text += f'[[pipeline]]\nname = "{name}"\nbundle = "{name}.ewb"\n'
            text += '[[pipeline.stream]]\nname = "cam"\nurl = "rtsp://127.0.0.1/cam"\n'
        self.config.write_text(text)

    def release(self, counter: int, *, text: str = "", pipeline: str = "line", key: str = "release") -> None:
        """Put a release of the bundle where the pipeline looks for it."""
        author = self.folder / "author"
        author.mkdir(exist_ok=True)
        (author / "bundle.toml").write_text(TOML.format(counter=counter, text=text))
        (author / "model.onnx").write_bytes(b"a model of no use")
        new = self.folder / "new.ewb"
        assert main(["bundle", "pack", str(author), "--out", str(new), "--json"]) == 0
        assert main(["bundle", "sign", str(new), "--key", str(self.folder / f"{key}.key"), "--json"]) == 0
        new.rename(self.folder / f"{pipeline}.ewb")

    def trust(self, *arguments: str) -> None:
        at = 2 if arguments[0] == "floors" else 1
        command = ["trust", *arguments[:at], "--config", str(self.config), "--json", "--yes", *arguments[at:]]
        assert main([word for word in command if arguments[at - 1] != "list" or word != "--yes"]) == 0

    def add(self, name: str, *more: str, role: str = "release") -> None:
        self.trust("add", str(self.folder / f"{name}.pub"), "--role", role, *more)

    def start(self) -> AgentProcess:
        return self.agents.start(self.config, real_ingest=True, refused_retry=60)

    def floor(self) -> int:
        return floors.load(self.floors)["gate"].counter


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    made.write_config("line")
    yield made
    made.agents.close()


def runs(agent: AgentProcess, pipeline: str = "line", *, after: int = 0) -> int:
    """Wait until the worker is ready; its process id."""
    line = agent.wait_line(f"{pipeline}: fake 1.0.0 runs on fake", after=after)
    return int(line.rpartition("process ")[2])


def test_a_release_that_ran_is_the_floor_until_somebody_lowers_it(site: Site) -> None:
    site.add("release")
    site.release(7)
    agent = site.start()
    first = runs(agent)
    agent.wait_line("the rollback floor of gate is release 7 now")
    assert site.floor() == 7

    mark = len(agent.lines)
    site.release(8)
    os.kill(first, signal.SIGKILL)
    second = runs(agent, after=mark)
    agent.wait_line("release 8 now", after=mark)

    mark = len(agent.lines)
    site.release(7)
    os.kill(second, signal.SIGKILL)
    refusal = agent.wait_line("[bundle.rollback]", after=mark)
    assert "release 7 of 'gate' is older than release 8" in refusal
    assert "edgeward trust floors lower gate --to 7" in refusal

    mark = len(agent.lines)
    site.trust("floors", "lower", "gate", "--to", "7")
    runs(agent, after=mark)
    agent.wait_line("release 7 now", after=mark)
    assert agent.end() == 0
    assert site.floor() == 7


def test_one_release_is_one_bundle(site: Site) -> None:
    site.add("release")
    site.release(7)
    agent = site.start()
    worker = runs(agent)
    agent.wait_line("release 7 now")
    mark = len(agent.lines)
    site.release(7, text="changed, and the counter forgotten")
    os.kill(worker, signal.SIGKILL)
    agent.wait_line("[bundle.counter-reused]", after=mark)
    assert agent.end() == 0


def test_of_two_bundles_with_one_release_that_start_at_once_one_is_refused(site: Site) -> None:
    site.add("release")
    site.write_config("left", "right")
    site.release(7, pipeline="left")
    site.release(7, text="another one", pipeline="right")
    agent = site.start()
    agent.wait_line("release 7 now")
    refusal = agent.wait_line("[bundle.counter-reused]")
    assert re.search(r"(left|right): ", refusal)
    assert agent.end() == 0


def test_a_key_that_is_added_is_noticed_by_a_running_agent(site: Site) -> None:
    site.add("other")
    site.release(1)
    agent = site.start()
    agent.wait_line("[bundle.untrusted-key]")
    mark = len(agent.lines)
    site.add("release", "--standby")
    runs(agent, after=mark)
    assert agent.end() == 0


def test_a_key_that_is_removed_ends_what_it_signed_and_nothing_else(site: Site) -> None:
    site.add("release")
    site.add("other", "--standby")
    site.write_config("line", "belt")
    site.release(1)
    site.release(1, pipeline="belt", key="other")
    agent = site.start()
    runs(agent)
    belt = runs(agent, "belt")
    mark = len(agent.lines)
    site.trust("remove", "release")
    agent.wait_line("line: the key of gate 1.0.1 is trusted with it no more", after=mark)
    agent.wait_line("signed by the key", after=mark)
    assert "[bundle.untrusted-key]" in agent.wait_line("ERROR pipeline: line", after=mark)
    mark = len(agent.lines)
    site.release(1, key="other")
    runs(agent, after=mark)
    assert Path(f"/proc/{belt}").exists(), "the other pipeline has the same worker still"
    assert agent.end() == 0


def test_a_key_whose_names_are_narrowed_ends_what_it_may_sign_no_more(site: Site) -> None:
    site.add("release")
    site.release(1)
    agent = site.start()
    runs(agent)
    mark = len(agent.lines)
    site.add("release", "--names", "gate,belt", "--replace")
    site.add("other", "--standby")
    site.add("release", "--names", "belt", "--replace")
    agent.wait_line("[bundle.key-name]", after=mark)
    assert not any("runs on fake" in line for line in agent.lines[mark:]), "what changes nothing ends nothing"
    assert agent.end() == 0


def test_a_trust_folder_that_makes_no_sense_ends_nothing_that_runs(site: Site) -> None:
    site.add("release")
    site.release(1)
    agent = site.start()
    worker = runs(agent)
    path = site.folder / "trust.d" / "release.toml"
    good = path.read_text()
    path.write_text(good.replace("role", "rolle"))
    agent.wait_line("what this device trusts cannot be read")
    path.write_text(good)
    mark = len(agent.lines)
    os.kill(worker, signal.SIGKILL)
    runs(agent, after=mark)
    assert agent.end() == 0


@pytest.mark.parametrize(
    ("role", "names", "code"),
    [("operate", "*", Code.BUNDLE_KEY_ROLE), ("release", "belt,ppe-*", Code.BUNDLE_KEY_NAME)],
)
def test_a_key_may_do_what_its_file_says_and_no_more(role: str, names: str, code: Code, site: Site) -> None:
    site.add("other")
    site.add("release", "--names", names, role=role)
    site.release(1)
    agent = site.start()
    agent.wait_line(f"[{code.text}]")
    assert not site.floors.exists()
    assert agent.end() == 0


def test_damaged_floors_let_nothing_in_until_they_are_reset(site: Site) -> None:
    site.add("release")
    site.release(7)
    floor_store.raise_to(site.floors, "gate", 7, "a" * 64)
    site.floors.write_bytes(site.floors.read_bytes()[:-5])
    agent = site.start()
    refusal = agent.wait_line("[trust.floors]")
    assert "edgeward trust floors reset" in refusal
    mark = len(agent.lines)
    site.trust("floors", "reset")
    runs(agent, after=mark)
    assert agent.end() == 0


def test_a_trust_folder_that_others_may_write_stops_every_start(site: Site) -> None:
    site.add("release")
    site.release(1)
    (site.folder / "trust.d" / "release.toml").chmod(0o666)
    agent = site.start()
    refusal = agent.wait_line("[trust.writable]")
    assert "chmod go-w" in refusal
    mark = len(agent.lines)
    (site.folder / "trust.d" / "release.toml").chmod(0o644)
    runs(agent, after=mark)
    assert agent.end() == 0


def test_without_a_floor_the_agent_goes_on_and_says_so(site: Site) -> None:
    """A folder where the file should be: it cannot be written, and no bundle is at fault."""
    site.add("release")
    site.release(1)
    agent = site.start()
    runs(agent)
    agent.wait_line("release 1 now")
    assert agent.end() == 0
    shutil.rmtree(site.floors.parent)
    site.floors.parent.symlink_to("/proc/self/fd")
    again = site.start()
    runs(again)
    again.wait_line("the rollback floor did not rise")
    assert again.end() == 0
