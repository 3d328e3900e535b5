"""What the commands of a running device print, line by line, and what shells offer for them."""

from __future__ import annotations

import asyncio
import gc
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.cli import bundles, device, events, logs, paint, reload, snapshot
from agent.cli.completion import SHELLS, _commands
from agent.cli.main import build_parser, main
from agent.control import control_pb2 as pb
from agent.control.client import Blocking
from agent.control.settings import DEFAULT_SOCKET
from runtime.errors import ExitStatus

pytestmark = pytest.mark.unit

PLAIN = paint.Paint(on=False)
WHEN = 1_795_000_000_000


def test_the_socket_that_help_names_is_the_one_of_the_agent() -> None:
    assert device.USUAL_SOCKET == DEFAULT_SOCKET


def test_an_event_is_one_line_with_its_code_and_its_remedy() -> None:
    event = pb.Event(
        time_ms=WHEN,
        time_ok=True,
        kind="worker.died",
        subject="line",
        severity="critical",
        code="worker.died",
        text="killed by\nSIGKILL \x1b[31m",
        remedy="look at its log",
    )
    shown = events.line(event, PLAIN)
    assert shown.endswith(
        "critical worker.died          line: killed by\\nSIGKILL \\x1b[31m; look at its log [worker.died]\n"
    )
    assert shown.count("\n") == 1


def test_a_time_that_may_be_wrong_and_events_that_were_lost_are_told() -> None:
    shown = events.line(pb.Event(time_ms=WHEN, lost=12, kind="x", text="y"), PLAIN)
    first, second = shown.splitlines()
    assert first == "... 12 events were too fast to be shown"
    assert second[19] == "?"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"detections": []}, "nothing"),
        ({"detections": [{"label": "a"}, {"label": "b"}, {"label": "a"}]}, "2 a, 1 b"),
        ({"classes": [{"label": "scratch", "score": 0.754}]}, "scratch 0.75"),
        ({"status": "failed", "why": "no memory"}, "failed: no memory"),
        ({"status": "detections", "embedding": [0.1]}, "embedding"),
    ],
)
def test_detections_are_counted_in_words_and_whole_in_json(body: dict[str, object], words: str) -> None:
    event = pb.Event(kind="detections", json=json.dumps(body))
    assert events.line(event, PLAIN).endswith(f" {words}\n")
    assert events.as_document(event)["json"] == body
    assert events.as_document(pb.Event())["json"] is None


def test_a_line_of_the_log_names_its_part_and_how_many_were_lost() -> None:
    entry = pb.LogLine(time_ms=WHEN, level="WARNING", part="pipeline", text="line: \x07", lost=3)
    first, second = logs.line(entry, PLAIN).splitlines()
    assert first == "... 3 lines were too fast to be shown"
    assert second.endswith(" WARNING  pipeline: line: \\x07")


def test_the_document_of_a_snapshot_holds_all_but_the_picture() -> None:
    reply = pb.SnapshotReply(jpeg=b"123", width=640, time_ms=WHEN, json='{"detections": []}')
    found = json.loads(json.dumps(snapshot.as_document(reply, Path("x.jpg"))))
    assert (found["file"], found["bytes"], found["time_ms"]) == ("x.jpg", 3, WHEN)
    assert found["json"] == {"detections": []}
    assert "jpeg" not in found


def test_names_in_a_table_of_bundles_command_no_terminal() -> None:
    table = bundles.table([pb.StoredBundle(name="x\x1b[2J", digest="ab", bytes=2048, previous=["line", "b"])])
    assert table.splitlines()[1].split() == ["x\\x1b[2J", "0", "2", "kB", "ab", "-", "line,b"]


def test_a_reload_without_pipelines_says_so() -> None:
    assert reload.text(pb.ReloadReply()) == "reloaded: no pipeline is configured\n"


@pytest.mark.parametrize(
    "words",
    [
        ["status", "--interval", "0"],
        ["events", "--recent", "-1"],
        ["logs", "--level", "LOUD"],
        ["snapshot", "line", "--max-width", "3"],
        ["pipelines", "restart", "line", "--wait", "x"],
        ["pipelines", "restart"],
        ["bundles", "install", "x.ewb"],
        ["config", "show", "--effective", "--running"],
    ],
)
def test_an_option_that_makes_no_sense_is_refused(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == ExitStatus.USAGE
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "--help' [usage]" in told


def test_an_unknown_option_is_told_with_the_help_of_its_own_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["config", "check", "x.toml", "--jsonn"]) == ExitStatus.USAGE
    told = capsys.readouterr().err
    assert "edgeward config check: unrecognized arguments: --jsonn" in told
    assert "see 'edgeward config check --help'" in told


@pytest.mark.parametrize(
    "ask",
    [
        lambda agent: agent.run(lambda client: client.get_status()),
        lambda agent: list(agent.each(lambda client: client.get_events())),
    ],
    ids=["run", "each"],
)
def test_ctrl_c_before_a_request_has_begun_leaves_no_warning(
    ask: Callable[[Blocking], object], monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(asyncio.Runner, "run", interrupted)
    with Blocking(Path("control.sock")) as agent, pytest.raises(KeyboardInterrupt):
        ask(agent)
    del agent
    gc.collect()
    assert not [warning for warning in recwarn if "never awaited" in str(warning.message)]


def script(shell: str) -> str:
    return SHELLS[shell](list(_commands(build_parser())))


def offered_by_bash(*words: str) -> list[str]:
    """What bash offers for the last word where the agent knows ``line`` with a camera, and ``other``."""
    line = " ".join(f"'{word}'" for word in words)
    text = f"""compopt() {{ echo FILES; }}
edgeward() {{ case "$*" in
    "completion pipelines") printf 'line\\nother\\n' ;;
    "completion streams") printf 'line\\nline/cam\\nother\\n' ;;
esac; }}
{script("bash")}
COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}
_edgeward; printf '%s\\n' "${{COMPREPLY[@]}}" """
    done = subprocess.run(["bash", "--norc", "-c", text], capture_output=True, text=True, check=True)
    assert not done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("edgeward", "status", ""), ["line", "other"]),
        (("edgeward", "pipelines", "restart", "l"), ["line"]),
        (("edgeward", "snapshot", "line/"), ["line/cam"]),
        (("edgeward", "events", "--pipeline", "o"), ["other"]),
        (("edgeward", "bundles", "install", "--pipeline", ""), ["line", "other"]),
        (("edgeward", "bundles", "install", ""), ["FILES"]),
        (("edgeward", "status", "--socket", ""), ["FILES"]),
        (("edgeward", "config", "check", ""), ["FILES"]),
        (("edgeward", "logs", "--le"), ["--level"]),
        (("edgeward", "logs", "--level", "W"), ["WARNING"]),
        (("edgeward", "logs", "--recent", ""), []),
    ],
)
def test_bash_offers_the_pipelines_of_the_running_agent(words: tuple[str, ...], offered: list[str]) -> None:
    assert offered_by_bash(*words) == offered


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_offers_the_pipelines_of_the_running_agent() -> None:
    text = f"""function edgeward; test "$argv" = "completion pipelines"; and printf 'line\\nother\\n'; end
{script("fish")}
complete -C "edgeward status l" | string split -f1 \\t
complete -C "edgeward logs --pipeline o" | string split -f1 \\t
complete -C "edgeward logs --level W" | string split -f1 \\t
"""
    done = subprocess.run(["fish", "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["line", "other", "WARNING"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_asks_the_running_agent_for_its_pipelines() -> None:
    text = script("zsh")
    assert "'*:name: _edgeward_names pipelines'" in text
    assert ":PIPELINE: _edgeward_names pipelines'" in text
    assert ":level:(DEBUG INFO WARNING ERROR CRITICAL)'" in text
    asked = subprocess.run(
        [
            "zsh",
            "-f",
            "-c",
            "compdef() { :; }; compadd() { print -l $names; }; edgeward() { print -l $1 $2; }\n"
            + text
            + "\n_edgeward_names streams",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert asked.stdout.split() == ["completion", "streams"]


HEAVY = {
    "asyncio",
    "cryptography",
    "google.protobuf",
    "grpclib",
    "msgspec",
    "numpy",
    "paho",
    "psutil",
    "textual",
}


@pytest.mark.parametrize(
    "words", [["version"], ["status", "--help"], ["top", "--help"], ["config", "--help"]]
)
def test_a_command_loads_nothing_that_another_needs(words: list[str]) -> None:
    program = (
        "import sys\n"
        "from agent.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stderr.split())
