"""Options for a key in a PKCS#11 token, and how they become a key: ``--pkcs11``, ``--pin-file``."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from agent.config import read_secret
from runtime.errors import Code, EdgewardError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

    from runtime.bundle.pkcs11_uri import Pkcs11Uri
    from runtime.bundle.signature import SigningKey

URI_HELP = "a key in a token, as RFC 7512 writes it: 'pkcs11:token=plant;object=release'"


def add_uri(parser: argparse._ActionsContainer) -> None:
    """``--pkcs11``."""
    parser.add_argument("--pkcs11", metavar="URI", default="", help=URI_HELP)


def add_module(parser: argparse.ArgumentParser) -> None:
    """``--pkcs11-module``."""
    parser.add_argument(
        "--pkcs11-module",
        metavar="FILE",
        default="",  # no Path, which takes the ./ away that keeps the loader from looking elsewhere
        help="the token's library (default: the URI's module-path, then the variable PKCS11_MODULE_PATH)",
    )


def add_pin(parser: argparse.ArgumentParser, *, otherwise: str = "it is asked for") -> None:
    """``--pin-file``; ``otherwise`` says what happens without any."""
    parser.add_argument(
        "--pin-file",
        metavar="FILE",
        type=Path,
        help=f"a file with the token's PIN (default: the URI's pin-source, else {otherwise})",
    )


def check(options: argparse.Namespace, command: str) -> None:
    """Refuse options of a token where none is named.

    Raises:
        EdgewardError: ``USAGE``.
    """
    if (options.pkcs11_module or options.pin_file) and not options.pkcs11:
        what = "--pkcs11-module and --pin-file need --pkcs11"
        raise EdgewardError(Code.USAGE, what, where=command, remedy=f"see '{command} --help'")


@contextmanager
def open_key(options: argparse.Namespace) -> Iterator[SigningKey]:
    """The private key in the token.

    Raises:
        EdgewardError: ``USAGE`` for a URI that is none, ``TOKEN_*``.
    """
    token_key = _token_key()
    from runtime.bundle import pkcs11_uri  # noqa: PLC0415 - for tokens only

    uri = pkcs11_uri.parse(options.pkcs11)
    pin = _pin(_pin_file(options, uri))
    with token_key.open_key(uri, module=options.pkcs11_module, pin=pin) as key:
        yield key


def public_key(options: argparse.Namespace) -> ec.EllipticCurvePublicKey:
    """The public key in the token; logs in when a PIN is at hand, and asks for none.

    Raises:
        EdgewardError: as ``open_key``.
    """
    token_key = _token_key()
    from runtime.bundle import pkcs11_uri  # noqa: PLC0415 - for tokens only

    uri = pkcs11_uri.parse(options.pkcs11)
    file = _pin_file(options, uri)
    pin = _pin(file) if file else None
    key: ec.EllipticCurvePublicKey = token_key.read_public(uri, module=options.pkcs11_module, pin=pin)
    return key


def _pin_file(options: argparse.Namespace, uri: Pkcs11Uri) -> Path | None:
    return options.pin_file or (Path(uri.pin_source) if uri.pin_source else None)


def _token_key() -> ModuleType:
    try:
        from runtime.bundle import token_key  # noqa: PLC0415 - needs an extra
    except ImportError as error:
        remedy = "install it: pip install 'edgeward[pkcs11]'"
        raise EdgewardError(Code.TOKEN_MODULE, "python-pkcs11 is not installed", remedy=remedy) from error
    return token_key


def _pin(file: Path | None) -> str:
    """The PIN from a file, or from whoever sits at the terminal; never from the command line.

    Raises:
        EdgewardError: ``TOKEN_PIN``.
    """
    if file is not None:
        try:
            return read_secret(str(file), where=str(file))
        except EdgewardError as error:
            what = error.what.replace("password", "PIN")
            raise EdgewardError(Code.TOKEN_PIN, what, where=error.where, remedy=error.remedy) from error
    if not sys.stdin.isatty():
        remedy = "name a file with it: --pin-file"
        raise EdgewardError(
            Code.TOKEN_PIN, "the token's PIN is needed, and nobody is here to ask", remedy=remedy
        )
    try:
        pin = getpass.getpass("PIN of the token: ")
    except EOFError:
        pin = ""
    if not pin:
        raise EdgewardError(
            Code.TOKEN_PIN, "no PIN was given", remedy="enter it, or name a file with it: --pin-file"
        )
    return pin
