"""Verifies a bundle that lies unpacked in a folder, whoever's ``model_signing`` signed it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from runtime.bundle import signature
from runtime.bundle.archive import Verified, signed_manifest
from runtime.bundle.container import CHUNK, MAX_MANIFEST, MAX_MEMBERS, MAX_SIGNATURE
from runtime.bundle.digests import checked
from runtime.bundle.keys import TrustedKeys
from runtime.bundle.manifest import MANIFEST_NAME, SIGNATURE_NAME, FileEntry
from runtime.bundle.regular_file import BUNDLE, open_regular, read_regular
from runtime.errors import Code, EdgewardError, from_os_error


def verify_folder(folder: Path, keys: TrustedKeys) -> Verified:
    """Check every file of an unpacked bundle; a file that was not signed is refused too.

    Raises:
        EdgewardError: ``BUNDLE_MISSING``, ``BUNDLE_UNREADABLE``, ``BUNDLE_FORMAT``,
            ``BUNDLE_SIGNATURE``, ``BUNDLE_DIGEST``, ``BUNDLE_MANIFEST``, ``BUNDLE_UNSUPPORTED``.
    """
    where = str(folder)
    found = {name for name, _ in files_below(folder)}
    if SIGNATURE_NAME not in found:
        raise EdgewardError(
            Code.BUNDLE_SIGNATURE,
            "the folder is not signed: it has no model.sig",
            where=where,
            remedy="pack it with 'edgeward bundle pack', then sign the .ewb",
        )
    sig = read_regular(folder / SIGNATURE_NAME, BUNDLE, limit=MAX_SIGNATURE)
    signed = signature.verify(sig, keys, where=where, canonical=False)
    _same_names(found - {SIGNATURE_NAME}, set(signed.resources), where=where)
    if MANIFEST_NAME not in signed.resources:
        what = "signed, but not a bundle: it has no manifest.json"
        raise EdgewardError(
            Code.BUNDLE_FORMAT, what, where=where, remedy="pack it with 'edgeward bundle pack'"
        )
    data = read_regular(folder / MANIFEST_NAME, BUNDLE, limit=MAX_MANIFEST)
    manifest = signed_manifest(data, signed, where=where)
    for entry in manifest.files:
        for _ in checked(entry, _chunks(folder / entry.path, entry, where=where), where=where):
            pass
    return Verified(
        manifest=manifest,
        manifest_sha256=signed.resources[MANIFEST_NAME],
        digest=signed.digest,
        signed_by=signed.signed_by,
    )


def files_below(folder: Path) -> Iterator[tuple[str, int]]:
    """Name, relative to ``folder``, and size of every file.

    Raises:
        EdgewardError: ``BUNDLE_MISSING``, ``BUNDLE_UNREADABLE``; ``BUNDLE_FORMAT`` for a link or a
            special file, or when there are more files than a bundle may have.
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
            if stat.S_ISREG(status.st_mode):
                yield str(path.relative_to(folder)), status.st_size
                count += 1
            elif not stat.S_ISDIR(status.st_mode):
                what = "a link or special file, which was not signed"
                raise EdgewardError(Code.BUNDLE_FORMAT, what, where=str(path), remedy="remove it")
            if count > MAX_MEMBERS:
                what = f"more than {MAX_MEMBERS} files"
                raise EdgewardError(Code.BUNDLE_FORMAT, what, where=str(folder), remedy="check the path")


def _same_names(found: set[str], signed: set[str], *, where: str) -> None:
    if extra := sorted(found - signed):
        what = f"the file {extra[0]!r} was not signed"
        raise EdgewardError(Code.BUNDLE_DIGEST, what, where=where, remedy="remove it or get the bundle again")
    if lacking := sorted(signed - found):
        what = f"the signed file {lacking[0]!r} is missing"
        raise EdgewardError(Code.BUNDLE_DIGEST, what, where=where, remedy="get the bundle again")


def _chunks(path: Path, entry: FileEntry, *, where: str) -> Iterator[bytes]:
    stream, size = open_regular(path, BUNDLE)
    with stream:
        if size != entry.size:
            what = f"the file {entry.path!r} has {size} bytes, signed are {entry.size}"
            raise EdgewardError(Code.BUNDLE_DIGEST, what, where=where, remedy="get the bundle again")
        try:
            while data := stream.read(CHUNK):
                yield data
        except OSError as error:
            raise from_os_error(error, where=str(path), fallback=Code.BUNDLE_UNREADABLE) from error
