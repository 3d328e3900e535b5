"""The inference API listens where this device alone can reach it, or the configuration is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import config_file
from agent.config import Config
from agent.preflight.gate import Passed
from agent.redact import Redactor
from agent.workers.serve_settings import address
from agent.workers.start_message import engine_options, start_message
from runtime.bundle.ingested import Ingested
from runtime.errors import Code, EdgewardError
from runtime.serve.messages import ServeOptions

pytestmark = pytest.mark.unit


def config(tmp_path: Path, *serves: str, agent: str = "") -> Config:
    (tmp_path / "release.pub").write_text("")
    text = f'[device]\nid = "dev"\n[trust]\nrelease_keys = ["release.pub"]\n{agent}'
    for index, serve in enumerate(serves):
        text += f'[[pipeline]]\nname = "p{index}"\nbundle = "a.ewb"\n'
        text += f"[pipeline.serve]\n{serve}\n" if serve else ""
        text += '[[pipeline.stream]]\nname = "cam"\nurl = "a.mp4"\n'
    return config_file.parse(text, where="edgeward.toml", folder=tmp_path)


@pytest.mark.parametrize(
    ("listen", "bound"),
    [
        ("127.0.0.1:8001", "127.0.0.1:8001"),
        ("127.1.2.3:1", "127.1.2.3:1"),
        ("localhost:8001", "127.0.0.1:8001"),
        ("[::1]:65535", "[::1]:65535"),
        ("[0:0:0:0:0:0:0:1]:8001", "[::1]:8001"),
        ("unix:/run/edgeward/infer.sock", "unix:/run/edgeward/infer.sock"),
    ],
)
def test_places_of_this_device_are_taken(listen: str, bound: str) -> None:
    assert address(listen, where="k") == bound


@pytest.mark.parametrize(
    "listen",
    [
        "",
        "8001",
        ":8001",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:08001",
        "127.0.0.1:" + "9" * 5000,
        "127.0.0.1:80 01",
        "0.0.0.0:8001",
        "[::]:8001",
        "::1:8001",
        "[127.0.0.1]:8001",
        "192.168.1.5:8001",
        "board.local:8001",
        "http://127.0.0.1:8001",
        "unix:",
        "unix:infer.sock",
        "unix:/run/edgeward/",
        "unix:/run/a\nb",
        "unix:/run/a%20b",
        "unix:/" + "x" * 107,
    ],
)
def test_any_other_place_is_refused_with_one_that_would_do(tmp_path: Path, listen: str) -> None:
    with pytest.raises(EdgewardError) as caught:
        config(tmp_path, f"listen = {listen!r}" if "\n" not in listen else 'listen = "unix:/run/a\\nb"')
    assert caught.value.code is Code.CONFIG_VALUE
    assert caught.value.where == "edgeward.toml: pipeline[0].serve.listen"
    assert "127.0.0.1:8001" in caught.value.remedy


def test_two_pipelines_at_one_place_are_refused_and_the_first_is_named(tmp_path: Path) -> None:
    serves = ('listen = "127.0.0.1:8001"', "", 'listen = "localhost:8001"')
    with pytest.raises(EdgewardError) as caught:
        config(tmp_path, *serves)
    assert caught.value.where == "edgeward.toml: pipeline[2].serve.listen"
    assert caught.value.what == "127.0.0.1:8001 is taken by edgeward.toml: pipeline[0].serve"


@pytest.mark.parametrize(
    ("section", "listen", "key"),
    [
        ('[metrics]\nlisten = "127.0.0.1:9105"\n', "127.0.0.1:9105", "metrics.listen"),
        ('[control]\nsocket = "/run/e/c.sock"\n', "unix:/run/e/c.sock", "control.socket"),
    ],
)
def test_a_place_where_the_agent_listens_is_refused(
    tmp_path: Path, section: str, listen: str, key: str
) -> None:
    with pytest.raises(EdgewardError) as caught:
        config(tmp_path, f'listen = "{listen}"', agent=section)
    assert caught.value.what == f"{listen} is taken by {key}"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("max_queue = 0", "expected int >= 1"),
        ("max_queue = 65", "expected int <= 64"),
        ("max_batch = 65", "expected int <= 64"),
        ("max_message_mb = 257", "expected int <= 256"),
        ("max_share = 0", "expected float >= 0.01"),
        ("max_share = 1.5", "expected float <= 1"),
        ("port = 8001", "unknown key"),
    ],
)
def test_every_bound_is_held(tmp_path: Path, line: str, what: str) -> None:
    with pytest.raises(EdgewardError) as caught:
        config(tmp_path, f'listen = "127.0.0.1:8001"\n{line}')
    assert what in caught.value.what
    assert "pipeline[" in caught.value.where


def test_without_the_table_nobody_is_served_and_with_it_the_worker_is_told_all_of_it(tmp_path: Path) -> None:
    made = config(tmp_path, "", 'listen = "localhost:8001"\nmax_queue = 3\nmax_batch = 2\nmax_share = 0.5')
    told = []
    for pipeline in made.pipeline:
        bundle = Ingested(
            name="a",
            version="1.0.0",
            release_counter=1,
            digest="0" * 64,
            manifest_sha256="1" * 64,
            signed_by="2" * 64,
            folder=str(tmp_path),
            size=1,
            new=True,
        )
        options = engine_options(pipeline, made.engine, "")
        passed = {"": Passed("v", 1)}
        told.append(start_message(pipeline, options, {"": bundle}, passed, Redactor()).serve)
    assert told == [None, ServeOptions(listen="127.0.0.1:8001", max_queue=3, max_batch=2, max_share=0.5)]
