"""Changes to the trust folder: what ``edgeward trust add`` and ``remove`` do, as plans first.

A plan is made, shown, confirmed, and then carried out under a lock, if the folder still is what it was made
for. The audit log tells of it first. Each file is written beside its place and renamed; where two things
change, the order is such that no moment has fewer keys than before or after.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from agent.trust import audit, held_folder
from runtime.bundle import keys, signature, trust_folder
from runtime.bundle.archive import open_archive
from runtime.bundle.replace import replacing
from runtime.bundle.sign import read_front
from runtime.bundle.staging import sync_folder
from runtime.bundle.trust_folder import Entry, Grant, KeyFile, Role, State
from runtime.errors import Code, EdgewardError, from_os_error


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A key of the folder, as it is shown and logged."""

    name: str
    role: Role
    state: State
    names: tuple[str, ...]
    fingerprint: str
    curve: str
    file: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A change: the keys before it and after it, and what has to be written and removed for it."""

    what: str
    key: Key
    before: tuple[Key, ...]
    after: tuple[Key, ...]
    write: tuple[Entry, ...] = ()
    remove: tuple[Path, ...] = ()


def list_keys(folder: Path) -> list[Key]:
    """The keys of a trust folder, by name; none when there is no folder.

    Raises:
        EdgewardError: ``TRUST_KEY_FILE``, ``TRUST_WRITABLE``.
    """
    return [_shown(entry) for entry in _entries(folder)]


def list_named(files: Sequence[Path], known: Sequence[Key]) -> list[Key]:
    """Plain public key files, which may sign any bundle, unless the folder says what their key may do.

    Raises:
        EdgewardError: ``KEY_MISSING``, ``KEY_INVALID``.
    """
    named = [_plain(path) for path in files]
    return [key for key in named if all(other.fingerprint != key.fingerprint for other in known)]


def list_readable(files: Sequence[Path]) -> list[Key]:
    """Those of some plain public key files that are there and hold a key."""
    found = []
    for path in files:
        with suppress(EdgewardError):
            found.append(_plain(path))
    return found


def _plain(path: Path) -> Key:
    key = keys.load_public(path)
    return Key(
        name=path.stem,
        role="release",
        state="active",
        names=("*",),
        fingerprint=keys.fingerprint(key),
        curve=keys.curve_name(key),
        file=str(path),
    )


def list_ignored(folder: Path) -> list[str]:
    """Names of what lies in a trust folder and is no key file."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    own = {audit.NAME, held_folder.LOCK_NAME}
    return sorted(name for name in names if not trust_folder.is_key_file(name) and name not in own)


def plan_add(
    folder: Path,
    name: str,
    file: KeyFile,
    *,
    replace: bool = False,
    plain: Sequence[Key] = (),
    force: bool = False,
) -> Plan:
    """Add a key under a name, which is that of its file; or, with ``replace``, say anew what it may do.

    One active and one standby key for each role and set of names is what a rotation needs; a further one is
    taken with ``force`` only, as is another role for the last release key. ``plain`` is as in
    ``plan_remove``.

    Raises:
        EdgewardError: ``USAGE`` when the name or the place is taken; ``TRUST_LAST_KEY``; ``TRUST_KEY_FILE``
            for what cannot be a key file; as ``list_keys``.
    """
    if not trust_folder.is_key_name(name):
        remedy = "use up to 64 letters, digits, '.', '-' and '_' with --name"
        raise EdgewardError(Code.USAGE, f"{name!r} cannot name a key", remedy=remedy)
    entries = _entries(folder)
    path = folder / f"{name}{trust_folder.SUFFIX}"
    entry = Entry(path=path, file=trust_folder.parse(trust_folder.encode(file), where=path))
    key = _shown(entry)
    same_name = [other for other in entries if other.path == path]
    same_key = [other for other in entries if _shown(other).fingerprint == key.fingerprint]
    if (same_name or same_key) and not (replace and same_name == same_key):
        other = _shown((same_key or same_name)[0])
        what = f"the key is there as {other.name!r}" if same_key else f"the name {name!r} is taken"
        remedy = "use --replace with its name to say anew what it may do, or remove it first"
        raise EdgewardError(Code.USAGE, what, where=other.file, remedy=remedy)
    rest = [other for other in entries if other.path != path]
    rivals = trust_folder.overlapping(entry, rest)
    if rivals and not force:
        what = f"{rivals[0].name!r} is the {file.state} {file.role} key of these bundles"
        remedy = "add it with --standby" if file.state == "active" else "remove one of the two first"
        raise EdgewardError(
            Code.USAGE, what, where=str(rivals[0].path), remedy=f"{remedy}, or insist with --force"
        )
    after = sorted([*rest, entry], key=lambda item: item.path)
    for changed in same_name:
        _check_left(changed, after, _beside(plain, entries), force=force)
    what = "key changed" if same_name else "key added"
    return Plan(what=what, key=key, before=_all(entries), after=_all(after), write=(entry,))


def plan_remove(folder: Path, wanted: str, *, plain: Sequence[Key] = (), force: bool = False) -> Plan:
    """Remove a key; when it was active, the standby key of the same role and names becomes active.

    Args:
        folder: the trust folder.
        wanted: the key's name, or its fingerprint or at least eight digits of its beginning.
        plain: the plain keys that the configuration names.
        force: whether the last release key may go too, or one that ``plain`` goes on trusting.

    Raises:
        EdgewardError: ``USAGE`` when no key, or more than one, is meant, or when ``plain`` has it too;
            ``TRUST_LAST_KEY``; as ``list_keys``.
    """
    entries = _entries(folder)
    gone = _wanted(entries, wanted, folder)
    rest = [entry for entry in entries if entry.path != gone.path]
    write: tuple[Entry, ...] = ()
    if gone.file.state == "active" and not trust_folder.overlapping(gone, rest):
        heir = Entry(path=gone.path, file=msgspec.structs.replace(gone.file, state="standby"))
        write = tuple(
            Entry(path=entry.path, file=msgspec.structs.replace(entry.file, state="active"))
            for entry in trust_folder.overlapping(heir, rest)[:1]
        )
    promoted = {entry.path: entry for entry in write}
    after = [promoted.get(entry.path, entry) for entry in rest]
    key = _shown(gone)
    for twin in plain:
        if twin.fingerprint == key.fingerprint and not force:
            # What the folder says of a key is less than a plain file grants.
            what = f"{twin.file} of trust.release_keys holds this key too, which then may sign any bundle"
            remedy = "take it out of the configuration and restart the agent first, or insist with --force"
            raise EdgewardError(Code.USAGE, what, where=str(gone.path), remedy=remedy)
    _check_left(gone, after, _beside(plain, entries), force=force)
    return Plan(
        what="key removed",
        key=key,
        before=_all(entries),
        after=_all(after),
        write=write,
        remove=(gone.path,),
    )


def _beside(plain: Sequence[Key], entries: Sequence[Entry]) -> list[Key]:
    """Those plain keys that may sign any bundle: of the others the folder says what they may do."""
    known = {_shown(entry).fingerprint for entry in entries}
    return [key for key in plain if key.fingerprint not in known]


def _check_left(changed: Entry, after: Sequence[Entry], beside: Sequence[Key], *, force: bool) -> None:
    """Some key must be left that may sign bundles; an active one, when an active one goes."""
    if changed.file.role != "release" or beside or force:
        return
    left = [entry for entry in after if entry.file.role == "release"]
    gone = all(entry.path != changed.path for entry in after)
    if gone and changed.file.state == "active":
        left = [entry for entry in left if entry.file.state == "active"]
    if not left:
        what = f"{changed.name!r} is the last {changed.file.state} release key here"
        remedy = "add another one first, or insist with --force"
        raise EdgewardError(Code.TRUST_LAST_KEY, what, where=str(changed.path), remedy=remedy)


def signed_with(fingerprint: str, bundles: Sequence[Path], grant: Grant | None = None) -> list[str]:
    """Those of ``bundles`` that say that this key signed them, for a person who is about to remove it.

    With ``grant``, which is what it will be allowed, those only that it may sign no more.
    What cannot be read is left out: nobody is to be kept from removing a stolen key by a broken file.
    """
    found = []
    for path in bundles:
        with suppress(EdgewardError, OSError), open_archive(path) as reader:
            front = read_front(reader)
            name = front.manifest.name
            kept = grant is not None and grant.role == "release" and grant.covers(name)
            by = signature.claimed_signer(front.sig, where=str(path)) if front.sig and not kept else ""
            if by == fingerprint:
                found.append(f"{front.manifest.name} {front.manifest.version} ({path})")
    return found


def carry_out(folder: Path, plan: Plan) -> None:
    """Make the plan true, once the audit log tells of it.

    Raises:
        EdgewardError: ``SYSTEM_BUSY`` when the folder has changed since the plan was made; ``SYSTEM_*``.
    """
    held_folder.make(folder, mode=0o755)
    with held_folder.held(folder, by_file=True):
        if _all(_entries(folder)) != plan.before:
            remedy = "look at 'edgeward trust list' and try again"
            raise EdgewardError(
                Code.SYSTEM_BUSY, "the keys have changed meanwhile", where=str(folder), remedy=remedy
            )
        facts = {"key": plan.key, "before": plan.before, "after": plan.after}
        with audit.told(audit.path_in(folder), plan.what, **msgspec.to_builtins(facts)):
            try:
                for entry in plan.write:
                    with replacing(entry.path) as stream:
                        stream.write(trust_folder.encode(entry.file))
                for path in plan.remove:
                    path.unlink()
                sync_folder(folder)
            except OSError as error:
                raise from_os_error(error, where=str(folder), fallback=Code.SYSTEM_IO) from error


def _entries(folder: Path) -> list[Entry]:
    try:
        folder.lstat()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise from_os_error(error, where=str(folder), fallback=Code.TRUST_KEY_FILE) from error
    return trust_folder.read_folder(folder)


def _all(entries: Sequence[Entry]) -> tuple[Key, ...]:
    return tuple(_shown(entry) for entry in entries)


def _shown(entry: Entry) -> Key:
    key = keys.key_of(entry)
    return Key(
        name=entry.name,
        role=entry.file.role,
        state=entry.file.state,
        names=entry.file.names,
        fingerprint=keys.fingerprint(key),
        curve=keys.curve_name(key),
        file=str(entry.path),
    )


def _wanted(entries: Sequence[Entry], wanted: str, folder: Path) -> Entry:
    digits = re.fullmatch(r"[0-9a-f]{8,64}", wanted)
    # A key can be called like the beginning of another one's fingerprint: then it is not guessed which.
    found = [
        entry
        for entry in entries
        if entry.name == wanted or (digits and _shown(entry).fingerprint.startswith(wanted))
    ]
    if len(found) != 1:
        what = f"several keys are called {wanted!r}, or begin so" if found else f"no key {wanted!r}"
        there = ", ".join(entry.name for entry in entries) or "none"
        raise EdgewardError(Code.USAGE, what, where=str(folder), remedy=f"there is {there}")
    return found[0]
