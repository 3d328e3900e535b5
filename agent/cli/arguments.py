"""What commands that run a bundle on a source share: options, their types, and how they become a start."""

from __future__ import annotations

import argparse
import functools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from agent.cli.number import number
from agent.config import Stream
from agent.device.detect import detect
from runtime import ipc
from runtime.bundle.ingested import Ingested
from runtime.errors import Code, EdgewardError

MOST_TILES = 16
DEFAULT_OVERLAP = 0.2


def add_key_option(parser: argparse.ArgumentParser) -> None:
    """``--key``, which may be given again."""
    parser.add_argument(
        "--key",
        required=True,
        action="append",
        type=Path,
        metavar="PUB",
        help="a public key that may have signed it, or a trust folder; may be given again",
    )


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """How a bundle runs on this device."""
    parser.add_argument(
        "--threads", type=threads, default=1, metavar="N", help="threads of the model (default 1)"
    )
    parser.add_argument(
        "--provider",
        default="",
        metavar="NAME",
        help="run the bundle with this provider of its engine, or not at all",
    )
    parser.add_argument(
        "--profile",
        default="",
        metavar="NAME",
        help="what kind of board this is, as bundles name it (default: what 'edgeward profile detect' finds)",
    )


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """How a camera is opened."""
    parser.add_argument("--username", default="", help="the camera's user name")
    parser.add_argument(
        "--password-file", type=Path, metavar="FILE", help="a file with the camera's password"
    )
    parser.add_argument(
        "--timeout", type=seconds, default=10.0, metavar="S", help="seconds to wait for the source"
    )


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """What runs on a picture, and how."""
    parser.add_argument(
        "--then",
        action="append",
        default=[],
        type=Path,
        metavar="Y.ewb",
        help="a bundle that looks at the crops of what the first one found; may be given again",
    )
    parser.add_argument(
        "--tiles",
        type=tiles,
        metavar="COLSxROWS",
        help="look at so many overlapping tiles and at the whole picture, for small objects",
    )
    parser.add_argument(
        "--tile-overlap",
        type=overlap,
        metavar="S",
        help=f"0 to 0.5 of a tile's side that neighbours share (default {DEFAULT_OVERLAP:g}); with --tiles",
    )
    parser.add_argument("--variant", default="", metavar="ID", help="take this variant of the bundle")
    add_engine_options(parser)


def check(options: argparse.Namespace, command: str) -> None:
    """Refuse options that would do nothing.

    Raises:
        EdgewardError: ``USAGE``.
    """
    what = ""
    if options.tile_overlap is not None and not options.tiles:
        what = "argument --tile-overlap: there are no tiles without --tiles"
    elif options.password_file and not options.username:
        what = "argument --password-file: a password needs --username"
    elif options.username and is_file(options.source):
        what = "argument --username: a file takes no user name"
    if what:
        raise EdgewardError(Code.USAGE, what, where=command, remedy=f"see '{command} --help'")


def is_file(source: str) -> bool:
    """Whether it is read as fast as it goes, unlike a camera."""
    return "://" not in source or source.startswith("file://")


def source_url(options: argparse.Namespace) -> str:
    """``--source`` with the login, for the socket to the worker and nothing else.

    Raises:
        EdgewardError: ``CONFIG_VALUE`` when the password file cannot be used.
    """
    return Stream(
        name="source",
        url=options.source,
        username=options.username,
        password_file=str(options.password_file or ""),
    ).url_for_worker()


def engine_options(options: argparse.Namespace) -> ipc.EngineOptions:
    """How the first bundle runs."""
    return ipc.EngineOptions(
        threads=options.threads,
        variant=options.variant,
        provider=options.provider,
        profile=board_profile(options),
    )


def board_profile(options: argparse.Namespace) -> str:
    """The profile that was asked for, else the one that fits this board.

    Raises:
        EdgewardError: ``CONFIG_*`` when a file in the site's folder of profiles holds none.
    """
    return options.profile or _fitting_profile()


@functools.cache
def _fitting_profile() -> str:
    return detect().name


def tiling(options: argparse.Namespace) -> ipc.Tiling | None:
    """As ``--tiles`` asks."""
    if not options.tiles:
        return None
    columns, rows = options.tiles
    part = DEFAULT_OVERLAP if options.tile_overlap is None else options.tile_overlap
    return ipc.Tiling(columns=columns, rows=rows, overlap=part)


def stages(bundles: Sequence[Ingested], options: argparse.Namespace) -> tuple[ipc.Stage, ...]:
    """One stage for each further bundle, named after it; a second of one name gets a number."""
    found: list[ipc.Stage] = []
    seen: Counter[str] = Counter()
    for bundle in bundles:
        seen[bundle.name] += 1
        number = f"#{seen[bundle.name]}" if seen[bundle.name] > 1 else ""
        found.append(
            ipc.Stage(
                name=f"{bundle.name}{number}",
                bundle_dir=bundle.folder,
                manifest_sha256=bundle.manifest_sha256,
                engine=ipc.EngineOptions(threads=options.threads, profile=board_profile(options)),
            )
        )
    return tuple(found)


def count(text: str) -> int:
    """A number of frames."""
    return int(number(text, int, 1, 1 << 62, "a number of frames, 1 or more"))


def rate(text: str) -> float:
    """Frames a second."""
    return float(number(text, float, 0.001, 1000, "a number of frames a second between 0.001 and 1000"))


def fraction(text: str) -> float:
    """A score."""
    return float(number(text, float, 0, 1, "a score between 0 and 1"))


def threads(text: str) -> int:
    """Threads of a model."""
    return int(number(text, int, 1, 256, "a number of threads between 1 and 256"))


def overlap(text: str) -> float:
    """Part of a tile's side that neighbours share."""
    return float(number(text, float, 0, 0.5, "a part of a tile between 0 and 0.5"))


def tiles(text: str) -> tuple[int, int]:
    """``3x2``: columns and rows."""
    columns, rows = (int(part) if part.isdecimal() else 0 for part in (text.partition("x")[::2]))
    if not (1 <= columns <= MOST_TILES and 1 <= rows <= MOST_TILES and columns * rows > 1):
        what = f"COLSxROWS with 1 to {MOST_TILES} each and at least two tiles, as 3x2"
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return columns, rows


def seconds(text: str) -> float:
    """A time to wait, or to measure."""
    return float(number(text, float, 0.1, 3600, "a number of seconds between 0.1 and 3600"))
