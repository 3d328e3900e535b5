"""``[supervision]``: how far a worker may go before something is done about it, and what is kept of it."""

from __future__ import annotations

from typing import Annotated

import msgspec

from agent.config_types import Section, Text
from runtime.errors import Code, EdgewardError

_Paths = Annotated[tuple[Text, ...], msgspec.Meta(max_length=64)]


class Supervision(Section, frozen=True, kw_only=True):
    """``[supervision]``; see ``docs/guide/supervision.md``.

    ``bad_ends`` of a pipeline's worker within ``window_s`` seconds quarantine its bundle; ``fall_back`` lets
    the previous good one run then: one that gave results for ``calm_after_s``. ``headroom_mb``
    of memory stay free for the board, 0: as its profile says. ``read`` and ``write`` are further places that
    confined workers may use.
    """

    bad_ends: Annotated[int, msgspec.Meta(ge=1, le=100)] = 3
    window_s: Annotated[float, msgspec.Meta(ge=1, le=86_400)] = 600.0
    calm_after_s: Annotated[float, msgspec.Meta(ge=1, le=86_400)] = 60.0
    fall_back: bool = True
    headroom_mb: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    confine: bool = True
    read: _Paths = ()
    write: _Paths = ()
    core_dumps: Annotated[int, msgspec.Meta(ge=0, le=100)] = 2
    core_max_mb: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = 128


def check_supervision(settings: Supervision, where: str) -> None:
    """Refuse what no type can say.

    Raises:
        EdgewardError: ``CONFIG_VALUE``.
    """
    for name in ("read", "write"):
        for index, path in enumerate(getattr(settings, name)):
            if not path.startswith("/") or not path.isprintable():
                key = f"{where}: supervision.{name}[{index}]"
                remedy = "a confined worker is given places of the system by their full names"
                raise EdgewardError(Code.CONFIG_VALUE, "expected an absolute path", where=key, remedy=remedy)
