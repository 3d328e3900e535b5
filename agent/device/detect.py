"""Which profile fits the board that we run on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent.device.board import Board, look
from agent.device.library import Library
from agent.device.profile import Detect, Profile

FALLBACK = "generic"
_BY_MACHINE = {"aarch64": "generic-aarch64", "armv7l": "generic-armv7", "x86_64": "generic-x86-64"}


@dataclass(frozen=True, slots=True)
class Detected:
    """The profile's name, by what it was recognised, and what is doubtful about it, or an empty text."""

    name: str
    evidence: str
    warning: str = ""


def detect(root: Path = Path("/"), library: Library | None = None) -> Detected:
    """The profile that fits best; a generic one with a warning when none is for this board.

    Args:
        root: where the board's /proc, /sys and /dev are.
        library: the profiles; those of the usual places when it is left out.

    Raises:
        EdgewardError: ``CONFIG_*`` when a file of the library holds no profile. Never for what a board says.
    """
    library = library or Library()
    return detect_board(look(root), library)


def detect_board(board: Board, library: Library) -> Detected:
    """As ``detect``, of a board that has been looked at."""
    fitting = []
    for profile in library.all():
        if profile.detect is None or profile.arch not in {"any", board.machine}:
            continue
        if (fit := _fit(profile.detect, board)) is not None:
            rank = (fit.conditions, -fit.position, library.is_of_site(profile.name))
            fitting.append((rank, profile.name, fit.evidence))
    if not fitting:
        return _generic(board, library)
    best = max(rank for rank, _, _ in fitting)
    names = [name for rank, name, _ in fitting if rank == best]
    evidence = next(text for rank, _, text in fitting if rank == best)
    warning = ""
    if len(names) > 1:
        warning = f"the profiles {', '.join(names)} fit equally well; set device.profile to one of them"
    return Detected(names[0], evidence, warning)


@dataclass(frozen=True, slots=True)
class _Fit:
    """How many kinds of conditions hold, and where in the device tree's list the string stands that fits."""

    conditions: int
    position: int
    evidence: str


def _fit(asked: Detect, board: Board) -> _Fit | None:
    """How well a board fits; ``None`` when something that is asked for is missing."""
    told, position = [], 0
    if asked.compatible:
        at = [board.compatible.index(one) for one in asked.compatible if one in board.compatible]
        if not at:
            return None
        position = min(at)
        told.append(f"device tree: {board.compatible[position]}")
    if asked.pci or asked.files:
        device = _device(asked, board)
        if not device:
            return None
        told.append(device)
    return _Fit(len(told), position, "; ".join(told)) if told else None


def _device(asked: Detect, board: Board) -> str:
    """The PCI device or the file that was found, in words; empty when there is neither."""
    for one in board.pci:
        if one.kind.startswith(asked.pci_class) and _is_one_of(one.id, asked.pci):
            return f"PCI device {one.id}"
    return next((f"file {file}" for file in asked.files if board.has_file(file)), "")


def _is_one_of(device: str, patterns: tuple[str, ...]) -> bool:
    return device in patterns or f"{device[:4]}:*" in patterns


def _generic(board: Board, library: Library) -> Detected:
    name = _BY_MACHINE.get(board.machine, FALLBACK)
    evidence = f"machine: {board.machine or 'not told'}"
    if name == "generic-x86-64":
        return Detected(name, evidence)  # what it says holds for every such machine
    why = f"no profile is for this board ({board.title})"
    wider = _of_a_64_bit_system(board, library)
    if wider is not None:
        why = f"{wider.title} with a 32-bit system: install a 64-bit one for the profile {wider.name}"
    elif board.compatible:
        why += f"; its device tree says {', '.join(board.compatible[:4])}"
    return Detected(name, evidence, f"{why}; what is generic is used: see docs/guide/boards.md")


def _of_a_64_bit_system(board: Board, library: Library) -> Profile | None:
    """The profile that the board would have if programs on it were 64-bit ones."""
    if board.machine != "armv7l":
        return None
    for profile in library.all():
        if profile.arch == "aarch64" and profile.detect and _fit(profile.detect, board):
            return profile
    return None
