"""Which frames of a source are looked at: not old ones, not too many, and a file's in their time."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator

from runtime.errors import Code, EdgewardError
from runtime.source.frame import Drop, Frame
from runtime.source.lag import Lag

STALE_S = 2.0
GIVE_UP_AFTER_S = 10.0
WAITED_S = 0.002  # longer than it takes to read what lies in a socket already
STEADY = 10

Dropped = Callable[[Drop], None]


def fresh(frames: Iterator[Frame], dropped: Dropped, *, where: str) -> Iterator[Frame]:
    """Leave out frames that waited in a socket while this process or host was held up.

    Raises:
        EdgewardError: ``SOURCE_LOST`` when only old frames came for 10 s: reading is slower than the
            camera sends, and only a new connection brings the present back.
    """
    lag = Lag()
    steady = 0
    last_pts_s = float("-inf")
    stale_since_s: float | None = None
    for frame in frames:
        arrived_s = frame.arrived_ns / 1e9
        behind_s = 0.0
        if frame.pts_s is not None:
            if frame.pts_s < last_pts_s:
                lag.reset()
            last_pts_s = frame.pts_s
            behind_s = lag.update(arrived_s, frame.pts_s)
            # A camera may stamp 30 frames a second and send 20: by its times it falls behind, and yet nothing
            # waits in the socket, for each frame has to be waited for. A backlog comes at once.
            steady = steady + 1 if WAITED_S < frame.waited_s < STALE_S else 0
            if steady >= STEADY and behind_s > STALE_S:
                lag.reset()
                behind_s = lag.update(arrived_s, frame.pts_s)
        if behind_s <= STALE_S:
            stale_since_s = None
            yield frame
            continue
        dropped(Drop.STALE)
        if stale_since_s is None:
            stale_since_s = arrived_s
        if arrived_s - stale_since_s > GIVE_UP_AFTER_S:
            raise EdgewardError(
                Code.SOURCE_LOST,
                f"decoding is {behind_s:.1f} s behind the camera and does not catch up",
                where=where,
                remedy="lower the camera's resolution or frame rate, or use its sub-stream",
            )


def in_real_time(frames: Iterator[Frame], dropped: Dropped, stopped: threading.Event) -> Iterator[Frame]:
    """Play a file as a camera would: each frame comes when its time has come, and arrives then."""
    started_s = first_pts_s = None
    for frame in frames:
        if frame.pts_s is None:
            yield frame
            continue
        if started_s is None or first_pts_s is None:
            started_s, first_pts_s = time.monotonic(), frame.pts_s
        wait_s = started_s + (frame.pts_s - first_pts_s) - time.monotonic()
        if wait_s > 0 and stopped.wait(wait_s):
            dropped(Drop.ENDED)
            return
        yield dataclasses.replace(frame, arrived_ns=time.monotonic_ns())


def within_rate(frames: Iterator[Frame], dropped: Dropped, max_fps: float) -> Iterator[Frame]:
    """At most ``max_fps`` frames a second by the stream's own clock; all of them when it is 0."""
    if max_fps <= 0:
        yield from frames
        return
    interval_s = 1.0 / max_fps
    due_s = float("-inf")
    for frame in frames:
        now_s = frame.arrived_ns / 1e9 if frame.pts_s is None else frame.pts_s
        if due_s == float("-inf") or now_s < due_s - 2 * interval_s:
            due_s = now_s  # the first frame, or the stream's clock jumped back
        # Half a millisecond of slack: times of a 30 fps stream are rounded, and 30 fps asked for must
        # not become 15.
        if now_s < due_s - 5e-4:
            dropped(Drop.OVER_RATE)
            continue
        due_s = max(due_s, now_s - interval_s) + interval_s
        yield frame


def thinned(frames: Iterator[Frame], dropped: Dropped, share: Callable[[], float]) -> Iterator[Frame]:
    """Leave out frames, evenly, so that ``share`` of them remain; it is asked for each frame anew."""
    credit = 1.0  # the first frame is taken, however small the share
    for frame in frames:
        credit += share()
        if credit < 1.0 - 1e-9:
            dropped(Drop.GOVERNED)
            continue
        credit -= 1.0
        yield frame
