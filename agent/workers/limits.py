"""Times of supervision that are no matter of configuration; tests shorten them."""

from __future__ import annotations

from dataclasses import dataclass

from agent.preflight.gate import REFUSAL_STANDS_S


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Times in seconds.

    Attributes:
        first_restart: before the first restart of a worker, about; doubled each time.
        slowest_restart: not longer than this.
        quarantine_retry: a bundle in quarantine that there is no other for is tried again after about so
            long; doubled each time, up to six times as long.
        silence: a worker that reads a stream and gives no result for so long is restarted, at the soonest.
        refused_retry: a bundle that was refused is looked at anew after this at the latest.
        refusal_stands: see ``agent.preflight.gate``.
        look_for_bundle: how often it is seen that a bundle, a key or a floor changed.
        stop_grace: a worker may take so long to end in order.
        stagger: a pipeline that loads at the agent's start holds up the next one for so long at most.
        memory_look: how often the memory of one worker is looked at.
        board_look: how often that of the board is.
    """

    first_restart: float = 0.3
    slowest_restart: float = 30.0
    quarantine_retry: float = 600.0
    silence: float = 30.0
    refused_retry: float = 60.0
    refusal_stands: float = REFUSAL_STANDS_S
    look_for_bundle: float = 1.0
    stop_grace: float = 3.0
    stagger: float = 5.0
    memory_look: float = 2.0
    board_look: float = 0.5
