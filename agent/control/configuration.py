"""Requests about the configuration: read it again, and show what is in force."""

from __future__ import annotations

import msgspec

from agent import config_file, config_text
from agent.control import control_pb2 as pb
from agent.control.parts import Parts
from agent.control.to_its_end import to_its_end


class ConfigurationRequests:
    """Of one agent."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def reload(self) -> pb.ReloadReply:
        """Read the file again.

        Raises:
            EdgewardError: ``CONFIG_*``: what is wrong with it; nothing has changed then.
        """
        outcome = await to_its_end(self._parts.reloader.reload(), "reload")
        return pb.ReloadReply(
            started=outcome.started,
            stopped=outcome.stopped,
            restarted=outcome.restarted,
            unchanged=outcome.unchanged,
            needs_restart=outcome.needs_restart,
            warnings=[self._parts.redactor(warning) for warning in outcome.warnings],
        )

    def get(self) -> pb.Config:
        """What is in force, without secrets."""
        reloader, redactor = self._parts.reloader, self._parts.redactor
        document = config_file.effective(reloader.config)
        return pb.Config(
            toml=redactor(config_text.to_toml(document)),
            json=redactor(msgspec.json.encode(document).decode()),
            file=str(reloader.path),
        )
