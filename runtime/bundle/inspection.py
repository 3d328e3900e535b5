"""What a bundle says of itself, with or without a key to believe it by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from runtime.bundle import archive, signature
from runtime.bundle.archive import Discard, open_archive, read_files, resources
from runtime.bundle.folder import verify_folder
from runtime.bundle.keys import load_trusted
from runtime.bundle.manifest import Manifest
from runtime.bundle.regular_file import is_folder
from runtime.bundle.sign import read_front


class Inspected(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle whose files are those of its manifest.

    Only ``verified`` means that the manifest is its author's. ``claimed_signer`` is what the signature
    file says while nobody has checked it.
    """

    manifest: Manifest
    digest: str
    manifest_sha256: str
    signature: Literal["verified", "not checked", "none"]
    signed_by: str = ""
    claimed_signer: str = ""


def verify_any(path: Path, keys: Sequence[Path]) -> Inspected:
    """Verify a bundle file, or a folder that a bundle was unpacked into.

    Raises:
        EdgewardError: ``BUNDLE_*`` or ``KEY_*``.
    """
    trusted = load_trusted(keys)
    if is_folder(path):
        verified = verify_folder(path, trusted)
    else:
        with open_archive(path) as reader:
            verified = archive.verify(reader, trusted, Discard())
    return Inspected(
        manifest=verified.manifest,
        digest=verified.digest,
        manifest_sha256=verified.manifest_sha256,
        signature="verified",
        signed_by=verified.signed_by,
    )


def inspect_unverified(path: Path) -> Inspected:
    """Read a bundle file without a key: it is whole, but nobody vouches for it.

    Raises:
        EdgewardError: ``BUNDLE_*``.
    """
    with open_archive(path) as reader:
        front = read_front(reader)
        read_files(reader, front.manifest, Discard())
    files = resources(front.manifest, front.data)
    return Inspected(
        manifest=front.manifest,
        digest=signature.subject_digest(files),
        manifest_sha256=files["manifest.json"],
        signature="none" if front.sig is None else "not checked",
        claimed_signer="" if front.sig is None else signature.claimed_signer(front.sig, where=str(path)),
    )
