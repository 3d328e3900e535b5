"""Wall time at the edge, and whether it can be trusted."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path

# struct timex of <sys/timex.h> is 208 bytes on 64-bit Linux and 128 on 32-bit; room for both.
_TIMEX_BYTES = 512
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised


def read_boot_id() -> str:
    """The kernel's random id of this boot; empty where there is none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


class WallClock:
    """Wall time in milliseconds since 1970 (UTC), with the kernel's word on whether it is synchronised."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._checked_ns = 0
        self._synchronised = False

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    def at_ms(self, mono_ns: int) -> int:
        """When the monotonic clock showed ``mono_ns``, in today's wall time."""
        return self.now_ms() - (time.monotonic_ns() - mono_ns) // 1_000_000

    def synchronised(self) -> bool:
        """Whether the kernel says that the clock is set; asked once a second at most."""
        now = time.monotonic_ns()
        if now - self._checked_ns > 1_000_000_000 or not self._checked_ns:
            self._checked_ns = now
            self._synchronised = self._ask_kernel()
        return self._synchronised

    def _ask_kernel(self) -> bool:
        # modes = 0: nothing is set, the state is returned. Zeroed memory is that request.
        request = ctypes.create_string_buffer(_TIMEX_BYTES)
        state = int(self._libc.adjtimex(request))
        return 0 <= state < _TIME_ERROR
