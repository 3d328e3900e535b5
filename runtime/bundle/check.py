"""What a manifest must fulfil beyond its types, and the way from bytes to a manifest that does."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from runtime.bundle import check_golden, check_model, features
from runtime.bundle.check_model import Problem
from runtime.bundle.manifest import (
    MANIFEST_NAME,
    SCHEMA,
    SIGNATURE_NAME,
    Budgets,
    FileEntry,
    Manifest,
    check_path,
)
from runtime.bundle.member_name import check_case
from runtime.bundle.strict import Mismatch, convert, parse_json
from runtime.errors import Code, EdgewardError

RUNTIME_VERSION = "0.1.0"
MAX_LABEL = 200
# What label files write for a class index that has no class; it alone may stand twice.
NO_LABEL = "???"
_NEWER = "update edgeward on this machine"


def parse_manifest(data: bytes, *, where: str) -> Manifest:
    """The manifest in these bytes, checked in full.

    Args:
        data: ``manifest.json``.
        where: the bundle's name, for errors.

    Raises:
        EdgewardError: ``BUNDLE_MANIFEST``, naming the key; ``BUNDLE_UNSUPPORTED`` for a newer schema
            or a bundle that needs a newer edgeward.
    """
    place = f"{where}: {MANIFEST_NAME}"
    remedy = "ask the bundle's author for a corrected one"
    try:
        raw = parse_json(data)
        _check_schema(raw, place)
        manifest = convert(raw, Manifest)
    except ValueError as error:
        raise EdgewardError(
            Code.BUNDLE_MANIFEST, f"not valid JSON: {error}", where=place, remedy=remedy
        ) from error
    except Mismatch as error:
        where_key = f"{place}: {error.key}"
        raise EdgewardError(Code.BUNDLE_MANIFEST, error.what, where=where_key, remedy=error.remedy) from error
    check_manifest(manifest, where=place)
    return manifest


def _check_schema(raw: Any, place: str) -> None:
    """A newer schema is named as such, before its new keys are called unknown."""
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if type(schema) is int and schema != SCHEMA:
        what = f"schema {schema} is not known here, only {SCHEMA}"
        raise EdgewardError(Code.BUNDLE_UNSUPPORTED, what, where=place, remedy=_NEWER)
    if not isinstance(raw, dict):
        raise Mismatch("(top level)", "not a JSON object", "pack the bundle again")
    # So are features: what they bring along would be unknown keys and values.
    requires = raw.get("requires")
    names = [name for name in requires if isinstance(name, str)] if isinstance(requires, list) else []
    _check_features(names, place)


def _check_features(names: Sequence[str], place: str) -> None:
    if unknown := [name for name in names if name not in features.KNOWN]:
        listed = ", ".join(repr(name[:80]) for name in unknown[:10])
        what = f"the bundle needs what is not known here: {listed}"
        raise EdgewardError(Code.BUNDLE_UNSUPPORTED, what, where=f"{place}: requires", remedy=_NEWER)


def check_manifest(manifest: Manifest, *, where: str) -> None:
    """Refuse the first problem.

    Raises:
        EdgewardError: ``BUNDLE_MANIFEST``, ``BUNDLE_NAME_*`` or ``BUNDLE_UNSUPPORTED``.
    """
    for entry in manifest.files:
        check_path(entry.path, where=where)
    check_case((entry.path for entry in manifest.files), where=where)
    _check_features(manifest.requires, where)
    for problem in problems(manifest):
        where_key = f"{where}: {problem.key}"
        raise EdgewardError(Code.BUNDLE_MANIFEST, problem.what, where=where_key, remedy=problem.remedy)
    if _version_order(manifest.min_runtime) > _version_order(RUNTIME_VERSION):
        what = f"the bundle needs edgeward {manifest.min_runtime}, this is {RUNTIME_VERSION}"
        raise EdgewardError(Code.BUNDLE_UNSUPPORTED, what, where=f"{where}: min_runtime", remedy=_NEWER)


def _version_order(version: str) -> tuple[int, int, int, bool]:
    """Sorts versions; a pre-release comes before its release."""
    numbers = re.match(r"([0-9]+)\.([0-9]+)\.([0-9]+)(-?)", version)
    if numbers is None:
        raise ValueError(version)
    major, minor, patch, dash = numbers.groups()
    return int(major), int(minor), int(patch), not dash


def problems(manifest: Manifest) -> Iterator[Problem]:
    """Everything that the types cannot say, in the order of the manifest."""
    for key in ("description", "license"):
        text: str = getattr(manifest, key)
        if not all(letter.isprintable() or letter in "\n\t" for letter in text):
            yield Problem(key, "has a control character", "use plain text")
    yield from _labels(manifest)
    yield from _files(manifest.files)
    yield from check_model.variants(manifest)
    yield from check_model.decoding(manifest)
    yield from _budgets(manifest.budgets)
    yield from check_golden.golden(manifest)


def _labels(manifest: Manifest) -> Iterator[Problem]:
    # Two of ImageNet's thousand classes are called "crane", a bird and a machine; a detector's classes are
    # what rules and topics are made of.
    may_repeat = manifest.task == "classification"
    seen: set[str] = set()
    for index, label in enumerate(manifest.labels):
        key = f"labels[{index}]"
        if not label.strip() or len(label) > MAX_LABEL or not label.isprintable():
            yield Problem(key, "empty, too long or not printable", f"use text of at most {MAX_LABEL} letters")
        if label in seen and label != NO_LABEL and not may_repeat:
            yield Problem(key, f"the label {label!r} stands twice", "give each class a name of its own")
        seen.add(label)


def _files(files: tuple[FileEntry, ...]) -> Iterator[Problem]:
    names = {MANIFEST_NAME, SIGNATURE_NAME}
    for index, entry in enumerate(files):
        key = f"files[{index}].path"
        if entry.path in names:
            yield Problem(key, f"the file {entry.path!r} stands twice", "list each file once")
        names.add(entry.path)
        if entry.blocks and len(entry.blocks) != -(-entry.size // entry.block_size):
            count = f"{len(entry.blocks)} block digests for {entry.size} bytes"
            yield Problem(f"files[{index}].blocks", count, "pack the bundle again")
    for index, entry in enumerate(files):
        parts = entry.path.split("/")
        for end in range(1, len(parts)):
            if (folder := "/".join(parts[:end])) in names:
                yield Problem(f"files[{index}].path", f"{folder!r} is a file and a folder", "rename one")


def _budgets(budgets: Budgets) -> Iterator[Problem]:
    for name in msgspec.structs.fields(budgets):
        value = getattr(budgets, name.name)
        if value is not None and not (math.isfinite(value) and value > 0):
            yield Problem(f"budgets.{name.name}", f"{value} is not a budget", "use a number over zero")
