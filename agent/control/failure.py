"""An ``EdgewardError`` as a gRPC status and back: nothing of it is lost between agent and client."""

from __future__ import annotations

from collections.abc import Mapping

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from runtime.errors import Code, EdgewardError

CODE, WHERE, REMEDY = "edgeward-code", "edgeward-where-bin", "edgeward-remedy-bin"

_STATUS = {
    Code.INTERNAL: Status.INTERNAL,
    Code.USAGE: Status.INVALID_ARGUMENT,
    Code.CONTROL_UNKNOWN_PIPELINE: Status.NOT_FOUND,
    Code.CONTROL_UNKNOWN_STREAM: Status.NOT_FOUND,
    Code.BUNDLE_MISSING: Status.NOT_FOUND,
    Code.CONTROL_TIMEOUT: Status.DEADLINE_EXCEEDED,
    Code.SYSTEM_TIMEOUT: Status.DEADLINE_EXCEEDED,
    Code.CONTROL_UNIMPLEMENTED: Status.UNIMPLEMENTED,
    Code.CONTROL_BUSY: Status.RESOURCE_EXHAUSTED,
    Code.SYSTEM_DISK_FULL: Status.RESOURCE_EXHAUSTED,
    Code.SYSTEM_PERMISSION: Status.PERMISSION_DENIED,
    Code.SYSTEM_BUSY: Status.UNAVAILABLE,
    Code.WORKER_DIED: Status.UNAVAILABLE,
    Code.WORKER_HUNG: Status.UNAVAILABLE,
    Code.WORKER_PROTOCOL: Status.UNAVAILABLE,
    Code.CONTROL_NO_PICTURE: Status.UNAVAILABLE,
}
# A grpclib server that does not know a method answers without a content type, and its client trips over that.
_UNKNOWN_METHOD = "Missing content-type header"


def status_of(code: Code) -> Status:
    """The gRPC status of a code: what a client that knows gRPC only can go by."""
    return _STATUS.get(code, Status.FAILED_PRECONDITION)


def metadata_of(error: EdgewardError) -> dict[str, str | bytes]:
    """The trailing metadata that go with ``error``."""
    found: dict[str, str | bytes] = {CODE: error.code.text}
    if error.where:
        found[WHERE] = error.where.encode(errors="backslashreplace")
    if error.remedy:
        found[REMEDY] = error.remedy.encode(errors="backslashreplace")
    return found


def from_status(error: GRPCError, metadata: Mapping[str, str | bytes], socket: str) -> EdgewardError:
    """The agent's error, or what gRPC says where it is none of the agent's."""
    what = error.message or error.status.name.lower().replace("_", " ")
    code = metadata.get(CODE)
    if isinstance(code, str):
        where, remedy = _text(metadata.get(WHERE)), _text(metadata.get(REMEDY))
        return EdgewardError(Code.of(code), what, where=where, remedy=remedy)
    if error.status is Status.UNIMPLEMENTED or error.message == _UNKNOWN_METHOD:
        return EdgewardError(
            Code.CONTROL_UNIMPLEMENTED,
            "the running agent does not know this request",
            where=socket,
            remedy="it is older than this command: restart it with 'systemctl restart edgeward'",
        )
    if error.status is Status.DEADLINE_EXCEEDED:
        return EdgewardError(
            Code.CONTROL_TIMEOUT,
            "the agent did not do it in time",
            where=socket,
            remedy="see what it does: 'edgeward status', 'edgeward logs'",
        )
    return EdgewardError(
        Code.CONTROL_UNAVAILABLE,
        f"the agent answered: {what}",
        where=socket,
        remedy="look at its log: journalctl -u edgeward",
    )


def _text(value: str | bytes | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""
