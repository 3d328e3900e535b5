"""The order in which an archive is believed: signature, manifest, then file by file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import msgspec

from runtime.bundle import policy, signature
from runtime.bundle.check import parse_manifest
from runtime.bundle.container import MAX_MANIFEST, MAX_SIGNATURE, Reader
from runtime.bundle.digests import checked
from runtime.bundle.keys import TrustedKeys
from runtime.bundle.limits import FORMAT, Limits
from runtime.bundle.manifest import MANIFEST_NAME, SIGNATURE_NAME, FileEntry, Manifest
from runtime.bundle.regular_file import BUNDLE, open_regular
from runtime.bundle.signature import Signed
from runtime.bundle.ustar import Member
from runtime.errors import Code, EdgewardError

_MAX_MARKS = 256


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

    @property
    def stored_bytes(self) -> int:
        """Of all files together, signature and manifest among them."""
        return len(self.sig) + len(self.data) + sum(entry.size for entry in self.verified.manifest.files)


@contextmanager
def open_archive(path: Path, *, limits: Limits = FORMAT) -> Iterator[Reader]:
    """A reader on a bundle file.

    Raises:
        EdgewardError: ``BUNDLE_MISSING``, ``BUNDLE_UNREADABLE``; ``BUNDLE_NOT_A_FILE`` for what is not a
            regular file.
    """
    stream, size = open_regular(path, BUNDLE)
    with stream:
        yield Reader(stream, where=str(path), size=size, limits=limits)


def verify(reader: Reader, keys: TrustedKeys, sink: Sink) -> Verified:
    """Read a whole archive, believing nothing before it is proven, and hand its files to ``sink``.

    Raises:
        EdgewardError: ``BUNDLE_*``, or what the sink raises.
    """
    front = verify_front(reader, keys)
    verify_rest(reader, front, sink)
    return front.verified


def verify_front(reader: Reader, keys: TrustedKeys) -> Front:
    """Read what stands before the files, so that one knows the bundle before anything is written.

    Raises:
        EdgewardError: as ``verify``.
    """
    with reader.naming_changes():
        sig = reader.small_member(SIGNATURE_NAME, MAX_SIGNATURE)
        _check_few(sig, where=reader.where)
        signed = signature.verify(sig, keys, where=reader.where, canonical=True)
        data = reader.small_member(MANIFEST_NAME, MAX_MANIFEST)
        manifest = signed_manifest(data, signed, where=reader.where)
    check_size(reader, manifest)
    verified = Verified(
        manifest=manifest,
        manifest_sha256=signed.resources[MANIFEST_NAME],
        digest=signed.digest,
        signed_by=signed.signed_by,
    )
    return Front(sig=sig, data=data, verified=verified)


def _check_few(sig: bytes, *, where: str) -> None:
    """A signature file has some 20 values, its long ones texts: more would fill the memory when parsed."""
    if sum(map(sig.count, (b"{", b"[", b","))) > _MAX_MARKS:
        what, remedy = "the signature file has too many values", "get the bundle again from its author"
        raise EdgewardError(Code.BUNDLE_SIGNATURE_FILE, what, where=where, remedy=remedy)


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
    policy.check_name(signed, manifest.name, where=where)
    listed = resources(manifest, data)
    if listed != signed.resources:
        code, which = _difference(listed, signed.resources)
        what = f"the manifest's files are not the signed files: {which}"
        raise EdgewardError(code, what, where=where, remedy="pack and sign the bundle again")
    return manifest


def _difference(listed: dict[str, str], signed: dict[str, str]) -> tuple[Code, str]:
    if extra := sorted(listed.keys() - signed.keys()):
        return Code.BUNDLE_UNSIGNED_FILE, f"{extra[0]!r} was not signed"
    if lacking := sorted(signed.keys() - listed.keys()):
        return Code.BUNDLE_MISSING_FILE, f"{lacking[0]!r} is signed and not in the manifest"
    return Code.BUNDLE_DIGEST, "their digests differ"


def resources(manifest: Manifest, manifest_data: bytes) -> dict[str, str]:
    """The digests by name that a signature of this bundle covers: the manifest and all its files."""
    own = {MANIFEST_NAME: hashlib.sha256(manifest_data).hexdigest()}
    return own | {entry.path: entry.sha256 for entry in manifest.files}


def check_size(reader: Reader, manifest: Manifest) -> None:
    """Refuse an archive that is too large, or not as large as its manifest says, before any file is read.

    A stream's own size is not known: what is too much or too little of it shows at its end.

    Raises:
        EdgewardError: ``BUNDLE_*``, for what is found wrong when the rest is read, at least.
    """
    expected = reader.expected_size([entry.size for entry in manifest.files])
    if reader.size is None or reader.size == expected:
        return
    try:
        for _ in _members(reader, manifest):
            reader.skip()
    except EdgewardError as error:
        if error.code is not Code.BUNDLE_TRUNCATED and error.code is not Code.BUNDLE_TRAILING:
            raise
    if reader.size < expected:
        code, what = Code.BUNDLE_TRUNCATED, f"the bundle has {reader.size} bytes instead of {expected}"
        remedy = "copy the bundle again: it was cut short"
    else:
        more = reader.size - expected
        code, what = Code.BUNDLE_TRAILING, f"there are {more} bytes more than the manifest lists"
        remedy = "get the bundle again"
    raise EdgewardError(code, what, where=reader.where, remedy=remedy)


def read_files(reader: Reader, manifest: Manifest, sink: Sink) -> None:
    """Read the files behind the manifest: these names, in this order, and nothing else.

    Raises:
        EdgewardError: ``BUNDLE_*``: as ``Reader.member``, and ``BUNDLE_DIGEST``, ``BUNDLE_ORDER``,
            ``BUNDLE_DUPLICATE``, ``BUNDLE_MISSING_FILE``, ``BUNDLE_UNSIGNED_FILE``, ``BUNDLE_NAME_CASE``;
            or the sink's.
    """
    with reader.naming_changes():
        for entry in _members(reader, manifest):
            sink.put(entry.path, checked(entry, reader.chunks(), where=reader.where))


def _members(reader: Reader, manifest: Manifest) -> Iterator[FileEntry]:
    """Each entry of the manifest once its member was found next in the archive; its data is to be read."""
    with reader.naming_changes():
        for index, entry in enumerate(manifest.files):
            member = reader.member()
            if member != (entry.path, entry.size):
                raise _unexpected(reader, member, manifest, index)
            yield entry
        if (member := reader.member()) is not None:
            raise _unexpected(reader, member, manifest, len(manifest.files))


def _unexpected(reader: Reader, member: Member | None, manifest: Manifest, index: int) -> EdgewardError:
    """What it means that ``member`` comes where the manifest's file ``index``, or the end, belongs."""
    code, what = _meaning(reader, member, manifest.files, index)
    return EdgewardError(code, what, where=reader.where, remedy="get the bundle again from its author")


def _meaning(
    reader: Reader, member: Member | None, files: tuple[FileEntry, ...], index: int
) -> tuple[Code, str]:
    paths = [entry.path for entry in files]
    if member is None:
        return Code.BUNDLE_MISSING_FILE, f"the file {paths[index]!r} is missing"
    name = member.name
    if name in {SIGNATURE_NAME, MANIFEST_NAME, *paths[:index]}:
        return Code.BUNDLE_DUPLICATE, f"the file {name!r} stands twice"
    if name not in paths:
        if same := [path for path in paths if path.lower() == name.lower()]:
            return Code.BUNDLE_NAME_CASE, f"the names {same[0]!r} and {name!r} differ in case only"
        return Code.BUNDLE_UNSIGNED_FILE, f"the file {name!r} is not in the manifest"
    wanted = files[index]
    if name == wanted.path:
        what = f"the file {name!r} has {member.size} bytes, in the manifest it has {wanted.size}"
        return Code.BUNDLE_DIGEST, what
    return _too_early(reader, wanted.path)


def _too_early(reader: Reader, wanted: str) -> tuple[Code, str]:
    """A later file came: either the wanted one comes behind it, or it does not come at all."""
    member: Member | None = None
    while member is None or member.name != wanted:
        reader.skip()
        member = reader.member()
        if member is None:
            return Code.BUNDLE_MISSING_FILE, f"the file {wanted!r} is missing"
    return Code.BUNDLE_ORDER, f"the file {wanted!r} stands behind others that belong behind it"
