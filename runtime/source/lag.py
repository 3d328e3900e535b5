"""How far a live stream has fallen behind: a backlog in a socket looks like fresh data, but is old."""

from __future__ import annotations

# Clocks of cameras drift by up to some 100 ppm; the baseline follows ten times faster than that, and a
# backlog that grows that slowly takes half an hour to reach 2 s, by which time it has been followed.
_FOLLOW = 0.001


class Lag:
    """Delay of frames against the best delay seen lately, from arrival times and presentation times.

    ``arrival - pts`` is constant for a stream that is read as it comes. The smallest value seen is
    taken as "now"; it creeps up by 1 ms a second, so that a camera whose clock drifts is never taken
    for one that lags.
    """

    def __init__(self) -> None:
        self._baseline: float | None = None
        self._last = 0.0

    def update(self, arrived_s: float, pts_s: float) -> float:
        """Seconds that this frame is late; 0.0 for the first one.

        Args:
            arrived_s: monotonic seconds when the frame's data was read.
            pts_s: the frame's presentation time in seconds; a jump backwards starts anew.
        """
        offset = arrived_s - pts_s
        if self._baseline is None:
            self._baseline = offset
        else:
            crept = self._baseline + max(0.0, arrived_s - self._last) * _FOLLOW
            self._baseline = min(crept, offset)
        self._last = arrived_s
        return offset - self._baseline

    def reset(self) -> None:
        """Forget: the stream's clock jumped or the connection is new."""
        self._baseline = None
