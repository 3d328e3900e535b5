"""PKCS#11 URIs (RFC 7512) say which key in which token: ``pkcs11:token=plant;object=release``."""

from __future__ import annotations

import urllib.parse
from pathlib import Path

import msgspec

from runtime.errors import Code, EdgewardError

SCHEME = "pkcs11:"
_TEXTS = ("token", "manufacturer", "model", "serial", "object")
_REMEDY = "write it as 'pkcs11:token=LABEL;object=LABEL'"


class Pkcs11Uri(msgspec.Struct, frozen=True, kw_only=True):
    """What a URI asks for; an empty value matches anything.

    ``token``, ``manufacturer``, ``model`` and ``serial`` are the token's, ``object`` (a label) and ``id`` the
    key's. ``module_path`` is the library to load, ``pin_source`` a file with the PIN.
    """

    token: str = ""
    manufacturer: str = ""
    model: str = ""
    serial: str = ""
    object: str = ""
    id: bytes = b""
    module_path: str = ""
    pin_source: str = ""


def parse(text: str) -> Pkcs11Uri:
    """The parts of a URI. The attributes of a slot or library, and vendors' own, are not taken.

    Raises:
        EdgewardError: ``USAGE``; a PIN in the URI is refused, since command lines are seen by everybody.
    """
    if not text.startswith(SCHEME):
        raise _refuse(f"this is no {SCHEME} URI")
    if "pin-value" in text:
        raise _refuse("a PIN must not stand on the command line", "use --pin-file")
    path, _, query = text.removeprefix(SCHEME).partition("?")
    found: dict[str, str | bytes] = {}
    for name, value in _attributes(path, ";"):
        if name in found:
            raise _refuse(f"{name} stands twice")
        if name == "id":
            found[name] = value
        elif name in _TEXTS:
            found[name] = _text(name, value)
        elif name == "type" and value in {b"private", b"public"}:
            found[name] = ""  # as tools list them: which half is wanted is known anyway
        else:
            raise _refuse(f"cannot look for {name!r}", f"use token, serial, object, id; {_REMEDY}")
    for name, value in _attributes(query, "&"):
        key = name.replace("-", "_")
        if key in found or name not in {"module-path", "pin-source"}:
            raise _refuse(f"{name!r} is not known, or stands twice")
        found[key] = _text(name, value)
    if "pin_source" in found:
        found["pin_source"] = _file(str(found["pin_source"]))
    found.pop("type", None)
    return msgspec.convert(found, Pkcs11Uri)


def _attributes(part: str, separator: str) -> list[tuple[str, bytes]]:
    found = []
    for item in part.split(separator) if part else []:
        name, equals, value = item.partition("=")
        if not equals or not value:
            # It is not repeated: it can be the rest of a PIN.
            raise _refuse("a part of it is not NAME=VALUE")
        found.append((name, urllib.parse.unquote_to_bytes(value)))
    return found


def _text(name: str, value: bytes) -> str:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refuse(f"{name} is not UTF-8 text") from error
    if not text.isprintable():
        raise _refuse(f"{name} has signs that cannot be printed")
    return text


def _file(source: str) -> str:
    """The path of a ``pin-source``, which RFC 7512 writes as a path or as a ``file:`` URI."""
    path = source.removeprefix("file:")
    path = path.removeprefix("//") if path.startswith("///") else path
    if not Path(path).is_absolute() or path.startswith("//"):
        raise _refuse("pin-source must be a file with an absolute path", "use --pin-file")
    return path


def _refuse(what: str, remedy: str = _REMEDY) -> EdgewardError:
    # The URI itself is not repeated: a PIN may stand in it.
    return EdgewardError(Code.USAGE, what, where="PKCS#11 URI", remedy=remedy)
