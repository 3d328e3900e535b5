"""When certificates begin and end, and what of them cannot be told."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.health import certificates
from agent.health.certificates import CertificateReader

pytestmark = pytest.mark.unit

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
DAY = dt.timedelta(days=1)


def pem(*, begins: int = -1, ends: int = 100, authority: bool = False) -> bytes:
    """A certificate; days from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + begins * DAY)
        .not_valid_after(NOW + ends * DAY)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def days(path: Path, content: bytes) -> tuple[float, float]:
    path.write_bytes(content)
    facts = CertificateReader([path]).read()[str(path)]
    assert not facts.fault
    return round(facts.began_s_ago / 86_400, 1), round(facts.ends_in_s / 86_400, 1)


def test_of_a_chain_the_first_to_end_counts_and_of_authorities_the_last(tmp_path: Path) -> None:
    file = tmp_path / "x.crt"
    assert days(file, pem()) == (1, 100)
    assert days(file, pem(ends=300) + pem(begins=-9, ends=20, authority=True)) == (1, 20)
    old, new = pem(begins=-900, ends=-5, authority=True), pem(begins=-30, ends=400, authority=True)
    assert days(file, old + new) == (30, 400)
    assert days(file, old) == (900, -5)


def test_a_certificate_is_read_anew_when_its_file_changes_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "x.crt"
    file.write_bytes(pem(ends=100))
    reader = CertificateReader([file])
    reads: list[object] = []
    really = certificates.read_dates
    monkeypatch.setattr(certificates, "read_dates", lambda files: reads.append(files) or really(files))
    for _ in range(3):
        assert reader.read()[str(file)].ends_in_s > 90 * 86_400
    assert len(reads) == 1
    replacement = tmp_path / "new.crt"
    replacement.write_bytes(pem(ends=10))
    replacement.replace(file)
    assert reader.read()[str(file)].ends_in_s < 11 * 86_400


@pytest.mark.parametrize(
    ("content", "fault"),
    [(b"hello", "holds no certificate"), (b"", "holds no certificate"), (None, "cannot be read")],
)
def test_what_is_no_certificate_is_said(tmp_path: Path, content: bytes | None, fault: str) -> None:
    file = tmp_path / "x.crt"
    if content is not None:
        file.write_bytes(content)
    assert fault in CertificateReader([file]).read()[str(file)].fault
