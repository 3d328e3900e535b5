"""The order in which an archive is believed: signature, manifest, then file by file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import msgspec

from runtime.bundle import signature
from runtime.bundle.check import parse_manifest
from runtime.bundle.container import MAX_MANIFEST, MAX_SIGNATURE, Reader
from runtime.bundle.digests import checked
from runtime.bundle.keys import TrustedKeys
from runtime.bundle.manifest import MANIFEST_NAME, SIGNATURE_NAME, Manifest
from runtime.bundle.regular_file import BUNDLE, open_regular
from runtime.bundle.signature import Signed
from runtime.errors import Code, EdgewardError


class Sink(Protocol):
    """Where the files go. What was put is to be believed only once the whole archive was read."""

    def put(self, name: str, chunks: Iterable[bytes]) -> None:
        """Take one file; ``chunks`` must be read to the end."""


class Discard:
    """A sink for those who only want to know whether the bundle is sound."""

    def put(self, name: str, chunks: Iterable[bytes]) -> None:  # noqa: ARG002
        """Read the file and forget it."""
        for _ in chunks:
            pass


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What a trusted key signed. Once its files were read too, every byte is checked."""

    manifest: Manifest
    manifest_sha256: str
    digest: str
    signed_by: str


class Front(msgspec.Struct, frozen=True, kw_only=True):
    """Signature and manifest, proven; of the files only their names, sizes and digests are known."""

    sig: bytes
    data: bytes
    verified: Verified


@contextmanager
def open_archive(path: Path) -> Iterator[Reader]:
    """A reader on a bundle file.

    Raises:
        EdgewardError: ``BUNDLE_MISSING``, ``BUNDLE_UNREADABLE``; ``BUNDLE_FORMAT`` for what is not a
            regular file.
    """
    stream, size = open_regular(path, BUNDLE)
    with stream:
        yield Reader(stream, size=size, where=str(path))


def verify(reader: Reader, keys: TrustedKeys, sink: Sink) -> Verified:
    """Read a whole archive, believing nothing before it is proven, and hand its files to ``sink``.

    Raises:
        EdgewardError: ``BUNDLE_FORMAT``, ``BUNDLE_SIGNATURE``, ``BUNDLE_DIGEST``, ``BUNDLE_MANIFEST``,
            ``BUNDLE_UNSUPPORTED``, ``BUNDLE_UNREADABLE``, or what the sink raises.
    """
    front = verify_front(reader, keys)
    verify_rest(reader, front, sink)
    return front.verified


def verify_front(reader: Reader, keys: TrustedKeys) -> Front:
    """Read what stands before the files, so that one knows the bundle before anything is written.

    Raises:
        EdgewardError: as ``verify``.
    """
    sig = reader.small_member(SIGNATURE_NAME, MAX_SIGNATURE)
    signed = signature.verify(sig, keys, where=reader.where, canonical=True)
    data = reader.small_member(MANIFEST_NAME, MAX_MANIFEST)
    manifest = signed_manifest(data, signed, where=reader.where)
    reader.expect_files(entry.size for entry in manifest.files)
    verified = Verified(
        manifest=manifest,
        manifest_sha256=signed.resources[MANIFEST_NAME],
        digest=signed.digest,
        signed_by=signed.signed_by,
    )
    return Front(sig=sig, data=data, verified=verified)


def verify_rest(reader: Reader, front: Front, sink: Sink) -> None:
    """Hand ``sink`` the whole bundle: what ``verify_front`` read, and the files as they are read.

    Raises:
        EdgewardError: as ``verify``.
    """
    sink.put(SIGNATURE_NAME, (front.sig,))
    sink.put(MANIFEST_NAME, (front.data,))
    read_files(reader, front.verified.manifest, sink)


def signed_manifest(data: bytes, signed: Signed, *, where: str) -> Manifest:
    """The manifest in ``data``, once its digest and its list of files are those that were signed.

    Raises:
        EdgewardError: ``BUNDLE_DIGEST``, ``BUNDLE_MANIFEST``, ``BUNDLE_UNSUPPORTED``.
    """
    if hashlib.sha256(data).hexdigest() != signed.resources.get(MANIFEST_NAME):
        what = f"{MANIFEST_NAME} is not what was signed"
        raise EdgewardError(Code.BUNDLE_DIGEST, what, where=where, remedy="get the bundle again")
    manifest = parse_manifest(data, where=where)
    if resources(manifest, data) != signed.resources:
        what = "the manifest's files are not the signed files"
        raise EdgewardError(Code.BUNDLE_DIGEST, what, where=where, remedy="pack and sign the bundle again")
    return manifest


def resources(manifest: Manifest, manifest_data: bytes) -> dict[str, str]:
    """The digests by name that a signature of this bundle covers: the manifest and all its files."""
    own = {MANIFEST_NAME: hashlib.sha256(manifest_data).hexdigest()}
    return own | {entry.path: entry.sha256 for entry in manifest.files}


def read_files(reader: Reader, manifest: Manifest, sink: Sink) -> None:
    """Read the files behind the manifest: these names, in this order, and nothing else.

    Raises:
        EdgewardError: ``BUNDLE_FORMAT``, ``BUNDLE_DIGEST``, ``BUNDLE_UNREADABLE``, or the sink's.
    """
    for entry in manifest.files:
        member = reader.member()
        if member != (entry.path, entry.size):
            found = f"{member.name!r} with {member.size} bytes" if member else "the end"
            what = f"{found} comes where the manifest has {entry.path!r} with {entry.size}"
            raise EdgewardError(
                Code.BUNDLE_FORMAT, what, where=reader.where, remedy="get the bundle again from its author"
            )
        sink.put(entry.path, checked(entry, reader.chunks(), where=reader.where))
    if (member := reader.member()) is not None:
        what = f"{member.name!r} is not in the manifest"
        raise EdgewardError(Code.BUNDLE_FORMAT, what, where=reader.where, remedy="get the bundle again")
