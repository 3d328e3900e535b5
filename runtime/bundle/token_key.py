"""A signing key that never leaves its token: found and used through PKCS#11 (``python-pkcs11``).

Used on the author's desk only, where the extra ``pkcs11`` is installed. The token's library is native code of
its vendor: it is loaded into the process that signs, and nowhere else.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pkcs11
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from runtime.bundle.pkcs11_uri import Pkcs11Uri
from runtime.errors import Code, EdgewardError

MODULE_VARIABLE = "PKCS11_MODULE_PATH"
# DER of the curves' object identifiers (SEC 2, RFC 5480), as tokens hold them in CKA_EC_PARAMS.
_CURVES: dict[bytes, ec.EllipticCurve] = {
    bytes.fromhex("06082a8648ce3d030107"): ec.SECP256R1(),
    bytes.fromhex("06052b81040022"): ec.SECP384R1(),
    bytes.fromhex("06052b81040023"): ec.SECP521R1(),
}


class TokenKey:
    """A ``signature.SigningKey``: hashes here, signs in the token."""

    def __init__(
        self,
        key: Any,  # what a key can do, the library adds to its class only when it has looked at it
        public: ec.EllipticCurvePublicKey,
        pin: str,
        where: str,
    ) -> None:
        self._key, self._public, self._pin, self._where = key, public, pin, where

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public half, as the token holds it."""
        return self._public

    def sign(self, data: bytes, signature_algorithm: ec.EllipticCurveSignatureAlgorithm, /) -> bytes:
        """An ECDSA signature in DER.

        Raises:
            EdgewardError: ``TOKEN_FAILED``.
        """
        algorithm = signature_algorithm.algorithm
        assert isinstance(algorithm, hashes.HashAlgorithm)  # noqa: S101 - we hash, not the token
        digest = hashes.Hash(algorithm)
        digest.update(data)
        # Some keys ask for the PIN before each use (CKA_ALWAYS_AUTHENTICATE); those that do not ignore it.
        again = {"pin": self._pin} if self._asks_each_time() else {}
        try:
            raw = self._key.sign(digest.finalize(), mechanism=pkcs11.Mechanism.ECDSA, **again)
        except pkcs11.PKCS11Error as error:
            raise _failed(error, self._where) from error
        # PKCS#11 gives r and s as numbers of equal length, one behind the other.
        half = len(raw) // 2
        return encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))

    def _asks_each_time(self) -> bool:
        return bool(_attribute(self._key, pkcs11.Attribute.ALWAYS_AUTHENTICATE))


@contextmanager
def open_key(uri: Pkcs11Uri, *, module: str, pin: str) -> Iterator[TokenKey]:
    """The private key that ``uri`` names, to sign with while the block lasts.

    Args:
        uri: which key; the token is logged into once.
        module: path of the token's PKCS#11 library; empty: the URI's, else that of the environment variable
            ``PKCS11_MODULE_PATH``.
        pin: the user PIN.

    Raises:
        EdgewardError: ``TOKEN_MODULE``, ``TOKEN_MISSING``, ``TOKEN_PIN``, ``TOKEN_KEY``, ``TOKEN_FAILED``.
    """
    token = _find_token(uri, module)
    where = _named(token)
    with _session(token, pin, where) as session:
        key = _one_key(session, uri, "PRIVATE_KEY", where)
        yield TokenKey(key, _public_half(session, key, where), pin, where)


def read_public(uri: Pkcs11Uri, *, module: str, pin: str | None = None) -> ec.EllipticCurvePublicKey:
    """The public key that ``uri`` names.

    Args:
        uri: which key.
        module: as for ``open_key``.
        pin: for tokens that show nothing without it.

    Raises:
        EdgewardError: as ``open_key``.
    """
    token = _find_token(uri, module)
    where = _named(token)
    with _session(token, pin, where) as session:
        return _as_public(_one_key(session, uri, "PUBLIC_KEY", where), where)


def _find_token(uri: Pkcs11Uri, module: str) -> pkcs11.Token:
    path = module or uri.module_path or os.environ.get(MODULE_VARIABLE, "")
    if not path:
        remedy = f"name the token's library with --pkcs11-module, or in {MODULE_VARIABLE}"
        raise EdgewardError(Code.TOKEN_MODULE, "no PKCS#11 module was given", remedy=remedy)
    try:
        tokens = list(_tokens(pkcs11.lib(path)))
    except pkcs11.PKCS11Error as error:
        reason = _reason(error).rpartition(f"{path}: ")[2]
        what = f"it cannot be loaded as a PKCS#11 module: {reason}"
        remedy = "give the library of the token's vendor, as /usr/lib/softhsm/libsofthsm2.so"
        if not str(error):  # the library's own word, and no loader's
            what = f"it is there and cannot begin: {reason}"
            remedy = "check its own configuration (SOFTHSM2_CONF of SoftHSM) and what that names"
        raise EdgewardError(Code.TOKEN_MODULE, what, where=path, remedy=remedy) from error
    ready = [token for token in tokens if token.flags & pkcs11.TokenFlag.TOKEN_INITIALIZED]
    fitting = [token for token in ready if _fits(token, uri)]
    if len(fitting) != 1:
        what = "several tokens fit the URI" if fitting else "no token fits the URI"
        there = ", ".join(_named(token) for token in fitting or ready) or "none"
        remedy = f"there is {there}: name one with token= or serial="
        raise EdgewardError(Code.TOKEN_MISSING, what, where=path, remedy=remedy)
    return fitting[0]


def _tokens(library: Any) -> Iterator[pkcs11.Token]:
    """Those that can be talked to: a card of another make in the second reader is nobody's mistake."""
    for slot in library.get_slots(token_present=True):
        with suppress(pkcs11.TokenNotPresent, pkcs11.TokenNotRecognised):
            yield slot.get_token()


def _fits(token: pkcs11.Token, uri: Pkcs11Uri) -> bool:
    pairs = (
        (uri.token, token.label),
        (uri.serial, token.serial.decode("utf-8", "replace")),
        (uri.manufacturer, token.manufacturer_id),
        (uri.model, token.model),
    )
    return all(not wanted or wanted == found.strip() for wanted, found in pairs)


def _named(token: pkcs11.Token) -> str:
    return f"token {token.label!r} (serial {token.serial.decode('utf-8', 'replace')})"


@contextmanager
def _session(token: pkcs11.Token, pin: str | None, where: str) -> Iterator[pkcs11.Session]:
    try:
        session = token.open(user_pin=pin)
    except (pkcs11.PinIncorrect, pkcs11.PinLocked, pkcs11.PinLenRange, pkcs11.PinInvalid) as error:
        raise _pin_refused(token, error, where) from error
    except pkcs11.PKCS11Error as error:
        raise _failed(error, where) from error
    with session:
        yield session


def _pin_refused(token: pkcs11.Token, error: Exception, where: str) -> EdgewardError:
    """How many tries are left is not for PKCS#11 to say; that few are, is."""
    try:
        flags = token.slot.get_token().flags
    except pkcs11.PKCS11Error:  # pulled out meanwhile
        flags = pkcs11.TokenFlag(0)
    what, remedy = "the PIN is wrong", "check it: a token locks itself after a few wrong ones"
    if isinstance(error, pkcs11.PinLocked) or flags & pkcs11.TokenFlag.USER_PIN_LOCKED:
        what = "the PIN is locked after too many wrong ones"
        remedy = "unlock it with the token's SO PIN or PUK, with its vendor's tool"
    elif flags & pkcs11.TokenFlag.USER_PIN_FINAL_TRY:
        what, remedy = "the PIN is wrong, and one try is left", "be sure: the next wrong one locks the token"
    return EdgewardError(Code.TOKEN_PIN, what, where=where, remedy=remedy)


def _one_key(session: pkcs11.Session, uri: Pkcs11Uri, kind: str, where: str) -> Any:
    wanted: dict[pkcs11.Attribute, Any] = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass[kind]}
    if uri.object:
        wanted[pkcs11.Attribute.LABEL] = uri.object
    if uri.id:
        wanted[pkcs11.Attribute.ID] = uri.id
    try:
        found = list(session.get_objects(wanted))
        elliptic = [key for key in found if getattr(key, "key_type", None) == pkcs11.KeyType.EC]
        if len(elliptic) == 1:
            return elliptic[0]
        there = ", ".join(
            sorted(
                _key_named(key)
                for key in elliptic or session.get_objects({pkcs11.Attribute.CLASS: pkcs11.ObjectClass[kind]})
            )
        )
    except pkcs11.PKCS11Error as error:
        raise _failed(error, where) from error
    if elliptic:
        what, remedy = "several keys fit the URI", f"there is {there}: name one with object= or id="
    elif found:
        what, remedy = "the key is not an elliptic curve key", "use one on P-256"
    else:
        what, remedy = "no such key", f"there is {there or 'none'}: name one with object= or id="
    raise EdgewardError(Code.TOKEN_KEY, what, where=where, remedy=remedy)


def _key_named(key: Any) -> str:
    label, number = _attribute(key, pkcs11.Attribute.LABEL), _attribute(key, pkcs11.Attribute.ID)
    return f"object={(label or '')!r} id={(number or b'').hex() or 'none'}"


def _public_half(session: pkcs11.Session, key: Any, where: str) -> ec.EllipticCurvePublicKey:
    """Beside the private key under the same id and label, or in it: tokens differ."""
    wanted: dict[pkcs11.Attribute, Any] = {
        pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PUBLIC_KEY,
        pkcs11.Attribute.KEY_TYPE: pkcs11.KeyType.EC,
        pkcs11.Attribute.ID: _attribute(key, pkcs11.Attribute.ID) or b"",
    }
    try:
        beside = list(session.get_objects(wanted))
    except pkcs11.PKCS11Error as error:
        raise _failed(error, where) from error
    if len(beside) > 1:
        label = _attribute(key, pkcs11.Attribute.LABEL)
        beside = [public for public in beside if _attribute(public, pkcs11.Attribute.LABEL) == label]
    return _as_public(beside[0] if len(beside) == 1 else key, where)


def _as_public(key: Any, where: str) -> ec.EllipticCurvePublicKey:
    named = f"{where}: {_key_named(key)}"
    point = _attribute(key, pkcs11.Attribute.EC_POINT)
    if not point:
        remedy = "write it beside the private key, under the same id"
        raise EdgewardError(Code.TOKEN_KEY, "the token lacks the public half", where=named, remedy=remedy)
    curve = _CURVES.get(bytes(_attribute(key, pkcs11.Attribute.EC_PARAMS) or b""))
    if curve is None:
        what = "not a key on the curve P-256, P-384 or P-521"
        raise EdgewardError(Code.TOKEN_KEY, what, where=named, remedy="make one on P-256")
    # 04 x y, which most tokens wrap into a DER octet string; the length tells.
    plain = bytes(point)[-(1 + 2 * ((curve.key_size + 7) // 8)) :]
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(curve, plain)
    except ValueError as error:
        what = "its public half is no point of its curve"
        raise EdgewardError(Code.TOKEN_KEY, what, where=named, remedy="make the key anew") from error


def _attribute(key: Any, name: pkcs11.Attribute) -> Any:
    """``None`` where the token has none."""
    try:
        return key[name]
    except pkcs11.PKCS11Error:
        return None


def _failed(error: Exception, where: str) -> EdgewardError:
    what, remedy = f"the token refused: {_reason(error)}", "check that it is plugged in and set up"
    return EdgewardError(Code.TOKEN_FAILED, what, where=where, remedy=remedy)


def _reason(error: Exception) -> str:
    """The library says little more than the name of an error."""
    return str(error) or type(error).__name__
