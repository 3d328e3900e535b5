"""The page about the control socket says what the service does."""

from __future__ import annotations

import re

import pytest

from agent import events
from agent.control import (
    connections,
    control_pb2,
    detections,
    failure,
    guard,
    service,
    settings,
    to_its_end,
    waits,
)
from agent.logs import recent
from runtime import snapshot
from runtime.errors import Code
from tests.conftest import ROOT

pytestmark = pytest.mark.unit

PAGE = (ROOT / "docs" / "ref" / "control.md").read_text()
METHODS = control_pb2.DESCRIPTOR.services_by_name["Control"].methods


def rows(heading: str) -> dict[str, list[str]]:
    """The rows of the table below a heading, by their first cell."""
    section = PAGE.partition(f"\n## {heading}")[2].partition("\n## ")[0]
    cells = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line[:1] == "|"
    ]
    return {row[0].strip("`"): row[1:] for row in cells[2:]}


def test_every_request_has_its_row_and_those_that_change_something_are_marked() -> None:
    table = rows("Requests")
    assert table.keys() == {method.name for method in METHODS}
    assert {name for name, row in table.items() if row[-1] == "yes"} == set(guard.CHANGING)


def test_every_status_that_a_code_can_have_is_explained() -> None:
    assert rows("Errors").keys() == {failure.status_of(code).name for code in Code}


def test_the_limits_are_those_of_the_code() -> None:
    table = {
        name: [int(number) for number in re.findall(r"\d+", row[0])] for name, row in rows("Limits").items()
    }
    assert table == {
        "connections": [connections.MOST_CONNECTIONS],
        "requests at once": [guard.MOST_REQUESTS, guard.MOST_LASTING],
        "a request": [connections.MOST_REQUEST_BYTES >> 10, int(service.ASKED_S)],
        "changes that wait for their turn": [to_its_end.MOST],
        "snapshots at once": [service.MOST_SNAPSHOTS],
        "what is read of a connection": [connections.TURN_BYTES >> 10],
        "events that wait for a slow follower": [events.LISTENER_KEEPS],
        "detections that wait": [detections.MOST_WAITING, detections.MOST_WAITING_BYTES >> 20],
        "log lines that wait": [recent.FOLLOWER_KEEPS],
        "a client that takes nothing": [int(connections.STUCK_S)],
        "a snapshot": [snapshot.MOST_JPEG_BYTES >> 20],
    }
    assert f"at most {settings.LONGEST_PATH} bytes" in PAGE.replace("\n", " ")
    assert f"(0 to {waits.LONGEST_S:g})" in PAGE
    assert f"last `recent` of {events.KEPT}" in PAGE
    assert f"lines of {recent.KEPT_LINES}" in PAGE
