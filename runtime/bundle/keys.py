"""Key files: PEM, elliptic curve. A key's fingerprint is the SHA-256 of its public half in PEM.

What is trusted comes from plain public key files, which may sign any bundle, and from trust folders, whose
files say what each key may do (``runtime.bundle.trust_folder``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from runtime.bundle import trust_folder
from runtime.bundle.regular_file import KEY, read_regular
from runtime.bundle.trust_folder import Entry, Grant
from runtime.errors import Code, EdgewardError, from_os_error

CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_MAX_BYTES = 64 << 10
_GIVE_PUBLIC = "give the public key, the .pub file"
_GIVE_PRIVATE = "give the private key, the .key file"


def generate() -> ec.EllipticCurvePrivateKey:
    """A new P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS#8 PEM, not encrypted."""
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def public_pem(key: ec.EllipticCurvePublicKey) -> bytes:
    """SubjectPublicKeyInfo PEM."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """What names the key in signatures: 64 hexadecimal digits."""
    return hashlib.sha256(public_pem(key)).hexdigest()


def curve_name(key: ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey) -> str:
    """``P-256``, ``P-384`` or ``P-521``."""
    return CURVES[key.curve.name]


class TrustedKeys(Mapping[str, ec.EllipticCurvePublicKey]):
    """Public keys by fingerprint, and what each may do; a key without a grant may sign any bundle."""

    def __init__(
        self,
        keys: Sequence[ec.EllipticCurvePublicKey],
        grants: Mapping[str, Grant] = MappingProxyType({}),
    ) -> None:
        self._keys = {fingerprint(key): key for key in keys}
        self._grants = dict(grants)

    def __getitem__(self, name: str) -> ec.EllipticCurvePublicKey:
        return self._keys[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def grant(self, name: str) -> Grant:
        """What the key with the fingerprint ``name`` may do."""
        return self._grants.get(name, Grant())


def load_trusted(paths: Sequence[Path]) -> TrustedKeys:
    """The public keys in these files and folders.

    Args:
        paths: public key files, which may sign any bundle; trust folders; single files of such a folder
            (``.toml``). A key that is named as a plain file and in a trust folder may do what the folder
            says, which is never more.

    Raises:
        EdgewardError: ``KEY_MISSING``, ``KEY_INVALID``, ``TRUST_KEY_FILE`` or ``TRUST_WRITABLE``; ``USAGE``
            when there is none.
    """
    if not paths:
        raise EdgewardError(Code.USAGE, "no trusted key was given", remedy="name one with --key FILE.pub")
    keys: list[ec.EllipticCurvePublicKey] = []
    entries: list[Entry] = []
    for path in paths:
        if _is_folder(path):
            entries += trust_folder.read_folder(path)
        elif path.suffix == trust_folder.SUFFIX:
            entries.append(trust_folder.read_file(path))
        else:
            keys.append(load_public(path))
    if not keys and not entries:
        where, remedy = str(paths[0]), "add one with 'edgeward trust add FILE.pub'"
        raise EdgewardError(Code.KEY_MISSING, "no key in it", where=where, remedy=remedy)
    grants: dict[str, Grant] = {}
    for entry in entries:
        key = key_of(entry)
        name = fingerprint(key)
        if name in grants and grants[name].source != str(entry.path):
            what = f"the same key stands in {grants[name].source}"
            remedy = "remove one of the two, so that what the key may do is said once"
            raise EdgewardError(Code.TRUST_KEY_FILE, what, where=str(entry.path), remedy=remedy)
        file = entry.file
        grants[name] = Grant(role=file.role, state=file.state, names=file.names, source=str(entry.path))
        keys.append(key)
    return TrustedKeys(keys, grants)


def _is_folder(path: Path) -> bool:
    """Through a link too."""
    try:
        return path.is_dir()
    except OSError as error:
        raise from_os_error(error, where=str(path), fallback=Code.KEY_INVALID) from error


def key_of(entry: Entry) -> ec.EllipticCurvePublicKey:
    """The key in a file of a trust folder.

    Raises:
        EdgewardError: ``TRUST_KEY_FILE`` when its PEM text is no public key.
    """
    try:
        return parse_public(entry.file.public_key.encode(), entry.path)
    except EdgewardError as error:
        what = f"public_key: {error.what}"
        raise EdgewardError(Code.TRUST_KEY_FILE, what, where=error.where, remedy=error.remedy) from error


def _refuse(path: Path, what: str, remedy: str) -> EdgewardError:
    return EdgewardError(Code.KEY_INVALID, what, where=str(path), remedy=remedy)


def _read_pem(path: Path) -> bytes:
    return _checked_pem(read_regular(path, KEY, limit=_MAX_BYTES, follow_links=True), path)


def _checked_pem(data: bytes, path: Path) -> bytes:
    if b"-----BEGIN " not in data:
        what = "the file is empty" if not data else "not a key file: no PEM block in it"
        raise _refuse(path, what, "make keys with 'edgeward keys generate'")
    if b"CERTIFICATE-----" in data:
        raise _refuse(path, "this is a certificate, not a key", _GIVE_PUBLIC)
    return data


def _check_curve(key: object, path: Path) -> None:
    curve = getattr(getattr(key, "curve", None), "name", None)
    if curve not in CURVES:
        raise _refuse(path, "not a key on the curve P-256, P-384 or P-521", "use 'edgeward keys generate'")


def load_public(path: Path) -> ec.EllipticCurvePublicKey:
    """The public key in a PEM file.

    Raises:
        EdgewardError: ``KEY_MISSING`` or ``KEY_INVALID``.
    """
    return parse_public(read_regular(path, KEY, limit=_MAX_BYTES, follow_links=True), path)


def parse_public(data: bytes, path: Path) -> ec.EllipticCurvePublicKey:
    """The public key in PEM text; ``path`` is where it came from, for errors.

    Raises:
        EdgewardError: ``KEY_INVALID``.
    """
    data = _checked_pem(data, path)
    if b"PRIVATE KEY-----" in data:
        raise _refuse(path, "this is a private key where a public one is needed", _GIVE_PUBLIC)
    if data.count(b"-----BEGIN ") != 1:
        raise _refuse(path, "more than one PEM block in the file", "give one file a key")
    try:
        key = serialization.load_pem_public_key(data)
    except Exception as error:
        raise _refuse(path, "a damaged public key", "copy the .pub file again") from error
    _check_curve(key, path)
    assert isinstance(key, ec.EllipticCurvePublicKey)  # noqa: S101 - for the type checker: the curve says so
    return key


def load_private(path: Path) -> ec.EllipticCurvePrivateKey:
    """The private key in a PEM file without a passphrase.

    Raises:
        EdgewardError: ``KEY_MISSING`` or ``KEY_INVALID``.
    """
    data = _read_pem(path)
    if b"PRIVATE KEY-----" not in data:
        raise _refuse(path, "this is a public key where a private one is needed", _GIVE_PRIVATE)
    if b"ENCRYPTED" in data:
        raise _refuse(path, "the private key has a passphrase", "write it without one: 'openssl pkcs8'")
    try:
        key = serialization.load_pem_private_key(data, None)
    except Exception as error:
        raise _refuse(path, "a damaged private key", "copy the .key file again") from error
    _check_curve(key, path)
    assert isinstance(key, ec.EllipticCurvePrivateKey)  # noqa: S101 - as above
    return key


def load_any(path: Path) -> tuple[bool, ec.EllipticCurvePublicKey]:
    """Whether a PEM file holds a private key, and the public key or the private one's public half.

    Raises:
        EdgewardError: ``KEY_MISSING`` or ``KEY_INVALID``.
    """
    if b"PRIVATE KEY-----" in _read_pem(path):
        return True, load_private(path).public_key()
    return False, load_public(path)
