"""A reload names what it does not take over."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent import config_file, device
from agent.config import Config
from agent.events import EventLog
from agent.redact import Redactor
from agent.reload import Outcome, Reloader
from agent.workers.supervisor import Applied

pytestmark = pytest.mark.unit


class Pipelines:
    async def apply(self, config: Config) -> Applied:
        return Applied()


def test_a_profile_that_was_edited_is_named_as_waiting_for_a_restart(tmp_path: Path) -> None:
    profiles = tmp_path / "profiles"
    profiles.mkdir()
    own = 'name = "rpi4"\nextends = "rpi4"\n[thermal]\nwarn_c = {}\n'
    (profiles / "own.toml").write_text(own.format("65.0"))
    file = tmp_path / "edgeward.toml"
    file.write_text(
        '[device]\nid = "dev"\nprofile = "rpi4"\nprofiles_dir = "profiles"\n[mqtt]\nurl = "mqtt://127.0.0.1:9"\n'
    )
    config = config_file.load(file)
    reloader = Reloader(
        file,
        config,
        Pipelines(),
        events=EventLog(),
        redactor=Redactor(),
        profile=device.current(config).profile,
    )

    def reload() -> Outcome:
        return asyncio.run(reloader.reload())

    assert reload().needs_restart == ()
    (profiles / "own.toml").write_text(own.format("60.0"))
    assert reload().needs_restart == ("the profile rpi4",)
    (profiles / "own.toml").write_text(own.format("65.0"))
    assert reload().needs_restart == ()
