"""Errors that a user can cause: a stable code, what failed, where, and what to do about it.

Every such error carries one code of the table below. Codes are part of the interface: they stand in
logs, in MQTT messages and in ``docs/ref/errors.md``, and each maps to one exit status of the command
line (``runtime.exit_status``). A test holds ``docs/ref/errors.md`` and this table together.
"""

from __future__ import annotations

import enum
import errno

from runtime.exit_status import EXIT_MEANING, ExitStatus

__all__ = ["EXIT_MEANING", "Code", "EdgewardError", "ExitStatus", "from_os_error"]


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
    BUNDLE_FORMAT = ("bundle.format", ExitStatus.BUNDLE_REFUSED, "not a bundle, or damaged")
    BUNDLE_NOT_A_FILE = (
        "bundle.not-a-file",
        ExitStatus.BUNDLE_REFUSED,
        "the path is a link, a folder, a FIFO or a device",
    )
    BUNDLE_OTHER_FORMAT = (
        "bundle.other-format",
        ExitStatus.BUNDLE_REFUSED,
        "a gzip, zip or other known file in place of a bundle",
    )
    BUNDLE_TRUNCATED = ("bundle.truncated", ExitStatus.BUNDLE_REFUSED, "the bundle ends early")
    BUNDLE_TRAILING = ("bundle.trailing", ExitStatus.BUNDLE_REFUSED, "there is data behind the bundle's end")
    BUNDLE_ORDER = ("bundle.order", ExitStatus.BUNDLE_REFUSED, "a file stands where another one belongs")
    BUNDLE_UNSIGNED_FILE = ("bundle.unsigned-file", ExitStatus.BUNDLE_REFUSED, "a file that was not signed")
    BUNDLE_MISSING_FILE = ("bundle.missing-file", ExitStatus.BUNDLE_REFUSED, "a signed file is missing")
    BUNDLE_DUPLICATE = ("bundle.duplicate", ExitStatus.BUNDLE_REFUSED, "a file stands twice")
    BUNDLE_NAME_TRAVERSAL = (
        "bundle.name-traversal",
        ExitStatus.BUNDLE_REFUSED,
        "a file name that leads out of the bundle with '..'",
    )
    BUNDLE_NAME_ABSOLUTE = (
        "bundle.name-absolute",
        ExitStatus.BUNDLE_REFUSED,
        "a file name that begins with a slash",
    )
    BUNDLE_NAME_FORM = (
        "bundle.name-form",
        ExitStatus.BUNDLE_REFUSED,
        "a file name with an empty part or a part '.'",
    )
    BUNDLE_NAME_CHARACTERS = (
        "bundle.name-characters",
        ExitStatus.BUNDLE_REFUSED,
        "a file name with a character that is not allowed",
    )
    BUNDLE_NAME_LENGTH = ("bundle.name-length", ExitStatus.BUNDLE_REFUSED, "a file name that is too long")
    BUNDLE_NAME_CASE = (
        "bundle.name-case",
        ExitStatus.BUNDLE_REFUSED,
        "two file names that differ in case only",
    )
    BUNDLE_MEMBER_FOLDER = (
        "bundle.member-folder",
        ExitStatus.BUNDLE_REFUSED,
        "an entry of the archive is a folder",
    )
    BUNDLE_MEMBER_SYMLINK = (
        "bundle.member-symlink",
        ExitStatus.BUNDLE_REFUSED,
        "an entry is a symbolic link",
    )
    BUNDLE_MEMBER_HARDLINK = ("bundle.member-hardlink", ExitStatus.BUNDLE_REFUSED, "an entry is a hard link")
    BUNDLE_MEMBER_FIFO = ("bundle.member-fifo", ExitStatus.BUNDLE_REFUSED, "an entry is a FIFO")
    BUNDLE_MEMBER_DEVICE = (
        "bundle.member-device",
        ExitStatus.BUNDLE_REFUSED,
        "an entry is a device or a socket",
    )
    BUNDLE_MEMBER_SPARSE = ("bundle.member-sparse", ExitStatus.BUNDLE_REFUSED, "an entry is a sparse file")
    BUNDLE_PAX_HEADER = ("bundle.pax-header", ExitStatus.BUNDLE_REFUSED, "an entry is a PAX header")
    BUNDLE_GNU_HEADER = (
        "bundle.gnu-header",
        ExitStatus.BUNDLE_REFUSED,
        "an entry is in GNU tar's own format",
    )
    BUNDLE_MODE = (
        "bundle.mode",
        ExitStatus.BUNDLE_REFUSED,
        "an entry has another mode than 0644, such as setuid",
    )
    BUNDLE_SIZE_FIELD = (
        "bundle.size-field",
        ExitStatus.BUNDLE_REFUSED,
        "an entry's size is not eleven octal digits",
    )
    BUNDLE_TOO_LARGE = (
        "bundle.too-large",
        ExitStatus.BUNDLE_REFUSED,
        "larger than this device, or the format, takes",
    )
    BUNDLE_TOO_MANY_FILES = (
        "bundle.too-many-files",
        ExitStatus.BUNDLE_REFUSED,
        "more files than this device, or the format, takes",
    )
    BUNDLE_READ_ERROR = ("bundle.read-error", ExitStatus.BUNDLE_UNREADABLE, "reading it failed half-way")
    BUNDLE_CHANGED = ("bundle.changed", ExitStatus.BUNDLE_UNREADABLE, "it changed while it was read")
    BUNDLE_UNSIGNED = ("bundle.unsigned", ExitStatus.BUNDLE_REFUSED, "it has no signature")
    BUNDLE_SIGNATURE_FILE = (
        "bundle.signature-file",
        ExitStatus.BUNDLE_REFUSED,
        "the signature file is malformed",
    )
    BUNDLE_DUPLICATE_JSON_KEY = (
        "bundle.duplicate-json-key",
        ExitStatus.BUNDLE_REFUSED,
        "a key stands twice in the signature file or in what was signed",
    )
    BUNDLE_SECOND_SIGNATURE = (
        "bundle.second-signature",
        ExitStatus.BUNDLE_REFUSED,
        "the signature file has more than one signature",
    )
    BUNDLE_MISSING_HINT = (
        "bundle.missing-hint",
        ExitStatus.BUNDLE_REFUSED,
        "the signature file does not say which key signed",
    )
    BUNDLE_FORGED_HINT = (
        "bundle.forged-hint",
        ExitStatus.BUNDLE_REFUSED,
        "signed by another trusted key than the signature file says",
    )
    BUNDLE_UNTRUSTED_KEY = ("bundle.untrusted-key", ExitStatus.BUNDLE_REFUSED, "not signed by a trusted key")
    BUNDLE_SIGNATURE = (
        "bundle.signature",
        ExitStatus.BUNDLE_REFUSED,
        "the signature does not verify: forged, or changed after signing",
    )
    BUNDLE_PREDICATE = (
        "bundle.predicate",
        ExitStatus.BUNDLE_REFUSED,
        "what was signed is a statement of another kind",
    )
    BUNDLE_STATEMENT = (
        "bundle.statement",
        ExitStatus.BUNDLE_REFUSED,
        "the signed statement contradicts itself",
    )
    BUNDLE_KEY_ROLE = ("bundle.key-role", ExitStatus.BUNDLE_REFUSED, "signed by a key of another role")
    BUNDLE_KEY_NAME = (
        "bundle.key-name",
        ExitStatus.BUNDLE_REFUSED,
        "signed by a key that may not sign bundles of that name",
    )
    BUNDLE_ROLLBACK = (
        "bundle.rollback",
        ExitStatus.BUNDLE_REFUSED,
        "older than what has run on this device",
    )
    BUNDLE_COUNTER_REUSED = (
        "bundle.counter-reused",
        ExitStatus.BUNDLE_REFUSED,
        "another bundle of that name has run with the same release counter",
    )
    BUNDLE_DIGEST = ("bundle.digest", ExitStatus.BUNDLE_REFUSED, "a file is not what was signed")
    BUNDLE_MANIFEST = ("bundle.manifest", ExitStatus.BUNDLE_REFUSED, "the manifest breaks its schema")
    BUNDLE_GOLDEN = (
        "bundle.golden",
        ExitStatus.BUNDLE_REFUSED,
        "golden frames or results that cannot be made or used",
    )
    BUNDLE_QUARANTINED = (
        "bundle.quarantined",
        ExitStatus.BUNDLE_REFUSED,
        "its worker failed again and again on this device",
    )
    BUNDLE_UNSUPPORTED = ("bundle.unsupported", ExitStatus.BUNDLE_REFUSED, "needs what this version lacks")

    KEY_MISSING = ("key.missing", ExitStatus.KEY, "there is no such key file")
    KEY_INVALID = ("key.invalid", ExitStatus.KEY, "not a key of the kind that is needed")

    TOKEN_MODULE = ("token.module", ExitStatus.KEY, "the PKCS#11 module cannot be loaded")
    TOKEN_MISSING = ("token.missing", ExitStatus.KEY, "no such token, or several")
    TOKEN_PIN = ("token.pin", ExitStatus.KEY, "the PIN is missing, wrong or locked")
    TOKEN_KEY = ("token.key", ExitStatus.KEY, "no such key in the token, several, or not one that signs")
    TOKEN_FAILED = ("token.failed", ExitStatus.KEY, "the token reported an error")

    TRUST_KEY_FILE = ("trust.key-file", ExitStatus.TRUST, "a key file of the trust folder is malformed")
    TRUST_WRITABLE = ("trust.writable", ExitStatus.TRUST, "others may change what this device trusts")
    TRUST_FLOORS = ("trust.floors", ExitStatus.TRUST, "the file with the rollback floors is damaged")
    TRUST_LAST_KEY = ("trust.last-key", ExitStatus.TRUST, "the last key that may sign bundles")

    MODEL_LOAD = ("model.load", ExitStatus.MODEL, "the engine cannot load the model file")
    MODEL_MISMATCH = ("model.mismatch", ExitStatus.MODEL, "the model's tensors are not the manifest's")
    MODEL_RUN = ("model.run", ExitStatus.MODEL, "the engine failed while it ran the model")
    MODEL_ACCURACY = (
        "model.accuracy",
        ExitStatus.ACCURACY,
        "the quantised model's answers are too far from the original's",
    )
    ENGINE_UNAVAILABLE = ("engine.unavailable", ExitStatus.MODEL, "no installed engine fits the bundle")

    PREFLIGHT_GOLDEN = (
        "preflight.golden",
        ExitStatus.PREFLIGHT,
        "other answers to the golden frames than on its author's desk",
    )
    PREFLIGHT_UNCHECKED = (
        "preflight.unchecked",
        ExitStatus.PREFLIGHT,
        "the bundle has no golden frames, and this device requires them",
    )
    PREFLIGHT_LATENCY = ("preflight.latency", ExitStatus.PREFLIGHT, "a frame takes longer than the budget")
    PREFLIGHT_MEMORY = (
        "preflight.memory",
        ExitStatus.PREFLIGHT,
        "needs more memory than the budget or the device's limit",
    )
    PREFLIGHT_LOAD = ("preflight.load", ExitStatus.PREFLIGHT, "loading takes longer than the budget")
    PREFLIGHT_TIMEOUT = ("preflight.timeout", ExitStatus.PREFLIGHT, "a step did not end within its deadline")
    PREFLIGHT_CRASHED = ("preflight.crashed", ExitStatus.PREFLIGHT, "the process that tried it died")
    PREFLIGHT_MISBEHAVED = (
        "preflight.misbehaved",
        ExitStatus.PREFLIGHT,
        "the process that tried it answered nonsense, or printed without end",
    )
    PREFLIGHT_REFUSED = (
        "preflight.refused",
        ExitStatus.PREFLIGHT,
        "no variant passed, and not all for one reason",
    )

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
    WORKER_MEMORY = ("worker.memory", ExitStatus.WORKER, "the worker took more memory than it may")
    WORKER_PROTOCOL = ("worker.protocol", ExitStatus.WORKER, "a message between processes made no sense")

    CONTROL_UNAVAILABLE = (
        "control.unavailable",
        ExitStatus.AGENT,
        "no agent answers on the control socket",
    )
    CONTROL_PERMISSION = (
        "control.permission",
        ExitStatus.AGENT,
        "the control socket is not for this user",
    )
    CONTROL_UNIMPLEMENTED = (
        "control.unimplemented",
        ExitStatus.AGENT,
        "the agent does not know the request, or does not offer it",
    )
    CONTROL_TIMEOUT = ("control.timeout", ExitStatus.AGENT, "the agent did not do it in time")
    CONTROL_BUSY = ("control.busy", ExitStatus.AGENT, "the agent does as much as it can already")
    CONTROL_SOCKET = ("control.socket", ExitStatus.SYSTEM, "the control socket cannot be made there")
    CONTROL_UNKNOWN_PIPELINE = (
        "control.unknown-pipeline",
        ExitStatus.AGENT,
        "no pipeline, stage or bundle of that name",
    )
    CONTROL_UNKNOWN_STREAM = ("control.unknown-stream", ExitStatus.AGENT, "no stream of that name")
    CONTROL_STATE = (
        "control.state",
        ExitStatus.AGENT,
        "not possible in the state that it is in",
    )
    CONTROL_NO_PICTURE = ("control.no-picture", ExitStatus.AGENT, "the stream has no picture to show")

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
