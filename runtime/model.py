"""A verified bundle folder, loaded: the manifest, the variant that fits, the engine."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

from runtime import engine
from runtime.bundle.check import parse_manifest
from runtime.bundle.decoders import Postprocess
from runtime.bundle.manifest import MANIFEST_NAME, Manifest, Preprocess, Variant
from runtime.engine import Engine, ModelFiles
from runtime.errors import Code, EdgewardError, from_os_error
from runtime.ipc import EngineOptions


@dataclass(frozen=True, slots=True)
class Model:
    """What a pipeline runs; ``load_ms`` is the time to read, check and load it."""

    manifest: Manifest
    variant: Variant
    engine: Engine
    folder: Path
    load_ms: float

    @property
    def preprocess(self) -> Preprocess:
        """The variant's own, else the manifest's."""
        return self.variant.preprocess or self.manifest.preprocess

    @property
    def postprocess(self) -> Postprocess:
        """The variant's own, else the manifest's."""
        return self.variant.postprocess or self.manifest.postprocess

    def read(self, path: str) -> bytes:
        """A file of the bundle, as it was signed.

        Raises:
            EdgewardError: ``BUNDLE_DIGEST`` when it is another one, ``BUNDLE_UNREADABLE``.
        """
        return _read(self.folder / path, self.manifest.file(path).sha256)


def read_manifest(folder: Path, manifest_sha256: str) -> Manifest:
    """The manifest of the bundle in ``folder``, which has that digest.

    Raises:
        EdgewardError: ``BUNDLE_DIGEST``, ``BUNDLE_UNREADABLE``, and all of ``parse_manifest``.
    """
    path = folder / MANIFEST_NAME
    return parse_manifest(_read(path, manifest_sha256), where=str(path))


def load(folder: Path, manifest_sha256: str, options: EngineOptions) -> Model:
    """Load the bundle in ``folder``, whose manifest the agent found signed with that digest.

    Every byte that is used is hashed in memory first, and what was hashed is what is loaded: a file
    that changes after it was verified, on disk or on its way, is never run.

    Raises:
        EdgewardError: ``BUNDLE_DIGEST`` when a file is not what was signed, and all of ``engine.load``.
    """
    started = time.monotonic()
    manifest = read_manifest(folder, manifest_sha256)
    variant = engine.choose(manifest, options, where=manifest.name)
    digest = manifest.file(variant.file).sha256
    weights = b""
    if variant.weights:
        weights_digest = manifest.file(variant.weights).sha256
        weights = _read(folder / variant.weights, weights_digest)
        digest = hashlib.sha256((digest + weights_digest).encode("ascii")).hexdigest()
    model = _read(folder / variant.file, manifest.file(variant.file).sha256)
    files = ModelFiles(model, weights, digest)
    loaded = engine.load(variant, files, options, where=f"{manifest.name}: {variant.file}")
    return Model(manifest, variant, loaded, folder, (time.monotonic() - started) * 1e3)


def _read(path: Path, sha256: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise from_os_error(error, where=str(path), fallback=Code.BUNDLE_UNREADABLE) from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise another_than_signed(path)
    return data


def another_than_signed(path: Path) -> EdgewardError:
    """The error for a file of a stored bundle that has changed since it was verified."""
    return EdgewardError(
        Code.BUNDLE_DIGEST,
        "the file is not the one that was signed",
        where=str(path),
        remedy="install the bundle again; if it happens twice, suspect the disk",
    )
