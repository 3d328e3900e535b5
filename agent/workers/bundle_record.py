"""What this device knows of the bundles of a pipeline, kept on disk: which ran well, which are in quarantine.

``state_dir/pipelines/<name>.json``, written beside its place, synced and renamed. It lets a bundle below the
rollback floor run again (decision 11), so it is believed only where nobody else can have written it.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from agent.trust import held_folder
from runtime.bundle.replace import replacing
from runtime.bundle.trust_folder import check_mode
from runtime.errors import EdgewardError

log = logging.getLogger("pipeline")

MAX_BYTES = 1 << 20
MOST_QUARANTINED = 16

Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


class Known(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stored bundle and the variant of it that ran; the digest is its identity."""

    digest: Digest
    name: str
    version: str
    release_counter: Annotated[int, msgspec.Meta(ge=1)]
    variant: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class Quarantined(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A bundle that is not run here any more: how its last worker ended, and when (wall time, seconds)."""

    bundle: Known
    code: str
    text: str
    at: float


class Installed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stored bundle that an operator put in the place of the configured file, while that stays as it is.

    ``instead_of`` is the mark of that file; ``back`` says that the way led back to one that ran well here.
    """

    bundle: Known
    instead_of: str
    back: bool = False


class StageRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of one stage of a pipeline.

    Attributes:
        seen: digest of the bundle that was last chosen, and ``change``: the how manieth choice that was.
        current: the one that last ran well.
        previous: the one that ran well before that.
        quarantined: newest last.
        installed: in the place of the configured one.
    """

    seen: str = ""
    change: int = 0
    current: Known | None = None
    previous: Known | None = None
    quarantined: tuple[Quarantined, ...] = ()
    installed: Installed | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of one pipeline; the first model's stage has the empty name."""

    format: Literal[1] = 1
    pipeline: str
    changes: int = 0
    stages: dict[str, StageRecord] = {}


class BundleRecords:
    """The folder of records."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / "pipelines"

    def read(self, pipeline: str) -> Record:
        """What is known; nothing when there is no record, or none that can be believed, which is logged."""
        path = self._folder / f"{pipeline}.json"
        try:
            with path.open("rb") as file:
                check_mode(os.fstat(file.fileno()), path)
                record = msgspec.json.decode(file.read(MAX_BYTES), type=Record)
        except FileNotFoundError:
            return Record(pipeline=pipeline)
        except (OSError, EdgewardError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.warning("%s: what is known of its bundles cannot be believed (%s)", pipeline, error)
            return Record(pipeline=pipeline)
        if record.pipeline != pipeline:
            log.warning("%s: %s is about another pipeline and is not believed", pipeline, path)
            return Record(pipeline=pipeline)
        return record

    def write(self, record: Record) -> None:
        """Keep it.

        Raises:
            EdgewardError: ``SYSTEM_*``.
        """
        held_folder.make(self._folder, mode=0o700)
        with replacing(self._folder / f"{record.pipeline}.json", mode=0o600) as stream:
            stream.write(msgspec.json.format(msgspec.json.encode(record)) + b"\n")
