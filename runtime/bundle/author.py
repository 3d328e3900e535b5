"""``bundle.toml``: what the author of a bundle writes. The manifest minus what can be computed."""

from __future__ import annotations

import re
import stat
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from runtime.bundle.decoders import Positive, Postprocess, Task, needs_labels
from runtime.bundle.manifest import (
    Budgets,
    InputSpec,
    Name,
    Preprocess,
    TensorSpec,
    Variant,
    Version,
)
from runtime.bundle.metrics import Metric
from runtime.bundle.regular_file import BUNDLE, read_regular
from runtime.bundle.strict import Mismatch, convert
from runtime.errors import Code, EdgewardError, from_os_error

AUTHOR_NAME = "bundle.toml"
_MAX_TOML = 1 << 20


class _Table(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A table of ``bundle.toml``."""


class BundleTable(_Table, frozen=True, kw_only=True):
    """``[bundle]``: what it is called, and the names of its classes.

    ``labels`` lists them in the order of the model's outputs; ``labels_file`` names a text file with
    one a line instead. ``task`` is the decoder's usual one where it is left out.
    """

    name: Name
    version: Version
    release_counter: Positive
    task: Task | None = None
    labels: tuple[str, ...] = ()
    labels_file: str = ""
    min_runtime: Version = "0.1.0"
    description: str = ""
    license: str = ""


class VariantTable(_Table, frozen=True, kw_only=True, rename={"inputs": "input", "outputs": "output"}):
    """``[[variant]]``: one way to run the model, with ``[[variant.input]]`` and ``[[variant.output]]``."""

    id: Name
    engine: Name
    file: str
    inputs: tuple[InputSpec, ...]
    outputs: tuple[TensorSpec, ...]
    weights: str = ""
    precision: Literal["float32", "float16", "int8"] = "float32"
    arch: tuple[Literal["x86_64", "aarch64", "armv7l"], ...] = ()
    profiles: tuple[str, ...] = ()
    dimensions: dict[str, Positive] = {}
    preprocess: Preprocess | None = None
    postprocess: Postprocess | None = None
    engine_version: str = ""

    def variant(self) -> Variant:
        """The manifest's entry."""
        return Variant(**{name: getattr(self, name) for name in self.__struct_fields__})


class FileTable(_Table, frozen=True, kw_only=True):
    """``[[file]]``: a further file to put into the bundle."""

    path: str
    role: Literal["labels", "golden", "doc", "data"] = "data"


class GoldenTable(_Table, frozen=True, kw_only=True):
    """``[golden]``: the pictures from which ``pack`` makes golden frames, and how answers are compared.

    ``frames``: names or patterns (``pictures/*.jpg``), relative to the folder; behind ``#`` the numbers of a
    film's frames, from 0: ``film.mp4#0,40,80``. ``reference``: the variant that gives the answers; without it
    the first one of float32 that the reference path can run, else the first that it can.
    """

    frames: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=1000)]
    reference: str = ""
    metric: Metric | None = None


class Author(_Table, frozen=True, kw_only=True, rename={"variants": "variant", "files": "file"}):
    """The whole of ``bundle.toml``."""

    bundle: BundleTable
    variants: tuple[VariantTable, ...]
    preprocess: Preprocess
    postprocess: Postprocess
    files: tuple[FileTable, ...] = ()
    budgets: Budgets = Budgets()
    golden: GoldenTable | None = None


def load(folder: Path) -> Author:
    """Read ``bundle.toml`` of an author's folder.

    Raises:
        EdgewardError: ``BUNDLE_MISSING``, ``BUNDLE_UNREADABLE``, ``BUNDLE_FORMAT``; ``BUNDLE_MANIFEST``,
            naming file and key.
    """
    path = folder / AUTHOR_NAME
    _check_folder(folder)
    data = read_regular(path, BUNDLE, limit=_MAX_TOML, follow_links=True)
    try:
        author = convert(_parse(data, path), Author)
    except Mismatch as error:
        raise refuse(path, error.key, error.what, error.remedy) from error
    table = author.bundle
    if table.labels and table.labels_file:
        raise refuse(path, "bundle.labels", "labels and labels_file are both given", "leave one out")
    if not table.labels and not table.labels_file and needs_labels(author.postprocess):
        remedy = 'write labels = ["person", ...] or labels_file = "NAME"'
        raise refuse(path, "bundle.labels", "missing", remedy)
    return author


def _check_folder(folder: Path) -> None:
    try:
        what = "" if stat.S_ISDIR(folder.stat().st_mode) else "this is a file, not a folder"
    except (FileNotFoundError, NotADirectoryError):
        what = "no such folder"
    except OSError as error:
        raise from_os_error(error, where=str(folder), fallback=Code.BUNDLE_UNREADABLE) from error
    if what:
        remedy = "give the folder that holds bundle.toml"
        raise EdgewardError(Code.BUNDLE_MISSING, what, where=str(folder), remedy=remedy)


def _parse(data: bytes, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        what = f"not UTF-8 text at byte {error.start}"
        remedy = "save it as UTF-8"
        raise EdgewardError(Code.BUNDLE_MANIFEST, what, where=str(path), remedy=remedy) from error
    except (ValueError, RecursionError) as error:
        # A ValueError that is no TOMLDecodeError: a number with thousands of digits, a month 13.
        what = f"not valid TOML: {error}"
        remedy = "correct that line"
        raise EdgewardError(Code.BUNDLE_MANIFEST, what, where=str(path), remedy=remedy) from error


def refuse(path: Path, key: str, what: str, remedy: str) -> EdgewardError:
    """The error for a key of ``bundle.toml``."""
    return EdgewardError(Code.BUNDLE_MANIFEST, what, where=f"{path}: {key}", remedy=remedy)


_IN_BUNDLE = r"^(name|version|release_counter|task|labels|min_runtime|description|license)\b"


def author_key(manifest_key: str) -> str:
    """Where the author writes what the manifest calls ``variants[0].inputs[1].name``."""
    key = re.sub(_IN_BUNDLE, r"bundle.\1", manifest_key)
    return re.sub(r"\b(variant|input|output|file)s\b(?=[\[.]|\Z)", r"\1", key)
