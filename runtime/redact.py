"""Take user names and passwords out of what leaves the process: logs, messages, errors."""

from __future__ import annotations

import re

# The password may itself hold '@' or '/': the greedy match runs to the last '@' before white space, a
# quote or an angle bracket, which may cut away more of a text than the secret, never less.
_USERINFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^\s\"'<>]*@")


def redact(text: str) -> str:
    """``text`` with the user info of every URL in it replaced: ``rtsp://***@camera/stream``."""
    return _USERINFO.sub(r"\1***@", text)
