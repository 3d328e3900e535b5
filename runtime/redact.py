"""Takes user names and passwords out of URLs in whatever leaves the process: logs, messages, errors."""

from __future__ import annotations

import re

HIDDEN = "***"

# Not from the scheme on: to look for its end from each letter takes minutes in a long text.
_USER_PART = re.compile(r"(?<=[A-Za-z0-9+.-])://[^\s/?#]*@")
_URL = re.compile(r"(?<=[A-Za-z0-9+.-])://\S+")
# As in rtsp://camera/user=admin_password=x_channel=1 and http://camera/video?user=admin&pwd=x
_NAMED = re.compile(
    r"(?i)((?:user|username|usr|loginuse|loginpas|password|passwd|passwort|pass|pwd|token|secret|auth|apikey|api_key|key)=)"
    r"[^&\s/?;#]*?(?=_[a-z]+=|[&\s/?;#]|$)"
)


def redact(text: str) -> str:
    """``text`` with the user part and the named secrets of every URL in it taken out."""
    if "://" not in text:
        return text
    text = _USER_PART.sub("://", text)
    return _URL.sub(lambda url: _NAMED.sub(rf"\g<1>{HIDDEN}", url.group()), text)
