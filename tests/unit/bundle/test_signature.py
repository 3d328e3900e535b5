"""``model.sig``: what verifies, and every way in which a signature file can lie."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from runtime.bundle import signature
from runtime.bundle.folder import verify_folder
from runtime.bundle.keys import TrustedKeys, fingerprint, generate, load_trusted
from runtime.errors import Code, EdgewardError

pytestmark = pytest.mark.unit

FILES = {"a/b": "11" * 32, "a.txt": "22" * 32, "manifest.json": "33" * 32}
KEY = generate()
TRUSTED = TrustedKeys([KEY.public_key()])
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
THEIRS = Path(__file__).parents[2] / "fixtures" / "model_signing"


def good() -> Any:
    return json.loads(signature.sign(FILES, name="gate", key=KEY))


def compact(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def verify(data: bytes, *, canonical: bool = False, keys: TrustedKeys = TRUSTED) -> signature.Signed:
    return signature.verify(data, keys, where="x.ewb", canonical=canonical)


def signed_statement(change: Callable[[Any], None] | None = None, *, raw: bytes | None = None) -> bytes:
    """A correctly signed envelope around a statement that was changed before it was signed."""
    document = good()
    statement = json.loads(base64.b64decode(document["dsseEnvelope"]["payload"]))
    if change is not None:
        change(statement)
    payload = compact(statement) if raw is None else raw
    pae = b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(payload), payload)
    document["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    raw_signature = KEY.sign(pae, ec.ECDSA(signature._HASHES["secp256r1"]))
    document["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(raw_signature).decode()
    return compact(document)


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_what_was_signed_verifies_on_each_curve(curve: ec.EllipticCurve) -> None:
    key = ec.generate_private_key(curve)
    signed = verify(
        signature.sign(FILES, name="gate", key=key), keys=TrustedKeys([key.public_key()]), canonical=True
    )
    assert signed.resources == FILES
    assert signed.signed_by == fingerprint(key.public_key())
    assert signed.digest == signature.subject_digest(FILES)


def test_names_are_ordered_folder_by_folder_as_the_reference_does() -> None:
    assert sorted(FILES, key=signature.name_order) == ["a/b", "a.txt", "manifest.json"]


def test_one_of_several_trusted_keys_is_enough() -> None:
    keys = TrustedKeys([generate().public_key(), KEY.public_key()])
    assert verify(signature.sign(FILES, name="gate", key=KEY), keys=keys).resources == FILES


def test_the_other_signature_that_ecdsa_allows_has_the_same_identity() -> None:
    document = good()
    entry = document["dsseEnvelope"]["signatures"][0]
    r, s = decode_dss_signature(base64.b64decode(entry["sig"]))
    entry["sig"] = base64.b64encode(encode_dss_signature(r, P256_ORDER - s)).decode()
    assert verify(compact(document), canonical=True).digest == signature.subject_digest(FILES)


def envelope(document: Any) -> Any:
    return document["dsseEnvelope"]


def first(document: Any) -> Any:
    return envelope(document)["signatures"][0]


def key_of(document: Any) -> Any:
    return document["verificationMaterial"]["publicKey"]


CHANGES: dict[str, Callable[[Any], object]] = {
    "several signatures": lambda d: envelope(d)["signatures"].append(first(d)),
    "no signature": lambda d: envelope(d)["signatures"].clear(),
    "a missing hint": lambda d: key_of(d).pop("hint"),
    "an empty hint": lambda d: key_of(d).update(hint=""),
    "a forged hint": lambda d: key_of(d).update(hint="0" * 64),
    "a hint in capitals": lambda d: key_of(d).update(hint=key_of(d)["hint"].upper()),
    "another payload type": lambda d: envelope(d).update(payloadType="application/json"),
    "another media type": lambda d: d.update(mediaType="application/vnd.dev.sigstore.bundle.v0.2+json"),
    "an unknown key": lambda d: d.update(more=1),
    "a key id": lambda d: first(d).update(keyid="x"),
    "a log entry": lambda d: d["verificationMaterial"].update(tlogEntries=[{}]),
    "a certificate": lambda d: d["verificationMaterial"].update(certificate={"rawBytes": ""}),
    "base64 with a line end": lambda d: first(d).update(sig=first(d)["sig"] + "\n"),
    "base64 without its padding": lambda d: envelope(d).update(
        payload=envelope(d)["payload"].rstrip("=") + "A"
    ),
    "half of a surrogate pair": lambda d: envelope(d).update(payload="\ud800"),
    "a signature of nothing": lambda d: first(d).update(sig=""),
    "another payload": lambda d: envelope(d).update(payload=base64.b64encode(b"{}").decode()),
}


# What has a code of its own; the rest is a file that nobody could have written so.
OWN_CODES = {
    "several signatures": Code.BUNDLE_SECOND_SIGNATURE,
    "a missing hint": Code.BUNDLE_MISSING_HINT,
    "an empty hint": Code.BUNDLE_MISSING_HINT,
    "a forged hint": Code.BUNDLE_FORGED_HINT,
    "a signature of nothing": Code.BUNDLE_SIGNATURE,
    "another payload": Code.BUNDLE_SIGNATURE,
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_signature_file_is_refused_that_has(name: str) -> None:
    document = good()
    CHANGES[name](document)
    for canonical in (False, True):
        with pytest.raises(EdgewardError) as caught:
            verify(compact(document), canonical=canonical)
        assert caught.value.code is OWN_CODES.get(name, Code.BUNDLE_SIGNATURE_FILE)


def resource(statement: Any, index: int) -> Any:
    return statement["predicate"]["resources"][index]


STATEMENTS: dict[str, Callable[[Any], object]] = {
    "an unknown predicate": lambda s: s.update(predicateType="https://model_signing/Digests/v0.1"),
    "another statement type": lambda s: s.update(_type="https://in-toto.io/Statement/v0.1"),
    "two subjects": lambda s: s["subject"].append(s["subject"][0]),
    "another subject digest": lambda s: s["subject"][0]["digest"].update(sha256="0" * 64),
    "a weak digest beside it": lambda s: s["subject"][0]["digest"].update(md5="0" * 32),
    "resources out of order": lambda s: s["predicate"]["resources"].reverse(),
    "a resource twice": lambda s: s["predicate"]["resources"].insert(0, resource(s, 0)),
    "another algorithm": lambda s: resource(s, 0).update(algorithm="blake2b"),
    "a short digest": lambda s: resource(s, 0).update(digest="11"),
    "digests of shards": lambda s: s["predicate"]["serialization"].update(method="shards"),
    "no resources": lambda s: s["predicate"].update(resources=[]),
    "an unknown part": lambda s: s["predicate"].update(more={}),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_signed_statement_is_refused_that_has(name: str) -> None:
    def change(statement: Any) -> None:
        STATEMENTS[name](statement)

    with pytest.raises(EdgewardError) as caught:
        verify(signed_statement(change))
    contradicts = {"another subject digest", "resources out of order", "a resource twice"}
    assert caught.value.code is (Code.BUNDLE_STATEMENT if name in contradicts else Code.BUNDLE_PREDICATE)


def test_the_way_in_which_the_tests_sign_is_right() -> None:
    assert verify(signed_statement()).resources == FILES


@pytest.mark.parametrize(
    "raw", [b"", b"\xff", b"[]", b"1", b'{"_type": 1, "_type": 2}', b"[" * 100_000, b"NaN"]
)
def test_garbage_is_refused_even_when_it_was_signed(raw: bytes) -> None:
    with pytest.raises(EdgewardError) as caught:
        verify(signed_statement(raw=raw))
    doubled = b'"_type": 1, "_type"' in raw
    assert caught.value.code is (Code.BUNDLE_DUPLICATE_JSON_KEY if doubled else Code.BUNDLE_PREDICATE)


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"[]", b"1", b"null", b"[" * 100_000, b'{"a": 1' * 9, b"1" * 9999]
)
def test_garbage_is_no_signature_file(data: bytes) -> None:
    with pytest.raises(EdgewardError) as caught:
        verify(data)
    assert caught.value.code is Code.BUNDLE_SIGNATURE_FILE


def test_a_doubled_key_is_refused() -> None:
    data = compact(good()).replace(b'{"hint":', b'{"hint":"' + b"0" * 64 + b'","hint":')
    with pytest.raises(EdgewardError, match="'hint' stands twice") as caught:
        verify(data)
    assert caught.value.code is Code.BUNDLE_DUPLICATE_JSON_KEY


@pytest.mark.parametrize(
    "change", [lambda d: d + b"\n", lambda d: d.replace(b":", b": "), lambda d: b" " + d]
)
def test_only_the_canonical_form_is_good_in_an_archive(change: Callable[[bytes], bytes]) -> None:
    data = change(signature.sign(FILES, name="gate", key=KEY))
    assert verify(data).resources == FILES
    with pytest.raises(EdgewardError, match="canonical"):
        verify(data, canonical=True)


def test_a_forged_signature_is_refused_even_with_the_right_hint() -> None:
    forged = json.loads(signature.sign(FILES, name="gate", key=generate()))
    key_of(forged)["hint"] = fingerprint(KEY.public_key())
    with pytest.raises(EdgewardError, match="does not verify") as caught:
        verify(compact(forged), canonical=True)
    assert caught.value.code is Code.BUNDLE_SIGNATURE


def test_a_stranger_is_named_and_refused() -> None:
    other = generate()
    with pytest.raises(EdgewardError, match=fingerprint(other.public_key())[:16]) as caught:
        verify(signature.sign(FILES, name="gate", key=other), canonical=True)
    assert caught.value.code is Code.BUNDLE_UNTRUSTED_KEY


def test_a_hint_that_names_another_trusted_key_than_the_one_that_signed_is_forged() -> None:
    other = generate()
    document = good()
    key_of(document)["hint"] = fingerprint(other.public_key())
    with pytest.raises(EdgewardError, match=fingerprint(KEY.public_key())[:16]) as caught:
        verify(compact(document), keys=TrustedKeys([KEY.public_key(), other.public_key()]), canonical=True)
    assert caught.value.code is Code.BUNDLE_FORGED_HINT


def test_a_payload_that_was_edited_is_refused_whatever_it_says_then() -> None:
    document = good()
    statement = json.loads(base64.b64decode(envelope(document)["payload"]))
    resource(statement, 0)["digest"] = "ff" * 32
    resources = {item["name"]: item["digest"] for item in statement["predicate"]["resources"]}
    statement["subject"][0]["digest"]["sha256"] = signature.subject_digest(resources)
    envelope(document)["payload"] = base64.b64encode(compact(statement)).decode()
    with pytest.raises(EdgewardError) as caught:
        verify(compact(document), canonical=True)
    assert caught.value.code is Code.BUNDLE_SIGNATURE


def test_a_key_that_gives_wrong_signatures_is_not_believed_either() -> None:
    class Broken:
        def public_key(self) -> ec.EllipticCurvePublicKey:
            return KEY.public_key()

        def sign(self, data: bytes, signature_algorithm: ec.EllipticCurveSignatureAlgorithm, /) -> bytes:
            return KEY.sign(data + b"!", signature_algorithm)

    with pytest.raises(EdgewardError) as caught:
        signature.sign(FILES, name="gate", key=Broken())
    assert caught.value.code is Code.TOKEN_FAILED


def test_a_folder_that_the_reference_tool_signed_verifies() -> None:
    verified = verify_folder(THEIRS / "bundle", load_trusted([THEIRS / "author.pub"]))
    assert verified.manifest.name == "gate"


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    return Path(shutil.copytree(THEIRS / "bundle", tmp_path / "bundle"))


FOLDER_CHANGES: dict[str, Callable[[Path], object]] = {
    "a file that was added": lambda f: (f / "more.py").write_text("x"),
    "a file that the reference ignores": lambda f: (f / ".gitignore").write_text("x"),
    "a folder that the reference ignores": lambda f: (
        (f / ".git").mkdir(),
        (f / ".git" / "x").write_text("x"),
    ),
    "a file that was removed": lambda f: (f / "model.onnx").unlink(),
    "a changed file": lambda f: (f / "model.onnx").write_bytes(b"another model"),
    "a file of the same size": lambda f: (f / "model.onnx").write_bytes(b"A MODEL OF NO USE"),
    "a changed manifest": lambda f: (f / "manifest.json").write_text("{}"),
    "a link": lambda f: (
        (f / "model.onnx").rename(f.parent / "m"),
        (f / "model.onnx").symlink_to(f.parent / "m"),
    ),
    "no signature": lambda f: (f / "model.sig").unlink(),
}


FOLDER_CODES = {
    "a file that was added": Code.BUNDLE_UNSIGNED_FILE,
    "a file that the reference ignores": Code.BUNDLE_UNSIGNED_FILE,
    "a folder that the reference ignores": Code.BUNDLE_UNSIGNED_FILE,
    "a file that was removed": Code.BUNDLE_MISSING_FILE,
    "a link": Code.BUNDLE_MEMBER_SYMLINK,
    "no signature": Code.BUNDLE_UNSIGNED,
}


@pytest.mark.parametrize("name", FOLDER_CHANGES)
def test_a_folder_is_refused_with(name: str, theirs: Path) -> None:
    FOLDER_CHANGES[name](theirs)
    with pytest.raises(EdgewardError) as caught:
        verify_folder(theirs, load_trusted([THEIRS / "author.pub"]))
    assert caught.value.code is FOLDER_CODES.get(name, Code.BUNDLE_DIGEST)
