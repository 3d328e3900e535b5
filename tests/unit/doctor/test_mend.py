"""From an error to the command: the right file, the right line."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.doctor.mend import line_of, mending
from agent.doctor.start import site_of
from runtime.errors import Code, EdgewardError

pytestmark = pytest.mark.unit

TEXT = """\
[device]
id = "dev"

[mqtt]
url = "mqtt://127.0.0.1"
password_file = "it's secret"
username = "dev"

[[pipeline]]
name = "one"
bundle = "one.ewb"
[[pipeline.stream]]
name = "a"
url = "a.mp4"

[[pipeline]]
name = "two"
bundle = "two.ewb"
[[pipeline.stream]]
name = "b"
url = "b.mp4"
"""


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("mqtt.url", 5),
        ("mqtt", 4),
        ("mqtt.keepalive_s", 4),
        ("pipeline[0].bundle", 11),
        ("pipeline[1].bundle", 18),
        ("pipeline[0].stream[0].url", 14),
        ("pipeline[1].name", 17),
        ("health.interval_s", 0),
        ("", 0),
    ],
)
def test_a_key_is_found_in_the_file(tmp_path: Path, key: str, line: int) -> None:
    file = tmp_path / "edgeward.toml"
    file.write_text(TEXT)
    assert line_of(file, key) == line


def test_a_path_with_a_quote_in_it_is_quoted_in_the_command(tmp_path: Path) -> None:
    file = tmp_path / "edgeward.toml"
    file.write_text(TEXT)
    site = site_of(file, tmp_path)
    error = EdgewardError(
        Code.CONFIG_VALUE, "everybody on this machine can read it", where=f"{file}: mqtt.password_file"
    )
    command = mending(error, site)
    assert command.startswith("sudo chmod o-rwx,g-w ")
    assert command.endswith("/it'\"'\"'s secret'")


def test_a_file_that_only_this_user_may_not_read_is_not_written_over(tmp_path: Path) -> None:
    site = site_of(tmp_path / "edgeward.toml", tmp_path)
    for code in (Code.CONFIG_MISSING, Code.KEY_MISSING, Code.BUNDLE_MISSING):
        refused = EdgewardError(code, "permission denied", where=str(tmp_path / "a file"))
        assert mending(refused, site) == f"sudo edgeward doctor --config {tmp_path}/edgeward.toml"
        missing = EdgewardError(code, "no such file or directory", where=str(tmp_path / "a file"))
        assert mending(missing, site).startswith("sudo install ")


def test_an_error_without_a_command_gets_none(tmp_path: Path) -> None:
    site = site_of(tmp_path / "none.toml", tmp_path)
    assert mending(EdgewardError(Code.INTERNAL, "a defect"), site) == ""
