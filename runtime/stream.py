"""One stream as an explicit state: connect, read, pace, and connect again when it is lost."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Literal

from runtime.errors import Code, EdgewardError
from runtime.ipc import StreamChanged, StreamSpec
from runtime.mailbox import Mailbox
from runtime.rate import Rate
from runtime.source import pacing
from runtime.source.frame import Drop, Frame
from runtime.source.libav import LibavSource
from runtime.tally import Tally

# A camera that reboots is back within seconds of its port; one that locks an account after some wrong
# passwords must not be asked often.
_RETRY_S: dict[Code, float] = {
    Code.SOURCE_UNAUTHORIZED: 30.0,
    Code.SOURCE_NO_VIDEO: 10.0,
    Code.SOURCE_CODEC: 30.0,
}
_RETRY_FIRST_S, _RETRY_SOON_S, _RETRY_LATER_S, _SOON_FOR_S = 0.25, 2.0, 10.0, 120.0

State = Literal["connecting", "running", "waiting", "ended", "failed"]


class Stream(threading.Thread):
    """Reads one source until it ends, ``stop`` is called, or for ever when it reconnects.

    Args:
        spec: what to read and how.
        mailbox: where frames go.
        report: told of every change of state, from this thread.
        rate: which share of the frames to look at; all of them when it is left out.
    """

    def __init__(
        self,
        spec: StreamSpec,
        mailbox: Mailbox,
        report: Callable[[StreamChanged], None],
        rate: Rate | None = None,
    ) -> None:
        super().__init__(name=f"stream-{spec.name}", daemon=True)
        self.spec = spec
        self.tally = Tally()
        self._mailbox = mailbox
        self._report = report
        self._rate = rate or Rate([spec.name])
        self._stopped = threading.Event()
        self._session = 0

    def stop(self) -> None:
        """Read no more; the thread ends with the next frame or at the read time-out."""
        self._stopped.set()

    def run(self) -> None:
        """The thread: sessions one after the other, then the last word about how it ended."""
        error = self._sessions()
        self._mailbox.wait_done(self.spec.name)
        if error is None:
            self._changed("ended")
        else:
            self._changed("failed", error=error)
        self._mailbox.finish(self.spec.name)

    def _sessions(self) -> EdgewardError | None:
        """Read until there is no more; the error that ended it for good, or None."""
        attempt, lost_at = 0, time.monotonic()
        while not self._stopped.is_set():
            ran, error = self._one_session()
            self._session += 1
            if self._stopped.is_set():
                return None
            if error is None and self.spec.loop and not self._source.live:
                if ran:
                    continue
                error = EdgewardError(
                    Code.SOURCE_DATA,
                    "has no pictures",
                    where=self._source.where,
                    remedy="look at it with a player",
                )
            if error is None and not (self._source.live and self.spec.reconnect):
                return None
            error = error or self._end_of_stream()
            if not self.spec.reconnect or error.code is Code.SOURCE_SCHEME:
                return error
            if ran:
                attempt, lost_at = 0, time.monotonic()
            attempt += 1
            self._wait(error, attempt, outage_s=time.monotonic() - lost_at)
            self.tally.reconnected()
        return None

    def _one_session(self) -> tuple[bool, EdgewardError | None]:
        """One connection from its opening to its end: whether any frame came, and what ended it."""
        ran = False
        try:
            for frame in self._read():
                ran = True
                self._hand_over(frame)
                if self._stopped.is_set():
                    break
        except EdgewardError as error:
            return ran, error
        return ran, None

    def _end_of_stream(self) -> EdgewardError:
        return EdgewardError(
            Code.SOURCE_LOST,
            "the camera ended the stream",
            where=self._source.where,
            remedy="it is opened again",
        )

    def _wait(self, error: EdgewardError, attempt: int, *, outage_s: float) -> None:
        """Say why, then wait before the next attempt: longer each time, with jitter, ended by ``stop``."""
        longest = _RETRY_SOON_S if outage_s < _SOON_FOR_S else _RETRY_LATER_S
        delay = _RETRY_S.get(error.code, min(longest, _RETRY_FIRST_S * 2 ** min(attempt - 1, 8)))
        delay *= random.uniform(0.8, 1.2)  # noqa: S311 - jitter, not a secret
        self._changed("waiting", error=error, retry_in_s=delay)
        self._stopped.wait(delay)

    def _read(self) -> Iterator[Frame]:
        """The frames of one session, those that should be looked at."""
        self._source = source = LibavSource(self.spec, session=self._session, tally=self.tally)
        self._changed("connecting")
        try:
            source.open()
            frames = source.frames()
            dropped = self.tally.dropped
            if source.live:
                frames = pacing.fresh(frames, dropped, where=source.where)
            elif self.spec.pacing == "live":
                frames = pacing.in_real_time(frames, dropped, self._stopped)
            running = False
            wanted = pacing.within_rate(frames, dropped, self.spec.max_fps)
            for frame in pacing.thinned(wanted, dropped, self._share):
                if not running:
                    running = True
                    self._changed("running", source=source)
                yield frame
        finally:
            source.close()

    def _share(self) -> float:
        return self._rate.share_for(self.spec.name)

    def _hand_over(self, frame: Frame) -> None:
        if self.spec.pacing == "every" and not self._mailbox.wait_free(self.spec.name):
            self.tally.dropped(Drop.ENDED)
            return
        if self._mailbox.put(self.spec.name, frame) is not None:
            self.tally.dropped(Drop.NEWER)

    def _changed(
        self,
        state: State,
        *,
        error: EdgewardError | None = None,
        source: LibavSource | None = None,
        retry_in_s: float = 0.0,
    ) -> None:
        self._report(
            StreamChanged(
                stream=self.spec.name,
                state=state,
                mono_ns=time.monotonic_ns(),
                codec=source.codec if source else "",
                width=source.width if source else 0,
                height=source.height if source else 0,
                declared_fps=source.declared_fps if source else 0.0,
                code=error.code.text if error else "",
                what=error.what if error else "",
                where=error.where if error else "",
                remedy=error.remedy if error else "",
                retry_in_s=retry_in_s,
            )
        )
