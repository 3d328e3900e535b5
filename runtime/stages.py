"""What each stage of a frame's way costs, in CPU time of its thread and in wall time."""

from __future__ import annotations

import time

STAGES = ("preprocess", "infer", "postprocess", "publish")


class StageClock:
    """Sums up since the start, for the thread that calls it; stages follow one another without a gap.

    The thread clock sees its own thread only: noise of the machine then hits all stages alike.
    """

    def __init__(self) -> None:
        self.cpu_s = dict.fromkeys(STAGES, 0.0)
        self.wall_s = dict.fromkeys(STAGES, 0.0)
        self._cpu_s = self._wall_s = 0.0

    def start(self) -> None:
        """What comes now belongs to the stage that ``done`` will name; what came before, to none."""
        self._cpu_s, self._wall_s = time.thread_time(), time.monotonic()

    def done(self, stage: str) -> None:
        """The stage is over, and the next one begins."""
        cpu_s, wall_s = time.thread_time(), time.monotonic()
        self.cpu_s[stage] += cpu_s - self._cpu_s
        self.wall_s[stage] += wall_s - self._wall_s
        self._cpu_s, self._wall_s = cpu_s, wall_s
