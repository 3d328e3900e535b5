"""``edgeward bench`` with a real worker: figures that agree with each other, errors like those of run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from agent.cli.bench_capacity import CPU_HEADROOM
from bench.footage import encode
from examples.conveyor.render import Scene
from runtime.errors import Code
from tests.conftest import ROOT, Signed, make_signed

pytestmark = [pytest.mark.integration, pytest.mark.command]

FPS, FILM_FRAMES = 12, 24
COMMAND = [sys.executable, "-m", "agent.cli.main", "bench"]


@pytest.fixture(scope="module")
def belt(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    author = ROOT / "examples" / "conveyor" / "model"
    return make_signed(tmp_path_factory.mktemp("belt"), author, author / "conveyor.onnx")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "belt.mp4"
    scene = Scene(5, 640, 360, fps=FPS)
    encode(path, "libx264", [scene.frame(index)[0] for index in range(FILM_FRAMES)], FPS)
    return path


def bench(belt: Signed, source: str | Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, str(belt.bundle), str(source), "--key", str(belt.key), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_its_figures_agree_with_one_another(belt: Signed, film: Path) -> None:
    found = document(bench(belt, film, "--frames", "60", "--json"))
    frames, stages = found["frames"], {stage["name"]: stage for stage in found["stages"]}
    assert frames["results"] == 60, "a film of 24 frames begins again"
    assert frames["failed"] == 0
    assert 30 <= frames["measured"] <= 60
    assert frames["decoded"] - sum(frames["dropped"].values()) == 60
    assert sum(stage["cpu_ms"] for stage in stages.values()) == pytest.approx(found["cpu_ms"], rel=0.01)
    assert sum(stage["share"] for stage in stages.values()) == pytest.approx(1.0, abs=0.01)
    assert next(iter(stages)) == "decode"
    assert list(stages)[-1] == "other"
    assert {"preprocess", "infer", "postprocess", "publish"} <= set(stages)
    assert all(stage["cpu_ms"] > 0 for name, stage in stages.items() if name != "other")
    assert stages["infer"]["wall_ms"] > 0
    assert found["latency_ms"]["p50"] <= found["latency_ms"]["p95"] <= found["latency_ms"]["max"]
    serial_ms = sum(stage["wall_ms"] for name, stage in stages.items() if name not in {"decode", "other"})
    assert found["latency_ms"]["max"] >= serial_ms / 2
    assert found["fps"] == pytest.approx(59 / found["seconds"], rel=0.05)
    assert 20 < found["memory_mb"]["loaded"] <= found["memory_mb"]["peak"]
    assert (found["engine"], found["bundle"]["name"], found["threads"]) == ("onnxruntime", "conveyor", 1)
    assert found["load_ms"] > 0
    assert found["source"] == {"codec": "h264", "width": 640, "height": 360, "fps": FPS}


def test_the_number_of_streams_follows_from_what_a_frame_costs(belt: Signed, film: Path) -> None:
    found = document(bench(belt, film, "--frames", "60", "--fps", "6", "--json"))
    streams, stages = found["streams"], {stage["name"]: stage for stage in found["stages"]}
    assert streams["fps"] == 6
    assert streams["count"] == int(streams["by"][streams["limit"]])
    decode_ms = stages["decode"]["cpu_ms"]
    cpu_s = (decode_ms * FPS + (found["cpu_ms"] - decode_ms) * 6) / 1e3
    # Decode is a little less for each frame that was decoded than for each that was looked at.
    assert streams["by"]["cpu"] == pytest.approx(CPU_HEADROOM * found["board"]["cpus"] / cpu_s, rel=0.1)
    assert streams["one_stream_fps"] == FPS


def test_a_person_reads_a_table_and_a_picture_and_no_codes(belt: Signed, film: Path) -> None:
    done = bench(belt, film, "--frames", "40")
    assert done.returncode == 0, done.stderr
    for expected in ("decode", "infer", "ms CPU", "this board", "latency", "memory", "onnxruntime"):
        assert expected in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    assert "loaded in" in done.stderr


def test_verify_really_runs_that_many_streams(belt: Signed, film: Path) -> None:
    options = ("--frames", "40", "--fps", "1", "--verify", "--verify-seconds", "2", "--json")
    found = document(bench(belt, film, *options))
    tried = found["verified"]
    assert tried[0]["streams"] == min(64, found["streams"]["count"])
    assert [one["kept"] for one in tried[:-1]] == [False] * (len(tried) - 1)
    assert [one["streams"] for one in tried] == sorted({one["streams"] for one in tried}, reverse=True)
    for one in tried:
        assert one["seconds"] >= 2
        assert one["wanted_fps"] == 1
        assert 0 < one["latency_ms"]["p50"] <= one["latency_ms"]["max"]
        assert one["cpus"] > 0


def test_ctrl_c_gives_what_was_found_until_then(belt: Signed, film: Path) -> None:
    command = [
        *COMMAND,
        str(belt.bundle),
        str(film),
        "--key",
        str(belt.key),
        "--frames",
        "1000000",
        "--seconds",
    ]
    with subprocess.Popen([*command, "600", "--json"], cwd=ROOT, stdout=-1, stderr=-1, text=True) as running:
        time.sleep(4)
        running.send_signal(signal.SIGINT)
        stdout, stderr = running.communicate(timeout=30)
    assert running.returncode == 130, stderr
    found = json.loads(stdout)
    assert found["interrupted"]
    assert found["frames"]["results"] >= found["frames"]["measured"] > 0
    assert found["streams"]["count"] >= 0


def test_it_ends_when_its_time_is_over(belt: Signed, film: Path) -> None:
    found = document(bench(belt, film, "--frames", "1000000", "--seconds", "1.5", "--json"))
    assert 1.5 <= found["seconds"] < 5
    assert not found["interrupted"]


def refused(done: subprocess.CompletedProcess[str], code: Code, *parts: str) -> None:
    told = [line for line in done.stderr.splitlines() if line.startswith("edgeward: ")]
    assert len(told) == 1, done.stderr
    assert "Traceback" not in done.stderr
    for part in (f"[{code.text}]", *parts):
        assert part in told[0], told[0]
    assert done.returncode == code.exit_status
    assert done.stdout == ""


def test_a_key_that_did_not_sign_it(belt: Signed, film: Path, tmp_path: Path) -> None:
    make = [sys.executable, "-m", "agent.cli.main", "keys", "generate", "--out", str(tmp_path / "other")]
    subprocess.run(make, cwd=ROOT, check=True, capture_output=True)
    other = Signed(belt.bundle, tmp_path / "other.pub", belt.model)
    refused(bench(other, film), Code.BUNDLE_UNTRUSTED_KEY, "model.ewb")
    refused(bench(Signed(belt.bundle, tmp_path / "no.pub", belt.model), film), Code.KEY_MISSING, "no.pub")


def test_a_missing_bundle(belt: Signed, film: Path) -> None:
    refused(bench(Signed(Path("no.ewb"), belt.key, belt.model), film), Code.BUNDLE_MISSING, "no.ewb")


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("no-such-film.mp4", Code.SOURCE_MISSING),
        (str(Path(__file__)), Code.SOURCE_DATA),
        ("ftp://127.0.0.1/x", Code.SOURCE_SCHEME),
        ("rtsp://127.0.0.1:1/x", Code.SOURCE_REFUSED),
    ],
)
def test_a_source_that_cannot_be_opened(belt: Signed, source: str, code: Code) -> None:
    refused(bench(belt, source), code, source)


@pytest.mark.parametrize("options", [["--frames", "0"], ["--fps", "-1"], ["--threads", "x"], ["--no-such"]])
def test_a_wrong_option(belt: Signed, film: Path, options: list[str]) -> None:
    refused(bench(belt, film, *options), Code.USAGE, "--help")


def test_a_camera_cannot_be_multiplied(belt: Signed) -> None:
    refused(bench(belt, "rtsp://127.0.0.1:1/x", "--verify"), Code.USAGE, "--verify")


@pytest.mark.parametrize("options", [["--variant", "no-such"], ["--provider", "NoSuchProvider"]])
def test_what_is_forced_and_not_there_is_an_error(belt: Signed, film: Path, options: list[str]) -> None:
    refused(bench(belt, film, *options), Code.ENGINE_UNAVAILABLE, options[1])


def test_json_errors_are_json(belt: Signed) -> None:
    done = bench(belt, "no-such-film.mp4", "--json")
    assert json.loads(done.stderr)["error"]["code"] == "source.missing"
    assert done.stdout == ""


def test_bundles_that_follow_and_tiles_are_measured_too(belt: Signed, film: Path) -> None:
    alone = document(bench(belt, film, "--frames", "20", "--json"))
    options = ("--frames", "20", "--then", str(belt.bundle), "--tiles", "2x1", "--json")
    more = document(bench(belt, film, *options))
    assert alone["then"] == []
    assert [one["name"] for one in more["then"]] == [more["bundle"]["name"]]
    infer = [
        next(one["cpu_ms"] for one in found["stages"] if one["name"] == "infer") for found in (alone, more)
    ]
    assert infer[1] > 2 * infer[0], "the whole picture and two tiles"


def test_figures_outlive_a_worker_that_is_killed_while_they_are_verified(belt: Signed, film: Path) -> None:
    command = [*COMMAND, str(belt.bundle), str(film), "--key", str(belt.key), "--frames", "40"]
    command += ["--verify", "--verify-seconds", "60"]
    with subprocess.Popen(command, cwd=ROOT, stdout=-1, stderr=-1, text=True) as running:
        assert running.stderr is not None
        while "verify: " not in (line := running.stderr.readline()):
            assert line, "it ended before it verified"
        deadline, workers = time.monotonic() + 10, []
        while not workers and time.monotonic() < deadline:
            workers = psutil.Process(running.pid).children()
        workers[0].kill()
        stdout, stderr = running.communicate(timeout=30)
    assert running.returncode == Code.WORKER_DIED.exit_status, stderr
    assert "SIGKILL" in stderr
    assert str(belt.bundle) in stderr
    assert "frames a second" in stdout
    assert "infer" in stdout
