"""What a probe says: well or not, about what, and the command that mends it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Literal

import msgspec

Result = Literal["ok", "warn", "fail", "skip"]


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the doctor's report. Texts hold no secret.

    Attributes:
        result: ``warn`` does not keep the device from working, ``skip`` could not be looked at.
        text: what was found.
        subject: what it is about: a file, ``pipeline/stream``, a step; empty for the probe's only subject.
        code: of ``docs/ref/errors.md``, where there is one.
        remedy: what to do, in words.
        command: what to type, with the real paths; empty where nothing is to be done.
        blocks: whether what needs this probe cannot be looked at now.
    """

    result: Result
    text: str
    subject: str = ""
    code: str = ""
    remedy: str = ""
    command: str = ""
    blocks: bool = False


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All that one probe found, and how long it took, in seconds."""

    probe: str
    findings: tuple[Finding, ...]
    seconds: float = 0.0

    @property
    def result(self) -> Result:
        """The worst of its findings; ``skip`` only when there is nothing but that."""
        found = {finding.result for finding in self.findings}
        order: tuple[Result, ...] = ("fail", "warn", "ok", "skip")
        return next((result for result in order if result in found), "ok")

    @property
    def blocks(self) -> bool:
        """Whether what needs this probe has to be skipped."""
        return any(finding.blocks for finding in self.findings)


def ok(text: str, *, subject: str = "") -> Finding:
    """It is well."""
    return Finding(result="ok", text=text, subject=subject)


def skip(text: str, *, subject: str = "") -> Finding:
    """It was not looked at; ``text`` says why."""
    return Finding(result="skip", text=text, subject=subject)


def quoted(*words: object) -> str:
    """A command to type, with each word quoted where the shell wants it."""
    return shlex.join(str(word) for word in words)


def chain(commands: Sequence[str]) -> str:
    """Several commands, the next one only after the one before worked."""
    return " && ".join(commands)
