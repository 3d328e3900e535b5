"""``edgeward top``: what its keys do, asked of the view itself by textual's pilot."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import DataTable, RichLog, Static

from agent.cli import top_rows
from agent.cli.top_app import Top
from agent.cli.top_screens import Help, Question
from agent.control import control_pb2 as pb
from runtime.errors import Code, EdgewardError

pytestmark = pytest.mark.unit


class CannedAgent:
    """Two pipelines; says what it is told to say, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.status = pb.Status(pid=1)
        self.status.device.id = "edge-17"
        self.status.health.state = "ok"
        for name, fps, latency, dropped in (("belt", 5, 40, 7), ("line", 20, 9, 0)):
            pipeline = self.status.pipelines.add(name=name, state="running", memory_mb=100)
            stream = pipeline.streams.add(name="cam", state="running", fps=fps, dropped=dropped)
            stream.latency_p50_ms, stream.latency_p95_ms = latency / 2, latency
        self.news: asyncio.Queue[pb.Status | EdgewardError] = asyncio.Queue()
        self.asked: list[tuple[str, ...]] = []
        self.error: EdgewardError | None = None
        self.closed = 0
        self.more_events: list[pb.Event] = []

    def say(self, what: pb.Status | EdgewardError | None = None) -> None:
        if what is None:
            what = pb.Status()
            what.CopyFrom(self.status)  # each look at an agent is a message of its own
        self.news.put_nowait(what)

    async def watch_status(self, *, interval_s: float) -> AsyncIterator[pb.Status]:
        while True:
            news = await self.news.get()
            if isinstance(news, EdgewardError):
                raise news
            yield news

    async def get_events(self, *, recent: int, follow: bool) -> AsyncIterator[pb.Event]:
        yield pb.Event(seq=1, kind="worker.died", subject="line", severity="critical", text="[bold]killed")
        for event in self.more_events:
            yield event
        await asyncio.Event().wait()

    async def restart_pipeline(self, name: str) -> pb.Pipeline:
        self.asked.append(("restart", name))
        if self.error is not None:
            raise self.error
        return pb.Pipeline(name=name)

    async def take_snapshot(self, pipeline: str, stream: str, *, annotate: bool) -> pb.SnapshotReply:
        self.asked.append(("snapshot", pipeline, stream))
        if self.error is not None:
            raise self.error
        return pb.SnapshotReply(jpeg=b"\xff\xd8", stream=stream or "cam")

    def close(self) -> None:
        self.closed += 1


def with_view(
    agent: CannedAgent, test: Callable[[Top, Pilot[int]], Awaitable[None]], pictures: Path = Path()
) -> None:
    """Run ``test`` on a view of ``agent``."""

    async def run() -> None:
        agent.say()
        view = Top(lambda: agent, interval_s=0.1, pictures=pictures)
        async with view.run_test(size=(110, 40)) as pilot:
            await until(pilot, lambda: view.query_one("#table", DataTable).row_count > 0)
            await test(view, pilot)

    asyncio.run(run())


async def until(pilot: Pilot[int], holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await pilot.pause(0.01)


def names(view: App[int]) -> list[str]:
    table = view.query_one("#table", DataTable)
    return [str(table.get_row_at(index)[0]).strip() for index in range(table.row_count)]


def text(view: App[int], selector: str) -> str:
    return str(view.query_one(selector, Static).render())


def log(view: App[int]) -> str:
    return "\n".join(strip.text for strip in view.query_one("#events", RichLog).lines)


def said(view: App[int]) -> str:
    return "\n".join(notice.message for notice in view._notifications)


def test_it_shows_pipelines_streams_health_and_events_as_they_are_written() -> None:
    agent = CannedAgent()
    agent.status.health.checks.add(severity="warning", text="[red]300 MB left", remedy="remove films")

    async def test(view: Top, pilot: Pilot[int]) -> None:
        assert names(view) == ["belt", "cam", "line", "cam"]
        assert "edge-17" in text(view, "#device")
        assert "! [red]300 MB left\n  -> remove films" in text(view, "#health")
        await until(pilot, lambda: "[bold]killed" in log(view))

    with_view(agent, test)


def test_figures_change_below_a_cursor_that_stays_with_its_row() -> None:
    agent = CannedAgent()

    async def test(view: Top, pilot: Pilot[int]) -> None:
        table = view.query_one("#table", DataTable)
        await pilot.press("down", "down", "down")
        agent.status.pipelines[1].streams[0].fps = 17.5
        agent.say()
        await until(pilot, lambda: str(table.get_row_at(3)[3]) == "17.5")
        assert table.cursor_row == 3
        first = agent.status.pipelines.add(name="a", state="starting")
        agent.say()
        await until(pilot, lambda: names(view)[0] == first.name)
        assert table.cursor_row == 4

    with_view(agent, test)


def test_o_changes_the_order() -> None:
    agent = CannedAgent()
    agent.status.pipelines[1].streams[0].state = "stalled"

    async def test(view: Top, pilot: Pilot[int]) -> None:
        orders = {}
        for order in [*list(top_rows.ORDERS)[1:], "name"]:
            await pilot.press("o")
            orders[order] = names(view)
        assert orders == {
            "state": ["line/cam", "belt/cam"],
            "fps": ["belt/cam", "line/cam"],
            "latency": ["belt/cam", "line/cam"],
            "dropped": ["belt/cam", "line/cam"],
            "name": ["belt", "cam", "line", "cam"],
        }

    with_view(agent, test)


@pytest.mark.parametrize(("answer", "asked"), [("y", [("restart", "line")]), ("n", []), ("escape", [])])
def test_r_restarts_the_chosen_pipeline_after_a_yes_only(answer: str, asked: list[tuple[str, ...]]) -> None:
    agent = CannedAgent()

    async def test(view: Top, pilot: Pilot[int]) -> None:
        await pilot.press("down", "down", "down", "r")
        await until(pilot, lambda: isinstance(view.screen, Question))
        assert not agent.asked
        agent.status.device.id = "edge-18"  # behind the question all goes on
        agent.say()
        await until(pilot, lambda: "edge-18" in text(view, "#device"))
        await pilot.press(answer)
        await until(pilot, lambda: not isinstance(view.screen, Question))
        await until(pilot, lambda: agent.asked == asked)

    with_view(agent, test)


def test_s_saves_a_picture_of_the_chosen_stream(tmp_path: Path) -> None:
    agent = CannedAgent()

    async def test(view: Top, pilot: Pilot[int]) -> None:
        await pilot.press("down", "s")
        await until(pilot, lambda: "saved belt-cam-" in said(view))
        assert agent.asked == [("snapshot", "belt", "cam")]
        (picture,) = tmp_path.iterdir()
        assert picture.read_bytes() == b"\xff\xd8"

    with_view(agent, test, tmp_path)


@pytest.mark.parametrize("key", ["s", "r"])
def test_what_the_agent_refuses_is_told_and_the_view_goes_on(key: str, tmp_path: Path) -> None:
    agent = CannedAgent()
    agent.error = EdgewardError(Code.CONTROL_NO_PICTURE, "no [b]picture", remedy="wait")

    async def test(view: Top, pilot: Pilot[int]) -> None:
        await pilot.press(key)
        if key == "r":
            await until(pilot, lambda: isinstance(view.screen, Question))
            await pilot.press("y")
        await until(pilot, lambda: "no [b]picture; wait" in said(view))
        assert view.is_running

    with_view(agent, test, tmp_path)


def test_an_agent_that_goes_away_is_named_and_the_next_one_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agent.cli.top_app.AGAIN_S", 0.01)
    agent = CannedAgent()

    async def test(view: Top, pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "killed" in log(view))
        agent.say(EdgewardError(Code.CONTROL_UNAVAILABLE, "the agent closed the connection"))
        await until(pilot, lambda: "the agent closed the connection" in text(view, "#device"))
        await until(pilot, lambda: agent.closed == 1)
        agent.status.pid, agent.status.device.id = 2, "edge-18"
        agent.say()
        await until(pilot, lambda: "edge-18" in text(view, "#device"))
        await until(pilot, lambda: log(view).count("killed") == 2)  # the first event of each

    with_view(agent, test)


def test_events_are_not_shown_again_when_the_connection_to_the_same_agent_is_made_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agent.cli.top_app.AGAIN_S", 0.01)
    agent = CannedAgent()

    async def test(view: Top, pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "killed" in log(view))
        agent.say(EdgewardError(Code.CONTROL_UNAVAILABLE, "gone"))
        await until(pilot, lambda: agent.closed == 1)
        agent.more_events.append(pb.Event(seq=2, kind="x", text="a new one"))
        agent.say()
        await until(pilot, lambda: "a new one" in log(view))
        assert log(view).count("killed") == 1

    with_view(agent, test)


def test_space_holds_the_view_and_the_question_mark_explains() -> None:
    agent = CannedAgent()

    async def test(view: Top, pilot: Pilot[int]) -> None:
        await pilot.press("space")
        agent.status.device.id = "edge-18"
        agent.say()
        await until(pilot, agent.news.empty)
        assert "edge-17" in text(view, "#device")
        await pilot.press("space")
        agent.say()
        await until(pilot, lambda: "edge-18" in text(view, "#device"))
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(view.screen, Help))
        await pilot.press("x")
        await until(pilot, lambda: not isinstance(view.screen, Help))

    with_view(agent, test)


def test_the_sparkline_has_a_bar_a_look_and_forgets_streams_that_are_gone() -> None:
    history = top_rows.History()
    status = one_stream(10)
    for fps in (0, 5, 10):
        status.pipelines[0].streams[0].fps = fps
        history.note(status)
    assert history.sparkline("line/cam") == "▁▅█"
    for _ in range(100):
        history.note(status)
    assert len(history.sparkline("line/cam")) == top_rows.KEPT
    history.note(pb.Status())
    assert history.sparkline("line/cam") == ""


def one_stream(fps: float) -> pb.Status:
    pipeline = pb.Pipeline(name="line", streams=[pb.Stream(name="cam", fps=fps)])
    return pb.Status(pipelines=[pipeline])


def test_without_textual_it_names_the_package_and_another_way() -> None:
    script = (
        "import sys, importlib.util; real = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *more: None if name == 'textual' else real(name, *more)\n"
        "from agent.cli.main import main; sys.exit(main(['top']))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'edgeward[top]', or use 'edgeward status --watch'" in done.stderr
    assert done.stdout == ""
