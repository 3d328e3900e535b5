"""Takes user names and passwords out of whatever leaves: log lines, errors, messages.

Two ways that back each other up: by form (``runtime.redact``: the user part of any URL, and values that are
named like a secret in its path or query, as some cameras want them), and by value (the passwords that were
read from files, wherever they turn up).
"""

from __future__ import annotations

import threading
from urllib.parse import quote

from runtime.redact import HIDDEN, redact

_SHORTEST_SECRET = 4


class Redactor:
    """``redact`` and the removal of secrets that are known by value. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._secrets: tuple[str, ...] = ()

    def learn(self, secret: str) -> None:
        """Hide ``secret`` from now on; one shorter than 4 characters is hidden in URLs only."""
        if len(secret) < _SHORTEST_SECRET:
            return
        with self._lock:
            forms = {*self._secrets, secret, quote(secret, safe="")}
            # Longest first, so that one which contains another leaves no rest of it.
            self._secrets = tuple(sorted(forms, key=len, reverse=True))

    def __call__(self, text: str) -> str:
        """``text`` without secrets."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, HIDDEN)
        return redact(text)
