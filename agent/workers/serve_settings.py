"""``[pipeline.serve]``: other programs of this device use the models of a pipeline."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec

from agent.config_types import Section
from runtime.errors import Code, EdgewardError

UNIX = "unix:"
# What the kernel takes as the path of a unix socket, and the zero at its end.
_MAX_PATH_BYTES = 107
_PORT = re.compile(r"[1-9][0-9]{0,4}")


class Serve(Section, frozen=True, kw_only=True):
    """``[pipeline.serve]``; see ``docs/guide/inference-api.md``.

    ``max_message_mb`` counts 1048576 bytes; ``max_share`` is a part of the time, above 0 and at most 1.
    """

    listen: str
    max_queue: Annotated[int, msgspec.Meta(ge=1, le=64)] = 8
    max_batch: Annotated[int, msgspec.Meta(ge=1, le=64)] = 8
    max_message_mb: Annotated[int, msgspec.Meta(ge=1, le=256)] = 16
    max_share: Annotated[float, msgspec.Meta(ge=0.01, le=1)] = 0.1


def address(listen: str, *, where: str) -> str:
    """``listen`` as it is compared and bound: ``host:port`` with a number as host, or ``unix:/path``.

    Raises:
        EdgewardError: ``CONFIG_VALUE`` when others than this device could reach it, or nobody.
    """
    if listen.startswith(UNIX):
        path = listen.removeprefix(UNIX)
        bad = not path.startswith("/") or path.endswith("/") or not path.isprintable()
        if bad or "%" in path or len(path.encode()) > _MAX_PATH_BYTES:
            text = f"expected unix: and an absolute path of at most {_MAX_PATH_BYTES} bytes without %"
            raise _refused(text, where)
        return listen
    host, _, port = listen.rpartition(":")
    if not host or not _PORT.fullmatch(port) or int(port) > 65535:
        raise _refused("expected host:port with a port from 1 to 65535, or unix:/path", where)
    if host == "localhost":
        host = "127.0.0.1"
    try:
        found = ipaddress.ip_address(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
    except ValueError as error:
        raise _refused(f"the host {host!r} is no address of the loopback", where) from error
    bracketed = host.startswith("[")
    if not found.is_loopback or bracketed != (found.version == 6):
        raise _refused("who is served is not asked for a password, so only this device may ask", where)
    return f"[{found}]:{int(port)}" if found.version == 6 else f"{found}:{int(port)}"


def check_taken(serves: Sequence[tuple[str, Serve]], others: Mapping[str, str]) -> None:
    """Refuse two pipelines at one place, or one where the agent itself listens.

    Args:
        serves: key and section of each pipeline that serves, in the order of the file.
        others: places of the agent's own, and the keys that name them.

    Raises:
        EdgewardError: ``CONFIG_VALUE``.
    """
    taken = dict(others)
    for key, serve in serves:
        place = address(serve.listen, where=f"{key}.listen")
        if place in taken:
            raise EdgewardError(
                Code.CONFIG_VALUE,
                f"{place} is taken by {taken[place]}",
                where=f"{key}.listen",
                remedy="give each pipeline a port or a socket of its own",
            )
        taken[place] = key


def _refused(what: str, where: str) -> EdgewardError:
    remedy = "use 127.0.0.1:8001, or unix:/run/edgeward/infer.sock"
    return EdgewardError(Code.CONFIG_VALUE, what, where=where, remedy=remedy)
