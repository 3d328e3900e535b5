"""``edgeward config``: all that is wrong is told at once, what is shown has no secrets, the schema fits."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent import config, config_file
from agent.cli.main import main
from agent.config_problems import problems
from agent.config_schema import schema
from runtime.errors import Code, EdgewardError, ExitStatus
from tests.conftest import ROOT

pytestmark = pytest.mark.unit

WRONG_TYPES = """\
[device]
id = "a/b"
stat_dir = "/x"
[mqtt]
keepalive_s = "1"
url = "http://h"
[[pipeline]]
name = "x"
weight = 0
[[pipeline.stream]]
nam = "cam"
url = 3
stall_after_s = nan
[[pipeline]]
name = "x"
bundle = "y"
stream = []
"""
WRONG_VALUES = """\
[mqtt]
url = "mqtt://u:hidden@h"
ca_file = "missing.pem"
[[pipeline]]
name = "x"
bundle = "y.ewb"
stream = [{name = "cam", url = "ftp://h"}, {name = "cam", url = "rtsp://h", password_file = "p"}]
[[pipeline]]
name = "x"
bundle = ""
stream = [{name = "cam", url = "a.mp4", username = "me"}]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "edgeward.toml"
    path.write_text(text)
    return path


def keys(path: Path) -> dict[str, str]:
    """What is said, by the key that it is said of."""
    return {problem.where.removeprefix(f"{path}: "): str(problem) for problem in problems(path)}


def test_every_wrong_type_and_every_unknown_or_missing_key_is_told_at_once(tmp_path: Path) -> None:
    found = keys(written(tmp_path, WRONG_TYPES))
    assert list(found) == [
        "device.id",
        "device.stat_dir",
        "mqtt.keepalive_s",
        "pipeline[0].weight",
        "pipeline[0].stream[0].nam",
        "pipeline[0].stream[0].url",
        "pipeline[0].stream[0].stall_after_s",
        "pipeline[0].stream[0].name",
        "pipeline[0].bundle",
        "pipeline[1].stream",
    ]
    assert "did you mean 'state_dir'?" in found["device.stat_dir"]
    assert "did you mean 'name'?" in found["pipeline[0].stream[0].nam"]
    assert "required and missing; add it" in found["pipeline[0].bundle"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[log]\nlevel = 'warn'", "'warn' is none of debug, info, warning, error; did you mean 'warning'?"),
        ("[log]\nlevel = 'WARN'", "'WARN' is none of debug, info, warning, error; did you mean 'warning'?"),
        ("[log]\nlevel = 'x'", "'x' is none of debug, info, warning, error; use one of them"),
    ],
)
def test_a_word_that_is_none_of_those_allowed_is_refused_with_them(
    text: str, said: str, tmp_path: Path
) -> None:
    path = written(tmp_path, text)
    assert keys(path) == {"log.level": f"{path}: log.level: {said} [config.value]"}
    with pytest.raises(EdgewardError, match=re.escape(said)):
        config_file.load(path)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("[pipeline]\nname = 'x'", "write [[pipeline]], with two brackets"),
        ("[[mqtt]]\nkeepalive_s = 10", "write [mqtt], with one bracket"),
        (
            "[[pipeline]]\nname = 'x'\nbundle = 'y'\n[pipeline.stream]\nname = 'c'",
            "write [[pipeline.stream]], with two brackets",
        ),
        ("[trust]\nrelease_keys = 'a.pub'", "write it in brackets: [...]"),
        ("[mqtt]\nkeepalive_s = '10'", "write it without quotes"),
        ("[device]\nid = 7", "write it in quotes"),
        ("\ufeff[device]", "save it as UTF-8 without one"),
    ],
)
def test_a_beginner_in_toml_is_told_how_it_is_written(text: str, remedy: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    assert next(problem.remedy for problem in problems(path)) == remedy
    with pytest.raises(EdgewardError) as caught:
        config_file.load(path)
    assert caught.value.remedy == remedy


def test_every_value_that_cannot_be_is_told_at_once_and_no_secret(tmp_path: Path) -> None:
    found = keys(written(tmp_path, WRONG_VALUES))
    assert {
        "mqtt.url",
        "mqtt.ca_file",
        "trust.release_keys",
        "pipeline[1].name",
        "pipeline[0].stream[0].url",
        "pipeline[0].stream[1].name",
        "pipeline[0].stream[1].username",
        "pipeline[1].bundle",
        "pipeline[1].stream[0].username",
    } <= set(found)
    assert "hidden" not in str(found)


@pytest.mark.parametrize("text", [WRONG_TYPES, WRONG_VALUES, "[mqtt", "x = 1", "pipeline = 3", "mqtt = []"])
def test_what_the_agent_refuses_first_is_among_what_is_told(text: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(EdgewardError, match=re.escape(str(path))) as caught:
        config_file.load(path)
    assert caught.value.code in {problem.code for problem in problems(path)}


def test_check_prints_a_line_a_problem_and_ends_as_the_agent_would(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, WRONG_TYPES)
    assert main(["config", "check", str(path)]) == ExitStatus.CONFIG
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert lines[-1] == "edgeward: 10 errors"
    assert main(["config", "check", str(path), "--json"]) == ExitStatus.CONFIG
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], len(found["problems"])) == (False, 10)
    assert found["problems"][1]["code"] == Code.CONFIG_UNKNOWN_KEY.text
    assert main(["agent", "--config", str(path), "--check"]) == ExitStatus.CONFIG
    assert capsys.readouterr().err.splitlines() == lines


def test_check_of_a_good_file_gives_its_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, "")
    assert main(["config", "check", str(path)]) == 0
    told = capsys.readouterr()
    assert told.out == f"{path}: good\n"
    assert "warning: no [[pipeline]] is configured" in told.err
    assert main(["config", "check", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["warnings"]


def test_check_warns_of_files_that_are_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stage = '[[pipeline.stage]]\nname = "t"\nbundle = "there.ewb"\n'
    path = written(
        tmp_path,
        '[trust]\nrelease_keys = ["nix.pub"]\n[[pipeline]]\nname = "p"\nbundle = "nix.ewb"\n'
        f'{stage}[[pipeline.stream]]\nname = "s"\nurl = "nix.mp4"\n'
        '[[pipeline.stream]]\nname = "t"\nurl = "rtsp://camera/"\n',
    )
    (tmp_path / "there.ewb").touch()
    assert main(["config", "check", str(path)]) == 0
    told = capsys.readouterr().err
    for key, name in (
        ("trust.release_keys[0]", "nix.pub"),
        ("pipeline[0].bundle", "nix.ewb"),
        ("pipeline[0].stream[0].url", "nix.mp4"),
    ):
        assert f"warning: {key}: no such file: {tmp_path / name}; " in told
    assert told.count("no such file") == 3


def test_check_of_a_file_that_is_not_there_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "check", str(tmp_path / "x.toml")]) == ExitStatus.CONFIG
    assert "x.toml: no such file or directory" in capsys.readouterr().err


LOGIN_IN_URL = (
    '[[pipeline]]\nname = "p"\nbundle = "b.ewb"\n'
    '[[pipeline.stream]]\nname = "s"\nurl = "http://cam/video?user=me&pwd=verysecret"\n'
)


@pytest.mark.parametrize("options", [[], ["--effective"], ["--json"], ["--effective", "--json"]])
def test_show_prints_the_file_or_what_it_means_without_secrets(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, LOGIN_IN_URL)
    assert main(["config", "show", "--config", str(path), *options]) == 0
    text = capsys.readouterr().out
    assert "verysecret" not in text
    shown = json.loads(text) if "--json" in options else tomllib.loads(text)
    effective = "--effective" in options
    assert ("mqtt" in shown) is effective
    assert shown["pipeline"][0]["bundle"] == (str(tmp_path / "b.ewb") if effective else "b.ewb")
    assert ("stall_after_s" in shown["pipeline"][0]["stream"][0]) is effective


@pytest.mark.parametrize("options", [[], ["--effective"], ["--json"], ["--effective", "--json"]])
def test_show_prints_no_password_of_the_broker(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, '[mqtt]\nurl = "mqtt://u:verysecret@broker:1883"\n')
    assert main(["config", "show", "--config", str(path), *options]) == 0
    text = capsys.readouterr().out
    assert "verysecret" not in text
    assert "broker:1883" in text


def test_what_show_prints_is_a_configuration_of_the_same_meaning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, LOGIN_IN_URL.replace("?user=me&pwd=verysecret", ""))
    main(["config", "show", "--effective", "--config", str(path)])
    again = written(tmp_path, capsys.readouterr().out)
    before = config_file.load(path, to_run=False)
    assert config_file.load(again, to_run=False) == before


TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}
NUMBER = (int, float)


def is_a(value: Any, name: str) -> bool:
    return isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


# What the words of JSON Schema that ours uses ask of a value of their kind; another word is a KeyError.
ASKS: dict[str, Callable[[Any, Any], bool]] = {
    "type": is_a,
    "enum": lambda value, asked: value in asked,
    "required": lambda value, asked: not isinstance(value, dict) or set(asked) <= set(value),
    "pattern": lambda value, asked: not isinstance(value, str) or bool(re.search(asked, value)),
    "minLength": lambda value, asked: not isinstance(value, str) or len(value) >= asked,
    "maxLength": lambda value, asked: not isinstance(value, str) or len(value) <= asked,
    "minItems": lambda value, asked: not isinstance(value, list) or len(value) >= asked,
    "maxItems": lambda value, asked: not isinstance(value, list) or len(value) <= asked,
    "minimum": lambda value, asked: not isinstance(value, NUMBER) or value >= asked,
    "maximum": lambda value, asked: not isinstance(value, NUMBER) or value <= asked,
    "exclusiveMinimum": lambda value, asked: not isinstance(value, NUMBER) or value > asked,
    "exclusiveMaximum": lambda value, asked: not isinstance(value, NUMBER) or value < asked,
}
SILENT = {
    "$schema",
    "$defs",
    "title",
    "description",
    "default",
    "properties",
    "items",
    "additionalProperties",
}


def fits(value: Any, part: dict[str, Any], definitions: dict[str, Any]) -> bool:
    """Whether ``value`` fits a schema."""
    if "$ref" in part:
        return fits(value, definitions[part["$ref"].removeprefix("#/$defs/")], definitions)
    if "anyOf" in part:
        return any(fits(value, one, definitions) for one in part["anyOf"])
    return all(ASKS[word](value, part[word]) for word in part.keys() - SILENT) and all(
        inner_part if isinstance(inner_part, bool) else fits(inner, inner_part, definitions)
        for inner, inner_part in parts(value, part)
    )


def parts(value: Any, part: dict[str, Any]) -> list[tuple[Any, Any]]:
    """What lies in a value, each with its schema."""
    if isinstance(value, dict):
        known, others = part.get("properties", {}), part.get("additionalProperties", True)
        return [(inner, known.get(name, others)) for name, inner in value.items()]
    return [(item, part.get("items", True)) for item in value] if isinstance(value, list) else []


def accepted(text: str) -> bool:
    whole = schema()
    return fits(tomllib.loads(text), whole, whole["$defs"])


def test_the_schema_takes_what_the_guides_and_the_reference_show() -> None:
    pages = [*(ROOT / "docs" / "guide").glob("*.md"), ROOT / "docs" / "ref" / "configuration.md"]
    examples = [
        text
        for page in pages
        for text in re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL)
        if re.match(r"\[\[?(device|mqtt|trust|engine|pipeline|health|preflight)[\].]", text)
    ]
    whole = [text for text in examples if not is_fragment(tomllib.loads(text))]
    assert whole
    for text in whole:
        assert accepted(text), text


def is_fragment(document: dict[str, Any]) -> bool:
    """Whether it shows some keys of a pipeline only, which stand in a whole one."""
    pipelines = document.get("pipeline", [])
    return isinstance(pipelines, dict) or any(
        not {"name", "bundle", "stream"} <= pipeline.keys() for pipeline in pipelines
    )


@pytest.mark.parametrize(
    "text",
    [
        "x = 1",
        "[mqtt]\nkeepalive = 1",
        "[mqtt]\nkeepalive_s = '1'",
        "[mqtt]\nkeepalive_s = 1",
        "[device]\nid = 'a/b'",
        "[[pipeline]]\nname = 'x'\nbundle = 'y'",
        "[[pipeline]]\nname = 'x'\nbundle = 'y'\nstream = []",
        "[[pipeline]]\nname = 'x'\nbundle = 'y'\npublish = 'some'\nstream = [{name = 'a', url = 'b'}]",
    ],
)
def test_the_schema_refuses_what_the_agent_refuses_for_its_type(text: str) -> None:
    assert not accepted(text)


def test_the_schema_names_every_key_of_every_section() -> None:
    whole = schema()
    sections = whole["$defs"]["Config"]["properties"]
    assert list(sections) == [field.name for field in msgspec.structs.fields(config.Config)]
    for name in ("Mqtt", "Pipeline", "Stream"):
        struct = getattr(config, name)
        assert list(whole["$defs"][name]["properties"]) == list(struct.__struct_fields__)
        assert whole["$defs"][name]["additionalProperties"] is False
    assert "\\\\Z" not in json.dumps(whole)
