"""How long certificate files still hold. A short-lived child parses them: the agent loads no crypto."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

import runtime
from agent.file_mark import mark
from agent.health.view import CertificateFacts
from runtime.bundle.certificate_dates import Dates

log = logging.getLogger("health")

# Well under the time after which the probe, which waits for it, would have its disk taken for silent.
CHILD_S = 12.0


class CertificateReader:
    """Reads files anew when they change; how long is left it works out at each look."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = tuple(files)
        self._marks: object = None
        self._dates: dict[str, Dates] = {}

    def read(self) -> Mapping[str, CertificateFacts]:
        """By file. Blocks for as long as a disk and a child take."""
        if not self._files:
            return {}
        marks = [mark(file) for file in self._files]
        if marks != self._marks:
            dates = read_dates(self._files)
            # Without an answer (no memory for a child, too busy) it is asked again at the next look.
            self._dates, self._marks = dates or self._dates, marks if dates else None
        if not self._dates:
            return {str(file): CertificateFacts(fault="its dates cannot be told") for file in self._files}
        now = time.time()
        return {
            file: CertificateFacts(
                ends_in_s=dates.not_after - now, began_s_ago=now - dates.not_before, fault=dates.fault
            )
            for file, dates in self._dates.items()
        }


def read_dates(files: Sequence[Path]) -> dict[str, Dates]:
    """What the child says of each file; nothing when it does not answer."""
    # -P: the folder in which the agent was started must not shadow a module of the child.
    command = [sys.executable, "-P", "-s", "-m", "runtime.bundle.certificate_dates", *map(str, files)]
    code = Path(str(runtime.__file__)).resolve().parent.parent
    environment = {"PYTHONPATH": str(code), "LC_ALL": "C.UTF-8", "PATH": os.defpath}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=CHILD_S,
            env=environment,
            check=True,
        )
        return msgspec.json.decode(done.stdout, type=dict[str, Dates])
    except (OSError, subprocess.SubprocessError, msgspec.MsgspecError) as error:
        log.warning("certificates cannot be read: %s", type(error).__name__)
        return {}
