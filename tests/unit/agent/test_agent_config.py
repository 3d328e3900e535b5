"""A configuration means what it says, or is refused by file, key and what was expected."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import config, config_file, config_text
from runtime.errors import Code, EdgewardError

pytestmark = pytest.mark.unit

FOLDER = Path("/etc/edgeward")
STREAM = '[[pipeline.stream]]\nname = "cam"\nurl = "rtsp://camera/1"\n'
STAGE = '[[pipeline.stage]]\nname = "plate"\nbundle = "plates.ewb"\n'
TILING = "[pipeline.tiling]\ncolumns = 2\nrows = 1\n"
PIPELINE = f'[trust]\nrelease_keys = ["r.pub"]\n[[pipeline]]\nname = "line"\nbundle = "b.ewb"\n{STREAM}'


def parse(text: str) -> config.Config:
    return config_file.parse(text, where="edgeward.toml", folder=FOLDER)


def refused(text: str) -> EdgewardError:
    with pytest.raises(EdgewardError) as caught:
        parse(text)
    return caught.value


def test_an_empty_file_is_a_device_that_reports_only() -> None:
    loaded = parse("")
    assert loaded.mqtt.host == "127.0.0.1"
    assert loaded.mqtt.port == 1883
    assert loaded.device.id
    assert "no [[pipeline]]" in loaded.warnings()[0]


@pytest.mark.parametrize("scheme", ["mqtts", "MQTTS", "Mqtts"])
def test_tls_is_asked_for_in_any_case_of_letters(scheme: str) -> None:
    mqtt = parse(f"[mqtt]\nurl = '{scheme}://broker'").mqtt
    assert (mqtt.tls, mqtt.port) == (True, 8883)


def test_relative_paths_lie_beside_the_file() -> None:
    loaded = parse(PIPELINE.replace("rtsp://camera/1", "clips/a.mp4"))
    assert loaded.trust.release_keys == ("/etc/edgeward/r.pub",)
    assert loaded.pipeline[0].bundle == "/etc/edgeward/b.ewb"
    assert loaded.pipeline[0].stream[0].url == "/etc/edgeward/clips/a.mp4"
    assert loaded.pipeline[0].stream[0].password_file == ""


def test_bundles_of_stages_delegates_and_the_cache_lie_beside_the_file() -> None:
    delegates = "[[engine.delegate]]\npath = './npu.so'\n[[engine.delegate]]\npath = 'npu.so'"
    loaded = parse(f"{PIPELINE}{STAGE}[engine]\ncache_dir = 'c'\n{delegates}")
    assert loaded.pipeline[0].stage[0].bundle == "/etc/edgeward/plates.ewb"
    assert [delegate.path for delegate in loaded.engine.delegate] == ["/etc/edgeward/npu.so", "npu.so"]
    assert loaded.engine.cache_dir == "/etc/edgeward/c"
    assert parse("[device]\nstate_dir = 'state'").engine.cache_dir == "/etc/edgeward/state/cache"


@pytest.mark.parametrize(
    ("text", "code", "where", "said"),
    [
        ("[mqtt", Code.CONFIG_SYNTAX, "edgeward.toml", "not valid TOML"),
        ("x = 1", Code.CONFIG_UNKNOWN_KEY, "edgeward.toml: x", "known keys: device, mqtt"),
        ("[mqtt]\nkeepalive = 1", Code.CONFIG_UNKNOWN_KEY, "mqtt.keepalive", "did you mean 'keepalive_s'"),
        ("[mqtt]\nkeepalive_s = '1'", Code.CONFIG_VALUE, "mqtt.keepalive_s", "expected int, got str"),
        ("[mqtt]\nkeepalive_s = 1", Code.CONFIG_VALUE, "mqtt.keepalive_s", "expected int >= 5"),
        ("[mqtt]\nurl = 'http://h'", Code.CONFIG_VALUE, "mqtt.url", "expected mqtt://host:port"),
        ("[mqtt]\nurl = 'mqtt://u:hidden@h'", Code.CONFIG_VALUE, "mqtt.url", "must not stand in the URL"),
        ("[mqtt]\nurl = 'mqtt://h:99999'", Code.CONFIG_VALUE, "mqtt.url", "not a URL"),
        ("[mqtt]\nurl = 'mqtt://h:0'", Code.CONFIG_VALUE, "mqtt.url", "expected mqtt://host:port"),
        ("[mqtt]\nurl = 'mqtts://h?tls=0'", Code.CONFIG_VALUE, "mqtt.url", "expected mqtt://host:port"),
        ("[mqtt]\nurl = 'mqtts://h#x'", Code.CONFIG_VALUE, "mqtt.url", "expected mqtt://host:port"),
        ("[mqtt]\nca_file = 'x'", Code.CONFIG_VALUE, "mqtt.ca_file", "needs TLS"),
        ("[mqtt]\nurl = 'mqtts://h'\nca_file = 'x'", Code.CONFIG_VALUE, "mqtt.ca_file", "no such file"),
        ("[mqtt]\npassword_file = 'x'", Code.CONFIG_VALUE, "mqtt.username", "needs a user name"),
        ("[device]\nid = 'a/b'", Code.CONFIG_VALUE, "device.id", "letters, digits"),
        ('[device]\nid = "a\\n"', Code.CONFIG_VALUE, "device.id", "letters, digits"),
        ("[health]\ninterval_s = nan", Code.CONFIG_VALUE, "health.interval_s", "finite"),
        (PIPELINE.replace('"r.pub"', ""), Code.CONFIG_VALUE, "trust.release_keys", "at least one key"),
        (
            PIPELINE + STREAM,
            Code.CONFIG_VALUE,
            "pipeline[0].stream[1].name",
            "taken by pipeline[0].stream[0]",
        ),
        (PIPELINE.replace("rtsp:", "ftp:"), Code.CONFIG_VALUE, "pipeline[0].stream[0].url", "ftp:// is not"),
        (PIPELINE.replace("camera", "u:hidden@camera"), Code.CONFIG_VALUE, "stream[0].url", "password_file"),
        (PIPELINE + "loup = true", Code.CONFIG_UNKNOWN_KEY, "pipeline[0].stream[0].loup", "'loop'"),
        (PIPELINE.replace(STREAM, ""), Code.CONFIG_VALUE, "pipeline[0].stream", "required and missing"),
        (PIPELINE + "stall_after_s = 0", Code.CONFIG_VALUE, "stream[0].stall_after_s", "expected float > 0"),
        ("[engine]\naffinity = [8000]", Code.CONFIG_VALUE, "engine.affinity", "no CPU 8000; use numbers"),
        ("[engine]\naffinity = [-1]", Code.CONFIG_VALUE, "engine.affinity", "expected int >= 0"),
        ("[engine]\naffinity = [0, 0]", Code.CONFIG_VALUE, "engine.affinity", "stands there twice"),
        ("[engine]\nproviders = ['cpu', 'cpu']", Code.CONFIG_VALUE, "engine.providers", "twice"),
        ("[engine]\nproviders = ['']", Code.CONFIG_VALUE, "engine.providers", "length >= 1"),
        (
            "[engine]\nprovider = 'cpu'",
            Code.CONFIG_UNKNOWN_KEY,
            "engine.provider",
            "did you mean 'providers'",
        ),
        ("[[engine.delegate]]\npath = ''", Code.CONFIG_VALUE, "engine.delegate[0].path", "expected a path"),
        (
            "[[engine.delegate]]\npath = 'x'\noptions = { level = 3 }",
            Code.CONFIG_VALUE,
            "engine.delegate[0].options",
            "expected str, got int",
        ),
        (PIPELINE + TILING.replace("2", "1"), Code.CONFIG_VALUE, "pipeline[0].tiling", "single tile"),
        (PIPELINE + TILING.replace("2", "17"), Code.CONFIG_VALUE, "pipeline[0].tiling.columns", "<= 16"),
        (PIPELINE + TILING + "overlap = 0.6", Code.CONFIG_VALUE, "tiling.overlap", "<= 0.5"),
        (PIPELINE + TILING + "column = 1", Code.CONFIG_UNKNOWN_KEY, "pipeline[0].tiling.column", "'columns'"),
        (PIPELINE + STAGE + STAGE, Code.CONFIG_VALUE, "stage[1].name", "taken by pipeline[0].stage[0]"),
        (PIPELINE + STAGE.replace("plates.ewb", ""), Code.CONFIG_VALUE, "stage[0].bundle", "expected a path"),
        (PIPELINE + STAGE + "max_crops = 65", Code.CONFIG_VALUE, "stage[0].max_crops", "<= 64"),
        (PIPELINE + STAGE + "grow = 1.5", Code.CONFIG_VALUE, "stage[0].grow", "<= 1"),
        (PIPELINE + STAGE + "label = []", Code.CONFIG_UNKNOWN_KEY, "stage[0].label", "did you mean 'labels'"),
        (PIPELINE.replace(STREAM, f"weight = 0\n{STREAM}"), Code.CONFIG_VALUE, "[0].weight", ">= 1"),
        (PIPELINE.replace(STREAM, f"weight = 101\n{STREAM}"), Code.CONFIG_VALUE, "[0].weight", "<= 100"),
        (PIPELINE.replace(STREAM, f"max_batch = 65\n{STREAM}"), Code.CONFIG_VALUE, "max_batch", "<= 64"),
        (PIPELINE.replace(STREAM, f"affinity = [9000]\n{STREAM}"), Code.CONFIG_VALUE, "affinity", "<= 8191"),
    ],
)
def test_every_error_names_the_key_and_what_was_expected(
    text: str, code: Code, where: str, said: str
) -> None:
    error = refused(text)
    assert error.code is code
    assert error.where.startswith("edgeward.toml")
    assert where in error.where
    assert said in str(error)
    assert "hidden" not in str(error)


def test_a_deeply_nested_file_is_refused_and_not_a_crash() -> None:
    assert refused("x = " + "[" * 5000).code is Code.CONFIG_SYNTAX


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(EdgewardError) as caught:
        config_file.load(tmp_path / "none.toml")
    assert caught.value.code is Code.CONFIG_MISSING


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (b"secret\n", 0o644, "everybody"),
        (b"", 0o600, "no password"),
        (b"\xff", 0o600, "UTF-8"),
        (b"a\nb", 0o600, "line"),
    ],
)
def test_a_password_file_that_is_unsafe_or_empty_is_refused(
    tmp_path: Path, content: bytes, mode: int, said: str
) -> None:
    path = tmp_path / "password"
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(EdgewardError, match=said):
        config.read_secret(str(path), where="mqtt.password_file")


@pytest.mark.timeout(20)
def test_a_fifo_as_a_password_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "password", 0o600)
    with pytest.raises(EdgewardError, match="not a plain file"):
        config.read_secret(str(tmp_path / "password"), where="mqtt.password_file")


def test_credentials_are_put_into_the_url_for_the_worker_only(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.touch(0o640)
    path.write_text("p@ss/word\n")
    text = PIPELINE + f'username = "ad min"\npassword_file = "{path}"\n'
    stream = parse(text).pipeline[0].stream[0]
    assert stream.url == "rtsp://camera/1"
    assert stream.url_for_worker() == "rtsp://ad%20min:p%40ss%2Fword@camera/1"


def test_the_effective_configuration_is_toml_again_without_secrets() -> None:
    loaded = parse(PIPELINE.replace("camera/1", "camera/1?pwd=hidden"))
    text = config_text.to_toml(config_file.effective(loaded))
    assert "hidden" not in text
    assert tomllib.loads(text)["pipeline"][0]["stream"][0]["max_fps"] == 0
    assert parse(text.replace("pwd=***", "pwd=hidden")) == loaded


def test_the_effective_configuration_keeps_tiles_stages_and_names_that_need_quotes() -> None:
    delegate = (
        "[[engine.delegate]]\npath = '/npu.so'\noptions = { 'log.level' = '3', '' = \"a\\n'b\", x-y = '' }\n"
    )
    loaded = parse(f"{PIPELINE}{TILING}{STAGE}labels = ['car']\n{delegate}")
    assert loaded.engine.delegate[0].options == {"log.level": "3", "": "a\n'b", "x-y": ""}
    assert parse(config_text.to_toml(config_file.effective(loaded))) == loaded


KEYS = st.sampled_from(
    ["device", "mqtt", "trust", "engine", "pipeline", "stream", "stage", "name", "url", "id", "bundle", "a b"]
)
VALUES = st.recursive(
    st.one_of(st.integers(), st.floats(), st.booleans(), st.text(max_size=8), st.datetimes().map(str)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)


@given(st.text(max_size=200))
def test_any_text_parses_or_is_refused(text: str) -> None:
    _parses_or_is_refused(text)


@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_any_toml_parses_or_is_refused(document: dict[str, Any]) -> None:
    try:
        text = config_text.to_toml(document)
    except UnicodeEncodeError:
        return
    _parses_or_is_refused(text)


def _parses_or_is_refused(text: str) -> None:
    refusal = None
    try:
        parse(text)
    except EdgewardError as error:
        refusal = error
    assert refusal is None or refusal.code.text.startswith("config.")
    assert refusal is None or refusal.where.startswith("edgeward.toml")
