"""Puts a signature in front of a packed bundle, or replaces the one that is there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from runtime.bundle import signature
from runtime.bundle.archive import check_size, open_archive, read_files, resources
from runtime.bundle.check import parse_manifest
from runtime.bundle.container import MAX_MANIFEST, MAX_SIGNATURE, Reader, Writer
from runtime.bundle.keys import fingerprint
from runtime.bundle.manifest import MANIFEST_NAME, SIGNATURE_NAME, Manifest
from runtime.bundle.replace import replacing
from runtime.errors import Code, EdgewardError


class Front(msgspec.Struct, frozen=True):
    """What stands before the files; nothing of it is verified. ``sig`` is ``None`` when not signed."""

    sig: bytes | None
    data: bytes
    manifest: Manifest


class SignedBundle(msgspec.Struct, frozen=True, kw_only=True):
    """What signing made; ``replaced`` is the fingerprint that signed it before, if one can be read."""

    manifest: Manifest
    digest: str
    signed_by: str
    replaced: str


class _Copy:
    """A sink that writes into the new archive."""

    def __init__(self, writer: Writer, manifest: Manifest) -> None:
        self._writer = writer
        self._sizes = {entry.path: entry.size for entry in manifest.files}

    def put(self, name: str, chunks: Iterable[bytes]) -> None:
        """Append the file."""
        self._writer.add(name, self._sizes[name], chunks)


def read_front(reader: Reader) -> Front:
    """Signature, if there is one, and manifest of a bundle that nobody vouches for yet.

    Raises:
        EdgewardError: ``BUNDLE_FORMAT``, ``BUNDLE_UNREADABLE``, ``BUNDLE_MANIFEST``,
            ``BUNDLE_UNSUPPORTED``.
    """
    member = reader.member()
    sig = None
    if member is not None and member.name == SIGNATURE_NAME:
        sig = reader.rest_of(member, MAX_SIGNATURE)
        member = reader.member()
    if member is None or member.name != MANIFEST_NAME:
        what, remedy = f"{MANIFEST_NAME} is missing", "pack the bundle again"
        raise EdgewardError(Code.BUNDLE_FORMAT, what, where=reader.where, remedy=remedy)
    data = reader.rest_of(member, MAX_MANIFEST)
    manifest = parse_manifest(data, where=reader.where)
    check_size(reader, manifest)
    return Front(sig, data, manifest)


def sign_bundle(path: Path, key: signature.SigningKey, *, out: Path | None = None) -> SignedBundle:
    """Sign ``path`` in place, or into ``out``; every file is checked against the manifest on the way.

    The file changes at once and as a whole (a rename), or not at all.

    Raises:
        EdgewardError: ``BUNDLE_*`` when the bundle is not sound, ``SYSTEM_*`` when writing fails,
            ``TOKEN_*`` when the token refuses.
    """
    with open_archive(path) as reader:
        front = read_front(reader)
        manifest = front.manifest
        files = resources(manifest, front.data)
        replaced = _claimed_signer(front.sig, str(path))
        sig = signature.sign(files, name=manifest.name, key=key)
        with replacing(out or path) as stream:
            writer = Writer(stream)
            writer.add(SIGNATURE_NAME, len(sig), (sig,))
            writer.add(MANIFEST_NAME, len(front.data), (front.data,))
            read_files(reader, manifest, _Copy(writer, manifest))
            writer.finish()
    return SignedBundle(
        manifest=manifest,
        digest=signature.subject_digest(files),
        signed_by=fingerprint(key.public_key()),
        replaced=replaced,
    )


def _claimed_signer(sig: bytes | None, where: str) -> str:
    """Who signed before. A signature that cannot be read says nothing, and is the one to be replaced."""
    if sig is None:
        return ""
    try:
        return signature.claimed_signer(sig, where=where)
    except EdgewardError:
        return ""
