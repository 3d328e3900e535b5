"""The ingest child has nothing left to do harm with, even when what it reads has taken it over."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cryptography
import msgspec
import pytest

import runtime
from agent.trust import ingest as trust
from agent.trust.ingest import Stream, ingest
from runtime.bundle import landlock, seccomp
from runtime.bundle import pack as pack_module
from runtime.bundle.floors import Floor, encode
from runtime.bundle.ingest import ingest_file
from runtime.bundle.keys import generate, public_pem
from runtime.bundle.limits import Limits
from runtime.bundle.sign import sign_bundle
from runtime.errors import Code, EdgewardError
from tests.conftest import ROOT
from tests.integration.test_agent_trust import Site
from tests.raw_bundle import END, MODEL, Keys, Parts, member
from tests.unit.bundle.conftest import make_author

pytestmark = pytest.mark.integration

# The real program, whose parser was taken over at the moment when it reads the first byte.
TAKEN_OVER = """
import ctypes, fcntl, json, os, resource, signal, socket, stat, sys, threading
from runtime.bundle import archive, ingest, landlock
from runtime.errors import Code, EdgewardError

store, outside, port, most = sys.argv[1:5]
agent, found = os.getppid(), {}
kernels = landlock.version()
landlock.version = lambda: min(kernels, int(most))

def tried(name, call):
    try:
        call()
        found[name] = "done"
    except OSError as error:
        found[name] = os.strerror(error.errno)

def writing(path):
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))

def made_link():
    os.symlink("/etc", store + "/link")

def asked(number, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments)) < 0:
        raise OSError(ctypes.get_errno(), "")

def open_to_all():
    made = os.open(store + "/own", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.fchmod(made, 0o666)
    finally:
        os.close(made)
        os.unlink(store + "/own")

def made_setuid():
    os.close(os.open(store + "/root", os.O_WRONLY | os.O_CREAT, 0o4755))

def sent_by_input():
    reading, writing = os.pipe()
    fcntl.fcntl(reading, fcntl.F_SETOWN, agent)

def attack(reader, keys):
    tried("read a secret", lambda: open(outside + "/secret").read())
    tried("read the bundle's folder", lambda: os.listdir(os.path.dirname(outside)))
    tried("read /etc", lambda: open("/etc/hostname").read())
    tried("list the root", lambda: os.listdir("/"))
    tried("overwrite", lambda: writing(outside + "/secret"))
    tried("make a file outside", lambda: writing(outside + "/new"))
    tried("make a file in /tmp", lambda: writing("/tmp/edgeward-test-was-here"))
    tried("remove", lambda: os.unlink(outside + "/secret"))
    tried("rename", lambda: os.rename(outside + "/secret", store + "/stolen"))
    tried("make a link in the store", made_link)
    tried("make a FIFO in the store", lambda: os.mkfifo(store + "/fifo"))
    tried("TCP", lambda: socket.create_connection(("127.0.0.1", int(port))))
    tried("UDP", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    tried("unix socket", lambda: socket.socket(socket.AF_UNIX))
    tried("a pair of sockets", lambda: socket.socketpair())
    tried("fork", lambda: os.fork() or os._exit(0))
    tried("run a program", lambda: os.execv("/bin/true", ["true"]))
    tried("kill the agent", lambda: os.kill(agent, 0))
    tgkill, prlimit, ioprio = {"x86_64": (234, 302, 251), "aarch64": (131, 261, 30)}[os.uname().machine]
    tried("kill a thread of the agent", lambda: asked(tgkill, agent, agent, 0))
    tried("limit the agent", lambda: asked(prlimit, agent, resource.RLIMIT_CPU, 0, 0))
    tried("slow the agent down", lambda: os.setpriority(os.PRIO_PROCESS, agent, 0))
    tried("keep the agent from the disk", lambda: asked(ioprio, 1, agent, 0))
    tried("bind the agent to a CPU", lambda: os.sched_setaffinity(agent, os.sched_getaffinity(agent)))
    tried("have the kernel signal the agent", sent_by_input)
    tried("change rights outside", lambda: os.chmod(outside + "/secret", 0o777))
    tried("change the owner outside", lambda: os.chown(outside + "/secret", os.getuid(), os.getgid()))
    tried("change times outside", lambda: os.utime(outside + "/secret"))
    tried("mark a file outside", lambda: os.setxattr(outside + "/secret", "user.mark", b""))
    tried("open a file of the store to all", open_to_all)
    tried("make a setuid file in the store", made_setuid)
    tried("read its own memory file", lambda: open("/proc/self/mem", "rb"))
    tried("write into the store", lambda: writing(store + "/own"))
    tried("read from the store", lambda: open(store + "/own").read())
    tried("remove from the store", lambda: os.unlink(store + "/own"))
    import colorsys
    raise EdgewardError(Code.BUNDLE_FORMAT, json.dumps(found))

archive.verify_front = attack
sys.exit(ingest.main(sys.argv[5:]))
"""


@pytest.fixture(scope="module")
def keys() -> Keys:
    return Keys(generate(), generate(), generate(), generate())


@pytest.fixture
def bundle(tmp_path: Path, keys: Keys) -> Path:
    (tmp_path / "release.pub").write_bytes(public_pem(keys.release.public_key()))
    path = tmp_path / "x.ewb"
    path.write_bytes(Parts(keys).assemble())
    return path


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def attempts(bundle: Path, port: int, version: int) -> dict[str, str]:
    """What each attempt of a child that was taken over came to, with at most that version of Landlock."""
    folder = bundle.parent
    (folder / "outside").mkdir()
    (folder / "outside" / "secret").write_text("secret")
    command: list[str | Path] = [sys.executable, "-P", "-s", "-c", TAKEN_OVER]
    command += [folder / "store", folder / "outside"]
    command += [str(port), str(version)]
    command += [f"--bundle={bundle}", f"--key={folder / 'release.pub'}", f"--into={folder / 'store'}"]
    done = subprocess.run(
        command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.stderr == ""
    answer = json.loads(done.stdout)
    assert answer.get("lacks", []) == []
    return dict(json.loads(answer["error"]["what"]))


@pytest.mark.skipif(landlock.version() < 3, reason="this kernel has no Landlock, or one before version 3")
@pytest.mark.skipif(not seccomp.numbers(os.uname().machine), reason="no filter for this processor")
@pytest.mark.parametrize("version", [3, 99])
def test_a_child_that_was_taken_over_can_do_nothing_but_write_into_the_store(
    version: int, bundle: Path, listener: int
) -> None:
    found = attempts(bundle, listener, version)
    in_store = {"write into the store", "read from the store", "remove from the store"}
    assert {name for name, outcome in found.items() if outcome == "done"} == in_store
    refused = {"Permission denied", "Operation not permitted", "Invalid cross-device link"}
    assert {found[name] for name in found.keys() - in_store} <= refused
    assert (bundle.parent / "outside" / "secret").read_text() == "secret"
    assert not os.path.lexists("/tmp/edgeward-test-was-here")  # noqa: S108 - what must not be made


def test_the_filter_knows_its_calls_apart_and_refuses_nothing_else() -> None:
    code = (
        "import errno, os, socket, threading\n"
        "from runtime.bundle import confine, seccomp\n"
        "confine._prctl(38, 1)\n"
        "assert seccomp.restrict()\n"
        "open('/etc/hostname').read(); os.getpid(); os.stat('/')\n"
        "try: socket.socket()\n"
        "except PermissionError: print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("refused\n", "")


def take(bundle: Path | Stream, folder: Path, **more: Limits) -> str:
    return asyncio.run(ingest(bundle, [folder / "release.pub"], folder / "store", **more)).name  # type: ignore[arg-type]


def test_a_kernel_without_landlock_is_told_once_and_works_all_the_same(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    code = "import sys; from runtime.bundle import ingest, landlock; landlock.version = lambda: 0; "
    real = trust._command
    monkeypatch.setattr(trust, "_told", set())

    def without(*arguments: object) -> list[str]:
        command = real(*arguments)  # type: ignore[arg-type]
        at = command.index("-m")
        return [*command[:at], "-c", f"{code}sys.exit(ingest.main())", *command[at + 2 :]]

    monkeypatch.setattr(trust, "_command", without)
    with caplog.at_level(logging.DEBUG, "trust"):
        assert [take(bundle, bundle.parent) for _ in range(2)] == ["gate", "gate"]
    (line,) = [record.getMessage() for record in caplog.records if "Landlock" in record.getMessage()]
    assert "files outside the store can be opened" in line


def test_packages_that_lie_beside_ours_in_any_folder_are_found(bundle: Path, tmp_path: Path) -> None:
    # As 'pip install --target' lays them out.
    target = tmp_path / "target"
    for package in (runtime, cryptography, msgspec):
        folder = Path(str(package.__file__)).parent
        shutil.copytree(folder, target / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(str(importlib.import_module("_cffi_backend").__file__), target)
    command = [sys.executable, "-P", "-S", "-m", "runtime.bundle.ingest", f"--bundle={bundle}"]
    command += [f"--key={tmp_path / 'release.pub'}", f"--into={tmp_path / 'store'}"]
    done = subprocess.run(
        command, env={"PYTHONPATH": str(target)}, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_bundle_may_come_by_a_descriptor(bundle: Path) -> None:
    with bundle.open("rb") as stream:
        assert take(Stream(stream.fileno(), "a file"), bundle.parent) == "gate"
        assert stream.tell() == bundle.stat().st_size, "the child reads the very descriptor"
        # It is at its end now.
        with pytest.raises(EdgewardError, match="a file: the file is empty") as caught:
            take(Stream(stream.fileno(), "a file"), bundle.parent)
    assert caught.value.code is Code.BUNDLE_TRUNCATED


def test_a_stream_that_nobody_may_wait_on_is_waited_for_and_stays_as_it_is(
    bundle: Path, tmp_path: Path
) -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)  # as an event loop has it, which goes on using it

    async def fed() -> str:
        taken = asyncio.create_task(
            ingest(Stream(reading, "a pipe"), [tmp_path / "release.pub"], tmp_path / "store")
        )
        data = bundle.read_bytes()
        for at in range(0, len(data), 3000):
            os.write(writing, data[at : at + 3000])
            await asyncio.wait({taken}, timeout=0.2)
        os.close(writing)
        return (await taken).name

    try:
        assert asyncio.run(fed()) == "gate"
        assert not os.get_blocking(reading)
    finally:
        os.close(reading)


def test_a_bundle_may_come_by_standard_input(bundle: Path) -> None:
    code = (
        "import asyncio, sys; from pathlib import Path; from agent.trust.ingest import Stream, ingest\n"
        "folder = Path(sys.argv[1])\n"
        "taking = ingest(Stream(0, 'standard input'), [folder / 'release.pub'], folder / 'store')\n"
        "print(asyncio.run(taking).name)\n"
    )
    command = [sys.executable, "-c", code, str(bundle.parent)]
    with bundle.open("rb") as stream:
        done = subprocess.run(command, stdin=stream, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("gate\n", "")


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Path]:
    """A container's file system: what lies in the image below is there, and cannot be renamed."""
    folders = {name: tmp_path / name for name in ("lower", "upper", "work", "image")}
    for folder in folders.values():
        folder.mkdir()
    (folders["lower"] / "store").mkdir()
    (bundled,) = tmp_path.glob("*.ewb")
    stored = ingest_file(bundled, [tmp_path / "release.pub"], folders["lower"] / "store")
    (stored.path / "model.onnx").write_bytes(b"damaged")
    layers = "lowerdir={lower},upperdir={upper},workdir={work}".format(**folders)
    mount = ["mount", "-t", "overlay", "-o", layers, "none", str(folders["image"])]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("no overlay can be mounted here: it needs root")
    try:
        yield folders["image"]
    finally:
        subprocess.run(["umount", folders["image"]], check=True)


def test_a_damaged_bundle_of_a_container_s_image_is_replaced(bundle: Path, image: Path) -> None:
    found = asyncio.run(ingest(bundle, [bundle.parent / "release.pub"], image / "store"))
    assert found.new
    assert (found.path / "model.onnx").read_bytes() == MODEL
    assert list((image / "store").iterdir()) == [found.path]


# Small itself: a child begins with its parent's memory on its account.
LAUNCHER = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""


def measured(options: Sequence[str]) -> tuple[dict[str, Any], int]:
    """The answer of a child, and its peak memory in bytes."""
    command = [sys.executable, "-I", "-S", "-c", LAUNCHER, sys.executable, "-P", "-s", "-m"]
    command += ["runtime.bundle.ingest", *options]
    done = subprocess.run(
        command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True, cwd=ROOT
    )
    answer, peak = done.stdout.splitlines()
    return json.loads(answer), int(peak)


def test_the_child_stays_under_40_mb_with_as_many_digests_as_pack_writes(
    tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack_module, "BLOCK_SIZE", 4096)
    author = make_author(tmp_path / "author", model=os.urandom(31 << 20))
    manifest = pack_module.pack(author, tmp_path / "x.ewb")
    assert sum(len(entry.blocks) for entry in manifest.files) > pack_module.MAX_BLOCKS * 0.9
    sign_bundle(tmp_path / "x.ewb", keys.release)
    box = tmp_path / "trust"
    box.mkdir(mode=0o755)
    pem = public_pem(keys.release.public_key()).decode()
    (box / "release.toml").write_text(f'role = "release"\npublic_key = """\n{pem}"""\n')
    (tmp_path / "floors.json").write_bytes(encode({"gate": Floor(counter=1, digest="")}))
    options = [f"--bundle={tmp_path / 'x.ewb'}", f"--key={box}", f"--floors={tmp_path / 'floors.json'}"]
    answer, peak = measured([*options, f"--into={tmp_path / 'store'}"])
    assert answer["ok"]["new"]
    assert peak < 40_000_000


def test_the_child_stays_under_40_mb_whatever_a_stranger_calls_a_signature(bundle: Path) -> None:
    things = b"[" + b"{}," * 349_000 + b"{}]"  # small as text, and a hundred megabytes as objects
    bundle.write_bytes(member(b"model.sig", things) + END)
    folder = bundle.parent
    options = [f"--bundle={bundle}", f"--key={folder / 'release.pub'}", f"--into={folder / 'store'}"]
    answer, peak = measured(options)
    assert answer["error"]["code"] == Code.BUNDLE_SIGNATURE_FILE.text
    assert peak < 40_000_000


def test_the_agent_s_limits_reach_the_child(bundle: Path) -> None:
    with pytest.raises(EdgewardError, match="more than 3 files"):
        take(bundle, bundle.parent, limits=Limits(members=3))
    with pytest.raises(EdgewardError, match="more than 4096 bytes"):
        take(bundle, bundle.parent, limits=Limits(total=4096))


def test_the_limits_of_the_agent_s_configuration_hold(tmp_path: Path, keys: Keys) -> None:
    site = Site(tmp_path)
    site.write_config("line")
    with site.config.open("a") as stream:
        stream.write("[bundles]\nmax_members = 3\n")
    (tmp_path / "mine.pub").write_bytes(public_pem(keys.release.public_key()))
    site.add("mine")
    (tmp_path / "line.ewb").write_bytes(Parts(keys).assemble())
    try:
        agent = site.start()
        assert "bundle.too-many-files" in agent.wait_line("more than 3 files")
    finally:
        site.agents.close()
