"""Every row of the bad-input list through the real child: its code, its exit status, and nothing left."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from runtime.bundle import staging
from runtime.bundle.floors import Floor, encode
from runtime.bundle.keys import generate, public_pem
from runtime.errors import Code
from tests.bad_bundles import ESCAPED, ROWS
from tests.conftest import ROOT
from tests.raw_bundle import Keys, Parts

pytestmark = [pytest.mark.integration, pytest.mark.command]


@dataclass
class Answer:
    status: int
    code: str
    what: str


class Box:
    """A device's folders with something beside the store that no bundle may touch."""

    def __init__(self, folder: Path, keys: Keys) -> None:
        self.folder = folder
        self.store = folder / "store"
        self.bundle = folder / "x.ewb"
        self.keys = keys
        (folder / "trust").mkdir(mode=0o755)
        for name, role, names in (
            ("release", "release", ["*"]),
            ("door", "release", ["door"]),
            ("operate", "operate", ["*"]),
        ):
            pem = public_pem(getattr(keys, name).public_key()).decode()
            text = f'role = "{role}"\nnames = {names}\npublic_key = """\n{pem}"""\n'
            (folder / "trust" / f"{name}.toml").write_text(text)
        (folder / "floors.json").write_bytes(encode({"gate": Floor(counter=7, digest="1" * 64)}))
        (folder / "floors.json").chmod(0o600)
        (folder / "neighbour").mkdir()
        (folder / "neighbour" / "file").write_text("untouched")

    def command(self, *source: str, store: Path | None = None) -> list[str]:
        command = [sys.executable, "-P", "-s", "-m", "runtime.bundle.ingest", *source]
        command += [f"--into={store or self.store}", f"--key={self.folder / 'trust'}"]
        return [*command, f"--floors={self.folder / 'floors.json'}", f"--parent={os.getpid()}"]

    def start(self, *source: str, store: Path | None = None, **more: object) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
            self.command(*source, store=store),
            stdout=pipe,
            stderr=pipe,
            env={"PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"},
            **more,
        )

    def take(self, *source: str, store: Path | None = None) -> Answer:
        with self.start(*(source or (f"--bundle={self.bundle}",)), store=store) as child:
            return answer_of(child)

    def take_stream(self, data: bytes) -> Answer:
        """The same bytes by a pipe, whose size nobody knows."""
        reading, writing = os.pipe()
        feeder = threading.Thread(target=feed, args=(writing, data))
        with self.start(f"--fd={reading}", "--source=a pipe", pass_fds=[reading]) as child:
            os.close(reading)
            feeder.start()
            answer = answer_of(child)
            feeder.join()
        return answer

    def listing(self) -> dict[str, str]:
        """Everything that lies here, with what it is."""
        found = {}
        for path in sorted(self.folder.rglob("*")):
            status = path.lstat()
            data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            kind = f"{status.st_mode:o} {status.st_nlink if path.is_file() else ''}"
            found[str(path)] = f"{kind} {hashlib.sha256(data).hexdigest()}"
        return found


def feed(descriptor: int, data: bytes) -> None:
    """Write until the child has heard enough."""
    try:
        with contextlib.suppress(BrokenPipeError):
            staging.write_all(descriptor, data)
    finally:
        os.close(descriptor)


def answer_of(child: subprocess.Popen[bytes]) -> Answer:
    out, err = child.communicate(timeout=60)
    assert err == b"", err.decode()
    document = json.loads(out)
    error = document.get("error", {"code": "", "what": ""})
    return Answer(child.returncode, error["code"], error["what"])


@pytest.fixture(scope="module")
def keys() -> Keys:
    return Keys(generate(), generate(), generate(), generate())


@pytest.fixture
def box(tmp_path: Path, keys: Keys) -> Box:
    return Box(tmp_path, keys)


def check_refused(box: Box, answer: Answer, code: Code, before: dict[str, str]) -> None:
    assert answer.code == code.text, answer
    assert answer.status == int(code.exit_status)
    after = box.listing()
    after.pop(str(box.store), None)
    assert after == before, "something is left in the store, or was touched outside"
    assert not os.path.lexists(ESCAPED)


def test_the_sound_bundle_that_all_rows_are_made_from_is_taken(box: Box) -> None:
    data = Parts(box.keys).assemble()
    box.bundle.write_bytes(data)
    assert box.take() == Answer(0, "", "")
    assert box.take_stream(data) == Answer(0, "", "")
    (stored,) = box.store.iterdir()
    assert sorted(path.name for path in stored.iterdir()) == [
        "docs",
        "manifest.json",
        "model.onnx",
        "model.sig",
    ]


@pytest.mark.parametrize("name", ROWS)
def test_a_bad_file_is_refused_with_its_own_code_and_leaves_nothing(name: str, box: Box) -> None:
    row = ROWS[name]
    box.bundle.write_bytes(row.make(Parts(box.keys)))
    before = box.listing()
    check_refused(box, box.take(), row.code, before)


@pytest.mark.parametrize("name", ROWS)
def test_a_bad_stream_is_refused_with_the_same_code(name: str, box: Box) -> None:
    row = ROWS[name]
    before = box.listing()
    check_refused(box, box.take_stream(row.make(Parts(box.keys))), row.code, before)


def test_a_bundle_cut_at_any_block_of_a_stream_leaves_nothing(box: Box) -> None:
    good = Parts(box.keys).assemble()
    before = box.listing()
    for end in range(0, len(good), 701):
        check_refused(box, box.take_stream(good[:end]), Code.BUNDLE_TRUNCATED, before)


def as_link(path: Path, target: Path) -> None:
    path.symlink_to(target)


def as_hanging_link(path: Path, target: Path) -> None:
    path.symlink_to("nowhere")


def as_socket(path: Path, target: Path) -> None:
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(path))


PATHS: dict[str, Callable[[Path, Path], object]] = {
    "a symlink": as_link,
    "a hanging symlink": as_hanging_link,
    "a FIFO": lambda path, target: os.mkfifo(path),
    "a directory": lambda path, target: path.mkdir(),
    "a socket": as_socket,
}


@pytest.mark.parametrize("kind", PATHS)
def test_a_bundle_s_path_is_refused_that_is(kind: str, box: Box) -> None:
    sound = box.folder / "sound.ewb"
    sound.write_bytes(Parts(box.keys).assemble())
    PATHS[kind](box.bundle, sound)
    before = box.listing()
    check_refused(box, box.take(), Code.BUNDLE_NOT_A_FILE, before)


def test_a_device_is_refused(box: Box) -> None:
    before = box.listing()
    check_refused(box, box.take("--bundle=/dev/zero"), Code.BUNDLE_NOT_A_FILE, before)


def test_the_device_s_own_limits_hold(box: Box) -> None:
    box.bundle.write_bytes(Parts(box.keys).assemble())
    before = box.listing()
    for option, code in (
        ("--max-members=3", Code.BUNDLE_TOO_MANY_FILES),
        ("--max-bytes=5000", Code.BUNDLE_TOO_LARGE),
        ("--max-path=12", Code.BUNDLE_NAME_LENGTH),
    ):
        check_refused(box, box.take(f"--bundle={box.bundle}", option), code, before)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for a few files only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m,nr_inodes=6", "none", folder]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("a tmpfs cannot be mounted here: it needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_disk_that_fills_up_while_staging_is_left_as_it_was(box: Box, disk: Path) -> None:
    parts = Parts(box.keys)
    parts.files |= {f"docs/{number}.txt": b"x" * 5000 for number in range(8)}
    box.bundle.write_bytes(parts.assemble())
    answer = box.take(store=disk / "store")
    assert (answer.status, answer.code) == (12, Code.SYSTEM_DISK_FULL.text), answer
    assert "no space left" in answer.what, "the disk must fill up while the files are written"
    assert list((disk / "store").iterdir()) == []


def test_a_bundle_that_cannot_fit_is_refused_before_a_byte_is_written(box: Box, disk: Path) -> None:
    parts = Parts(box.keys)
    parts.files["large.bin"] = bytes(70 << 20)
    box.bundle.write_bytes(parts.assemble())
    answer = box.take(store=disk / "store")
    assert (answer.status, answer.code) == (12, Code.SYSTEM_DISK_FULL.text), answer
    assert "are needed" in answer.what
    assert list((disk / "store").iterdir()) == []


@pytest.fixture
def stick(tmp_path: Path) -> Iterator[Path]:
    """A file system on a loop device: cut its image short, and reading gives EIO, as of a pulled stick."""
    image, folder = tmp_path / "stick.img", tmp_path / "stick"
    folder.mkdir()
    with image.open("wb") as stream:
        stream.truncate(48 << 20)
    made = subprocess.run(["mkfs.ext4", "-q", "-O", "^has_journal", image], check=False, capture_output=True)
    if made.returncode or subprocess.run(["mount", "-o", "loop", image, folder], check=False).returncode:
        pytest.skip("no loop device can be mounted here: it needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_stick_that_is_pulled_half_way_is_named_and_leaves_nothing(box: Box, stick: Path) -> None:
    parts = Parts(box.keys)
    parts.files["large.bin"] = os.urandom(30 << 20)
    (stick / "x.ewb").write_bytes(parts.assemble())
    image = stick.with_suffix(".img")
    subprocess.run(["umount", stick], check=True)  # so that nothing of it is in memory
    subprocess.run(["mount", "-o", "loop,ro", image, stick], check=True)
    os.truncate(image, 16 << 20)
    answer = box.take(f"--bundle={stick / 'x.ewb'}")
    assert (answer.status, answer.code) == (4, Code.BUNDLE_READ_ERROR.text), answer
    assert "input/output error" in answer.what
    assert list(box.store.iterdir()) == []


def test_a_connection_that_breaks_half_way_is_named_and_leaves_nothing(box: Box) -> None:
    good = Parts(box.keys).assemble()
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    with near, far:
        far.sendall(good[:-2000])
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        far.close()  # with a reset
        descriptor = near.fileno()
        with box.start(f"--fd={descriptor}", "--source=tcp://server", pass_fds=[descriptor]) as child:
            answer = answer_of(child)
    assert (answer.status, answer.code) == (4, Code.BUNDLE_READ_ERROR.text), answer
    assert "connection reset" in answer.what
    assert list(box.store.iterdir()) == []


def grown(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(bytes(512))


def overwritten(path: Path) -> None:
    data = path.read_bytes()
    with path.open("r+b") as stream:
        stream.write(data.replace(b"a model", b"A model", 1))


CHANGES: dict[str, Callable[[Path], object]] = {
    "grown": grown,
    "overwritten in place": overwritten,
    "cut short": lambda path: os.truncate(path, path.stat().st_size - 512),
    "emptied": lambda path: os.truncate(path, 0),
    "touched": lambda path: path.touch(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_while_it_is_read_is_named(change: str, box: Box) -> None:
    box.bundle.write_bytes(Parts(box.keys).assemble())
    with contextlib.ExitStack() as held:
        held.enter_context(staging.locked(box.store))
        with box.start(f"--bundle={box.bundle}") as child:
            wait_for_lock(child.pid, box.store)  # it has opened the bundle, and may not begin yet
            CHANGES[change](box.bundle)
            before = box.listing()
            before.pop(str(box.store))
            held.close()
            check_refused(box, answer_of(child), Code.BUNDLE_CHANGED, before)


def wait_for_lock(pid: int, store: Path) -> None:
    """Until the child holds the store open: it does so behind the bundle."""
    process = psutil.Process(pid)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.is_running():
        with contextlib.suppress(OSError):
            if any(path.samefile(store) for path in Path(f"/proc/{pid}/fd").iterdir()):
                return
        time.sleep(0.01)
    pytest.fail("the child never came to its lock")
