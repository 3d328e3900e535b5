"""What a user can do wrong with ``edgeward run`` ends in one clear line and the documented exit status."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.errors import Code
from tests.cameras import Cameras
from tests.conftest import ROOT, Signed, make_signed

pytestmark = [pytest.mark.integration, pytest.mark.command]


def edgeward(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agent.cli.main", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def refused(done: subprocess.CompletedProcess[str], code: Code, *parts: str) -> None:
    """One line on stderr, which names the input and the code, and its exit status; never a traceback."""
    told = [line for line in done.stderr.splitlines() if line.startswith("edgeward: ")]
    assert len(told) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert f"[{code.text}]" in told[0]
    for part in parts:
        assert part in told[0], told[0]
    assert done.returncode == code.exit_status


def run(yolox: Signed, source: str | Path, *options: str) -> subprocess.CompletedProcess[str]:
    return edgeward("run", "--bundle", yolox.bundle, "--key", yolox.key, "--source", source, *options)


@pytest.fixture(scope="module")
def cameras(tmp_path_factory: pytest.TempPathFactory, test_data: Path) -> Iterator[Cameras]:
    from examples.rtsp.access_units import write_access_units  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("cameras")
    film, secret = folder / "film.aus", folder / "secret"
    write_access_units(test_data / "videos" / "one-by-one-person-detection.mp4", film, 100)
    secret.write_text("a secret")
    login = ("--user", "admin", "--password-file", str(secret))
    with Cameras({"cam": film}, "--audio-only", "talk", *login) as running:
        yield running


LOGIN = "admin:a%20secret"


def test_a_missing_bundle(yolox: Signed) -> None:
    refused(
        edgeward("run", "--bundle", "no.ewb", "--key", yolox.key, "--source", "x"),
        Code.BUNDLE_MISSING,
        "no.ewb",
    )


def test_a_missing_key(yolox: Signed) -> None:
    done = edgeward("run", "--bundle", yolox.bundle, "--key", "no.pub", "--source", "x")
    refused(done, Code.KEY_MISSING, "no.pub")


def test_a_bundle_with_one_changed_byte(yolox: Signed, tmp_path: Path) -> None:
    changed = tmp_path / "changed.ewb"
    data = bytearray(yolox.bundle.read_bytes())
    data[len(data) // 2] ^= 1
    changed.write_bytes(data)
    done = edgeward("run", "--bundle", changed, "--key", yolox.key, "--source", "x")
    refused(done, Code.BUNDLE_DIGEST, "changed.ewb")


def test_a_model_file_that_is_no_model(yolox: Signed, tmp_path: Path) -> None:
    author = tmp_path / "author"
    author.mkdir()
    for name in ("bundle.toml", "coco.names"):
        (author / name).write_bytes((yolox.model.parent / name).read_bytes())
    (author / "model.onnx").write_bytes(b"this is no model" * 100)
    signed = make_signed(tmp_path, author, author / "model.onnx")
    refused(run(signed, "x"), Code.MODEL_LOAD, "model.onnx")


def test_a_model_that_is_not_what_the_manifest_says(yolox: Signed, tmp_path: Path) -> None:
    author = tmp_path / "author"
    author.mkdir()
    for name in ("model.onnx", "coco.names"):
        (author / name).write_bytes((yolox.model.parent / name).read_bytes())
    text = (yolox.model.parent / "bundle.toml").read_text()
    (author / "bundle.toml").write_text(text.replace('"images"', '"pictures"'))
    signed = make_signed(tmp_path, author, author / "model.onnx")
    refused(run(signed, "x"), Code.MODEL_MISMATCH, "pictures", "images")


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("ftp://127.0.0.1/x", Code.SOURCE_SCHEME),
        ("no-such-film.mp4", Code.SOURCE_MISSING),
        ("/", Code.SOURCE_MISSING),
        ("x" * 300, Code.SOURCE_MISSING),
        (str(Path(__file__)), Code.SOURCE_DATA),
        ("rtsp://127.0.0.1:1/x", Code.SOURCE_REFUSED),
        ("rtsp://no-such-host.invalid/x", Code.SOURCE_UNREACHABLE),
    ],
)
def test_a_source_that_cannot_be_opened(yolox: Signed, source: str, code: Code) -> None:
    refused(run(yolox, source), code, source)


def test_a_camera_that_wants_a_login_and_gets_none(yolox: Signed, cameras: Cameras) -> None:
    refused(run(yolox, cameras.url("cam")), Code.SOURCE_UNAUTHORIZED, cameras.url("cam"), "401")


def test_a_wrong_password_is_not_repeated_in_the_error(yolox: Signed, cameras: Cameras) -> None:
    done = run(yolox, cameras.url("cam", "admin:hunter2"))
    refused(done, Code.SOURCE_UNAUTHORIZED, "cam")
    assert "hunter2" not in done.stderr + done.stdout


def test_a_password_from_a_file_opens_the_camera(yolox: Signed, cameras: Cameras, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("a secret\n")
    secret.chmod(0o600)
    options = ("--username", "admin", "--password-file", str(secret), "--max-frames", "3", "--json")
    done = run(yolox, cameras.url("cam"), *options)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["results"] == 3


def test_a_stream_without_a_video_track(yolox: Signed, cameras: Cameras) -> None:
    refused(run(yolox, cameras.url("talk", LOGIN)), Code.SOURCE_NO_VIDEO, "audio", "/talk")


def test_a_path_that_the_camera_does_not_have(yolox: Signed, cameras: Cameras) -> None:
    refused(run(yolox, cameras.url("nothing", LOGIN)), Code.SOURCE_MISSING, "/nothing", "404")


def test_a_camera_that_accepts_and_never_answers(yolox: Signed) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        accepted: list[socket.socket] = []
        threading.Thread(target=lambda: accepted.append(silent.accept()[0]), daemon=True).start()
        done = run(yolox, f"rtsp://127.0.0.1:{port}/x", "--timeout", "1")
        for connection in accepted:
            connection.close()
    refused(done, Code.SOURCE_TIMEOUT, "no answer within 1 s")


@pytest.mark.parametrize(
    "options",
    [
        ["--max-frames", "0"],
        ["--score-threshold", "1.5"],
        ["--threads", "many"],
        ["--no-such-option"],
        ["--max-f", "3"],
    ],
)
def test_a_wrong_option(yolox: Signed, options: list[str]) -> None:
    refused(run(yolox, "x", *options), Code.USAGE, "--help")


def test_results_that_cannot_be_written(yolox: Signed, tmp_path: Path) -> None:
    done = run(yolox, "x", "--events", str(tmp_path / "no" / "such" / "folder.jsonl"))
    assert done.returncode == Code.SYSTEM_IO.exit_status
    assert "folder.jsonl" in done.stderr


def test_a_picture_that_cannot_be_written(yolox: Signed, test_data: Path, tmp_path: Path) -> None:
    film = test_data / "videos" / "one-by-one-person-detection.mp4"
    done = run(yolox, film, "--annotate", str(tmp_path / "no" / "out.mp4"))
    refused(done, Code.SYSTEM_IO, "out.mp4")


def test_a_disk_that_fills_up_under_the_annotated_film(yolox: Signed, test_data: Path) -> None:
    film = test_data / "videos" / "one-by-one-person-detection.mp4"
    refused(
        run(yolox, film, "--annotate", "/dev/full", "--max-frames", "60"), Code.SYSTEM_DISK_FULL, "/dev/full"
    )


def test_json_errors_are_json(yolox: Signed) -> None:
    done = run(yolox, "ftp://x", "--json")
    error = json.loads(done.stderr)["error"]
    assert error["code"] == "source.scheme"
    assert error["where"] == "ftp://x"
    assert error["remedy"]


@pytest.mark.parametrize(
    "name",
    ["sample_missing_stsd.mp4", "sample_empty_track.mp4", "sample_vvc.mp4", "sample_mdat_too_long.mp4"],
)
def test_broken_media_ends_with_a_word_and_never_with_a_traceback(
    yolox: Signed, test_data: Path, name: str
) -> None:
    done = run(yolox, test_data / "broken" / "androidx" / name, "--max-frames", "5")
    assert "Traceback" not in done.stderr
    assert done.returncode in {0, 7, 9}, done.stderr
    assert done.returncode == 0 or "edgeward: " in done.stderr


def test_a_picture_that_is_cut_short_is_an_error_and_not_an_empty_result(
    yolox: Signed, test_data: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.jpg"
    cut.write_bytes((test_data / "images" / "face.jpg").read_bytes()[:3000])
    refused(run(yolox, cut), Code.SOURCE_DATA, "cut.jpg", "no picture in it could be decoded")


@pytest.mark.parametrize("as_url", [False, True])
@pytest.mark.parametrize("option", ["--annotate", "--events"])
def test_what_is_read_is_never_overwritten(
    yolox: Signed, test_data: Path, tmp_path: Path, option: str, *, as_url: bool
) -> None:
    film, other_name = tmp_path / "a film.mp4", tmp_path / "link.mp4"
    film.write_bytes(b"irreplaceable")
    other_name.symlink_to(film)
    source = film.as_uri() if as_url else film
    refused(run(yolox, source, option, str(other_name)), Code.USAGE, "it would be overwritten")
    refused(run(yolox, "x", option, str(yolox.key)), Code.USAGE, "it would be overwritten")
    assert film.read_bytes() == b"irreplaceable"


def test_a_film_is_not_written_under_the_name_of_a_picture(yolox: Signed, tmp_path: Path) -> None:
    refused(run(yolox, "x", "--annotate", str(tmp_path / "seen.png")), Code.USAGE, ".mp4")


@pytest.mark.parametrize(
    "options", [["--username", "admin"], ["--password-file", "secret"], ["--tile-overlap", "0.3"]]
)
def test_an_option_that_would_do_nothing_is_refused(yolox: Signed, options: list[str]) -> None:
    refused(run(yolox, "film.mp4", *options), Code.USAGE, options[0])


def test_a_full_disk_under_the_results_is_named(yolox: Signed, test_data: Path) -> None:
    picture = test_data / "images" / "face.jpg"
    refused(run(yolox, picture, "--events", "/dev/full"), Code.SYSTEM_DISK_FULL, "/dev/full")


def test_what_an_option_quotes_cannot_break_the_line_or_command_the_terminal(
    yolox: Signed, test_data: Path
) -> None:
    done = run(yolox, test_data / "images" / "face.jpg", "--provider", "a\n\x1b[31mb")
    refused(done, Code.ENGINE_UNAVAILABLE, r"a\n\x1b[31mb")
