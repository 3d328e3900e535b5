"""The reference pages say what the structs say: every key, every field, every check, and nothing else."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent import config, config_file
from agent.device.settings import Governor
from agent.health.checks import find_checks
from agent.health.settings import Metrics as MetricsSettings
from agent.link import faults, messages, topics
from agent.log_settings import Log
from agent.workers.settings import Supervision

pytestmark = pytest.mark.unit

REF = Path(__file__).resolve().parents[3] / "docs" / "ref"
NOT_SET = "not set"


def tables(page: str) -> dict[str, list[list[str]]]:
    """Rows of the tables of a page, by the heading above them."""
    found: dict[str, list[list[str]]] = {}
    heading = ""
    for line in (REF / page).read_text("utf-8").splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ").replace("`", "")
        elif line.startswith("| "):
            found.setdefault(heading, []).append([cell.strip() for cell in line.strip("|").split("|")])
    return {name: rows[1:] for name, rows in found.items()}


def struct_of(hint: Any) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.name: field for field in msgspec.structs.fields(hint)}


@pytest.mark.parametrize(
    ("heading", "struct"),
    [
        ("[device]", config.Device),
        ("[mqtt]", config.Mqtt),
        ("[trust]", config.Trust),
        ("[bundles]", config.Bundles),
        ("[health]", config.Health),
        ("[engine]", config.Engine),
        ("[[engine.delegate]]", config.Delegate),
        ("[metrics]", MetricsSettings),
        ("[log]", Log),
        ("[preflight]", config.Preflight),
        ("[supervision]", Supervision),
        ("[governor]", Governor),
        ("[[pipeline]]", config.Pipeline),
        ("[pipeline.tiling]", config.Tiling),
        ("[[pipeline.stage]]", config.Stage),
        ("[[pipeline.stream]]", config.Stream),
    ],
)
def test_every_configuration_key_and_default_is_on_the_page(heading: str, struct: Any) -> None:
    rows = {row[0].strip("`"): row for row in tables("configuration.md")[heading]}
    fields = struct_of(struct)
    assert list(rows) == list(fields)
    for name, field in fields.items():
        default = rows[name][2].strip("`")
        if field.required:
            assert default == "required"
        elif field.default is None:
            assert default == NOT_SET
        elif field.default is not msgspec.NODEFAULT:
            expected = list(field.default) if isinstance(field.default, tuple) else field.default
            assert tomllib.loads(f"x = {default}")["x"] == expected
        assert rows[name][3]


def test_every_section_is_on_the_page() -> None:
    headings = " ".join(tables("configuration.md"))
    assert all(f"[{name}]" in headings for name in struct_of(config.Config))


def test_the_example_on_the_page_parses_but_for_its_files() -> None:
    text = (REF / "configuration.md").read_text("utf-8")
    example = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert example is not None
    without_files = re.sub(r"(?m)^(username|password_file|ca_file) = .*\n", "", example[1])
    loaded = config_file.parse(without_files, where="example", folder=Path("/etc/edgeward"))
    assert loaded.pipeline[0].stream[0].name == "cam-1"


GUIDE = REF.parent / "guide" / "pipelines.md"


def test_the_examples_of_the_guide_to_pipelines_parse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sysconf", lambda _: 8)  # the board that the page is about has eight CPUs
    examples = re.findall(r"```toml\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    assert len(examples) == 5
    for example in examples:
        text = f"[trust]\nrelease_keys = ['release.pub']\n{example}"
        config_file.parse(text, where="pipelines.md", folder=Path("/etc/edgeward"))


def test_every_field_of_every_message_is_on_the_page() -> None:
    found = tables("mqtt.md")
    expected = {"Envelope": messages.Envelope}
    expected |= {f"Body of {name}": body for name, body in messages.TYPES.items()}
    nested = (
        messages.BundleInfo,
        messages.CheckResult,
        messages.PipelineMetrics,
        messages.StreamMetrics,
        messages.LinkMetrics,
        messages.KindCounts,
        messages.DeviceMetrics,
        messages.Detected,
        messages.Keypoint,
        messages.Mask,
        messages.Inside,
        messages.Classified,
        messages.Segmentation,
        messages.Tensor,
    )
    expected |= {struct.__name__: struct for struct in nested}
    for heading, struct in expected.items():
        assert [row[0].strip("`") for row in found[heading]] == list(struct_of(struct)), heading


def test_every_topic_and_type_is_on_the_page() -> None:
    rows = tables("mqtt.md")["MQTT"]
    device = topics.Topics("<device>")
    known = [device.status, device.inventory, device.health, device.metrics, device.detections("<pipeline>")]
    assert ["ew/1/<device>/" + row[0].strip("`") for row in rows] == known
    assert [row[1].strip("`") for row in rows] == list(messages.TYPES)


def test_every_check_and_link_code_is_on_the_page() -> None:
    found = tables("health.md")
    rows = {row[0].strip("`"): row for row in found["Health"]}
    checks = find_checks()
    assert list(rows) == [check.id for check in checks]
    for check in checks:
        assert rows[check.id][2] == check.meaning
        assert rows[check.id][3]
        page, _, anchor = check.docs.partition("#")
        text = (REF.parents[1] / page).read_text("utf-8")
        section = text.partition(f"\n### `{anchor}`\n")[2].partition("\n#")[0]
        assert len(section) > 60, f"{page} has no section {anchor}"
    listed = {row[0].strip("`") for row in found["Codes of the link"]}
    source = Path(faults.__file__).read_text("utf-8")
    used = set(re.findall(r'"(link\.[a-z-]+)"', source)) | {"link.refused-topic"}
    assert listed == used
