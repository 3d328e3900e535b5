"""``docs/ref/manifest.schema.json`` is what the structs say.

Made by ``python -m tests.unit.bundle.test_manifest_schema > docs/ref/manifest.schema.json``.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runtime.bundle.manifest import Manifest

pytestmark = pytest.mark.unit

PAGE = Path(__file__).parents[3] / "docs" / "ref" / "manifest.schema.json"


def _published(part: Any) -> Any:
    """In the terms of JSON Schema.

    Its regular expressions do not have Python's own mark for the end of a text. A number is one whether it
    has a point or not, which depends on what was imported first: Python's typing keeps one of equal bounds.
    """
    if isinstance(part, dict):
        return {key: _published(value) for key, value in part.items()}
    if isinstance(part, list):
        return [_published(value) for value in part]
    if isinstance(part, float) and part.is_integer():
        return int(part)
    return part.replace("\\Z", "$") if isinstance(part, str) else part


def schema() -> str:
    found = msgspec.json.schema(Manifest)
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "manifest.json of an edgeward bundle, schema 1",
    }
    return json.dumps(_published(head | found), indent=2) + "\n"


def test_the_published_schema_is_that_of_the_structs() -> None:
    assert PAGE.read_text() == schema(), "make it anew: see above"


def test_its_objects_take_no_unknown_key_and_its_patterns_are_those_of_json_schema() -> None:
    document = json.loads(PAGE.read_text())
    for name, definition in document["$defs"].items():
        assert definition["type"] == "object", name
        assert definition["additionalProperties"] is False, name
    patterns = re.findall(r'"pattern": "(.*)"', PAGE.read_text())
    assert patterns
    assert not [pattern for pattern in patterns if "\\Z" in pattern or not pattern.startswith("^")]


if __name__ == "__main__":
    sys.stdout.write(schema())
