"""``model.sig``: OpenSSF Model Signing v1.0, method key, on ``cryptography`` alone.

A Sigstore bundle v0.3 with a DSSE envelope around an in-toto statement that lists every file of a model
with its SHA-256. The statement's subject digest, SHA-256 over the raw file digests in the order of their
names, is the identity of the model: the signature's own bytes are not, since ECDSA has two for each.

Nothing of the payload is looked at before a trusted key has verified it. Beyond the reference, refused
are: a missing hint, several signatures, unknown or doubled keys, base64 that is not the one encoding,
resources out of order, digests that are not SHA-256, signatures of the versions before 1.0.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Literal, Protocol

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from runtime.bundle import policy
from runtime.bundle.keys import TrustedKeys, fingerprint
from runtime.bundle.manifest import SIGNATURE_NAME, Sha256
from runtime.bundle.strict import DoubledKeyError, Mismatch, convert, parse_json
from runtime.bundle.trust_folder import Grant
from runtime.errors import Code, EdgewardError

MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"
_HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A JSON object of the signature file."""


class _PublicKey(_Part, frozen=True):
    hint: Sha256


class _Material(_Part, frozen=True):
    public_key: _PublicKey
    tlog_entries: Annotated[tuple[Any, ...], msgspec.Meta(max_length=0)] = ()


class _Signature(_Part, frozen=True):
    sig: str
    keyid: Literal[""] = ""


class _Envelope(_Part, frozen=True):
    payload: str
    payload_type: Literal["application/vnd.in-toto+json"]
    signatures: Annotated[tuple[_Signature, ...], msgspec.Meta(min_length=1, max_length=1)]


class _SigstoreBundle(_Part, frozen=True):
    media_type: Literal["application/vnd.dev.sigstore.bundle.v0.3+json"]
    verification_material: _Material
    dsse_envelope: _Envelope


class _Subject(_Part, frozen=True):
    name: str
    digest: dict[Literal["sha256"], Sha256]


class _Resource(_Part, frozen=True):
    name: str
    algorithm: Literal["sha256"]
    digest: Sha256


class _Serialization(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    method: Literal["files"]
    hash_type: Literal["sha256"]
    allow_symlinks: bool
    ignore_paths: tuple[str, ...] = ()


class _Predicate(_Part, frozen=True):
    serialization: _Serialization
    resources: Annotated[tuple[_Resource, ...], msgspec.Meta(min_length=1)]


class _Statement(_Part, frozen=True):
    type_: Literal["https://in-toto.io/Statement/v1"] = msgspec.field(name="_type")
    subject: Annotated[tuple[_Subject, ...], msgspec.Meta(min_length=1, max_length=1)]
    predicate_type: Literal["https://model_signing/signature/v1.0"]
    predicate: _Predicate


class Signed(msgspec.Struct, frozen=True):
    """What a trusted key signed: the file digests by name, the identity of the whole, what the key may do."""

    digest: str
    signed_by: str
    resources: dict[str, str]
    grant: Grant = Grant()


class SigningKey(Protocol):
    """What ``sign`` needs of a private key: one of ``cryptography``, or one that never leaves its token."""

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public half."""

    def sign(self, data: bytes, signature_algorithm: ec.EllipticCurveSignatureAlgorithm, /) -> bytes:
        """An ECDSA signature of ``data``, in DER."""


def name_order(name: str) -> PurePosixPath:
    """Sorts names as the reference does: folder by folder, not letter by letter."""
    return PurePosixPath(name)


def subject_digest(resources: Mapping[str, str]) -> str:
    """The identity of a model: SHA-256 over the raw digests of its files in the order of their names."""
    names = sorted(resources, key=name_order)
    return hashlib.sha256(b"".join(bytes.fromhex(resources[name]) for name in names)).hexdigest()


def _authenticated(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what is signed."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def sign(resources: Mapping[str, str], *, name: str, key: SigningKey) -> bytes:
    """The bytes of ``model.sig``, in the canonical form that the archive asks for.

    Args:
        resources: SHA-256 in hexadecimal by file name.
        name: the subject's name; informative.
        key: on P-256, P-384 or P-521; of a token too, so what it gave is verified before it leaves.

    Raises:
        EdgewardError: ``TOKEN_FAILED`` when the key's signature does not verify.
    """
    public = key.public_key()
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": subject_digest(resources)}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": False,
                "ignore_paths": [SIGNATURE_NAME],
            },
            "resources": [
                {"name": path, "algorithm": "sha256", "digest": resources[path]}
                for path in sorted(resources, key=name_order)
            ],
        },
    }
    payload = json.dumps(statement, separators=(",", ":")).encode()
    algorithm = ec.ECDSA(_HASHES[public.curve.name])
    raw = key.sign(_authenticated(payload), algorithm)
    if not _verifies(public, raw, payload):
        what = "the signature that the key gave does not verify"
        raise EdgewardError(Code.TOKEN_FAILED, what, remedy="check the token: its two halves do not match")
    signature = _Signature(base64.b64encode(raw).decode())
    envelope = _Envelope(base64.b64encode(payload).decode(), PAYLOAD_TYPE, (signature,))
    material = _Material(_PublicKey(fingerprint(public)))
    return msgspec.json.encode(_SigstoreBundle(MEDIA_TYPE, material, envelope))


def _verifies(key: ec.EllipticCurvePublicKey, raw: bytes, payload: bytes) -> bool:
    try:
        key.verify(raw, _authenticated(payload), ec.ECDSA(_HASHES[key.curve.name]))
    except InvalidSignature:
        return False
    return True


def _refuse(
    code: Code, where: str, what: str, remedy: str = "get the bundle again from its author"
) -> EdgewardError:
    return EdgewardError(code, what, where=where, remedy=remedy)


def _decode(text: str, name: str, *, where: str) -> bytes:
    """Base64 in its one strict form: no other letters, no line ends, unused bits zero."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        what = f"the signature file is damaged: {name} is not base64"
        raise _refuse(Code.BUNDLE_SIGNATURE_FILE, where, what) from error
    if base64.b64encode(data).decode() != text:
        what = f"the signature file is damaged: {name} is not strict base64"
        raise _refuse(Code.BUNDLE_SIGNATURE_FILE, where, what)
    return data


def _parse(data: bytes, *, where: str) -> _SigstoreBundle:
    try:
        raw = parse_json(data)
    except ValueError as error:
        doubled = isinstance(error, DoubledKeyError)
        code = Code.BUNDLE_DUPLICATE_JSON_KEY if doubled else Code.BUNDLE_SIGNATURE_FILE
        raise _refuse(code, where, f"the signature file is not valid JSON: {error}") from error
    _check_hint_and_count(raw, where=where)
    try:
        return convert(raw, _SigstoreBundle)
    except Mismatch as error:
        what = f"the signature file is not as it must be: {error.key}: {error.what}"
        raise _refuse(Code.BUNDLE_SIGNATURE_FILE, where, what) from error


def _check_hint_and_count(raw: Any, *, where: str) -> None:
    """Two faults that the reference lets pass; whatever else is wrong is said by the types."""
    match raw:
        case {"verificationMaterial": {"publicKey": {"hint": str(hint)}}} if hint:
            pass
        case {"verificationMaterial": {"publicKey": dict()}}:
            what = "the signature file has no hint: it does not say which key signed"
            raise _refuse(Code.BUNDLE_MISSING_HINT, where, what, "sign it with 'edgeward bundle sign'")
    match raw:
        case {"dsseEnvelope": {"signatures": [_, _, *_] as several}}:
            what = f"the signature file has {len(several)} signatures, and one is all that is believed"
            raise _refuse(Code.BUNDLE_SECOND_SIGNATURE, where, what, "sign it with one key")


def claimed_signer(data: bytes, *, where: str) -> str:
    """The fingerprint that a signature file names. Nothing is verified: for showing only.

    Raises:
        EdgewardError: as ``verify``, when the file cannot be understood.
    """
    return _parse(data, where=where).verification_material.public_key.hint


def verify(data: bytes, keys: TrustedKeys, *, where: str, canonical: bool) -> Signed:
    """What ``data``, the bytes of a ``model.sig``, proves. Only keys with the role ``release`` prove it.

    Args:
        data: the signature file.
        keys: who may sign.
        where: the bundle's name, for errors.
        canonical: whether the file must be, byte for byte, in the form that ``sign`` writes. In an
            archive it must, so that each of its bytes counts; a folder may be signed by any tool.

    Raises:
        EdgewardError: ``BUNDLE_SIGNATURE_FILE``, ``BUNDLE_DUPLICATE_JSON_KEY``, ``BUNDLE_MISSING_HINT``,
            ``BUNDLE_SECOND_SIGNATURE``, ``BUNDLE_UNTRUSTED_KEY``, ``BUNDLE_FORGED_HINT``,
            ``BUNDLE_SIGNATURE``, ``BUNDLE_KEY_ROLE``, ``BUNDLE_PREDICATE``, ``BUNDLE_STATEMENT``.
    """
    bundle = _parse(data, where=where)
    if canonical and msgspec.json.encode(bundle) != data:
        raise _refuse(Code.BUNDLE_SIGNATURE_FILE, where, "the signature file is not in its canonical form")
    hint = bundle.verification_material.public_key.hint
    envelope = bundle.dsse_envelope
    payload = _decode(envelope.payload, "the payload", where=where)
    raw = _decode(envelope.signatures[0].sig, "the signature", where=where)
    if hint not in keys or not _verifies(keys[hint], raw, payload):
        raise _not_proven(hint, keys, raw, payload, where=where)
    signed = _statement(payload, hint, keys.grant(hint), where=where)
    policy.check_role(signed, where=where)
    return signed


def _not_proven(hint: str, keys: TrustedKeys, raw: bytes, payload: bytes, *, where: str) -> EdgewardError:
    """Why the key that the hint names did not prove the payload; another one is tried for the reason only."""
    for name, key in keys.items():
        if name != hint and _verifies(key, raw, payload):
            what = f"the signature file names the key {hint[:16]}, and {name[:16]} signed"
            return _refuse(Code.BUNDLE_FORGED_HINT, where, what)
    if hint not in keys:
        trusted = ", ".join(name[:16] for name in keys)
        remedy = f"trusted is {trusted}: use the key of the bundle's author"
        what = f"signed by the key {hint[:16]}, which is not trusted"
        return _refuse(Code.BUNDLE_UNTRUSTED_KEY, where, what, remedy)
    what = "the signature does not verify: it was forged or changed"
    return _refuse(Code.BUNDLE_SIGNATURE, where, what)


def _statement(payload: bytes, hint: str, grant: Grant, *, where: str) -> Signed:
    remedy = "sign the bundle with 'edgeward bundle sign'"
    try:
        statement = convert(parse_json(payload), _Statement)
    except DoubledKeyError as error:
        what = f"the signed statement is not valid JSON: {error}"
        raise _refuse(Code.BUNDLE_DUPLICATE_JSON_KEY, where, what, remedy) from error
    except ValueError as error:
        what = f"the signed statement is not valid JSON: {error}"
        raise _refuse(Code.BUNDLE_PREDICATE, where, what, remedy) from error
    except Mismatch as error:
        what = f"the signed statement is of another kind: {error.key}: {error.what}"
        raise _refuse(Code.BUNDLE_PREDICATE, where, what, remedy) from error
    names = [resource.name for resource in statement.predicate.resources]
    if len(set(names)) != len(names) or names != sorted(names, key=name_order):
        raise _refuse(Code.BUNDLE_STATEMENT, where, "the signed file names are not unique and in order")
    resources = {resource.name: resource.digest for resource in statement.predicate.resources}
    digest = subject_digest(resources)
    if statement.subject[0].digest.get("sha256") != digest:
        what = "the signed subject digest is not that of the signed files"
        raise _refuse(Code.BUNDLE_STATEMENT, where, what)
    return Signed(digest=digest, signed_by=hint, resources=resources, grant=grant)
