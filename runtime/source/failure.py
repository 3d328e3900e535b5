"""What libav reports, as errors that tell a technician what to look at."""

from __future__ import annotations

import errno

import av.error

from runtime.errors import Code, EdgewardError

_CHECK_URL = "check the path in the URL against the camera's manual"
_LOGIN = "set the stream's user name and password"
_PLAYER = "look at it with a player"
_CHECK_LINK = "check that the camera is on, its address and port, and the cable"


def of_open(error: Exception, *, where: str, timeout_s: float, waited_s: float) -> EdgewardError:
    """The error of opening a source, after ``waited_s`` seconds."""
    if _is_timeout(error, timeout_s, waited_s):
        what = f"no answer within {timeout_s:g} s"
        return EdgewardError(Code.SOURCE_TIMEOUT, what, where=where, remedy=_CHECK_LINK)
    code, what, remedy = _classify(error)
    return EdgewardError(code, what, where=where, remedy=remedy)


def of_read(error: Exception, *, where: str, timeout_s: float, waited_s: float) -> EdgewardError:
    """The error of reading from a source that had been open, after ``waited_s`` seconds without data."""
    if _is_timeout(error, timeout_s, waited_s):
        return stalled(where=where, timeout_s=timeout_s)
    if isinstance(error, av.error.InvalidDataError):
        return EdgewardError(Code.SOURCE_DATA, "what arrives is not video", where=where, remedy=_PLAYER)
    what = f"the connection broke: {_detail(error)}"
    return EdgewardError(Code.SOURCE_LOST, what, where=where, remedy=_CHECK_LINK)


def stalled(*, where: str, timeout_s: float) -> EdgewardError:
    """The source is open and silent."""
    return EdgewardError(Code.SOURCE_STALLED, f"no data for {timeout_s:g} s", where=where, remedy=_CHECK_LINK)


def _detail(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return str(text).strip().lower()


def _is_timeout(error: Exception, timeout_s: float, waited_s: float) -> bool:
    """PyAV interrupts libav when its time is up; what libav then reports depends on what it was doing.

    An RTSP handshake that is interrupted is "invalid data", so the clock is asked as well.
    """
    return isinstance(error, av.error.TimeoutError | av.error.ExitError) or waited_s >= timeout_s


_BY_CLASS: tuple[tuple[type[Exception], Code, str, str], ...] = (
    (av.error.HTTPUnauthorizedError, Code.SOURCE_UNAUTHORIZED, "the camera refused the login (401)", _LOGIN),
    (av.error.HTTPForbiddenError, Code.SOURCE_UNAUTHORIZED, "the camera refused the login (403)", _LOGIN),
    (av.error.HTTPNotFoundError, Code.SOURCE_MISSING, "the camera has no such stream (404)", _CHECK_URL),
    (av.error.HTTPError, Code.SOURCE_DATA, "the camera answered: {detail}", _CHECK_URL),
    (av.error.InvalidDataError, Code.SOURCE_DATA, "this is not video, or it is cut short", _PLAYER),
)
_UNREACHABLE = (Code.SOURCE_UNREACHABLE, "cannot be reached: {detail}", _CHECK_LINK)
_BY_NUMBER: dict[int, tuple[Code, str, str]] = {
    errno.ENOENT: (Code.SOURCE_MISSING, "no such file", "check the path"),
    errno.EISDIR: (Code.SOURCE_MISSING, "is a folder", "check the path"),
    errno.EACCES: (Code.SOURCE_MISSING, "cannot be read: {detail}", "check the path and its permissions"),
    errno.ECONNREFUSED: (Code.SOURCE_REFUSED, "nothing listens at that address", _CHECK_LINK),
    errno.ECONNRESET: _UNREACHABLE,
    errno.EHOSTDOWN: _UNREACHABLE,
    errno.EHOSTUNREACH: _UNREACHABLE,
    errno.ENETUNREACH: _UNREACHABLE,
    errno.EIO: _UNREACHABLE,
}


def _classify(error: Exception) -> tuple[Code, str, str]:
    """Code, what and remedy of a failed open; the most telling class first."""
    for kind, code, what, remedy in _BY_CLASS:
        if isinstance(error, kind):
            return code, what.format(detail=_detail(error)), remedy
    code, what, remedy = _BY_NUMBER.get(
        getattr(error, "errno", None) or 0, (Code.SOURCE_DATA, "cannot be opened: {detail}", _CHECK_URL)
    )
    return code, what.format(detail=_detail(error)), remedy
