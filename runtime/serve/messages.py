"""What agent and worker tell each other about the inference API: options in, figures out."""

from __future__ import annotations

import msgspec


class ServeOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Answer requests of other programs with the models of the pipeline; see ``runtime.serve``.

    Attributes:
        listen: ``host:port`` of the loopback, or ``unix:`` and a path.
        max_queue: requests that wait at most; more are refused.
        max_batch: pictures of one request at most, for models that take several.
        max_message_mb: size of a request at most, of 1048576 bytes.
        max_share: of the time, above 0 and at most 1, that frames may be held up by requests.
    """

    listen: str
    max_queue: int = 8
    max_batch: int = 8
    max_message_mb: int = 16
    max_share: float = 0.1


class Served(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The inference API since the worker started.

    Attributes:
        listen: where requests arrive.
        problem: why none can, in words; empty when all is well.
        waiting: requests in the queue at the moment.
        answered: requests with an answer.
        pictures: in these.
        refused: requests without one, by gRPC status.
        waited_s: what the answered ones waited for their turn, in sum.
        ran_s: how long the model ran for them, in sum.
    """

    listen: str
    problem: str = ""
    waiting: int = 0
    answered: int = 0
    pictures: int = 0
    refused: dict[str, int] = {}
    waited_s: float = 0.0
    ran_s: float = 0.0
