"""One camera, two streams: refused, by whatever names it is called; files and RTSP streams may be shared."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent import config_file
from agent.config_cameras import exclusive
from runtime.errors import Code, EdgewardError

pytestmark = pytest.mark.unit


def text(*urls: str) -> str:
    made = '[trust]\nrelease_keys = ["k.pub"]\n'
    for index, url in enumerate(urls):
        made += f'[[pipeline]]\nname = "p{index}"\nbundle = "b.ewb"\n'
        made += f'[[pipeline.stream]]\nname = "s"\nurl = "{url}"\n'
    return made


def parse(made: str, folder: Path) -> None:
    config_file.parse(made, where="edgeward.toml", folder=folder)


@pytest.mark.parametrize("second", ["/dev/video90", "file:///dev/video90", "/dev/../dev/video90"])
def test_two_pipelines_on_one_camera_are_refused_and_both_are_named(tmp_path: Path, second: str) -> None:
    with pytest.raises(EdgewardError, match=r"taken by pipeline\[0\]\.stream\[0\]") as caught:
        parse(text("/dev/video90", second), tmp_path)
    assert caught.value.code is Code.CONFIG_VALUE
    assert caught.value.where == "edgeward.toml: pipeline[1].stream[0].url"
    assert "[[pipeline.stage]]" in caught.value.remedy


def test_a_link_to_a_camera_is_that_camera(tmp_path: Path) -> None:
    # /dev/null stands for a camera: a device node that is there on every machine.
    (tmp_path / "by-id").symlink_to("/dev/null")
    with pytest.raises(EdgewardError, match="which is /dev/null"):
        parse(text("/dev/null", str(tmp_path / "by-id")), tmp_path)


def test_two_streams_of_one_pipeline_on_one_camera_are_refused(tmp_path: Path) -> None:
    made = text("/dev/video90") + '[[pipeline.stream]]\nname = "again"\nurl = "/dev/video90"\n'
    with pytest.raises(EdgewardError, match="it opens once"):
        parse(made, tmp_path)


def test_what_can_be_shared_is_no_camera(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.touch()
    parse(
        text(str(film), str(film), "rtsp://cam/1", "rtsp://cam/1", "/dev/video90", "/dev/video91"), tmp_path
    )
    os.mkfifo(tmp_path / "fifo")
    for url in (
        str(film),
        "rtsp://cam/dev/video0",
        "http://cam/dev/video0",
        str(tmp_path / "fifo"),
        "\0",
        "//[",
    ):
        assert exclusive(url) is None
