"""Signing with a key in a token, through PKCS#11: SoftHSM, a real module, with a store of the test's own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from agent.cli.main import main
from runtime.bundle.inspection import verify_any
from runtime.bundle.keys import fingerprint
from runtime.errors import Code
from tests.gate import GATE

pytestmark = [pytest.mark.integration, pytest.mark.command]

MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/libsofthsm2.so", "/usr/lib/libsofthsm2.so")
PIN = "271828"


@dataclass(frozen=True)
class Desk:
    """A packed bundle, and a token with a key in it."""

    folder: Path
    module: str
    bundle: Path
    environment: dict[str, str]

    @property
    def pin(self) -> Path:
        return self.folder / "pin"

    def util(self, *arguments: str) -> None:
        command = ["softhsm2-util", *arguments]
        subprocess.run(command, env=self.environment, check=True, capture_output=True, timeout=60)

    def make_token(self, label: str) -> None:
        self.util("--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "31415926")

    def put(
        self,
        key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
        label: str,
        number: str,
    ) -> None:
        pem = self.folder / "key.pem"
        pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        names = ["--label", label, "--id", number, "--token", "plant", "--pin", PIN]
        self.util("--import", str(pem), *names)
        pem.unlink()

    def edgeward(
        self, *arguments: object, code: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """In a process of its own: a PKCS#11 module is loaded once, with the store that it finds then."""
        program = ["-c", code] if code else ["-m", "agent.cli.main"]
        return subprocess.run(
            [sys.executable, *program, *map(str, arguments)],
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def sign(self, uri: str, *more: object, **environment: str) -> subprocess.CompletedProcess[str]:
        command = ["bundle", "sign", self.bundle, "--pkcs11", uri, "--json", *more]
        return self.edgeward(*command, **environment)

    def usual(self) -> list[object]:
        return ["--pkcs11-module", self.module, "--pin-file", self.pin]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    module = next((path for path in MODULES if Path(path).exists()), "")
    assert module, "script/bootstrap test installs softhsm2"
    author = tmp_path / "author"
    author.mkdir()
    (author / "bundle.toml").write_text(GATE)
    (author / "model.onnx").write_bytes(b"a model of no use")
    bundle = tmp_path / "gate.ewb"
    assert main(["bundle", "pack", str(author), "--out", str(bundle), "--json"]) == 0
    (tmp_path / "tokens").mkdir()
    settings = tmp_path / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {tmp_path / 'tokens'}\nobjectstore.backend = file\n")
    environment = {**os.environ, "SOFTHSM2_CONF": str(settings)}
    environment.pop("PKCS11_MODULE_PATH", None)
    made = Desk(tmp_path, module, bundle, environment)
    made.pin.write_text(f"{PIN}\n")
    made.pin.chmod(0o600)
    made.make_token("plant")
    return made


@pytest.mark.parametrize(
    "curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name
)
def test_a_bundle_signed_in_the_token_verifies_with_the_key_that_the_token_shows(
    curve: ec.EllipticCurve, desk: Desk
) -> None:
    key = ec.generate_private_key(curve)
    desk.put(key, "release", "01")
    public = desk.folder / "release.pub"
    uri = "pkcs11:token=plant;object=release"
    shown = desk.edgeward(
        "keys", "show", "--pkcs11", uri, "--pkcs11-module", desk.module, "--out", public, "--json"
    )
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["fingerprint"] == fingerprint(key.public_key())
    signed = desk.sign(uri, *desk.usual())
    assert signed.returncode == 0, signed.stderr
    found = verify_any(desk.bundle, [public])
    assert (found.signature, found.digest) == ("verified", json.loads(signed.stdout)["digest"])
    assert found.signed_by == fingerprint(key.public_key())


GENERATE = """
import pkcs11, sys
from pkcs11.util.ec import encode_named_curve_parameters
token = pkcs11.lib(sys.argv[1]).get_token(token_label="plant")
with token.open(rw=True, user_pin=sys.argv[2]) as session:
    curve = {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
    made = session.create_domain_parameters(pkcs11.KeyType.EC, curve, local=True)
    _, private = made.generate_keypair(store=True, label="born here", id=b"\\x07\\x08")
    assert not private[pkcs11.Attribute.EXTRACTABLE]
"""


def test_a_key_that_was_born_in_the_token_and_never_left_it_signs(desk: Desk) -> None:
    assert desk.edgeward(desk.module, PIN, code=GENERATE).returncode == 0
    uri = f"pkcs11:token=plant;id=%07%08;object=born%20here;type=private?module-path={desk.module}"
    public = desk.folder / "release.pub"
    assert desk.edgeward("keys", "show", "--pkcs11", uri, "--out", public).returncode == 0
    signed = desk.sign(f"{uri}&pin-source=file:{desk.pin}")
    assert signed.returncode == 0, signed.stderr
    assert verify_any(desk.bundle, [public]).signature == "verified"


def test_the_module_may_come_from_the_environment(desk: Desk) -> None:
    desk.put(ec.generate_private_key(ec.SECP256R1()), "release", "01")
    signed = desk.sign("pkcs11:", "--pin-file", desk.pin, PKCS11_MODULE_PATH=desk.module)
    assert signed.returncode == 0, signed.stderr


def test_the_module_is_the_file_that_was_named_and_no_other_of_that_name(desk: Desk) -> None:
    desk.put(ec.generate_private_key(ec.SECP256R1()), "release", "01")
    shutil.copy(desk.module, desk.folder / "vendor.so")
    command = ["keys", "show", "--pkcs11", "pkcs11:token=plant", "--json", "--pkcs11-module"]
    shown = subprocess.run(
        [sys.executable, "-m", "agent.cli.main", *command, "./vendor.so"],
        cwd=desk.folder,
        env=desk.environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr


def test_a_module_that_does_not_begin_is_told_from_one_that_is_none(desk: Desk) -> None:
    error = refusal(desk.sign("pkcs11:token=plant", *desk.usual(), SOFTHSM2_CONF="/no/such.conf"))
    assert (error["code"], "cannot begin" in error["what"]) == (Code.TOKEN_MODULE.text, True)
    assert "configuration" in error["remedy"]


def refusal(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode != 0
    assert done.stderr.count("\n") == 1, done.stderr
    assert PIN not in done.stdout + done.stderr
    error: dict[str, Any] = json.loads(done.stderr)["error"]
    assert error["remedy"], error
    assert done.returncode == int(Code.of(error["code"]).exit_status)
    return error


REFUSED: dict[str, tuple[str, list[str], Code, str]] = {
    "no module": ("token=plant", ["--pin-file", "{pin}"], Code.TOKEN_MODULE, "no PKCS#11 module was given"),
    "no such module": ("token=plant", ["--pkcs11-module", "/no/such.so"], Code.TOKEN_MODULE, "No such file"),
    "a file that is no library": ("token=plant", ["--pkcs11-module", "{pin}"], Code.TOKEN_MODULE, "short"),
    "a library that is no module": (
        "token=plant",
        ["--pkcs11-module", "libc.so.6"],
        Code.TOKEN_MODULE,
        "C_Get",
    ),
    "another token": ("token=plan", ["--pkcs11-module", "{module}"], Code.TOKEN_MISSING, "no token fits"),
    "two tokens": ("object=release", ["--pkcs11-module", "{module}"], Code.TOKEN_MISSING, "several tokens"),
    "another serial": (
        "token=plant;serial=1",
        ["--pkcs11-module", "{module}"],
        Code.TOKEN_MISSING,
        "no token",
    ),
    "another key": ("token=plant;object=x", ["--pkcs11-module", "{module}"], Code.TOKEN_KEY, "no such key"),
    "several keys": (
        "token=plant;object=twin",
        ["--pkcs11-module", "{module}"],
        Code.TOKEN_KEY,
        "several keys",
    ),
    "an RSA key": ("token=plant;object=rsa", ["--pkcs11-module", "{module}"], Code.TOKEN_KEY, "elliptic"),
    "another curve": ("token=plant;object=p224", ["--pkcs11-module", "{module}"], Code.TOKEN_KEY, "P-256"),
    "no URI": ("", ["--pkcs11-module", "{module}"], Code.USAGE, "is no pkcs11: URI"),
    "a PIN in the URI": ("token=plant?pin-value=1", [], Code.USAGE, "must not stand on the command line"),
    "a vendor's attribute": ("x-slot=1", [], Code.USAGE, "'x-slot'"),
    "a slot": ("slot-id=0", [], Code.USAGE, "'slot-id'"),
    "an attribute twice": ("token=a;token=b", [], Code.USAGE, "twice"),
    "an attribute of no value": ("token", [], Code.USAGE, "NAME=VALUE"),
    "a relative pin-source": ("token=plant?pin-source=pin", [], Code.USAGE, "absolute"),
}


@pytest.fixture
def full(desk: Desk) -> Desk:
    """A token with keys that can be mistaken for one another, and a second token."""
    desk.make_token("spare")
    desk.put(ec.generate_private_key(ec.SECP256R1()), "release", "01")
    for number in ("02", "03"):
        desk.put(ec.generate_private_key(ec.SECP256R1()), "twin", number)
    desk.put(rsa.generate_private_key(65537, 2048), "rsa", "04")
    desk.put(ec.generate_private_key(ec.SECP224R1()), "p224", "05")
    return desk


def test_what_cannot_be_signed_with_is_said_and_the_bundle_stays_as_it_was(full: Desk) -> None:
    before = full.bundle.read_bytes()
    for name, (uri, more, code, part) in REFUSED.items():
        filled = [word.format(pin=full.pin, module=full.module) for word in more]
        pin = [] if "--pin-file" in filled else ["--pin-file", full.pin]
        error = refusal(full.sign(f"pkcs11:{uri}" if uri else "plant", *filled, *pin))
        assert (error["code"], part in error["what"]) == (code.text, True), (name, error)
        assert full.bundle.read_bytes() == before, name


def test_a_wrong_pin_is_told_from_a_missing_and_an_open_one(desk: Desk) -> None:
    desk.put(ec.generate_private_key(ec.SECP256R1()), "release", "01")
    uri, module = "pkcs11:token=plant", ["--pkcs11-module", desk.module]
    wrong = desk.folder / "wrong"
    wrong.write_text("999999")
    wrong.chmod(0o600)
    error = refusal(desk.sign(uri, *module, "--pin-file", wrong))
    assert (error["code"], error["what"]) == (Code.TOKEN_PIN.text, "the PIN is wrong")
    assert "locks itself" in error["remedy"]
    error = refusal(desk.sign(uri, *module))
    assert (error["code"], "nobody is here to ask" in error["what"]) == (Code.TOKEN_PIN.text, True)
    desk.pin.chmod(0o644)
    error = refusal(desk.sign(uri, *module, "--pin-file", desk.pin))
    assert (error["code"], "everybody on this machine can read" in error["what"]) == (
        Code.TOKEN_PIN.text,
        True,
    )
    assert (
        desk.sign(uri, *module, "--pin-file", desk.folder / "none").returncode == Code.TOKEN_PIN.exit_status
    )


def test_a_private_key_without_its_public_half_is_said_to_lack_it(desk: Desk) -> None:
    desk.put(ec.generate_private_key(ec.SECP256R1()), "release", "01")
    lost = """
import pkcs11, sys
token = pkcs11.lib(sys.argv[1]).get_token(token_label="plant")
with token.open(rw=True, user_pin=sys.argv[2]) as session:
    for key in list(session.get_objects({pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PUBLIC_KEY})):
        key.destroy()
"""
    assert desk.edgeward(desk.module, PIN, code=lost).returncode == 0
    error = refusal(desk.sign("pkcs11:token=plant", *desk.usual()))
    assert (error["code"], error["what"]) == (Code.TOKEN_KEY.text, "the token lacks the public half")


def test_without_the_extra_it_is_named(desk: Desk) -> None:
    without = """
import sys
sys.modules["pkcs11"] = None
from agent.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
    command = ["bundle", "sign", desk.bundle, "--pkcs11", "pkcs11:token=plant", *desk.usual(), "--json"]
    error = refusal(desk.edgeward(*command, code=without))
    assert (error["code"], "edgeward[pkcs11]" in error["remedy"]) == (Code.TOKEN_MODULE.text, True)


def test_one_key_is_named_not_two_and_not_none(desk: Desk) -> None:
    shutil.copy(desk.pin, desk.folder / "k.key")
    both = desk.edgeward("bundle", "sign", desk.bundle, "--key", "k.key", "--pkcs11", "pkcs11:")
    none = desk.edgeward("bundle", "sign", desk.bundle)
    shown = desk.edgeward("keys", "show")
    useless = desk.edgeward("bundle", "sign", desk.bundle, "--key", "k.key", "--pin-file", desk.pin)
    assert {done.returncode for done in (both, none, shown, useless)} == {int(Code.USAGE.exit_status)}
