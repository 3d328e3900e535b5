"""``docs/ref/manifest.md`` has every key with its type and default, and no other."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runtime.bundle import author, check
from runtime.bundle import manifest as m
from runtime.bundle.strict import _wanted, keys_of

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "ref" / "manifest.md").read_text()
TABLES: dict[str, Any] = {
    "`[bundle]`": author.BundleTable,
    "`[[variant]]`": author.VariantTable,
    "`[[variant.input]]` and `[[variant.output]]`": m.TensorSpec,
    "`[preprocess]`": m.Preprocess,
    '`[postprocess]` with `decoder = "yolox"`': m.Yolox,
    "`[[file]]`": author.FileTable,
    "`[budgets]`": m.Budgets,
    "The manifest": m.Manifest,
    "An entry of `files`": m.FileEntry,
    "An entry of `variants`": m.Variant,
}


def default_of(kind: Any, key: str) -> str:
    for field in msgspec.structs.fields(kind):
        if field.encode_name == key and not field.required:
            default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
            if isinstance(default, msgspec.Struct):
                return "none of its keys"
            if default in ("", (), None):
                return "empty" if default is not None else "none"
            if isinstance(default, tuple):
                return f"`{list(default)}`"
            return f"`{str(default).lower() if isinstance(default, bool) else default}`"
    return "required"


def type_of(kind: Any) -> str:
    wanted = _wanted(kind)
    return (
        "table"
        if wanted.startswith("a table")
        else wanted.replace("a list of a table with", "tables:").split(":")[0]
    )


def expected(kind: Any) -> list[tuple[str, str, str]]:
    return [(f"`{key}`", type_of(hint), default_of(kind, key)) for key, (hint, _) in keys_of(kind).items()]


def rows(heading: str) -> list[tuple[str, str, str]]:
    match = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert match, f"no heading {heading}"
    cells = [line.strip("| ").split(" | ") for line in match.group(1).splitlines() if line.startswith("| `")]
    assert all(len(row) == 4 and row[3].strip() for row in cells)
    return [(row[0], row[1], row[2]) for row in cells]


@pytest.mark.parametrize("heading", TABLES)
def test_the_page_has_every_key_with_its_type_and_default(heading: str) -> None:
    assert rows(heading) == expected(TABLES[heading])


def test_the_page_s_example_is_a_good_bundle_toml(tmp_path: Path) -> None:
    match = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert match
    (tmp_path / "bundle.toml").write_text(match.group(1))
    assert author.load(tmp_path).bundle.name == "gate-persons"


def test_the_runtime_s_version_is_the_project_s() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == check.RUNTIME_VERSION
