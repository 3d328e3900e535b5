"""The watchdog is fed while every part makes progress, and not for one moment longer than its time."""

from __future__ import annotations

import logging

import pytest

from agent.systemd import Notifier
from agent.watchdog import Part, Watchdog

pytestmark = pytest.mark.unit


class Heard(Notifier):
    """Notes what systemd would be sent."""

    def __init__(self) -> None:
        super().__init__({"WATCHDOG_USEC": "30000000"})
        self.states: list[str] = []

    def _send(self, state: str, *, patient: bool = False) -> bool:
        self.states.append(state)
        return True

    def take(self) -> list[str]:
        taken, self.states = self.states, []
        return taken


def made() -> tuple[Heard, dict[str, float], Watchdog]:
    heard, turned = Heard(), {"supervision": 100.0, "link": 100.0}
    parts = (
        Part(name="supervision", limit_s=5, turned=lambda: turned["supervision"]),
        Part(name="link", limit_s=60, turned=lambda: turned["link"]),
    )
    return heard, turned, Watchdog(heard, parts, lambda: "all is well")


def test_it_is_fed_three_times_in_systemd_s_time_and_no_more() -> None:
    heard, turned, watchdog = made()
    for now in range(100, 161):
        turned.update(supervision=now, link=now)
        watchdog.look(now)
    assert heard.states.count("WATCHDOG=1") == 7
    assert heard.states.count("STATUS=all is well") == 1


@pytest.mark.parametrize(("late", "limit"), [("supervision", 5), ("link", 60)])
def test_each_part_has_its_own_time_and_is_named_once_it_is_over(
    caplog: pytest.LogCaptureFixture, late: str, limit: int
) -> None:
    heard, turned, watchdog = made()
    other = "link" if late == "supervision" else "supervision"
    for now in range(100, 100 + limit + 1):
        turned[other] = now
        watchdog.look(now)
    assert "WATCHDOG=1" in heard.take()
    with caplog.at_level(logging.WARNING):
        for now in range(101 + limit, 200 + limit):
            turned[other] = now
            watchdog.look(now)
    assert heard.take() == [f"STATUS=no progress: {late}"]
    assert [record.getMessage() for record in caplog.records] == [
        f"{late} made no progress for {limit + 1} s: the watchdog is not fed any more"
    ]
    turned[late] = turned[other] = 400
    watchdog.look(400)
    assert heard.take() == ["WATCHDOG=1", "STATUS=all is well"]
