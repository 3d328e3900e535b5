"""Errors that a user can cause: a stable code, what failed, where, and what to do about it.

Every such error carries one code of the table below. Codes are part of the interface: they stand in
logs, in MQTT messages and in ``docs/ref/errors.md``, and each maps to one exit status of the command
line (``docs/ref/exit-codes.md``). A test holds the two pages and this table together.
"""

from __future__ import annotations

import enum
import errno


class ExitStatus(enum.IntEnum):
    """Exit status of the ``edgeward`` command. Values never change; new ones are added."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    CONFIG = 3
    BUNDLE_UNREADABLE = 4
    BUNDLE_REFUSED = 5
    MODEL = 6
    SOURCE = 7
    SOURCE_UNAUTHORIZED = 8
    SOURCE_UNSUITABLE = 9
    WORKER = 10
    KEY = 11
    SYSTEM = 12
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


EXIT_MEANING: dict[ExitStatus, str] = {
    ExitStatus.OK: "done",
    ExitStatus.INTERNAL: "a defect in edgeward: please report it with the log",
    ExitStatus.USAGE: "an option or argument is wrong",
    ExitStatus.CONFIG: "the configuration file is missing or has an error",
    ExitStatus.BUNDLE_UNREADABLE: "a bundle or bundle folder is missing or cannot be read",
    ExitStatus.BUNDLE_REFUSED: "a bundle was read and refused: format, signature, digest or manifest",
    ExitStatus.MODEL: "the model cannot be loaded or run by the engine",
    ExitStatus.SOURCE: "a stream or file cannot be opened or was lost",
    ExitStatus.SOURCE_UNAUTHORIZED: "a stream refused the user name or password",
    ExitStatus.SOURCE_UNSUITABLE: "a source that edgeward cannot use: URL scheme, no video track, codec",
    ExitStatus.WORKER: "the worker process ended without a reason of its own",
    ExitStatus.KEY: "a key file is missing, unreadable or not of the kind that is needed",
    ExitStatus.SYSTEM: "the operating system refused: permission, disk full, out of memory",
    ExitStatus.HUNG_UP: "ended because the terminal went away (SIGHUP)",
    ExitStatus.INTERRUPTED: "ended by Ctrl-C",
    ExitStatus.TERMINATED: "ended from outside (SIGTERM) before it had begun",
}


class Code(enum.Enum):
    """Stable error codes: ``value`` is the text that leaves, ``exit_status`` the command's end."""

    def __init__(self, text: str, exit_status: ExitStatus, meaning: str) -> None:
        self.text = text
        self.exit_status = exit_status
        self.meaning = meaning

    INTERNAL = ("internal", ExitStatus.INTERNAL, "a defect in edgeward itself")
    USAGE = ("usage", ExitStatus.USAGE, "an option has a value that makes no sense")

    CONFIG_MISSING = ("config.missing", ExitStatus.CONFIG, "the configuration file cannot be read")
    CONFIG_SYNTAX = ("config.syntax", ExitStatus.CONFIG, "the configuration file is not valid TOML")
    CONFIG_UNKNOWN_KEY = ("config.unknown-key", ExitStatus.CONFIG, "a key that edgeward does not know")
    CONFIG_VALUE = ("config.value", ExitStatus.CONFIG, "a value of the wrong type or out of range")

    BUNDLE_MISSING = ("bundle.missing", ExitStatus.BUNDLE_UNREADABLE, "there is no such file or folder")
    BUNDLE_UNREADABLE = ("bundle.unreadable", ExitStatus.BUNDLE_UNREADABLE, "it exists but cannot be read")
    BUNDLE_FORMAT = ("bundle.format", ExitStatus.BUNDLE_REFUSED, "not a bundle, or cut short")
    BUNDLE_SIGNATURE = ("bundle.signature", ExitStatus.BUNDLE_REFUSED, "not signed by a trusted key")
    BUNDLE_DIGEST = ("bundle.digest", ExitStatus.BUNDLE_REFUSED, "a file is not what was signed")
    BUNDLE_MANIFEST = ("bundle.manifest", ExitStatus.BUNDLE_REFUSED, "the manifest breaks its schema")
    BUNDLE_UNSUPPORTED = ("bundle.unsupported", ExitStatus.BUNDLE_REFUSED, "needs what this version lacks")

    KEY_MISSING = ("key.missing", ExitStatus.KEY, "there is no such key file")
    KEY_INVALID = ("key.invalid", ExitStatus.KEY, "not a key of the kind that is needed")

    MODEL_LOAD = ("model.load", ExitStatus.MODEL, "the engine cannot load the model file")
    MODEL_MISMATCH = ("model.mismatch", ExitStatus.MODEL, "the model's tensors are not the manifest's")
    MODEL_RUN = ("model.run", ExitStatus.MODEL, "the engine failed while it ran the model")
    ENGINE_UNAVAILABLE = ("engine.unavailable", ExitStatus.MODEL, "no installed engine fits the bundle")

    SOURCE_SCHEME = ("source.scheme", ExitStatus.SOURCE_UNSUITABLE, "a URL of a kind that is not supported")
    SOURCE_MISSING = ("source.missing", ExitStatus.SOURCE, "no such file, or 404 from the camera")
    SOURCE_REFUSED = ("source.refused", ExitStatus.SOURCE, "nothing listens at that address")
    SOURCE_UNREACHABLE = ("source.unreachable", ExitStatus.SOURCE, "the address cannot be reached or found")
    SOURCE_TIMEOUT = ("source.timeout", ExitStatus.SOURCE, "the camera did not answer in time")
    SOURCE_UNAUTHORIZED = (
        "source.unauthorized",
        ExitStatus.SOURCE_UNAUTHORIZED,
        "401 or 403 from the camera",
    )
    SOURCE_NO_VIDEO = ("source.no-video", ExitStatus.SOURCE_UNSUITABLE, "the source has no video track")
    SOURCE_CODEC = ("source.codec", ExitStatus.SOURCE_UNSUITABLE, "no decoder for this kind of video")
    SOURCE_DATA = ("source.data", ExitStatus.SOURCE, "the source sends what is not video")
    SOURCE_LOST = ("source.lost", ExitStatus.SOURCE, "the stream ended or broke while it was read")
    SOURCE_STALLED = ("source.stalled", ExitStatus.SOURCE, "the stream is open but sends nothing")

    WORKER_DIED = ("worker.died", ExitStatus.WORKER, "the worker process was killed or crashed")
    WORKER_HUNG = ("worker.hung", ExitStatus.WORKER, "the worker process stopped to answer")
    WORKER_PROTOCOL = ("worker.protocol", ExitStatus.WORKER, "a message between processes made no sense")

    SYSTEM_PERMISSION = ("system.permission", ExitStatus.SYSTEM, "permission denied")
    SYSTEM_DISK_FULL = ("system.disk-full", ExitStatus.SYSTEM, "no space left on the device")
    SYSTEM_BUSY = ("system.busy", ExitStatus.SYSTEM, "another process holds what is needed")
    SYSTEM_TIMEOUT = ("system.timeout", ExitStatus.SYSTEM, "the machine did not do it in time")
    SYSTEM_IO = ("system.io", ExitStatus.SYSTEM, "the operating system reported an error")

    @classmethod
    def of(cls, text: str) -> Code:
        """The code with that text; ``INTERNAL`` for a text that this version does not know."""
        return _BY_TEXT.get(text, cls.INTERNAL)


_BY_TEXT = {code.text: code for code in Code}


class EdgewardError(Exception):
    """An error with a code, for a person: one line that says what, where, and what to do.

    Args:
        code: the stable code.
        what: what went wrong, lower case, no full stop: ``"no such file"``.
        where: the input that was refused: a path, a URL without its password, ``file: key``.
        remedy: what the reader can do about it: ``"check the path"``.
    """

    def __init__(self, code: Code, what: str, *, where: str = "", remedy: str = "") -> None:
        self.code = code
        self.what = what
        self.where = where
        self.remedy = remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        line = f"{self.where}: {self.what}" if self.where else self.what
        if self.remedy:
            line = f"{line}; {self.remedy}"
        return f"{line} [{self.code.text}]"

    def as_dict(self) -> dict[str, str]:
        """The same as a plain dict, for ``--json`` and for messages."""
        return {"code": self.code.text, "what": self.what, "where": self.where, "remedy": self.remedy}


def from_os_error(error: OSError, *, where: str, fallback: Code) -> EdgewardError:
    """Name what the operating system refused; ``fallback`` is the code when none fits better."""
    text = (error.strerror or str(error)).lower()
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return EdgewardError(Code.SYSTEM_DISK_FULL, text, where=where, remedy="free some space and try again")
    if error.errno in {errno.EACCES, errno.EPERM}:
        return EdgewardError(
            Code.SYSTEM_PERMISSION if fallback is Code.SYSTEM_IO else fallback,
            text,
            where=where,
            remedy="check the permissions of the file and of the folders above it",
        )
    remedy = "check the disk or stick, and its cable" if error.errno == errno.EIO else "check the path"
    return EdgewardError(fallback, text, where=where, remedy=remedy)
