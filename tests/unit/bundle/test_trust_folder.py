"""The trust folder: each key may do what its file says, and nothing that others can change is believed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from runtime.bundle import trust_folder
from runtime.bundle.inspection import verify_any
from runtime.bundle.keys import fingerprint, generate, load_trusted, public_pem
from runtime.bundle.trust_folder import Entry, Grant, KeyFile
from runtime.errors import Code, EdgewardError
from tests.unit.bundle.conftest import KeyPair

pytestmark = pytest.mark.unit

PEM = public_pem(generate().public_key()).decode()
GOOD = f'role = "release"\npublic_key = """\n{PEM}"""\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "trust.d"
    made.mkdir(mode=0o755)
    return made


def write(folder: Path, name: str, text: str, *, mode: int = 0o644) -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def put(folder: Path, name: str, key: KeyPair, lines: str = 'role = "release"') -> Path:
    return write(folder, name, f'{lines}\npublic_key = """\n{key.public.read_text()}"""\n')


def refused(*paths: Path) -> EdgewardError:
    with pytest.raises(EdgewardError) as caught:
        load_trusted(paths)
    return caught.value


def test_a_release_key_of_the_folder_verifies_a_bundle(folder: Path, small: Path, release: KeyPair) -> None:
    put(folder, "release", release)
    found = verify_any(small, [folder])
    assert found.signature == "verified"
    assert found.manifest.name == "gate"


def test_a_standby_key_verifies_as_well_as_the_active_one(
    folder: Path, small: Path, release: KeyPair, stranger: KeyPair
) -> None:
    put(folder, "today", stranger)
    put(folder, "tomorrow", release, 'role = "release"\nstate = "standby"')
    assert verify_any(small, [folder]).signed_by == fingerprint_of(folder, "tomorrow")


def fingerprint_of(folder: Path, name: str) -> str:
    trusted = load_trusted([folder])
    return next(key for key in trusted if trusted.grant(key).source == str(folder / f"{name}.toml"))


def test_a_key_of_another_role_may_sign_no_bundle(folder: Path, small: Path, release: KeyPair) -> None:
    put(folder, "orders", release, 'role = "operate"')
    with pytest.raises(EdgewardError, match=r"orders\.toml.*'operate'") as caught:
        verify_any(small, [folder])
    assert caught.value.code is Code.BUNDLE_KEY_ROLE


@pytest.mark.parametrize(
    ("names", "may"), [('["gate"]', True), ('["ppe-*", "g?te"]', True), ('["gat"]', False)]
)
def test_a_key_signs_bundles_of_its_names_only(
    names: str, may: bool, folder: Path, small: Path, release: KeyPair
) -> None:
    put(folder, "release", release, f'role = "release"\nnames = {names}')
    if may:
        assert verify_any(small, [folder]).manifest.name == "gate"
        return
    with pytest.raises(EdgewardError, match="may sign gat and not 'gate'") as caught:
        verify_any(small, [folder])
    assert caught.value.code is Code.BUNDLE_KEY_NAME


def test_a_plain_key_file_may_sign_anything_unless_the_folder_says_less(
    folder: Path, small: Path, release: KeyPair
) -> None:
    assert verify_any(small, [release.public]).signature == "verified"
    put(folder, "release", release, 'role = "release"\nnames = ["other"]')
    with pytest.raises(EdgewardError) as caught:
        verify_any(small, [release.public, folder])
    assert caught.value.code is Code.BUNDLE_KEY_NAME


def test_a_single_key_file_of_a_folder_is_taken_too(folder: Path, small: Path, release: KeyPair) -> None:
    assert verify_any(small, [put(folder, "release", release)]).signature == "verified"


MALFORMED = {
    "an unknown key": GOOD + 'expires = "2030"\n',
    "an unknown role": GOOD.replace('"release"', '"admin"'),
    "no role": GOOD.partition("\n")[2],
    "no key": 'role = "release"\n',
    "an unknown state": GOOD + 'state = "retired"\n',
    "no names": GOOD + "names = []\n",
    "a name that no bundle can have": GOOD + 'names = ["Gate"]\n',
    "a set of letters in a name": GOOD + 'names = ["[ab]*"]\n',
    "a name that is no text": GOOD + "names = [1]\n",
    "names for a key that signs no bundles": GOOD.replace("release", "operate") + 'names = ["gate"]\n',
    "a key twice": GOOD + 'role = "release"\n',
    "no TOML": "role: release\n",
    "bytes that are no text": "\udcff",
    "nothing": "",
    "a private key": GOOD.replace(PEM, "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----\n"),
    "a damaged key": GOOD.replace("MFk", "MFl"),
    "two keys": GOOD.replace(PEM, PEM + PEM),
    "too deep": "a = " + "[" * 5000 + "]" * 5000,
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_key_file_is_refused_by_name_that_has(name: str, folder: Path, release: KeyPair) -> None:
    put(folder, "good", release)
    path = folder / "odd.toml"
    path.write_bytes(MALFORMED[name].encode("utf-8", "surrogateescape"))
    error = refused(folder)
    assert error.code is Code.TRUST_KEY_FILE
    assert error.where == str(path)
    assert error.remedy


def test_an_unknown_key_is_named_with_the_nearest_one(folder: Path) -> None:
    write(folder, "odd", GOOD + 'name = ["gate"]\n')
    error = refused(folder)
    assert "name" in error.what
    assert "'names'" in error.remedy


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_key_file_that_others_may_write_is_refused(mode: int, folder: Path) -> None:
    path = write(folder, "release", GOOD, mode=mode)
    error = refused(folder)
    assert error.code is Code.TRUST_WRITABLE
    assert f"{mode:04o}" in error.what
    assert error.remedy == f"chmod go-w '{path}'"


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
def test_a_folder_that_others_may_write_is_refused(mode: int, folder: Path) -> None:
    write(folder, "release", GOOD)
    folder.chmod(mode)
    assert refused(folder).code is Code.TRUST_WRITABLE


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_belongs_to_another_user_is_refused(folder: Path) -> None:
    path = write(folder, "release", GOOD)
    os.chown(path, 65534, 0)
    error = refused(folder)
    assert error.code is Code.TRUST_WRITABLE
    assert "65534" in error.what
    os.chown(path, 0, 0)
    os.chown(folder, 65534, 0)
    assert refused(folder).code is Code.TRUST_WRITABLE


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_a_service_believes_what_root_owns() -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        write(Path(name), "release", GOOD)
        os.seteuid(65534)
        try:
            assert len(load_trusted([Path(name)])) == 1
        finally:
            os.seteuid(0)


def test_a_key_file_whose_name_would_steer_a_terminal_is_refused(folder: Path) -> None:
    write(folder, "re\x1b[2Jlease", GOOD)
    assert refused(folder).code is Code.TRUST_KEY_FILE


def test_a_link_in_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    write(tmp_path, "elsewhere", GOOD)
    (folder / "release.toml").symlink_to(tmp_path / "elsewhere.toml")
    assert refused(folder).code is Code.TRUST_KEY_FILE


def test_a_fifo_in_the_folder_is_refused_at_once(folder: Path) -> None:
    os.mkfifo(folder / "release.toml", 0o644)
    assert refused(folder).code is Code.TRUST_KEY_FILE


def test_one_key_in_two_files_is_refused_and_both_are_named(folder: Path) -> None:
    write(folder, "a", GOOD)
    write(folder, "b", GOOD.replace("release", "operate"))
    error = refused(folder)
    assert error.code is Code.TRUST_KEY_FILE
    assert "a.toml" in error.what
    assert "b.toml" in error.where


def test_other_files_of_the_folder_are_left_alone(folder: Path, small: Path, release: KeyPair) -> None:
    put(folder, "release", release)
    (folder / "README").write_text("who to ask")
    (folder / ".release.toml.swp").write_bytes(b"\0")
    assert verify_any(small, [folder]).signature == "verified"


def test_a_key_that_is_removed_while_the_folder_is_read_is_no_error(
    folder: Path, release: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by ``trust remove`` while an agent verifies a bundle that another key signed."""
    write(folder, "going", GOOD)
    put(folder, "staying", release)
    read_file = trust_folder.read_file

    def removed_first(path: Path) -> Entry:
        (folder / "going.toml").unlink(missing_ok=True)
        return read_file(path)

    monkeypatch.setattr(trust_folder, "read_file", removed_first)
    assert [entry.name for entry in trust_folder.read_folder(folder)] == ["staying"]


def test_a_key_path_that_cannot_be_looked_at_is_refused_and_no_accident(tmp_path: Path) -> None:
    with pytest.raises(EdgewardError) as caught:
        load_trusted([tmp_path / ("k" * 300)])
    assert caught.value.code is Code.KEY_INVALID


def test_an_empty_folder_and_none_are_told_apart(folder: Path) -> None:
    assert (refused(folder).code, refused(folder).what) == (Code.KEY_MISSING, "no key in it")
    assert refused(folder / "none").code is Code.KEY_MISSING


def test_a_folder_of_too_many_keys_is_refused(folder: Path) -> None:
    for index in range(101):
        write(folder, f"{index}", GOOD)
    assert refused(folder).code is Code.TRUST_KEY_FILE


PATTERNS = st.lists(st.from_regex(r"[a-z0-9*?][a-z0-9._*?-]{0,63}", fullmatch=True), min_size=1, max_size=5)


@given(names=PATTERNS, standby=st.booleans())
def test_what_is_written_is_what_is_read(names: list[str], standby: bool) -> None:
    state = "standby" if standby else "active"
    file = KeyFile(role="release", state=state, names=tuple(names), public_key=PEM.strip() + "\n")
    assert trust_folder.parse(trust_folder.encode(file), where=Path("x.toml")) == file


def test_names_match_as_a_whole_and_letter_by_letter() -> None:
    grant = Grant(names=("conveyor", "ppe-*"))
    assert [grant.covers(name) for name in ("conveyor", "ppe-2", "ppe-")] == [True, True, True]
    assert [grant.covers(name) for name in ("conveyor2", "xppe-2", "ppe")] == [False, False, False]


def test_two_files_hold_one_place_when_role_state_and_names_are_the_same() -> None:
    def entry(name: str, **more: object) -> Entry:
        return Entry(path=Path(name), file=KeyFile(role="release", public_key=PEM, **more))  # type: ignore[arg-type]

    mine = entry("a", names=("x", "y"))
    others = [entry("b", names=("y", "x")), entry("c"), entry("d", names=("x", "y"), state="standby")]
    assert [other.path.name for other in trust_folder.overlapping(mine, [mine, *others])] == ["b"]


def test_a_key_of_another_folder_has_its_own_fingerprint(folder: Path, release: KeyPair) -> None:
    put(folder, "release", release)
    (name,) = load_trusted([folder])
    assert name == fingerprint(load_trusted([release.public])[name])


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode())))
def test_no_bytes_do_anything_but_parse_or_be_refused(data: bytes) -> None:
    for text in (data, GOOD.encode() + data, b'role = "release"\npublic_key = ' + data):
        try:
            trust_folder.parse(text, where=Path("x.toml"))
        except EdgewardError as error:
            if error.code is not Code.TRUST_KEY_FILE:
                raise


@pytest.mark.parametrize(
    "value", ["1979-05-27T07:32:00Z", "07:32:00", "inf", "0xffffffffffffffffff", "{}", "true"]
)
def test_a_value_of_another_type_is_refused(value: str) -> None:
    for key in ("state", "names"):
        with pytest.raises(EdgewardError, match=key) as caught:
            trust_folder.parse(f"{GOOD}{key} = {value}\n".encode(), where=Path("x.toml"))
        assert caught.value.code is Code.TRUST_KEY_FILE


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_the_fingerprint_without_a_crypto_library_is_the_same(curve: ec.EllipticCurve) -> None:
    key = ec.generate_private_key(curve).public_key()
    pem = public_pem(key).decode()
    body = "".join(pem.splitlines()[1:-1])
    folded = f"-----BEGIN PUBLIC KEY-----\r\n{body[:40]}\r\n {body[40:]}\r\n-----END PUBLIC KEY-----"
    for text in (pem, pem.strip(), f"a comment\n{pem}", folded):
        assert trust_folder.fingerprint(text) == fingerprint(key)
    assert trust_folder.fingerprint("no key") == ""
