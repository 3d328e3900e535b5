"""Exit statuses of the ``edgeward`` command; ``docs/ref/exit-codes.md`` is held to this table by a test."""

from __future__ import annotations

import enum


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
    TRUST = 13
    PREFLIGHT = 14
    DIFFERENT = 15
    ACCURACY = 16
    AGENT = 17
    DEGRADED = 18
    FAILED = 19
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
    ExitStatus.TRUST: "what this device trusts is damaged, or open to changes by others",
    ExitStatus.PREFLIGHT: "no variant of the bundle passed its checks on this device",
    ExitStatus.DIFFERENT: "'edgeward bundle diff': the two bundles are not the same",
    ExitStatus.ACCURACY: "a quantised model lost more accuracy than was allowed; nothing was changed",
    ExitStatus.AGENT: "the agent of this device cannot be reached, or cannot do what was asked",
    ExitStatus.DEGRADED: "'edgeward status --exit-code': the device works, but not as it should",
    ExitStatus.FAILED: "'edgeward status --exit-code' and 'edgeward doctor': something that the device "
    "is for does not work",
    ExitStatus.HUNG_UP: "ended because the terminal went away (SIGHUP)",
    ExitStatus.INTERRUPTED: "ended by Ctrl-C",
    ExitStatus.TERMINATED: "ended from outside (SIGTERM) before it had begun",
}
