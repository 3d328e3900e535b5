"""Bundles through real processes: the command line, the ingest child, full disks and killed parents."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from agent.trust import ingest as trust
from agent.trust.ingest import ingest
from runtime.bundle import archive, staging
from runtime.bundle.archive import Discard
from runtime.bundle.keys import load_trusted
from runtime.errors import Code, EdgewardError, ExitStatus

pytestmark = [pytest.mark.integration, pytest.mark.command]

ROOT = Path(__file__).resolve().parents[2]
TOML = """\
[bundle]
name = "yolox-nano"
version = "1.0.0"
release_counter = 1
labels_file = "coco.names"

[[variant]]
id = "cpu"
engine = "onnxruntime"
file = "yolox_nano.onnx"
input = [{ name = "images", dtype = "float32", shape = [1, 3, 416, 416] }]
output = [{ name = "output", dtype = "float32", shape = [1, 3549, 85] }]

[preprocess]
fit = "letterbox_topleft"
order = "bgr"

[postprocess]
decoder = "yolox"
"""


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def edgeward(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "agent.cli.main", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, test_data: Path) -> Path:
    """An author's desk: a real model, packed and signed with the real commands."""
    folder = tmp_path_factory.mktemp("desk")
    author = folder / "author"
    author.mkdir()
    for name in ("yolox_nano.onnx", "coco.names"):
        shutil.copyfile(test_data / "models" / name, author / name)
    (author / "bundle.toml").write_text(TOML)
    for arguments in (
        ["keys", "generate", "--out", "release"],
        ["bundle", "pack", "author", "--out", "x.ewb"],
        ["bundle", "sign", "x.ewb", "--key", "release.key"],
    ):
        done = edgeward(*arguments, folder=folder)
        assert (done.returncode, done.stderr) == (0, "")
    return folder


def take(desk: Path, into: Path, *, bundle: Path | None = None, timeout_s: float = 60) -> object:
    return asyncio.run(ingest(bundle or desk / "x.ewb", [desk / "release.pub"], into, timeout_s=timeout_s))


def test_the_way_of_a_bundle_from_the_author_to_the_device(desk: Path, tmp_path: Path) -> None:
    verified = edgeward("bundle", "verify", "x.ewb", "--key", "release.pub", "--json", folder=desk)
    digest = json.loads(verified.stdout)["digest"]
    unpacked = edgeward(
        "bundle", "unpack", "x.ewb", "--key", "release.pub", "--out", tmp_path / "un", folder=desk
    )
    assert (verified.returncode, unpacked.returncode) == (0, 0), unpacked.stderr
    assert edgeward("bundle", "verify", tmp_path / "un", "--key", "release.pub", folder=desk).returncode == 0
    found = take(desk, tmp_path / "bundles")
    assert (found.digest, found.new) == (digest, True)  # type: ignore[attr-defined]
    assert listed(tmp_path / "bundles") == [digest]
    model = (tmp_path / "bundles" / digest / "yolox_nano.onnx").read_bytes()
    assert model == (desk / "author" / "yolox_nano.onnx").read_bytes()


def test_an_unsigned_bundle_never_passes(desk: Path, tmp_path: Path) -> None:
    packed = edgeward("bundle", "pack", "author", "--out", tmp_path / "u.ewb", folder=desk)
    assert packed.returncode == 0
    assert edgeward("bundle", "inspect", tmp_path / "u.ewb", folder=desk).stdout.startswith(
        "signature    none"
    )
    verified = edgeward("bundle", "verify", tmp_path / "u.ewb", "--key", "release.pub", folder=desk)
    assert (verified.returncode, verified.stdout) == (ExitStatus.BUNDLE_REFUSED, "")
    with pytest.raises(EdgewardError, match="not signed"):
        take(desk, tmp_path / "bundles", bundle=tmp_path / "u.ewb")
    assert listed(tmp_path / "bundles") == []


def test_two_hundred_changed_bytes_are_refused(desk: Path, tmp_path: Path) -> None:
    keys = load_trusted([desk / "release.pub"])
    bundle = tmp_path / "x.ewb"
    shutil.copyfile(desk / "x.ewb", bundle)
    size = bundle.stat().st_size
    assert size > 3_000_000
    pick = random.Random(200)  # noqa: S311
    with bundle.open("r+b", buffering=0) as stream:
        # A quarter of them in the front, where signature, manifest and headers are.
        for at in [pick.randrange(14_000) for _ in range(50)] + [pick.randrange(size) for _ in range(150)]:
            good = os.pread(stream.fileno(), 1, at)
            os.pwrite(stream.fileno(), bytes([good[0] ^ pick.randrange(1, 256)]), at)
            with pytest.raises(EdgewardError) as caught, archive.open_archive(bundle) as reader:
                archive.verify(reader, keys, Discard())
            assert caught.value.code.exit_status is ExitStatus.BUNDLE_REFUSED, at
            os.pwrite(stream.fileno(), good, at)
    with archive.open_archive(bundle) as reader:
        archive.verify(reader, keys, Discard())


def test_changed_bytes_reach_the_agent_as_one_error_and_leave_nothing(desk: Path, tmp_path: Path) -> None:
    good = (desk / "x.ewb").read_bytes()
    into = tmp_path / "bundles"
    for at in (0, 300, 700, 5000, len(good) // 2, len(good) - 1):
        (tmp_path / "x.ewb").write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        with pytest.raises(EdgewardError) as caught:
            take(desk, into, bundle=tmp_path / "x.ewb")
        assert caught.value.code.exit_status is ExitStatus.BUNDLE_REFUSED
        assert "Traceback" not in str(caught.value)
        assert listed(into) == []


def test_the_child_s_errors_are_those_of_the_library(desk: Path, tmp_path: Path) -> None:
    for bundle, keys, code in (
        (tmp_path / "none.ewb", [desk / "release.pub"], Code.BUNDLE_MISSING),
        (desk / "author", [desk / "release.pub"], Code.BUNDLE_NOT_A_FILE),
        (desk / "x.ewb", [desk / "release.key"], Code.KEY_INVALID),
        (desk / "x.ewb", [], Code.USAGE),
    ):
        with pytest.raises(EdgewardError) as caught:
            asyncio.run(ingest(bundle, keys, tmp_path / "bundles"))
        assert caught.value.code is code


def test_modules_in_the_working_folder_are_not_loaded(
    desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runtime").mkdir()
    (tmp_path / "runtime" / "__init__.py").write_text("raise SystemExit('the wrong runtime')")
    (tmp_path / "msgspec.py").write_text("raise SystemExit('the wrong msgspec')")
    monkeypatch.chdir(tmp_path)
    assert take(desk, tmp_path / "bundles").new  # type: ignore[attr-defined]


def test_a_child_that_floods_its_parent_is_killed(
    desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stream in ("stdout", "stderr"):
        code = f"import sys\nfor _ in range(64): sys.{stream}.buffer.write(bytes(1 << 20))"
        monkeypatch.setattr(trust, "_command", lambda *_, code=code: [sys.executable, "-c", code])
        with pytest.raises(EdgewardError, match="said more than 1048576 bytes"):
            take(desk, tmp_path / "bundles", timeout_s=60)


def test_a_path_that_is_not_text_is_named_by_the_child(desk: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgewardError) as caught:
        take(desk, tmp_path / "bundles", bundle=tmp_path / os.fsdecode(b"no\xff.ewb"))
    assert caught.value.code is Code.BUNDLE_MISSING
    assert caught.value.where.endswith("no\\udcff.ewb")
    shutil.copyfile(desk / "x.ewb", tmp_path / os.fsdecode(b"\xff.ewb"))
    assert take(desk, tmp_path / "bundles", bundle=tmp_path / os.fsdecode(b"\xff.ewb")).new  # type: ignore[attr-defined]
    with pytest.raises(EdgewardError, match="path of the store is not UTF-8"):
        take(desk, tmp_path / os.fsdecode(b"store\xff"))


# Root may read everything but for these: CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH.
WITHOUT_RIGHTS = (
    "import ctypes, os, sys\n"
    "for number in (1, 2): ctypes.CDLL(None).prctl(24, number, 0, 0, 0)\n"
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)


def test_a_stored_bundle_that_may_not_be_searched_is_replaced(desk: Path, tmp_path: Path) -> None:
    into = tmp_path / "bundles"
    found = take(desk, into)
    command = [
        sys.executable,
        "-P",
        "-c",
        WITHOUT_RIGHTS,
        "-P",
        "-m",
        "runtime.bundle.ingest",
        f"--into={into}",
    ]
    command += [f"--bundle={desk / 'x.ewb'}", f"--key={desk / 'release.pub'}"]
    for mode in (0o644, 0o600, 0):
        (into / found.digest).chmod(mode)  # type: ignore[attr-defined]
        done = subprocess.run(
            command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False, cwd=ROOT
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert json.loads(done.stdout)["ok"]["new"]
        # The child is confined and may not open the old folder up to empty it; the agent sweeps behind it.
        swept = (
            f"import pathlib; from runtime.bundle import staging; staging.sweep(pathlib.Path({str(into)!r}))"
        )
        subprocess.run([sys.executable, "-c", WITHOUT_RIGHTS, "-c", swept], cwd=ROOT, check=True)
        assert listed(into) == [found.digest]  # type: ignore[attr-defined]


def test_a_folder_that_may_not_be_searched_is_unreadable(desk: Path, tmp_path: Path) -> None:
    for name in ("a.ewb", "author"):
        (tmp_path / "shut" / name).mkdir(parents=True)
    unpacked = tmp_path / "un"
    assert (
        edgeward(
            "bundle",
            "unpack",
            desk / "x.ewb",
            "--key",
            desk / "release.pub",
            "--out",
            unpacked,
            folder=tmp_path,
        ).returncode
        == 0
    )
    unpacked.chmod(0o644)
    (tmp_path / "shut").chmod(0)
    for arguments in (
        ["verify", tmp_path / "shut" / "a.ewb", "--key", desk / "release.pub"],
        ["verify", unpacked, "--key", desk / "release.pub"],
        ["pack", tmp_path / "shut" / "author", "--out", tmp_path / "y.ewb"],
    ):
        command = [sys.executable, "-P", "-c", WITHOUT_RIGHTS, "-P", "-m", "agent.cli.main", "bundle"]
        done = subprocess.run(
            [*command, *map(str, arguments)],
            env={"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        assert done.returncode == ExitStatus.BUNDLE_UNREADABLE, done.stderr
        assert "permission denied" in done.stderr


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("a small tmpfs cannot be mounted here: it needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_full_disk_leaves_nothing(desk: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        with pytest.raises(EdgewardError) as caught:
            take(desk, disk / "bundles")
        assert caught.value.code is Code.SYSTEM_DISK_FULL
        assert listed(disk / "bundles") == []
        for command in (["unpack", "--out", disk / "un"], ["sign", "--out", disk / "y.ewb"]):
            key = "release.key" if command[0] == "sign" else "release.pub"
            done = edgeward("bundle", *command, "x.ewb", "--key", key, folder=desk)
            assert (done.returncode, "system.disk-full" in done.stderr) == (ExitStatus.SYSTEM, True), (
                done.stderr
            )
        assert listed(disk) == ["bundles"]


def test_a_child_that_takes_too_long_is_killed(desk: Path, tmp_path: Path) -> None:
    into = tmp_path / "bundles"
    with staging.locked(into):
        began = time.monotonic()
        with pytest.raises(EdgewardError, match=r"not verified within 0\.7 s") as caught:
            take(desk, into, timeout_s=0.7)
        assert time.monotonic() - began < 5
    assert caught.value.code is Code.SYSTEM_TIMEOUT
    assert listed(into) == []
    assert not [child for child in psutil.Process().children() if child.is_running()]


def test_the_child_dies_with_its_parent(desk: Path, tmp_path: Path) -> None:
    into = tmp_path / "bundles"
    code = (
        "import asyncio, sys; from pathlib import Path; from agent.trust.ingest import ingest; "
        "asyncio.run(ingest(Path(sys.argv[1]), [Path(sys.argv[2])], Path(sys.argv[3])))"
    )
    command = [sys.executable, "-c", code, desk / "x.ewb", desk / "release.pub", into]
    with staging.locked(into), subprocess.Popen(command, cwd=ROOT) as parent:
        deadline = time.monotonic() + 20
        children: list[psutil.Process] = []
        while not children and time.monotonic() < deadline:
            children = psutil.Process(parent.pid).children()
            time.sleep(0.02)
        (child,) = children
        time.sleep(0.5)  # it now waits for the lock that this test holds
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        psutil.wait_procs([child], timeout=5)
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_the_child_has_given_its_rights_away(desk: Path, tmp_path: Path) -> None:
    into = tmp_path / "bundles"
    command = [sys.executable, "-P", "-m", "runtime.bundle.ingest", f"--into={into}"]
    command += [f"--bundle={desk / 'x.ewb'}", f"--key={desk / 'release.pub'}", f"--parent={os.getpid()}"]
    with (
        staging.locked(into),
        subprocess.Popen(command, env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE) as child,
    ):
        process = psutil.Process(child.pid)
        deadline = time.monotonic() + 20
        status = ""
        while "NoNewPrivs:\t1" not in status and time.monotonic() < deadline:
            time.sleep(0.02)
            status = Path(f"/proc/{child.pid}/status").read_text()
        assert "NoNewPrivs:\t1" in status
        assert process.rlimit(psutil.RLIMIT_AS) == (512 << 20, 512 << 20)
        assert process.rlimit(psutil.RLIMIT_FSIZE) == (8 << 30, 8 << 30)
        assert process.rlimit(psutil.RLIMIT_CORE) == (0, 0)
        child.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_bundle_that_may_not_be_read_is_named(desk: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "x.ewb"
    shutil.copyfile(desk / "x.ewb", bundle)
    bundle.chmod(0)
    code = (
        "import os, sys; from runtime.bundle.regular_file import open_regular, BUNDLE; os.setuid(65534); "
        "from pathlib import Path; from runtime.errors import EdgewardError\n"
        "try: open_regular(Path(sys.argv[1]), BUNDLE)\n"
        "except EdgewardError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, bundle], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "permission denied; check the permissions" in done.stdout
