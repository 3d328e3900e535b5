"""A verified bundle folder, loaded: the manifest, the variant that fits, the engine."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

from runtime import engine
from runtime.bundle.check import parse_manifest
from runtime.bundle.manifest import MANIFEST_NAME, Manifest, Variant
from runtime.engine import Engine
from runtime.errors import Code, EdgewardError, from_os_error


@dataclass(frozen=True, slots=True)
class Model:
    """What a pipeline runs; ``load_ms`` is the time to read, check and load it."""

    manifest: Manifest
    variant: Variant
    engine: Engine
    load_ms: float


def load(folder: Path, manifest_sha256: str, *, threads: int) -> Model:
    """Load the bundle in ``folder``, whose manifest the agent found signed with that digest.

    Every byte that is used is hashed in memory first, and what was hashed is what is loaded: a file
    that changes after it was verified, on disk or on its way, is never run.

    Raises:
        EdgewardError: ``BUNDLE_DIGEST`` when a file is not what was signed, and all of ``engine.load``.
    """
    started = time.monotonic()
    manifest_path = folder / MANIFEST_NAME
    text = _read(manifest_path, manifest_sha256)
    manifest = parse_manifest(text, where=str(manifest_path))
    variant = engine.choose(manifest, where=manifest.name)
    model_path = folder / variant.file
    model = _read(model_path, manifest.file(variant.file).sha256)
    loaded = engine.load(variant, model, threads=threads, where=f"{manifest.name}: {variant.file}")
    return Model(manifest, variant, loaded, (time.monotonic() - started) * 1e3)


def _read(path: Path, sha256: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise from_os_error(error, where=str(path), fallback=Code.BUNDLE_UNREADABLE) from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise EdgewardError(
            Code.BUNDLE_DIGEST,
            "the file is not the one that was signed",
            where=str(path),
            remedy="install the bundle again; if it happens twice, suspect the disk",
        )
    return data
