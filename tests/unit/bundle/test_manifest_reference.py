"""``manifest.md`` and ``decoders.md`` of ``docs/ref`` have every key with type and default, and no other."""

from __future__ import annotations

import re
import tomllib
import typing
from pathlib import Path
from typing import Any

import pytest

from runtime.bundle import author, check, metrics
from runtime.bundle import manifest as m
from runtime.bundle.decoders import TASKS, Postprocess

from .manifest_tables import expected

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "ref" / "manifest.md").read_text()
DECODERS_PAGE = (ROOT / "docs" / "ref" / "decoders.md").read_text()
TABLES: dict[str, Any] = {
    "`[bundle]`": author.BundleTable,
    "`[[variant]]`": author.VariantTable,
    "`[[variant.input]]`": m.InputSpec,
    "`[[variant.output]]`": m.TensorSpec,
    "`quantisation`": m.Quantisation,
    "`[preprocess]`": m.Preprocess,
    "`[[file]]`": author.FileTable,
    "`[budgets]`": m.Budgets,
    "`[golden]`": author.GoldenTable,
    "Compare `detections`": metrics.DetectionsAgree,
    "Compare `classes`": metrics.ClassesAgree,
    "Compare `tensors`": metrics.TensorsAgree,
    "Compare `cells`": metrics.CellsAgree,
    "Compare `vectors`": metrics.VectorsAgree,
    "The manifest": m.Manifest,
    "`golden`": m.Golden,
    "An entry of `files`": m.FileEntry,
    "An entry of `variants`": m.Variant,
}
DECODERS: dict[str, Any] = {f"`{kind.__struct_config__.tag}`": kind for kind in typing.get_args(Postprocess)}


def section(page: str, heading: str) -> str:
    match = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", page, re.DOTALL | re.MULTILINE)
    assert match, f"no heading {heading}"
    return match.group(1)


def rows(page: str, heading: str) -> list[tuple[str, str, str]]:
    lines = section(page, heading).splitlines()
    cells = [line.strip("| ").split(" | ") for line in lines if line.startswith("| `")]
    assert all(len(row) == 4 and row[3].strip() for row in cells)
    return [(row[0], row[1], row[2]) for row in cells]


@pytest.mark.parametrize("heading", TABLES)
def test_the_page_has_every_key_with_its_type_and_default(heading: str) -> None:
    assert rows(PAGE, heading) == expected(TABLES[heading])


@pytest.mark.parametrize("heading", DECODERS)
def test_every_decoder_is_there_with_its_source_its_outputs_and_its_keys(heading: str) -> None:
    text = section(DECODERS_PAGE, heading)
    assert re.search(r"Source: .+\.\n", text)
    kind = DECODERS[heading]
    if kind.__struct_config__.tag not in {"tensors", "plugin"}:
        assert "http" in text.partition("\n\n")[0]
        assert "`[1, " in text, "no shape of an output"
    assert rows(DECODERS_PAGE, heading) == expected(kind)


def test_the_decoders_page_has_no_other_decoders() -> None:
    assert re.findall(r"^## (.*)$", DECODERS_PAGE, re.MULTILINE) == list(DECODERS)


def test_the_decoders_page_says_what_each_is_for() -> None:
    listed = re.findall(r"^\| \[(`\w+`)\]\(#(\w+)\) \| (.*) \|$", DECODERS_PAGE, re.MULTILINE)
    wanted = {heading: ", ".join(TASKS.get(kind, ("detection",))) for heading, kind in DECODERS.items()}
    assert listed == [(heading, heading.strip("`"), for_tasks) for heading, for_tasks in wanted.items()]


@pytest.mark.parametrize("example", re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL))
def test_an_example_of_the_page_is_a_good_bundle_toml(example: str, tmp_path: Path) -> None:
    (tmp_path / "bundle.toml").write_text(example)
    assert author.load(tmp_path).bundle.name


def test_the_runtime_s_version_is_the_project_s() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == check.RUNTIME_VERSION
