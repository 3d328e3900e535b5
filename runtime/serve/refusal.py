"""Why a request gets no answer, in the words of gRPC's statuses."""

from __future__ import annotations

from typing import Literal

Status = Literal[
    "CANCELLED",
    "DEADLINE_EXCEEDED",
    "INTERNAL",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "RESOURCE_EXHAUSTED",
    "UNAVAILABLE",
    "UNIMPLEMENTED",
]

_SHOWN = 80


class Refused(Exception):  # noqa: N818 - a verdict, which is an answer as good as any
    """A request that is not answered.

    Args:
        status: name of the gRPC status.
        text: what, where, and what to do; for the client.
    """

    def __init__(self, status: Status, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def shown(name: str) -> str:
    """A name from outside as it may stand in a text: quoted, without line breaks, not long."""
    return repr(name if len(name) <= _SHOWN else name[:_SHOWN] + "...")
