"""What is different between two manifests: fields, variants by id, files by path and digest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from runtime.bundle.manifest import FileEntry, Manifest


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """One difference: ``key`` as a path (``variants.onnx.postprocess.score_threshold``), old and new value.

    ``renamed``: the file ``old`` is now called ``new``, with the same bytes.
    """

    kind: Literal["added", "removed", "changed", "renamed"]
    key: str
    old: Any = None
    new: Any = None


def differences(old: Manifest, new: Manifest) -> list[Change]:
    """All of them, in the order of the manifest, files last; empty when the two say the same."""
    found = []
    for field in msgspec.structs.fields(Manifest):
        if field.name != "files":
            one, two = getattr(old, field.name), getattr(new, field.name)
            found += list(_compare(field.name, _plain(one), _plain(two)))
    return found + list(_files(old.files, new.files))


def _plain(value: Any) -> Any:
    """As dicts and lists, with every field: a default that is written down is no difference.

    Lists of things with an id become tables by that id; other lists are values.
    """
    if isinstance(value, msgspec.Struct):
        table = {field.name: _plain(getattr(value, field.name)) for field in msgspec.structs.fields(value)}
        if value.__struct_config__.tag is not None:
            table = {str(value.__struct_config__.tag_field): value.__struct_config__.tag} | table
        return table
    if isinstance(value, tuple | list):
        items = [_plain(item) for item in value]
        for name in ("id", "name"):
            if items and all(isinstance(item, dict) and name in item for item in items):
                return {item[name]: item for item in items}
        return items
    return value


def _compare(key: str, old: Any, new: Any) -> Iterator[Change]:
    if isinstance(old, dict) and isinstance(new, dict):
        if _order(old, new):
            yield Change("changed", f"{key} (order)", list(old), list(new))
        for name in [*old, *(name for name in new if name not in old)]:
            if name not in new:
                yield Change("removed", f"{key}.{name}", old[name])
            elif name not in old:
                yield Change("added", f"{key}.{name}", new=new[name])
            else:
                yield from _compare(f"{key}.{name}", old[name], new[name])
    elif old != new:
        if old is None:
            yield Change("added", key, new=new)
        elif new is None:
            yield Change("removed", key, old)
        else:
            yield Change("changed", key, old, new)


def _order(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether what both have stands in another order: of variants and of outputs it counts."""
    return [name for name in old if name in new] != [name for name in new if name in old]


def _files(old: tuple[FileEntry, ...], new: tuple[FileEntry, ...]) -> Iterator[Change]:
    before = {entry.path: _file(entry) for entry in old}
    after = {entry.path: _file(entry) for entry in new}
    gone = {path: entry for path, entry in before.items() if path not in after}
    come = {path: entry for path, entry in after.items() if path not in before}
    for path, entry in list(gone.items()):
        twin = next((name for name, other in come.items() if other["sha256"] == entry["sha256"]), None)
        if twin is not None:
            yield Change("renamed", f"files.{path}", path, twin)
            del gone[path], come[twin]
    for path, entry in before.items():
        if path in gone:
            yield Change("removed", f"files.{path}", entry)
        elif path in after and after[path] != entry:
            yield Change("changed", f"files.{path}", entry, after[path])
    for path, entry in come.items():
        yield Change("added", f"files.{path}", new=entry)


def _file(entry: FileEntry) -> dict[str, Any]:
    return {"role": entry.role, "size": entry.size, "sha256": entry.sha256}
