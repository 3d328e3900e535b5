"""An error crosses the control socket and is the same on the other side."""

from __future__ import annotations

import pytest
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from agent.control import failure
from runtime.errors import Code, EdgewardError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("code", list(Code), ids=lambda code: code.text)
def test_every_code_has_a_status_and_comes_back_whole(code: Code) -> None:
    status = failure.status_of(code)
    assert status is not Status.OK
    sent = EdgewardError(code, "größer als erlaubt", where="/srv/ä\udcff", remedy="nimm weniger; 50 %")
    got = failure.from_status(GRPCError(status, sent.what), failure.metadata_of(sent), "/run/x.sock")
    assert (got.code, got.what, got.remedy) == (code, sent.what, sent.remedy)
    assert got.where == "/srv/ä\\udcff"


def test_what_is_empty_is_left_out() -> None:
    assert failure.metadata_of(EdgewardError(Code.USAGE, "no")) == {"edgeward-code": "usage"}


@pytest.mark.parametrize(
    ("status", "code", "part"),
    [
        (Status.UNIMPLEMENTED, Code.CONTROL_UNIMPLEMENTED, "systemctl restart edgeward"),
        (Status.DEADLINE_EXCEEDED, Code.CONTROL_TIMEOUT, "edgeward status"),
        (Status.UNKNOWN, Code.CONTROL_UNAVAILABLE, "journalctl"),
    ],
)
def test_a_status_of_grpc_itself_says_what_to_do(status: Status, code: Code, part: str) -> None:
    got = failure.from_status(GRPCError(status, "Method not found"), {}, "/run/x.sock")
    assert got.code is code
    assert part in got.remedy
    assert got.where == "/run/x.sock"


def test_a_code_of_a_newer_agent_is_not_lost_without_a_word() -> None:
    got = failure.from_status(
        GRPCError(Status.NOT_FOUND, "no such moon"), {failure.CODE: "moon.missing"}, "s"
    )
    assert (got.code, got.what) == (Code.INTERNAL, "no such moon")
