"""Changes to what a device trusts: planned, confirmed, logged, and made whole or not at all."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.trust import audit, held_folder, store
from agent.trust.store import Key, Plan
from runtime.bundle import trust_folder
from runtime.bundle.keys import fingerprint, generate, public_pem
from runtime.bundle.trust_folder import KeyFile
from runtime.errors import Code, EdgewardError

pytestmark = pytest.mark.unit

KEYS = [generate().public_key() for _ in range(4)]
PRINTS = [fingerprint(key) for key in KEYS]


def file(index: int, **more: Any) -> KeyFile:
    return KeyFile(**{"role": "release", "public_key": public_pem(KEYS[index]).decode(), **more})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "etc" / "trust.d"


def add(folder: Path, name: str, key: KeyFile, **options: Any) -> Plan:
    plan = store.plan_add(folder, name, key, **options)
    store.carry_out(folder, plan)
    return plan


def remove(folder: Path, wanted: str, **options: Any) -> Plan:
    plan = store.plan_remove(folder, wanted, **options)
    store.carry_out(folder, plan)
    return plan


def states(folder: Path) -> dict[str, str]:
    return {key.name: key.state for key in store.list_keys(folder)}


def refused(call: Callable[[], object]) -> EdgewardError:
    with pytest.raises(EdgewardError) as caught:
        call()
    assert caught.value.remedy
    return caught.value


def log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / audit.NAME).read_text().splitlines()]


def test_a_key_that_was_added_is_listed_and_its_file_is_what_the_child_reads(folder: Path) -> None:
    assert store.list_keys(folder) == []
    add(folder, "release-2026", file(0, names=("gate", "ppe-*")))
    (key,) = store.list_keys(folder)
    assert (key.name, key.role, key.state, key.fingerprint) == (
        "release-2026",
        "release",
        "active",
        PRINTS[0],
    )
    assert (key.names, key.curve) == (("gate", "ppe-*"), "P-256")
    (entry,) = trust_folder.read_folder(folder)
    assert stat.S_IMODE(entry.path.stat().st_mode) == 0o644


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_a_folder_is_made_that_all_may_read_and_no_others_write_whatever_the_umask(
    umask: int, folder: Path
) -> None:
    before = os.umask(umask)
    try:
        add(folder, "release", file(0))
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder.parent)] == [0o755, 0o755]


def test_who_may_only_read_the_folder_cannot_hold_up_a_change(folder: Path) -> None:
    add(folder, "release", file(0))
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        add(folder, "next", file(1, state="standby"))
    finally:
        os.close(descriptor)
    readable = [path.name for path in folder.iterdir() if path.stat().st_mode & 0o077]
    assert readable == [name for name in readable if name.endswith(".toml")], (
        "what can be opened can be locked"
    )
    assert store.list_ignored(folder) == []


def test_two_who_change_the_folder_at_once_do_it_one_after_the_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(folder, "release", file(0))
    plan = store.plan_add(folder, "next", file(1, state="standby"))
    monkeypatch.setattr(held_folder, "LOCK_WAIT_S", 0.1)
    with held_folder.held(folder, by_file=True):
        assert refused(lambda: store.carry_out(folder, plan)).code is Code.SYSTEM_BUSY
    store.carry_out(folder, plan)
    assert states(folder) == {"release": "active", "next": "standby"}


def test_a_rotation_needs_no_moment_without_a_key(folder: Path) -> None:
    add(folder, "old", file(0))
    add(folder, "new", file(1, state="standby"))
    assert states(folder) == {"new": "standby", "old": "active"}
    plan = remove(folder, "old")
    assert states(folder) == {"new": "active"}
    assert [key.state for key in plan.after] == ["active"]


def test_a_standby_key_of_other_bundles_does_not_become_active(folder: Path) -> None:
    add(folder, "all", file(0))
    add(folder, "gate", file(1, names=("gate",), state="standby"))
    assert refused(lambda: remove(folder, "all")).code is Code.TRUST_LAST_KEY
    remove(folder, "all", force=True)
    assert states(folder) == {"gate": "standby"}


@pytest.mark.parametrize("state", ["active", "standby"])
def test_a_place_takes_one_key_unless_forced(state: str, folder: Path) -> None:
    add(folder, "first", file(0, state=state))
    error = refused(lambda: add(folder, "second", file(1, state=state)))
    assert (error.code, "'first'" in error.what) == (Code.USAGE, True)
    add(folder, "other", file(2, state=state, names=("gate",)))
    add(folder, "orders", file(3, state=state, role="operate"))
    add(folder, "second", file(1, state=state), force=True)
    assert len(store.list_keys(folder)) == 4


def test_a_key_is_added_once(folder: Path) -> None:
    add(folder, "first", file(0))
    assert "as 'first'" in refused(lambda: add(folder, "second", file(0, state="standby"))).what
    assert "taken" in refused(lambda: add(folder, "first", file(1))).what
    assert "taken" in refused(lambda: add(folder, "first", file(1), replace=True)).what


def test_what_a_key_may_do_is_said_anew_with_replace_only(folder: Path) -> None:
    add(folder, "first", file(0))
    plan = add(folder, "first", file(0, names=("gate",)), replace=True)
    assert plan.what == "key changed"
    assert [key.names for key in store.list_keys(folder)] == [("gate",)]


def test_the_last_active_release_key_stays_unless_forced(folder: Path) -> None:
    add(folder, "release", file(0))
    add(folder, "orders", file(1, role="operate"))
    assert refused(lambda: remove(folder, "release")).code is Code.TRUST_LAST_KEY
    assert len(store.list_keys(folder)) == 2
    remove(folder, "orders")
    plain = plain_keys(folder.parent, 2)
    remove(folder, "release", plain=plain)
    assert store.list_keys(folder) == []


def plain_keys(place: Path, *numbers: int) -> list[Key]:
    """As ``release_keys`` names them."""
    for number in numbers:
        (place / f"{number}.pub").write_bytes(public_pem(KEYS[number]))
    return store.list_readable([place / f"{number}.pub" for number in numbers])


def test_the_last_release_key_stays_though_it_is_a_standby_key_or_changes_its_role(folder: Path) -> None:
    add(folder, "next", file(0, state="standby"))
    assert refused(lambda: remove(folder, "next")).code is Code.TRUST_LAST_KEY
    remove(folder, "next", force=True)
    add(folder, "release", file(0))
    orders = file(0, role="operate")
    assert refused(lambda: add(folder, "release", orders, replace=True)).code is Code.TRUST_LAST_KEY
    add(folder, "release", file(0, names=("gate",)), replace=True)
    add(folder, "release", orders, replace=True, force=True)


def test_a_key_that_a_plain_file_goes_on_trusting_is_not_removed_unless_forced(folder: Path) -> None:
    add(folder, "supplier", file(0, names=("gate",)))
    add(folder, "orders", file(1, role="operate"))
    plain = plain_keys(folder.parent, 0, 1)
    for name in ("supplier", "orders"):
        error = refused(lambda name=name: remove(folder, name, plain=plain))  # type: ignore[misc]
        assert "any bundle" in error.what
        assert "release_keys" in error.what
    remove(folder, "supplier", plain=plain, force=True)


def test_a_plain_key_of_which_the_folder_says_less_is_no_other_release_key(folder: Path) -> None:
    add(folder, "release", file(0))
    add(folder, "orders", file(1, role="operate"))
    plain = plain_keys(folder.parent, 1)
    assert refused(lambda: remove(folder, "release", plain=plain)).code is Code.TRUST_LAST_KEY


def test_a_release_key_that_cannot_be_read_counts_for_nothing(tmp_path: Path) -> None:
    assert store.list_readable([tmp_path / "none.pub"]) == []


def test_a_key_is_named_by_its_name_or_the_beginning_of_its_fingerprint(folder: Path) -> None:
    add(folder, "a", file(0))
    add(folder, "b", file(1, state="standby"))
    assert refused(lambda: remove(folder, PRINTS[1][:7])).code is Code.USAGE
    assert "no key" in refused(lambda: remove(folder, "0" * 64)).what
    assert remove(folder, PRINTS[1][:8]).key.name == "b"
    assert remove(folder, PRINTS[0], force=True).key.name == "a"


def test_a_key_that_is_called_like_the_fingerprint_of_another_is_not_taken_for_it(folder: Path) -> None:
    add(folder, "a", file(0))
    add(folder, PRINTS[0][:12], file(1, state="standby"))
    assert "several" in refused(lambda: remove(folder, PRINTS[0][:12])).what
    assert remove(folder, PRINTS[0][:13], force=True).key.name == "a"


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b", "x" * 65, "ü", "a\n"])
def test_a_name_that_is_no_plain_file_name_is_refused(name: str, folder: Path) -> None:
    assert refused(lambda: add(folder, name, file(0))).code is Code.USAGE
    assert not folder.exists()


@pytest.mark.parametrize("names", [(), ("Gate",), ("a b",), ("[a]",)])
def test_names_that_no_bundle_can_have_are_refused_before_anything_is_written(
    names: tuple[str, ...], folder: Path
) -> None:
    assert refused(lambda: add(folder, "x", file(0, names=names))).code is Code.TRUST_KEY_FILE
    assert not folder.exists()


def test_every_change_is_logged_with_who_when_and_both_states(folder: Path) -> None:
    add(folder, "old", file(0))
    add(folder, "new", file(1, state="standby"))
    remove(folder, "old")
    records = log(folder)
    assert [record["what"] for record in records] == ["key added", "key added", "key removed"]
    last = records[-1]
    assert last["uid"] == os.getuid()
    assert {"when", "user", "login"} <= last.keys()
    assert last["key"]["fingerprint"] == PRINTS[0]
    assert {key["name"]: key["state"] for key in last["before"]} == {"old": "active", "new": "standby"}
    assert {key["name"]: key["state"] for key in last["after"]} == {"new": "active"}
    assert stat.S_IMODE((folder / audit.NAME).stat().st_mode) == 0o600


def test_nothing_is_changed_that_cannot_be_logged(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / audit.NAME).mkdir()
    refused(lambda: add(folder, "release", file(0)))
    assert store.list_keys(folder) == []


def test_a_change_that_fails_is_told_of_in_the_log(folder: Path) -> None:
    add(folder, "release", file(0))
    plan = store.plan_add(folder, "next", file(1, state="standby"))
    nowhere = (msgspec.structs.replace(plan.write[0], path=folder / "none" / "next.toml"),)
    with pytest.raises(EdgewardError):
        store.carry_out(folder, msgspec.structs.replace(plan, write=nowhere))
    assert [record["what"] for record in log(folder)] == ["key added", "key added", "failed"]
    assert "none" in log(folder)[-1]["why"]


def test_a_log_that_was_torn_goes_on_in_a_line_of_its_own(folder: Path) -> None:
    add(folder, "release", file(0))
    path = folder / audit.NAME
    path.write_bytes(path.read_bytes()[:-20])
    remove(folder, "release", force=True)
    lines = path.read_text().splitlines()
    assert len(lines) == 2
    assert json.loads(lines[1])["what"] == "key removed"


def test_a_log_is_never_written_through_a_link(folder: Path, tmp_path: Path) -> None:
    folder.mkdir(parents=True)
    (tmp_path / "victim").write_text("")
    (folder / audit.NAME).symlink_to(tmp_path / "victim")
    refused(lambda: add(folder, "release", file(0)))
    assert (tmp_path / "victim").read_text() == ""


def test_a_log_that_others_may_write_is_refused(folder: Path) -> None:
    add(folder, "release", file(0))
    (folder / audit.NAME).chmod(0o622)
    error = refused(lambda: add(folder, "next", file(1, state="standby")))
    assert (error.code, error.where) == (Code.TRUST_WRITABLE, str(folder / audit.NAME))
    assert states(folder) == {"release": "active"}


def test_a_plan_is_not_carried_out_on_another_folder_than_it_was_made_for(folder: Path) -> None:
    add(folder, "a", file(0))
    plan = store.plan_remove(folder, "a", force=True)
    add(folder, "b", file(1, state="standby"))
    assert refused(lambda: store.carry_out(folder, plan)).code is Code.SYSTEM_BUSY
    assert len(store.list_keys(folder)) == 2


def test_a_folder_that_others_may_write_is_not_changed_but_refused(folder: Path) -> None:
    add(folder, "a", file(0))
    folder.chmod(0o777)
    for call in (lambda: store.list_keys(folder), lambda: store.plan_add(folder, "b", file(1))):
        assert refused(call).code is Code.TRUST_WRITABLE


# Each system call that changes a file is a place to be killed at.
KILLED = """
import os, signal, sys
from pathlib import Path
from agent.trust import store
calls = 0
def counted(real):
    def call(*arguments, **more):
        global calls
        calls += 1
        if calls == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **more)
    return call
folder = Path(sys.argv[1])
plan = store.plan_remove(folder, "old")
for name in ("write", "fsync", "rename", "fchmod", "unlink", "open"):
    setattr(os, name, counted(getattr(os, name)))
store.carry_out(folder, plan)
"""


def test_whoever_is_killed_while_a_key_is_removed_leaves_keys_that_can_be_read(folder: Path) -> None:
    add(folder, "old", file(0))
    add(folder, "new", file(1, state="standby"))
    seen = []
    for index in range(1, 60):
        command = [sys.executable, "-c", KILLED, str(folder), str(index)]
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
        seen.append(states(folder))
        assert seen[-1] in (
            {"old": "active", "new": "standby"},
            {"old": "active", "new": "active"},
            {"new": "active"},
        )
        if "old" not in seen[-1]:
            break
        assert done.returncode == -9, done.stderr
    assert index > 8, "it was killed at too few places"
    assert seen[0] == {"old": "active", "new": "standby"}
    assert {"old": "active", "new": "active"} in seen, "both are believed for a moment, never none"
