"""The committed seeds: sound bundles, signature files and manifests, and the keys that signed them.

``python -m tests.fuzz.corpus.make`` makes them anew, with new keys.
"""

from __future__ import annotations

from pathlib import Path

from runtime.bundle.keys import TrustedKeys, load_trusted
from runtime.errors import EdgewardError

FOLDER = Path(__file__).parent


def read(name: str) -> list[bytes]:
    """The seeds of a target, in the order of their names."""
    return [path.read_bytes() for path in sorted((FOLDER / name).iterdir())]


def trusted() -> TrustedKeys:
    """Who signed them."""
    return load_trusted(sorted(FOLDER.glob("*.pub")))


def check_error(error: EdgewardError) -> None:
    """A refusal is for a person: it says what and what to do, and nothing in it steers a terminal."""
    assert error.what
    assert error.remedy
    line = str(error)
    assert line.isprintable(), line
    assert len(line) < 4000, line
