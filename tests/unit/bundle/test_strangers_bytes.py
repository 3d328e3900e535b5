"""What parses bytes before a signature vouches for them ends in an ``EdgewardError`` or not at all."""

from __future__ import annotations

import base64
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.bundle import signature
from runtime.bundle.archive import Discard, read_files
from runtime.bundle.check import parse_manifest
from runtime.bundle.container import Reader
from runtime.bundle.keys import TrustedKeys, generate
from runtime.bundle.sign import read_front
from runtime.bundle.ustar import encode_header
from runtime.errors import EdgewardError

pytestmark = pytest.mark.unit

KEY = generate()
TRUSTED = TrustedKeys([KEY.public_key()])
SIGNED = json.loads(signature.sign({"manifest.json": "11" * 32}, name="gate", key=KEY))
FIELDS = st.sampled_from(
    ["mediaType", "verificationMaterial", "publicKey", "hint", "dsseEnvelope", "payload"]
)
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(SIGNED["mediaType"])
DOCUMENTS = st.recursive(
    VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS | st.text(), inner, max_size=4)
)


@settings(deadline=None)
@given(st.binary(max_size=3000))
def test_any_bytes_as_an_archive(data: bytes) -> None:
    reader = Reader(io.BufferedReader(io.BytesIO(data)), size=len(data), where="x")
    with pytest.raises(EdgewardError):
        read_files(reader, read_front(reader).manifest, Discard())


@settings(deadline=None)
@given(st.sampled_from(["model.sig", "manifest.json"]), st.binary(max_size=600))
def test_any_bytes_as_the_first_member(name: str, data: bytes) -> None:
    archive = encode_header(name, len(data)) + data + bytes(-len(data) % 512 + 1024)
    reader = Reader(io.BufferedReader(io.BytesIO(archive)), size=len(archive), where="x")
    with pytest.raises(EdgewardError):
        read_front(reader)


@settings(deadline=None)
@given(DOCUMENTS)
def test_any_json_as_a_signature_file(document: object) -> None:
    with pytest.raises(EdgewardError):
        signature.verify(json.dumps(document).encode(), TRUSTED, where="x", canonical=False)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_value_in_a_good_signature_file(data: st.DataObject) -> None:
    document = json.loads(json.dumps(SIGNED))
    spot = document
    while True:
        key = data.draw(st.sampled_from(sorted(spot) if isinstance(spot, dict) else list(range(len(spot)))))
        if not spot[key] or not isinstance(spot[key], dict | list) or data.draw(st.booleans()):
            break
        spot = spot[key]
    before, spot[key] = spot[key], data.draw(DOCUMENTS)
    try:
        signature.verify(json.dumps(document).encode(), TRUSTED, where="x", canonical=False)
    except EdgewardError:
        return
    assert spot[key] == before


@settings(deadline=None)
@given(DOCUMENTS | st.binary())
def test_anything_as_a_signed_statement_or_manifest(document: object) -> None:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    pae = b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(raw), raw)
    envelope = json.loads(json.dumps(SIGNED))
    envelope["dsseEnvelope"]["payload"] = base64.b64encode(raw).decode()
    sig = KEY.sign(pae, signature.ec.ECDSA(signature._HASHES["secp256r1"]))
    envelope["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(sig).decode()
    with pytest.raises(EdgewardError):
        signature.verify(json.dumps(envelope).encode(), TRUSTED, where="x", canonical=False)
    with pytest.raises(EdgewardError):
        parse_manifest(raw, where="x")
