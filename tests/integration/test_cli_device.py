"""The commands that ask a running agent: what they say, how they end, and that they end."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.control import control_pb2 as pb
from runtime.errors import Code, EdgewardError, ExitStatus
from tests.integration.agent_peers import ROOT
from tests.integration.canned_agent import JPEG, Service, serving

pytestmark = [pytest.mark.integration, pytest.mark.command]

COMMAND = [sys.executable, "-P", "-m", "agent.cli.main"]


@pytest.fixture(name="service")
def service_that_answers(tmp_path: Path) -> Iterator[Service]:
    service = Service()
    with serving(tmp_path / "control.sock", service):
        yield service


def environment(folder: Path) -> dict[str, str]:
    names = {"PYTHONPATH": str(ROOT), "EDGEWARD_SOCKET": str(folder / "control.sock"), "TERM": "xterm"}
    return {**os.environ, **names}


def edgeward(folder: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, *words],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        check=False,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


@contextlib.contextmanager
def started(folder: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command that goes on; it is gone at the end whatever happens."""
    with subprocess.Popen(
        [*COMMAND, *words],
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def text_of(done: subprocess.CompletedProcess[bytes]) -> str:
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


ASKING = [
    ["status"],
    ["status", "--watch"],
    ["events", "--follow"],
    ["logs"],
    ["snapshot", "line", "-o", "x.jpg"],
    ["pipelines", "list"],
    ["pipelines", "restart", "line"],
    ["bundles", "list"],
    ["bundles", "install", "x.ewb", "--pipeline", "line"],
    ["bundles", "rollback", "line"],
    ["config", "show", "--running"],
    ["reload"],
    ["drain"],
]


@pytest.mark.parametrize("words", ASKING, ids=" ".join)
def test_without_an_agent_every_command_says_so_and_what_to_do(words: list[str], tmp_path: Path) -> None:
    done = edgeward(tmp_path, *words)
    assert done.returncode == ExitStatus.AGENT
    assert done.stdout == b""
    assert b"the agent does not run here; start it with 'systemctl start edgeward'" in done.stderr
    assert done.stderr.count(b"\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", ASKING, ids=" ".join)
def test_an_error_of_the_agent_is_the_command_s(words: list[str], service: Service, tmp_path: Path) -> None:
    service.error = EdgewardError(
        Code.CONTROL_UNKNOWN_PIPELINE, "no such pipeline", where="líne", remedy="there are: belt"
    )
    done = edgeward(tmp_path, *words)
    assert done.returncode == ExitStatus.AGENT
    said = "edgeward: líne: no such pipeline; there are: belt [control.unknown-pipeline]\n"
    assert done.stderr.decode() == said


def test_status_shows_one_screen_and_its_json_the_same(service: Service, tmp_path: Path) -> None:
    shown = text_of(edgeward(tmp_path, "status"))
    assert "edge-17 ok" in shown
    assert "7/9" in shown
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) <= 80
    found = json.loads(text_of(edgeward(tmp_path, "status", "--json")))
    assert found["pipelines"][0]["streams"][0]["fps"] == 20
    assert json.loads(text_of(edgeward(tmp_path, "status", "line", "--json")))["name"] == "line"


def test_status_ends_as_the_device_is_when_asked(service: Service, tmp_path: Path) -> None:
    service.status.health.state = "degraded"
    assert edgeward(tmp_path, "status").returncode == 0
    assert edgeward(tmp_path, "status", "--exit-code").returncode == ExitStatus.DEGRADED
    assert edgeward(tmp_path, "status", "line", "--exit-code").returncode == 0
    service.status.pipelines[0].state = "failed"
    assert edgeward(tmp_path, "status", "line", "--exit-code").returncode == ExitStatus.FAILED


def test_events_and_logs_are_lines_or_documents(service: Service, tmp_path: Path) -> None:
    assert text_of(edgeward(tmp_path, "events", "--recent", "1")).split()[2:4] == ["critical", "worker.died"]
    found = [json.loads(line) for line in text_of(edgeward(tmp_path, "events", "--json")).splitlines()]
    assert [event["kind"] for event in found] == ["agent.started", "worker.died"]
    assert text_of(edgeward(tmp_path, "logs", "--level", "INFO")).endswith("agent: it runs\n")
    assert service.asked[-1].level == "INFO"
    assert json.loads(text_of(edgeward(tmp_path, "logs", "--json")))["part"] == "agent"


def test_a_snapshot_is_written_whole_or_goes_to_a_pipe(service: Service, tmp_path: Path) -> None:
    done = edgeward(tmp_path, "snapshot", "line/cam", "-o", "now.jpg", "--annotate", "--max-width", "320")
    assert text_of(done) == ""
    assert "now.jpg: 640x480" in done.stderr.decode()
    assert (tmp_path / "now.jpg").read_bytes() == JPEG
    asked = service.asked[-1]
    assert (asked.pipeline, asked.stream, asked.annotate, asked.max_width) == ("line", "cam", True, 320)
    assert edgeward(tmp_path, "snapshot", "line").stdout == JPEG
    found = json.loads(text_of(edgeward(tmp_path, "snapshot", "line", "--json", "-o", "now.jpg")))
    assert (found["file"], found["bytes"], found["stream"]) == ("now.jpg", len(JPEG), "cam")


def test_a_snapshot_is_not_asked_for_when_it_cannot_be_written(service: Service, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for words, said in (
        (["-o", "folder"], "not a file"),
        (["--json"], "add -o FILE"),
        (["-o", "missing/x.jpg"], "no such file"),
    ):
        done = edgeward(tmp_path, "snapshot", "line", *words)
        assert done.returncode in {ExitStatus.USAGE, ExitStatus.SYSTEM}
        assert said in done.stderr.decode()
    assert not list((tmp_path / "folder").iterdir())


def test_pipelines_are_told_what_to_do_and_what_became_of_them_is_told(
    service: Service, tmp_path: Path
) -> None:
    service.status.pipelines[0].problem.text = "it is slow"
    service.status.pipelines[0].problem.remedy = "wait"
    for action, state in (("start", "running"), ("stop", "stopped"), ("restart", "running")):
        service.status.pipelines[0].state = state
        shown = text_of(edgeward(tmp_path, "pipelines", action, "line", "--wait", "3"))
        assert shown == f"line: {state} for 5.0 s\n  ! it is slow\n    -> wait\n"
        assert (service.asked[-1].name, service.asked[-1].wait_s) == ("line", 3)
    assert "cam" in text_of(edgeward(tmp_path, "pipelines", "list"))


@pytest.mark.parametrize(
    ("state", "code", "said"),
    [
        (
            "starting",
            Code.CONTROL_TIMEOUT,
            "line: the pipeline is starting after 3 s, and not running; look again",
        ),
        ("failed", Code.CONTROL_STATE, "line: the pipeline has failed: no such file; check the path"),
    ],
)
@pytest.mark.parametrize(
    "words", [["pipelines", "restart", "line"], ["bundles", "rollback", "line"]], ids=" ".join
)
def test_the_exit_status_says_whether_a_pipeline_got_where_it_was_wanted(
    words: list[str], state: str, code: Code, said: str, service: Service, tmp_path: Path
) -> None:
    line = service.status.pipelines[0]
    line.state, line.problem.text, line.problem.remedy = state, "no such file", "check the path"
    done = edgeward(tmp_path, *words, "--wait", "3")
    assert done.returncode == ExitStatus.AGENT
    assert done.stdout.decode().startswith(f"line: {state} for 5.0 s\n")
    assert done.stderr.decode().startswith(f"edgeward: {said}")
    assert f"[{code.text}]" in done.stderr.decode()
    assert edgeward(tmp_path, *words, "--wait", "0").returncode == 0


def test_reload_tells_what_changed_and_what_needs_a_restart(service: Service, tmp_path: Path) -> None:
    service.reload.warnings.append("others may change it")
    done = edgeward(tmp_path, "reload")
    assert text_of(done) == (
        "restarted: line\nunchanged: other\nonly after 'systemctl restart edgeward': mqtt.url\n"
    )
    assert done.stderr.decode() == "edgeward: warning: others may change it\n"
    assert text_of(edgeward(tmp_path, "drain")) == "stopped: line\n"
    assert text_of(edgeward(tmp_path, "config", "show", "--running")) == '[device]\nid = "x"\n'
    running = text_of(edgeward(tmp_path, "config", "show", "--running", "--json"))
    assert json.loads(running) == {"device": {"id": "x"}}


def test_an_install_tells_its_steps_and_its_end(service: Service, tmp_path: Path) -> None:
    words = ["bundles", "install", "new.ewb", "--pipeline", "line", "--stage", "plate"]
    cut = edgeward(tmp_path, *words)
    assert cut.returncode == ExitStatus.AGENT
    assert "before it said what became of the bundle" in cut.stderr.decode()
    service.steps.append(pb.InstallProgress(done=True, pipeline=service.status.pipelines[0]))
    done = edgeward(tmp_path, *words)
    assert text_of(done) == "line: running for 5.0 s\n"
    assert done.stderr.decode() == "copying\nverifying\n"
    asked = service.asked[-1]
    assert (asked.file, asked.pipeline, asked.stage) == (str(tmp_path / "new.ewb"), "line", "plate")


def test_bundles_are_listed_with_who_runs_them_and_why_one_is_quarantined(
    service: Service, tmp_path: Path
) -> None:
    assert text_of(edgeward(tmp_path, "bundles", "list")) == "this device holds no bundle yet\n"
    bundle = service.bundles.bundles.add(name="belt", version="1.2.0", release_counter=7, digest="ab" * 32)
    bundle.bytes = 5 << 20
    bundle.current.append("line")
    bundle.quarantined.text, bundle.quarantined.code = "it crashed", "worker.died"
    head, row, why = text_of(edgeward(tmp_path, "bundles", "list")).splitlines()
    assert head.split()[:3] == ["BUNDLE", "VERSION", "RELEASE"]
    assert row.split() == ["belt", "1.2.0", "7", "5", "MB", "abababababab", "line", "-"]
    assert why == "  quarantined: it crashed [worker.died]"


@pytest.mark.parametrize(
    "words", [["events", "--follow"], ["logs", "--follow"], ["status", "--watch"]], ids=" ".join
)
def test_what_goes_on_shows_each_line_at_once_and_ends_by_ctrl_c(
    words: list[str], service: Service, tmp_path: Path
) -> None:
    with started(tmp_path, *words) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (ExitStatus.INTERRUPTED, b"")


def test_a_reader_that_goes_away_ends_what_goes_on(service: Service, tmp_path: Path) -> None:
    line = " ".join(f"'{word}'" for word in [*COMMAND, "status", "--watch", "--interval", "0.1"])
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{line} | head -n 1"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "edge-17 ok\n"


def test_an_agent_that_goes_away_ends_what_goes_on_with_a_reason(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        with serving(tmp_path / "control.sock", Service()):
            process = stack.enter_context(started(tmp_path, "events", "--follow"))
            assert process.stdout is not None
            assert process.stdout.readline()
        _, errors = process.communicate(timeout=30)
    assert process.returncode == ExitStatus.AGENT
    assert b"the agent closed the connection" in errors


class Terminal:
    """A command on a terminal of its own, and what it has written there."""

    def __init__(self, folder: Path, *words: str) -> None:
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (40, 120))
        # setsid gives it the terminal as its own, so that what is typed can be a signal.
        self._process = subprocess.Popen(
            ["setsid", "--ctty", *COMMAND, *words],
            cwd=folder,
            env=environment(folder),
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)
        self.seen = b""

    def wait_for(self, text: bytes, seconds: float = 30) -> None:
        """Until it was written since the last such wait."""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0, self.seen[-2000:]
            if select.select([self._master], [], [], left)[0]:
                self.seen += os.read(self._master, 65536)
        self.seen = self.seen.partition(text)[2]

    def type(self, text: bytes) -> None:
        os.write(self._master, text)

    def close(self) -> None:
        """Whatever happened."""
        self._process.kill()
        self._process.wait(30)
        os.close(self._master)

    def end(self) -> int:
        """Its exit status, once it has ended."""
        with contextlib.suppress(OSError):  # its end of the terminal is closed
            while os.read(self._master, 65536):
                pass
        return self._process.wait(30)


@pytest.fixture(name="terminals")
def terminals_that_are_closed(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    with contextlib.ExitStack() as stack:

        def start(*words: str) -> Terminal:
            terminal = Terminal(tmp_path, *words)
            stack.callback(terminal.close)
            return terminal

        yield start


def test_the_watched_status_of_a_terminal_outlives_the_agent(
    terminals: Callable[..., Terminal], tmp_path: Path
) -> None:
    socket, service = tmp_path / "control.sock", Service()
    with serving(socket, service):
        terminal = terminals("status", "--watch", "--interval", "0.1")
        terminal.wait_for(b"edge-17")
    terminal.wait_for(b"[control.unavailable]")
    service.status.device.id = "edge-18"
    with serving(socket, service):
        terminal.wait_for(b"edge-18")
        terminal.type(b"\x03")
        assert terminal.end() == ExitStatus.INTERRUPTED


def test_no_picture_is_written_to_a_terminal(service: Service, terminals: Callable[..., Terminal]) -> None:
    terminal = terminals("snapshot", "line")
    terminal.wait_for(b"nothing for a terminal; add -o FILE")
    assert terminal.end() == ExitStatus.USAGE
    assert not service.asked


@pytest.mark.parametrize("key", [b"q", b"\x03"], ids=["q", "ctrl-c"])
def test_top_shows_the_device_on_a_terminal_until_its_user_leaves(
    key: bytes, service: Service, terminals: Callable[..., Terminal]
) -> None:
    terminal = terminals("top")
    terminal.wait_for(b"edge-17")
    terminal.wait_for(b"cam")
    terminal.type(key)
    assert terminal.end() == 0


@pytest.mark.parametrize(("what", "names"), [("pipelines", ["line"]), ("streams", ["line", "line/cam"])])
def test_names_for_the_shell_come_from_the_agent_and_silence_from_none(
    what: str, names: list[str], tmp_path: Path
) -> None:
    none = edgeward(tmp_path, "completion", what)
    assert (none.returncode, none.stdout, none.stderr) == (0, b"", b"")
    with serving(tmp_path / "control.sock", Service()):
        assert text_of(edgeward(tmp_path, "completion", what)).split() == names


def test_the_shell_waits_a_second_for_an_agent_that_hangs_and_no_longer(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(str(tmp_path / "control.sock"))
        hanging.listen()
        began = time.monotonic()
        done = edgeward(tmp_path, "completion", "pipelines")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert time.monotonic() - began < 8  # other requests wait ten seconds
