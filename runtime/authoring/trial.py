"""Runs a variant of an author's folder as a device does, before there is a bundle."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from runtime import engine
from runtime.bundle.author import AUTHOR_NAME, Author, VariantTable
from runtime.bundle.check import check_manifest
from runtime.bundle.decoders import Ssd, tasks
from runtime.bundle.manifest import FileEntry, Manifest
from runtime.bundle.regular_file import BUNDLE, read_regular
from runtime.engine import ModelFiles
from runtime.errors import Code, EdgewardError
from runtime.ipc import EngineOptions
from runtime.model import Model
from runtime.source.frame import Frame, Picture

_MAX_LABELS = 4 << 20
_MAX_FILE = 8 << 30


def labels(author: Author, folder: Path) -> tuple[str, ...]:
    """Of the classes, as ``pack`` would read them.

    Raises:
        EdgewardError: ``BUNDLE_MISSING``, ``BUNDLE_UNREADABLE``.
    """
    name = author.bundle.labels_file
    return read_labels(folder / name) if name else author.bundle.labels


def read_labels(path: Path) -> tuple[str, ...]:
    """One a line, blank lines left out.

    Raises:
        EdgewardError: ``BUNDLE_MISSING``, ``BUNDLE_UNREADABLE``.
    """
    try:
        content = read_regular(path, BUNDLE, limit=_MAX_LABELS, follow_links=True).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what, remedy = "not UTF-8 text", "give a text file, one label a line"
        raise EdgewardError(Code.BUNDLE_UNREADABLE, what, where=str(path), remedy=remedy) from error
    return tuple(line.strip() for line in content.splitlines() if line.strip())


def load(
    author: Author,
    variant: VariantTable,
    labels: Sequence[str],
    folders: Sequence[Path],
    options: EngineOptions,
) -> Model:
    """A variant, loaded.

    Args:
        author: what it is a variant of.
        variant: with its files, which lie in the first of ``folders`` that has them.
        labels: names of the classes.
        folders: searched in this order; the last one is the author's own.
        options: how the engine runs.

    Raises:
        EdgewardError: ``MODEL_LOAD``, ``MODEL_MISMATCH``, ``ENGINE_UNAVAILABLE``; ``BUNDLE_MANIFEST`` for
            what does not fit together; ``BUNDLE_MISSING``, ``BUNDLE_UNREADABLE``.
    """
    started = time.monotonic()
    files = {name: read(name, folders) for name in (variant.file, variant.weights) if name}
    made = _manifest(author, variant, labels, files, folders)
    weights = files.get(variant.weights, b"")
    given = ModelFiles(
        files[variant.file], weights, hashlib.sha256(files[variant.file] + weights).hexdigest()
    )
    loaded = engine.load(made.variants[0], given, options, where=str(folders[-1] / variant.file))
    return Model(made, made.variants[0], loaded, folders[-1], (time.monotonic() - started) * 1e3)


def read(name: str, folders: Sequence[Path]) -> bytes:
    """A file of the author's, from the first of ``folders`` that has it.

    Raises:
        EdgewardError: ``BUNDLE_MISSING``, ``BUNDLE_UNREADABLE``.
    """
    place = next((folder for folder in folders if (folder / name).exists()), folders[-1])
    return read_regular(place / name, BUNDLE, limit=_MAX_FILE, follow_links=True)


def _manifest(
    author: Author,
    variant: VariantTable,
    labels: Sequence[str],
    files: dict[str, bytes],
    folders: Sequence[Path],
) -> Manifest:
    """What ``pack`` would make of this variant alone, without golden results."""
    entries = [_entry(name, data, "model") for name, data in files.items()]
    decoder = variant.postprocess or author.postprocess
    if isinstance(decoder, Ssd):
        entries.append(_entry(decoder.priors, read(decoder.priors, folders), "data"))
    made = Manifest(
        schema=1,
        name=author.bundle.name,
        version=author.bundle.version,
        release_counter=author.bundle.release_counter,
        task=author.bundle.task or tasks(author.postprocess)[0],
        labels=tuple(labels),
        files=tuple(entries),
        variants=(variant.variant(),),
        preprocess=variant.preprocess or author.preprocess,
        postprocess=decoder,
    )
    check_manifest(made, where=str(folders[-1] / AUTHOR_NAME))
    return made


def _entry(path: str, data: bytes, role: str) -> FileEntry:
    return FileEntry(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest(), role=role)  # type: ignore[arg-type]


def noise(width: int, height: int) -> Frame:
    """A picture of noise, the same each time."""
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    picture = Picture("bgr24", width, height, "bt601", full_range=True)
    return Frame(picture, (pixels.data,), (width * 3,), index=0, session=0, pts_s=None, arrived_ns=0)
