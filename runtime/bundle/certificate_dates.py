"""From when until when certificate files hold.

``python -m runtime.bundle.certificate_dates FILE...`` prints it: a program of its own, since the agent, which
asks, loads no crypto library.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from cryptography import x509

MAX_BYTES = 1 << 20


class Dates(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Seconds since 1970; ``fault`` says why there are none.

    Of a chain, when the last begins and the first ends; of authorities, of the one that holds longest.
    """

    not_before: float = 0.0
    not_after: float = 0.0
    fault: str = ""


def read(path: Path) -> Dates:
    """The dates of a PEM file. Never raises: what is wrong with the file is in ``fault``."""
    from cryptography import x509  # noqa: PLC0415 - the agent imports this module for its struct

    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES)
        certificates = x509.load_pem_x509_certificates(raw)
    except OSError as error:
        return Dates(fault=f"cannot be read: {error.strerror}")
    except ValueError:
        return Dates(fault="holds no certificate")
    began = [certificate.not_valid_before_utc.timestamp() for certificate in certificates]
    ends = [certificate.not_valid_after_utc.timestamp() for certificate in certificates]
    if all(map(_is_authority, certificates)):
        # An old one beside its successor is what a rotation looks like.
        longest = ends.index(max(ends))
        return Dates(not_before=began[longest], not_after=ends[longest])
    return Dates(not_before=max(began), not_after=min(ends))


def _is_authority(certificate: x509.Certificate) -> bool:
    from cryptography import x509  # noqa: PLC0415

    try:
        return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except (x509.ExtensionNotFound, ValueError):
        return False


def main(files: Sequence[str]) -> int:
    """Print the dates of each file as JSON."""
    sys.stdout.buffer.write(msgspec.json.encode({file: read(Path(file)) for file in files}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
