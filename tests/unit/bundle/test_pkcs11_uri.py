"""PKCS#11 URIs: what they ask for, and that a PIN in one is refused and not repeated."""

from __future__ import annotations

import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.bundle.pkcs11_uri import Pkcs11Uri, parse
from runtime.errors import Code, EdgewardError

pytestmark = pytest.mark.unit


def test_a_uri_of_the_rfc_says_which_token_which_key_and_which_library() -> None:
    text = (
        "pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;"
        "serial=12ab;object=my-key;type=private;id=%69%95%3E%5C%F4%BD%EC%91"
        "?module-path=/usr/lib/libsoft.so&pin-source=file:/etc/token_pin"
    )
    assert parse(text) == Pkcs11Uri(
        token="The Software PKCS#11 Softtoken",  # noqa: S106 - a token's label
        manufacturer="Snake Oil, Inc.",
        model="1.0",
        serial="12ab",
        object="my-key",
        id=bytes.fromhex("69953e5cf4bdec91"),
        module_path="/usr/lib/libsoft.so",
        pin_source="/etc/token_pin",
    )


def test_a_uri_of_nothing_fits_anything() -> None:
    assert parse("pkcs11:") == Pkcs11Uri()


@pytest.mark.parametrize("source", ["/etc/pin", "file:/etc/pin", "file:///etc/pin"])
def test_a_pin_source_is_a_file(source: str) -> None:
    assert parse(f"pkcs11:?pin-source={source}").pin_source == "/etc/pin"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "token=x",
        "PKCS11:token=x",
        "pkcs11:token",
        "pkcs11:token=",
        "pkcs11:token=x;",
        "pkcs11:token=x;token=x",
        "pkcs11:token=%FF",
        "pkcs11:token=%00",
        "pkcs11:object=a%0Ab",
        "pkcs11:type=cert",
        "pkcs11:type=private;type=public",
        "pkcs11:slot-id=1",
        "pkcs11:library-manufacturer=x",
        "pkcs11:x-vendor=1",
        "pkcs11:?pin-source=pin",
        "pkcs11:?pin-source=|/bin/sh",
        "pkcs11:?pin-source=file://host/pin",
        "pkcs11:?module-name=softhsm",
        "pkcs11:?module-path=/a&module-path=/b",
        "pkcs11:?module-path=/a%00b",
    ],
)
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(EdgewardError) as caught:
        parse(text)
    assert caught.value.code is Code.USAGE
    assert caught.value.remedy


@pytest.mark.parametrize(
    "text",
    [
        "pkcs11:token=x?pin-value=271828",
        "pkcs11:?pin-value=271828&module-path=/a",
        "pkcs11:?pin-value=27&271828",
        "pkcs11:token=x;pin-value=271828",
    ],
)
def test_a_pin_in_the_uri_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(EdgewardError, match="command line") as caught:
        parse(text)
    assert "271828" not in str(caught.value)


@pytest.mark.parametrize("text", ["pkcs11:271828", "pkcs11:token=x;271828", "pkcs11:?271828"])
def test_what_may_be_a_pin_in_the_wrong_place_is_not_repeated(text: str) -> None:
    with pytest.raises(EdgewardError) as caught:
        parse(text)
    assert "271828" not in str(caught.value)


@pytest.mark.parametrize("kind", ["private", "public"])
def test_the_kind_that_tools_list_with_a_key_is_taken(kind: str) -> None:
    assert parse(f"pkcs11:token=x;type={kind}") == parse("pkcs11:token=x")


@given(st.text().map("pkcs11:".__add__))
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    try:
        parse(text)
    except EdgewardError as error:
        if error.code is not Code.USAGE:
            raise


LABEL = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=32)


@given(token=LABEL, label=LABEL, number=st.binary(min_size=1, max_size=16))
def test_every_label_can_be_written(token: str, label: str, number: bytes) -> None:
    quoted = [urllib.parse.quote(text, safe="") for text in (token, label)]
    text = f"pkcs11:token={quoted[0]};object={quoted[1]};id={urllib.parse.quote(number, safe='')}"
    assert parse(text) == Pkcs11Uri(token=token, object=label, id=number)
