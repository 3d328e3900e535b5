"""All that is wrong with an ``edgeward.toml``, and not only what was found first."""

from __future__ import annotations

import math
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from agent import config_check, config_file
from agent.config import Config
from runtime.errors import Code, EdgewardError


def problems(path: Path) -> list[EdgewardError]:
    """What keeps an agent from running with the file, as far as it can be told at once.

    While a key is unknown or has a value of the wrong type, only such errors are told: what else could be
    said of the rest might come of them.
    """
    where = str(path)
    try:
        text = config_file.read(path)
        document = config_file.tables(text, where)
        found = list(_in_table(document, Config, "", where))
        if found:
            return found
        config = config_file.parse(text, where=where, folder=path.absolute().parent, to_run=False)
    except EdgewardError as error:
        return [error]
    return list(_failed(config_check.checks(config, where)))


def _failed(checks: Iterable[config_check.Check]) -> Iterator[EdgewardError]:
    for check in checks:
        try:
            check()
        except EdgewardError as error:
            yield error


def _in_table(table: dict[str, Any], struct: Any, key: str, where: str) -> Iterator[EdgewardError]:
    """What is wrong with the keys of a table, and below them."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    for name, value in table.items():
        inner = f"{key}.{name}" if key else name
        if name not in fields:
            yield config_file.unknown_key(name, key, list(fields), where)
        else:
            yield from _in_value(value, fields[name].type, inner, where)
    for name, field in fields.items():
        if field.required and name not in table:
            yield config_file.missing_key(f"{key}.{name}" if key else name, where)


def _in_value(value: Any, hint: Any, key: str, where: str) -> Iterator[EdgewardError]:
    """What is wrong inside a value if that can be said; else what is wrong with the whole."""
    inside: list[EdgewardError] = []
    struct = config_file.struct_in(hint)
    if struct is not None and isinstance(value, dict) and not _is_array(hint):
        inside += _in_table(value, struct, key, where)
    elif struct is not None and isinstance(value, list) and _is_array(hint):
        for index, item in enumerate(value):
            if isinstance(item, dict):
                inside += _in_table(item, struct, f"{key}[{index}]", where)
    yield from inside or _of_value(value, hint, key, where)


def _is_array(hint: Any) -> bool:
    return typing.get_origin(hint) is tuple or any(map(_is_array, typing.get_args(hint)))


def _of_value(value: Any, hint: Any, key: str, where: str) -> Iterator[EdgewardError]:
    if isinstance(value, float) and not math.isfinite(value):
        yield EdgewardError(Code.CONFIG_VALUE, "expected a finite number", where=f"{where}: {key}")
        return
    try:
        msgspec.convert(value, hint)
    except (msgspec.ValidationError, OverflowError, RecursionError) as error:
        yield config_file.explain(str(error), where, key)
