"""``[control]``: the socket by which this device is asked and told things, and who may use it."""

from __future__ import annotations

import re

from agent.config_types import Section
from runtime.errors import Code, EdgewardError

DEFAULT_SOCKET = "/run/edgeward/control.sock"
# sun_path of unix(7) has 108 bytes, the last of them zero; one more is needed while the socket is made.
LONGEST_PATH = 106


class Control(Section, frozen=True, kw_only=True):
    """``[control]``: an empty ``socket`` means none, an empty ``group`` that of the agent's process.

    ``mode`` is octal, as ``chmod`` takes it; others than the owner and the group get nothing.
    """

    socket: str = DEFAULT_SOCKET
    group: str = ""
    mode: str = "0660"

    @property
    def permissions(self) -> int:
        """``mode`` as a number."""
        return int(self.mode, 8)


def check(control: Control, where: str) -> None:
    """What no type can say.

    Raises:
        EdgewardError: ``CONFIG_VALUE``.
    """
    if not re.fullmatch(r"0?[0-7][0-7]0", control.mode):
        raise EdgewardError(
            Code.CONFIG_VALUE,
            "expected an octal mode that gives nothing to others",
            where=f"{where}: control.mode",
            remedy="use '0660', or '0600' for the agent's own user only",
        )
    if len(control.socket.encode(errors="surrogateescape")) > LONGEST_PATH:
        raise EdgewardError(
            Code.CONFIG_VALUE,
            f"a socket's path has at most {LONGEST_PATH} bytes",
            where=f"{where}: control.socket",
            remedy="choose a shorter one, such as /run/edgeward/control.sock",
        )
