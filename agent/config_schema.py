"""``edgeward.toml`` as JSON Schema: for editors, and for whoever makes such files with a program."""

from __future__ import annotations

from typing import Any

import msgspec

from agent.config import Config


def schema() -> dict[str, Any]:
    """The schema, made from the structs. What no type can say (``agent.config_check``) is not in it."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "edgeward.toml, the configuration of an edgeward agent",
    }
    published: dict[str, Any] = _published(head | msgspec.json.schema(Config))
    return published


def _published(part: Any) -> Any:
    r"""In the terms of JSON Schema, whose regular expressions know no ``\Z``."""
    if isinstance(part, dict):
        return {key: _published(value) for key, value in part.items()}
    if isinstance(part, list):
        return [_published(value) for value in part]
    return part.replace("\\Z", "$") if isinstance(part, str) else part
