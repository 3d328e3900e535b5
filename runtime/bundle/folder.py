"""Verifies a bundle that lies unpacked in a folder, whoever's ``model_signing`` signed it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import NoReturn

from runtime.bundle import signature
from runtime.bundle.archive import Verified, signed_manifest
from runtime.bundle.container import CHUNK, MAX_MANIFEST, MAX_SIGNATURE
from runtime.bundle.digests import checked
from runtime.bundle.keys import TrustedKeys
from runtime.bundle.limits import FORMAT, Limits
from runtime.bundle.manifest import MANIFEST_NAME, SIGNATURE_NAME, FileEntry
from runtime.bundle.regular_file import BUNDLE, FOLDER, kind_of, open_below
from runtime.errors import Code, EdgewardError, from_os_error

_LINKED = "replace it by a copy: cp -a FILE COPY && mv COPY FILE"
_KINDS = {
    stat.S_IFLNK: Code.BUNDLE_MEMBER_SYMLINK,
    stat.S_IFIFO: Code.BUNDLE_MEMBER_FIFO,
    stat.S_IFDIR: Code.BUNDLE_MEMBER_FOLDER,
}


def verify_folder(folder: Path, keys: TrustedKeys, *, limits: Limits = FORMAT) -> Verified:
    """Check every file of an unpacked bundle; a file that was not signed is refused too.

    Raises:
        EdgewardError: ``BUNDLE_*``.
    """
    where = str(folder)
    found = {name for name, _ in files_below(folder, limits=limits)}
    if SIGNATURE_NAME not in found:
        raise EdgewardError(
            Code.BUNDLE_UNSIGNED,
            "the folder is not signed: it has no model.sig",
            where=where,
            remedy="pack it with 'edgeward bundle pack', then sign the .ewb",
        )
    with _opened(folder) as descriptor:
        sig = _small(descriptor, SIGNATURE_NAME, MAX_SIGNATURE, folder)
        signed = signature.verify(sig, keys, where=where, canonical=False)
        _same_names(found - {SIGNATURE_NAME}, set(signed.resources), where=where)
        if MANIFEST_NAME not in signed.resources:
            what = "signed, but not a bundle: it has no manifest.json"
            raise EdgewardError(
                Code.BUNDLE_FORMAT, what, where=where, remedy="pack it with 'edgeward bundle pack'"
            )
        data = _small(descriptor, MANIFEST_NAME, MAX_MANIFEST, folder)
        manifest = signed_manifest(data, signed, where=where)
        for entry in manifest.files:
            for _ in checked(entry, _chunks(descriptor, entry, folder), where=where):
                pass
    return Verified(
        manifest=manifest,
        manifest_sha256=signed.resources[MANIFEST_NAME],
        digest=signed.digest,
        signed_by=signed.signed_by,
    )


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    try:
        descriptor = os.open(folder, FOLDER)
    except OSError as error:
        raise from_os_error(error, where=str(folder), fallback=Code.BUNDLE_UNREADABLE) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _small(descriptor: int, name: str, limit: int, folder: Path) -> bytes:
    stream, _ = open_below(descriptor, name, BUNDLE, where=folder)
    data = b"".join(_read(stream, folder / name, limit + 1))
    if len(data) > limit:
        what, remedy = f"over {limit} bytes", "get the bundle again"
        raise EdgewardError(Code.BUNDLE_TOO_LARGE, what, where=str(folder / name), remedy=remedy)
    return data


def files_below(folder: Path, *, limits: Limits = FORMAT) -> Iterator[tuple[str, int]]:
    """Name, relative to ``folder``, and size of every file.

    Raises:
        EdgewardError: ``BUNDLE_MISSING``, ``BUNDLE_UNREADABLE``; ``BUNDLE_MEMBER_*`` for a link, a hard
            one too, or a special file; ``BUNDLE_TOO_MANY_FILES``.
    """

    def failed(error: OSError) -> NoReturn:
        missing = isinstance(error, FileNotFoundError)
        code = Code.BUNDLE_MISSING if missing else Code.BUNDLE_UNREADABLE
        raise from_os_error(error, where=str(error.filename), fallback=code) from error

    count = 0
    for parent, folders, files in os.walk(folder, onerror=failed):
        for name in folders + files:
            path = Path(parent, name)
            try:
                status = path.lstat()
            except OSError as error:
                failed(error)
            if stat.S_ISDIR(status.st_mode):
                continue
            _check_kind(status, path)
            yield str(path.relative_to(folder)), status.st_size
            count += 1
            if count > limits.members:
                what = f"more than {limits.members} files"
                remedy = "check the path"
                raise EdgewardError(Code.BUNDLE_TOO_MANY_FILES, what, where=str(folder), remedy=remedy)


def _check_kind(status: os.stat_result, path: Path) -> None:
    """Regular, and with no second name under which it could be changed behind our back."""
    if not stat.S_ISREG(status.st_mode):
        code = _KINDS.get(stat.S_IFMT(status.st_mode), Code.BUNDLE_MEMBER_DEVICE)
        what = f"this is {kind_of(status.st_mode)}, which was not signed"
        raise EdgewardError(code, what, where=str(path), remedy="remove it")
    if status.st_nlink > 1:
        what = "a hard link: the file has another name too, by which it can be changed"
        raise EdgewardError(Code.BUNDLE_MEMBER_HARDLINK, what, where=str(path), remedy=_LINKED)


def _same_names(found: set[str], signed: set[str], *, where: str) -> None:
    if extra := sorted(found - signed):
        what, remedy = f"the file {extra[0]!r} was not signed", "remove it or get the bundle again"
        raise EdgewardError(Code.BUNDLE_UNSIGNED_FILE, what, where=where, remedy=remedy)
    if lacking := sorted(signed - found):
        what = f"the signed file {lacking[0]!r} is missing"
        raise EdgewardError(Code.BUNDLE_MISSING_FILE, what, where=where, remedy="get the bundle again")


def _chunks(descriptor: int, entry: FileEntry, folder: Path) -> Iterator[bytes]:
    stream, size = open_below(descriptor, entry.path, BUNDLE, where=folder)
    if size != entry.size:
        stream.close()
        what = f"the file {entry.path!r} has {size} bytes, signed are {entry.size}"
        raise EdgewardError(Code.BUNDLE_DIGEST, what, where=str(folder), remedy="get the bundle again")
    # One byte more than there was shows that it grew.
    yield from _read(stream, folder / entry.path, entry.size + 1)


def _read(stream: BufferedReader, path: Path, limit: int) -> Iterator[bytes]:
    """At most ``limit`` bytes of a file."""
    with stream:
        try:
            while limit and (data := stream.read(min(CHUNK, limit))):
                limit -= len(data)
                yield data
        except OSError as error:
            raise from_os_error(error, where=str(path), fallback=Code.BUNDLE_READ_ERROR) from error
