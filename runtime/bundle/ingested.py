"""What a bundle is once it was verified and stored. Imports no crypto library: the agent reads it."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Ingested(msgspec.Struct, frozen=True, kw_only=True):
    """A verified bundle in a folder of its own, named after its digest.

    ``manifest_sha256`` is what a worker must find before it loads anything. ``new`` is false when the
    same bundle was there already, sound. ``size`` counts the bytes of all files.
    """

    name: str
    version: str
    release_counter: int
    digest: str
    manifest_sha256: str
    signed_by: str
    folder: str
    size: int
    new: bool

    @property
    def path(self) -> Path:
        """``folder`` as a path."""
        return Path(self.folder)


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """An ``EdgewardError`` on its way out of the child."""

    code: str
    what: str
    where: str = ""
    remedy: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the ingest child prints: one of the two, and what its kernel could not take away from it."""

    ok: Ingested | None = None
    error: Refusal | None = None
    lacks: tuple[str, ...] = ()
