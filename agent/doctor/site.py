"""What the probes look at: the configuration and the places where things lie, and what others found there."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.config import Config, Pipeline, Stream
from agent.control import control_pb2 as pb
from agent.redact import Redactor
from runtime.bundle.ingested import Ingested
from runtime.errors import EdgewardError


@dataclass(slots=True, kw_only=True)
class Site:
    """One device. Probes read it; the first ones fill in what the others need.

    Attributes:
        file: the configuration file.
        root: where /proc, /sys, /run, /etc and /dev are looked for: a mounted disk, or a test's fixture.
        socket: the control socket.
        scratch: a private folder for what is unpacked.
        redactor: takes secrets out of texts; learns them as they are read.
        config: None when the file could not be understood.
        agent_pid: the process that uses the state folder, None when nobody does.
        status: what the running agent says of itself, None when there is none that answers.
        health: what its health checks say.
        bundles: those that were verified, by file.
    """

    file: Path
    socket: Path
    scratch: Path
    root: Path = Path("/")
    redactor: Redactor = field(default_factory=Redactor)
    config: Config | None = None
    agent_pid: int | None = None
    status: pb.Status | None = None
    health: pb.Health | None = None
    bundles: dict[Path, Ingested] = field(default_factory=dict)

    @property
    def known(self) -> Config:
        """The configuration, for probes that need it and so run with it only."""
        assert self.config is not None  # noqa: S101 - `NEEDS` of the probe says so
        return self.config

    @property
    def state_dir(self) -> Path:
        """The state folder."""
        return Path(self.known.device.state_dir)

    def at(self, path: str) -> Path:
        """An absolute path of the machine, below ``root``."""
        return self.root / path.lstrip("/")

    def read(self, path: str) -> str:
        """The text of a file of the machine; empty when it cannot be read."""
        try:
            return self.at(path).read_text("utf-8", "replace").strip()
        except OSError:
            return ""

    def streams(self) -> list[tuple[Pipeline, Stream]]:
        """All streams of all pipelines."""
        return [(pipeline, stream) for pipeline in self.known.pipeline for stream in pipeline.stream]

    def bundle_files(self) -> dict[Path, list[str]]:
        """Each bundle file, and the pipelines (``pipeline/stage``) that are to run it."""
        found: dict[Path, list[str]] = {}
        for pipeline in self.known.pipeline:
            found.setdefault(Path(pipeline.bundle), []).append(pipeline.name)
            for stage in pipeline.stage:
                found.setdefault(Path(stage.bundle), []).append(f"{pipeline.name}/{stage.name}")
        return found

    def running(self, pipeline: str, stream: str) -> pb.Stream | None:
        """What the running agent says of a stream that it gets results of."""
        for item in self.status.pipelines if self.status else ():
            for inner in item.streams:
                if item.name == pipeline and inner.name == stream and inner.state == "running":
                    return inner
        return None

    @property
    def unknown_agent(self) -> str:
        """Why nothing that the agent may be using is to be tried beside it; empty if it can be asked."""
        if self.agent_pid is None or self.status is not None:
            return ""
        return f"process {self.agent_pid} uses it perhaps, and cannot be asked: not tried beside it"

    def clean(self, error: EdgewardError) -> EdgewardError:
        """The same error without secrets."""
        return EdgewardError(
            error.code,
            self.redactor(error.what),
            where=self.redactor(error.where),
            remedy=self.redactor(error.remedy),
        )


def environment() -> dict[str, str]:
    """For commands of the system that are asked: their words in English."""
    return {**os.environ, "LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": ""}


def as_dict(value: Any) -> dict[str, Any]:
    """A dict, for a value that came as JSON and may be anything."""
    return value if isinstance(value, dict) else {}
