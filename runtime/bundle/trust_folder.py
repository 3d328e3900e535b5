"""The trust folder: which public keys a device believes, in which role, for bundles of which names.

One small TOML file a key. Strict: an unknown key, a link, a file or folder that others may write is refused,
with the file named, and nothing of the folder is believed then. Imports no crypto library: whether the PEM
text in a file is a key is for ``runtime.bundle.keys`` to say.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import stat
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec

from runtime.bundle.regular_file import Codes, open_regular
from runtime.bundle.strict import Mismatch, convert
from runtime.errors import Code, EdgewardError, from_os_error

SUFFIX = ".toml"
MAX_FILES = 100
MAX_BYTES = 64 << 10

Role: TypeAlias = Literal["release", "operate"]
State: TypeAlias = Literal["active", "standby"]
# Letters of a bundle's name, and the two signs that stand for others. No [..]: nobody needs it, and it errs.
_PATTERN = r"^[a-z0-9*?][a-z0-9._*?-]{0,63}\Z"
Pattern = Annotated[str, msgspec.Meta(pattern=_PATTERN)]

# A key that is removed between listing and reading is no error: the folder is looked at again.
_LOOKS = 10
_CODES = Codes(Code.TRUST_KEY_FILE, Code.TRUST_KEY_FILE, Code.TRUST_KEY_FILE)


class KeyFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of the folder.

    ``role``: ``release`` may sign bundles, ``operate`` may sign what a device is to do. ``state``: which of
    two keys signs today; both are believed. ``names``: bundles that a release key may sign, with ``*`` and
    ``?``. ``public_key``: PEM.
    """

    role: Role
    public_key: Annotated[str, msgspec.Meta(max_length=4096)]
    state: State = "active"
    names: Annotated[tuple[Pattern, ...], msgspec.Meta(min_length=1, max_length=100)] = ("*",)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A key file and where it lies."""

    path: Path
    file: KeyFile

    @property
    def name(self) -> str:
        """The file's name without its ending: what a person calls the key."""
        return self.path.stem


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What a key may do here; ``source`` is the file that says so. A plain key file grants the defaults."""

    role: Role = "release"
    state: State = "active"
    names: tuple[str, ...] = ("*",)
    source: str = ""

    def covers(self, name: str) -> bool:
        """Whether bundles called ``name`` are among those that the key may sign."""
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.names)


def read_folder(folder: Path) -> list[Entry]:
    """All key files of a trust folder, by name; hidden files and those with another ending are no key files.

    Raises:
        EdgewardError: ``KEY_MISSING`` when there is no such folder; ``TRUST_WRITABLE`` when others may
            write to it; ``TRUST_KEY_FILE`` for a file that is not as it must be.
    """
    for _ in range(_LOOKS):
        wanted = _listed(folder)
        try:
            return [read_file(path) for path in wanted]
        except EdgewardError:
            if all(os.path.lexists(path) for path in wanted):
                raise
    raise _refuse(folder, "it changes while it is read", "try again")


def _listed(folder: Path) -> list[Path]:
    """The key files, once folder and names are as they must be."""
    try:
        status = folder.stat()
        paths = sorted(folder.iterdir())
    except FileNotFoundError as error:
        remedy = "make it with 'edgeward trust add'"
        raise EdgewardError(Code.KEY_MISSING, "no such folder", where=str(folder), remedy=remedy) from error
    except OSError as error:
        raise from_os_error(error, where=str(folder), fallback=Code.TRUST_KEY_FILE) from error
    check_ownership(status, folder)
    wanted = [path for path in paths if is_key_file(path.name)]
    for path in wanted:
        if not is_key_name(path.stem):
            raise _refuse(path, "a name that no key can have", "use letters, digits, '.', '-' and '_'")
    if len(wanted) > MAX_FILES:
        raise _refuse(folder, f"more than {MAX_FILES} key files", "remove those that are not used")
    return wanted


def is_key_file(name: str) -> bool:
    """Whether a file of that name counts."""
    return name.endswith(SUFFIX) and not name.startswith(".")


def is_pattern(text: str) -> bool:
    """Whether a text can stand among the ``names`` of a key."""
    return re.match(_PATTERN, text) is not None


def is_key_name(name: str) -> bool:
    """Whether a key can be called so: nothing that would steer a terminal or a shell."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name) is not None


def read_file(path: Path) -> Entry:
    """One key file.

    Raises:
        EdgewardError: ``TRUST_KEY_FILE``, ``TRUST_WRITABLE``.
    """
    stream, size = open_regular(path, _CODES)
    with stream:
        check_ownership(os.fstat(stream.fileno()), path)
        try:
            data = stream.read(MAX_BYTES + 1) if size <= MAX_BYTES else b""
        except OSError as error:
            raise from_os_error(error, where=str(path), fallback=Code.TRUST_KEY_FILE) from error
    if not 0 < len(data) <= MAX_BYTES:
        raise _refuse(path, f"expected 1 to {MAX_BYTES} bytes", "write it with 'edgeward trust add'")
    return Entry(path=path, file=parse(data, where=path))


def parse(data: bytes, *, where: Path) -> KeyFile:
    """What the bytes of a key file say.

    Raises:
        EdgewardError: ``TRUST_KEY_FILE``.
    """
    try:
        file = convert(tomllib.loads(data.decode("utf-8")), KeyFile)
    except (ValueError, RecursionError) as error:
        # UnicodeDecodeError and TOMLDecodeError are ValueErrors; neither quotes what stands in the file.
        what = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise _refuse(where, f"not valid TOML: {what}", "write it with 'edgeward trust add'") from error
    except Mismatch as error:
        raise _refuse(where, f"{error.key}: {error.what}", error.remedy) from error
    if file.role == "operate" and file.names != ("*",):
        raise _refuse(where, "names: only a release key signs bundles", "remove the key 'names'")
    return file


def fingerprint(pem: str) -> str:
    """The fingerprint of a key in PEM text as ``runtime.bundle.keys`` gives it, without a crypto library.

    For text that this program could have written, but for white space; whether it is a key at all is not
    looked at. Empty for what is no PEM.
    """
    found = re.search(r"-----BEGIN PUBLIC KEY-----([^-]*)-----END PUBLIC KEY-----", pem)
    letters = "".join(found[1].split()) if found else ""
    if not letters:
        return ""
    lines = [letters[index : index + 64] for index in range(0, len(letters), 64)]
    text = "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def encode(file: KeyFile) -> bytes:
    """The TOML text of a key file."""
    names = ", ".join(f'"{name}"' for name in file.names)
    lines = [f'role = "{file.role}"', f'state = "{file.state}"']
    if file.role == "release":
        lines.append(f"names = [{names}]")
    return "\n".join([*lines, f'public_key = """\n{file.public_key.strip()}\n"""\n']).encode("utf-8")


def check_ownership(status: os.stat_result, path: Path) -> None:
    """Refuse what somebody else than root or this user may change.

    Raises:
        EdgewardError: ``TRUST_WRITABLE``.
    """
    check_mode(status, path)
    if status.st_uid not in {0, os.geteuid()}:
        what = f"it belongs to the user {status.st_uid}, who may change it"
        raise EdgewardError(Code.TRUST_WRITABLE, what, where=str(path), remedy=f"chown root '{path}'")


def check_mode(status: os.stat_result, path: Path) -> None:
    """Refuse what more users than its owner may write.

    Raises:
        EdgewardError: ``TRUST_WRITABLE``.
    """
    if status.st_mode & 0o022:
        who = "everybody" if status.st_mode & 0o002 else "its group"
        what = f"{who} may write to it (mode {stat.S_IMODE(status.st_mode):04o})"
        raise EdgewardError(Code.TRUST_WRITABLE, what, where=str(path), remedy=f"chmod go-w '{path}'")


def overlapping(entry: Entry, entries: Sequence[Entry]) -> list[Entry]:
    """Those of ``entries`` that hold the same place: role, state and names are the same."""
    mine = entry.file
    return [
        other
        for other in entries
        if other.path != entry.path
        and (other.file.role, other.file.state, set(other.file.names))
        == (mine.role, mine.state, set(mine.names))
    ]


def _refuse(path: Path, what: str, remedy: str) -> EdgewardError:
    return EdgewardError(Code.TRUST_KEY_FILE, what, where=str(path), remedy=remedy)
