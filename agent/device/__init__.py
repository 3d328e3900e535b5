"""Which board this is, what is known of it, and how it fares."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from agent.device.board import look
from agent.device.detect import detect_board
from agent.device.library import Library
from agent.device.profile import Cpu

if TYPE_CHECKING:
    from agent.config import Config
    from agent.device.profile import Profile


@dataclass(frozen=True, slots=True)
class Chosen:
    """The profile that holds, where it is from (``configured``, or what it was recognised by), and doubts."""

    profile: Profile
    source: str
    warning: str = ""


def current(config: Config, root: Path = Path("/")) -> Chosen:
    """The profile of this device: the one that ``device.profile`` names, else the one that fits the board.

    Reads some 20 small files.

    Raises:
        EdgewardError: ``CONFIG_VALUE`` for a profile that there is not, ``CONFIG_*`` for a bad file of one.
    """
    library = Library(Path(config.device.profiles_dir))
    if config.device.profile:
        return Chosen(library.get(config.device.profile, where="device.profile"), "configured")
    board = look(root)
    found = detect_board(board, library)
    profile = library.get(found.name)
    if profile.cpu is None and board.fast_cpus:
        # Of a board that nobody described, the kernel knows at least its fast cores.
        cpu = Cpu(inference=board.fast_cpus, source=("told by this board's kernel",))
        profile = msgspec.structs.replace(profile, cpu=cpu)
    return Chosen(profile, found.evidence, found.warning)
