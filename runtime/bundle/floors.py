"""Rollback floors: the highest release of each bundle name that has run on this device.

A file of its own, outside the store of bundles. It is read strictly: a damaged one refuses every bundle until
somebody has looked at it, since to begin anew would let every old release in. ``agent.trust.floors`` writes
it. Imports no crypto library.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from runtime.bundle.manifest import Name, Sha256
from runtime.bundle.regular_file import Codes, open_regular
from runtime.bundle.strict import Mismatch, convert, parse_json
from runtime.bundle.trust_folder import check_mode
from runtime.errors import Code, EdgewardError, from_os_error

MAX_BYTES = 4 << 20
_CODES = Codes(Code.TRUST_FLOORS, Code.TRUST_FLOORS, Code.TRUST_FLOORS)
_REMEDY = "see what happened to it, then begin anew with 'edgeward trust floors reset'"


class Floor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The highest release counter of a name, and the digest of the bundle that had it.

    ``digest`` is empty where the floor was set by hand: then any bundle with that counter may be the one.
    """

    counter: Annotated[int, msgspec.Meta(ge=1)]
    digest: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?\Z")]


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema: Literal[1]
    floors: dict[Name, Floor]
    sha256: Sha256


def load(path: Path | None) -> dict[str, Floor]:
    """The floors in a file, by name of the bundle; none when there is no file yet, or ``path`` is ``None``.

    Raises:
        EdgewardError: ``TRUST_FLOORS`` when it cannot be read or is damaged; ``TRUST_WRITABLE`` when others
            may write to it or to its folder.
    """
    if path is None or not _has_folder(path.parent) or not is_there(path):
        return {}
    stream, size = open_regular(path, _CODES)
    with stream:
        check_mode(os.fstat(stream.fileno()), path)
        try:
            data = stream.read(MAX_BYTES + 1) if size <= MAX_BYTES else b""
        except OSError as error:
            raise from_os_error(error, where=str(path), fallback=Code.TRUST_FLOORS) from error
    return _parse(data, path)


def _has_folder(folder: Path) -> bool:
    """Whether it is there: who may write in it could put another file there, or take it away."""
    try:
        check_mode(folder.stat(), folder)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise from_os_error(error, where=str(folder), fallback=Code.TRUST_FLOORS) from error
    return True


def is_there(path: Path) -> bool:
    """Whether something has that name. A folder that may not be looked into is an answer to nothing.

    Raises:
        EdgewardError: ``TRUST_FLOORS``.
    """
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise from_os_error(error, where=str(path), fallback=Code.TRUST_FLOORS) from error
    return True


def _parse(data: bytes, path: Path) -> dict[str, Floor]:
    try:
        file = convert(parse_json(data), _File)
    except (ValueError, Mismatch) as error:
        what = error.what if isinstance(error, Mismatch) else str(error)
        raise _damaged(path, what) from error
    if file.sha256 != _checksum(file.floors):
        raise _damaged(path, "its checksum is wrong")
    return file.floors


def encode(floors: Mapping[str, Floor]) -> bytes:
    """The bytes of the file. Its checksum finds what the disk did to it; it keeps nobody from writing it."""
    ordered = dict(sorted(floors.items()))
    file = _File(schema=1, floors=ordered, sha256=_checksum(ordered))
    return msgspec.json.format(msgspec.json.encode(file), indent=1) + b"\n"


def _checksum(floors: Mapping[str, Floor]) -> str:
    return hashlib.sha256(msgspec.json.encode(dict(sorted(floors.items())))).hexdigest()


def _damaged(path: Path, what: str) -> EdgewardError:
    return EdgewardError(
        Code.TRUST_FLOORS, f"the rollback floors are damaged: {what}", where=str(path), remedy=_REMEDY
    )
