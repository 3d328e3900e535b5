"""Why something of a pipeline does not run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something does not run: a stable code, a text, what to do. All without secrets."""

    code: str
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.text} [{self.code}]" if self.code else self.text
