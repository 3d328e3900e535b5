"""The signature file: what is accepted in an archive is a seed; in a folder it says what a seed says."""

from __future__ import annotations

import base64
import binascii
from random import Random

from runtime.bundle import signature
from runtime.bundle.signature import Signed
from runtime.errors import EdgewardError
from tests.fuzz import corpus
from tests.fuzz.mutation import bytes_changed, json_changed

SEEDS = corpus.read("signature")
_KEYS = corpus.trusted()
_SIGNED = frozenset(SEEDS)


def _said(data: bytes, *, canonical: bool) -> Signed | None:
    try:
        return signature.verify(data, _KEYS, where="x.ewb", canonical=canonical)
    except EdgewardError as error:
        corpus.check_error(error)
        return None


_SAID = [_said(seed, canonical=True) for seed in SEEDS]


def mutate(data: bytes, random: Random) -> bytes:
    """Bytes, or values of the document, or of the one within it."""

    def payload(text: str) -> str:
        try:
            inner = base64.b64decode(text)
        except (binascii.Error, ValueError):
            return text[::-1]
        return base64.b64encode(json_changed(inner, random)).decode()

    if random.randrange(3) == 0:
        return bytes_changed(data, random)
    return json_changed(data, random, payload)


def one(data: bytes) -> bool:
    """Check one signature file; whether it was accepted as an archive's.

    Raises:
        AssertionError: a promise does not hold.
    """
    strict, lax = _said(data, canonical=True), _said(data, canonical=False)
    assert strict is None or data in _SIGNED, "a changed signature file was accepted"
    assert lax is None or lax in _SAID, "a signature file was accepted that says what nobody signed"
    assert strict is None or strict == lax
    return strict is not None
