"""Floors rise when a bundle has run, fall by hand only, and outlive whoever is killed while writing them."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from agent.trust import floors as store
from runtime.bundle import floors
from runtime.bundle.floors import Floor
from runtime.errors import Code, EdgewardError

pytestmark = pytest.mark.unit

A, B = "a" * 64, "b" * 64


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return store.path_in(tmp_path / "state")


def refused(path: Path, name: str, counter: int, digest: str) -> Code:
    with pytest.raises(EdgewardError) as caught:
        store.raise_to(path, name, counter, digest)
    return caught.value.code


def test_a_floor_rises_and_never_falls(path: Path) -> None:
    assert store.raise_to(path, "gate", 3, A)
    assert not store.raise_to(path, "gate", 3, A)
    assert refused(path, "gate", 2, B) is Code.BUNDLE_ROLLBACK
    assert floors.load(path) == {"gate": Floor(counter=3, digest=A)}
    assert store.raise_to(path, "gate", 9, B)
    assert store.raise_to(path, "ppe", 1, A)
    assert floors.load(path) == {"gate": Floor(counter=9, digest=B), "ppe": Floor(counter=1, digest=A)}
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_one_counter_is_one_bundle(path: Path) -> None:
    store.raise_to(path, "gate", 3, A)
    assert refused(path, "gate", 3, B) is Code.BUNDLE_COUNTER_REUSED
    assert floors.load(path) == {"gate": Floor(counter=3, digest=A)}


def test_what_is_known_already_is_not_written_again(path: Path) -> None:
    store.raise_to(path, "gate", 3, A)
    before = path.stat().st_mtime_ns, path.stat().st_ino
    store.raise_to(path, "gate", 3, A)
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before


def test_a_floor_that_was_lowered_takes_the_first_bundle_that_comes(path: Path) -> None:
    store.raise_to(path, "gate", 9, A)
    assert store.lower(path, "gate", 4) == Floor(counter=9, digest=A)
    assert floors.load(path) == {"gate": Floor(counter=4, digest="")}
    assert store.raise_to(path, "gate", 4, B)
    assert refused(path, "gate", 4, A) is Code.BUNDLE_COUNTER_REUSED


@pytest.mark.parametrize(("name", "counter"), [("gate", 10), ("gat", 1)])
def test_a_floor_is_lowered_or_nothing_happens(name: str, counter: int, path: Path) -> None:
    store.raise_to(path, "gate", 9, A)
    with pytest.raises(EdgewardError) as caught:
        store.lower(path, name, counter)
    assert caught.value.code is Code.USAGE
    assert floors.load(path) == {"gate": Floor(counter=9, digest=A)}


def test_the_digest_of_a_floor_can_be_let_go(path: Path) -> None:
    store.raise_to(path, "gate", 9, A)
    store.lower(path, "gate", 9)
    assert store.raise_to(path, "gate", 9, B)


def test_a_damaged_file_is_neither_raised_nor_lowered_but_set_aside_by_hand(path: Path) -> None:
    store.raise_to(path, "gate", 9, A)
    path.write_bytes(path.read_bytes()[:-9])
    damaged = path.read_bytes()
    assert refused(path, "gate", 10, B) is Code.TRUST_FLOORS
    assert path.read_bytes() == damaged
    aside = store.reset(path)
    assert aside is not None
    assert aside.read_bytes() == damaged
    assert floors.load(path) == {}
    assert store.raise_to(path, "gate", 1, B)


def test_there_is_nothing_to_reset_where_nothing_is(path: Path) -> None:
    assert store.reset(path) is None
    assert not path.parent.exists(), "made by root, it would keep the agent from writing its first floor"


def test_nothing_that_was_set_aside_is_written_over(path: Path) -> None:
    for counter in (1, 2, 3):  # within one second, or two
        store.raise_to(path, "gate", counter, A)
        assert store.reset(path) is not None
    aside = [floors.load(file) for file in path.parent.iterdir() if file != path]
    assert sorted(found["gate"].counter for found in aside) == [1, 2, 3]


def test_a_floor_that_changed_since_somebody_said_yes_is_not_lowered(path: Path) -> None:
    store.raise_to(path, "gate", 8, A)
    asked = store.check_lower(path, "gate", 4)
    store.raise_to(path, "gate", 9, B)
    with pytest.raises(EdgewardError) as caught:
        store.lower(path, "gate", 4, was=asked)
    assert caught.value.code is Code.SYSTEM_BUSY
    assert floors.load(path) == {"gate": Floor(counter=9, digest=B)}


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_nobody_else_may_look_into_the_folder_of_the_floors_nor_lock_it(umask: int, path: Path) -> None:
    before = os.umask(umask)
    try:
        store.raise_to(path, "gate", 3, A)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("there", [True, False])
def test_floors_in_a_folder_that_others_may_write_are_not_believed(there: bool, path: Path) -> None:
    store.raise_to(path, "gate", 3, A)
    if not there:
        path.unlink()  # as they can
    path.parent.chmod(0o770)
    with pytest.raises(EdgewardError) as caught:
        floors.load(path)
    assert caught.value.code is Code.TRUST_WRITABLE


RAISE = """
import sys
from pathlib import Path
from agent.trust.floors import raise_to
raise_to(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4])
"""


def test_processes_that_raise_at_once_lose_nothing(path: Path) -> None:
    names = [f"bundle-{index}" for index in range(6)]
    started = [subprocess.Popen([sys.executable, "-c", RAISE, str(path), name, "5", A]) for name in names]
    assert [process.wait(60) for process in started] == [0] * len(names)
    assert set(floors.load(path)) == set(names)


# Each system call that changes a file is a place to be killed at.
KILLED = """
import os, signal, sys
from pathlib import Path
from agent.trust.floors import raise_to
calls = 0
def counted(real):
    def call(*arguments, **more):
        global calls
        calls += 1
        if calls == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **more)
    return call
for name in ("fsync", "rename", "fchmod", "open"):
    setattr(os, name, counted(getattr(os, name)))
raise_to(Path(sys.argv[1]), "gate", 2, "b" * 64)
print(calls)
"""


def test_whoever_is_killed_while_writing_leaves_the_old_floors_or_the_new(path: Path) -> None:
    store.raise_to(path, "gate", 1, A)
    seen = set()
    for index in range(1, 50):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(path), str(index)],
            capture_output=True,
            timeout=60,
            check=False,
        )
        (floor,) = floors.load(path).values()
        assert floor in {Floor(counter=1, digest=A), Floor(counter=2, digest=B)}
        seen.add(floor.counter)
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
    assert index > 4, "it was killed at too few places"
    assert seen == {1, 2}
    assert [file.name for file in path.parent.iterdir()] == ["floors.json"], (
        "what the killed ones left is swept"
    )
