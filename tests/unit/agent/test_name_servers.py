"""A new list of name servers is noticed where a confined worker could not read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import config_file
from agent.workers.name_servers import LOOK_EVERY_NS, NameServers, needs_names

pytestmark = pytest.mark.unit


def replace(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


def test_a_replaced_file_is_noticed_once_and_a_rewritten_one_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    looks = iter(range(LOOK_EVERY_NS, 100 * LOOK_EVERY_NS, LOOK_EVERY_NS))
    path.write_text("nameserver 10.0.0.1\n")
    names = NameServers(path)
    assert not names.replaced(next(looks))
    path.write_text("nameserver 10.0.0.2\n")
    last = next(looks)
    assert not names.replaced(last)
    replace(path, "nameserver 10.0.0.3\n")
    assert not names.replaced(last + 1), "it is looked at every five seconds only"
    assert names.replaced(next(looks))
    assert not names.replaced(next(looks))
    path.unlink()
    assert not names.replaced(next(looks)), "another one is about to come"


def test_a_link_to_where_workers_may_read_needs_nothing(tmp_path: Path) -> None:
    real = tmp_path / "run" / "resolv.conf"
    real.parent.mkdir()
    real.write_text("nameserver 10.0.0.1\n")
    (tmp_path / "etc").mkdir()
    path = tmp_path / "etc" / "resolv.conf"
    path.symlink_to(real)
    names = NameServers(path)
    replace(real, "nameserver 10.0.0.2\n")
    assert not names.replaced(LOOK_EVERY_NS)


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("rtsp://camera.site/1", True),
        ("rtsp://10.0.0.1/1", False),
        ("http://[fe80::1]/x", False),
        ("rtsp://localhost/1", False),
        ("/films/a.mp4", False),
        ("file:///films/a.mp4", False),
    ],
)
def test_only_cameras_with_names_need_name_servers(url: str, named: bool) -> None:
    text = (
        '[trust]\nrelease_keys = ["k.pub"]\n[[pipeline]]\nname = "p"\nbundle = "b.ewb"\n'
        f'[[pipeline.stream]]\nname = "s"\nurl = "{url}"\n'
    )
    config = config_file.parse(text, where="edgeward.toml", folder=Path("/"), to_run=False)
    assert needs_names(config.pipeline[0]) is named
