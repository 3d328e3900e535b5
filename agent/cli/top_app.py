"""The live view of ``edgeward top``, made with textual."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import ClassVar, Protocol

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import DataTable, Footer, RichLog, Static

from agent.cli import events, top_rows
from agent.cli.output import plain
from agent.cli.paint import TONES, Paint, Tone
from agent.cli.top_screens import Help, Question
from agent.control import control_pb2 as pb
from runtime.bundle.replace import replacing
from runtime.errors import EdgewardError

AGAIN_S = 1.0
EVENTS_KEPT = 500
_STYLES: dict[Tone, str] = {"good": "green", "warn": "yellow", "bad": "bold red", "dim": "dim"}


class Agent(Protocol):
    """What the view asks of ``agent.control.client.Client``."""

    def watch_status(self, *, interval_s: float) -> AsyncIterator[pb.Status]:
        """Again and again."""

    def get_events(self, *, recent: int, follow: bool) -> AsyncIterator[pb.Event]:
        """The last ones and those to come."""

    async def restart_pipeline(self, name: str) -> pb.Pipeline:
        """Restart its worker."""

    async def take_snapshot(self, pipeline: str, stream: str, *, annotate: bool) -> pb.SnapshotReply:
        """A picture."""

    def close(self) -> None:
        """End the connection."""


class Top(App[int]):
    """Shows what ``connect()`` tells until its user leaves; connects anew when the agent is started again."""

    TITLE = "edgeward top"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #device { height: 1; text-style: bold; }
    #table { height: 2fr; }
    #below { height: 1fr; min-height: 6; border-top: solid $accent; }
    #checks { width: 2fr; padding: 0 1; }
    #events { width: 3fr; border-left: solid $accent; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        ("q", "quit", "quit"),
        Binding("ctrl+c", "quit", show=False, priority=True),
        ("r", "restart", "restart"),
        ("s", "snapshot", "snapshot"),
        ("o", "order", "order"),
        ("space", "hold", "hold"),
        ("question_mark", "help", "help"),
    ]

    def __init__(
        self, connect: Callable[[], Agent], *, interval_s: float = 1.0, pictures: Path = Path()
    ) -> None:
        super().__init__()
        self._connect = connect
        self._interval_s = interval_s
        self._pictures = pictures
        self._agent: Agent | None = None
        self._status: pb.Status | None = None
        self._history = top_rows.History()
        self._order = "name"
        self._shown: list[top_rows.Row] = []
        self._held = False
        self._last_event = 0

    def compose(self) -> ComposeResult:
        """One line, the table, below it health and events."""
        yield Static("connecting", id="device", markup=False)
        yield DataTable(id="table", cursor_type="row", zebra_stripes=True)
        with Horizontal(id="below"):
            with VerticalScroll(id="checks"):
                yield Static(id="health", markup=False)
            yield RichLog(id="events", max_lines=EVENTS_KEPT, wrap=True, min_width=20)
        yield Footer()

    def on_mount(self) -> None:
        """Begin to look."""
        table = self._table
        for name in top_rows.COLUMNS:
            table.add_column(name, key=name)
        table.focus()
        self.run_worker(self._watch(), name="watch")

    @property
    def _table(self) -> DataTable[Text]:
        table: DataTable[Text] = self.query_one("#table", DataTable)
        return table

    async def _watch(self) -> None:
        """Status and events of the agent, for as long as there is one; then of the next."""
        while True:
            self._agent = self._connect()
            known = asyncio.Event()  # that it is another agent, before its events are taken for old ones
            try:
                await _both(self._follow_status(self._agent, known), self._follow_events(self._agent, known))
            except EdgewardError as error:
                self._headline(str(error), bad=True)
            finally:
                self._agent.close()
                self._agent = None
            await asyncio.sleep(AGAIN_S)

    async def _follow_status(self, agent: Agent, known: asyncio.Event) -> None:
        async for status in agent.watch_status(interval_s=self._interval_s):
            if self._status is not None and self._status.pid != status.pid:
                self._last_event = 0  # another agent: its events begin anew
            self._status = status
            known.set()
            self._history.note(status)
            if not self._held:
                self._show(status)

    async def _follow_events(self, agent: Agent, known: asyncio.Event) -> None:
        await known.wait()
        log = self.query_one("#events", RichLog)
        async for event in agent.get_events(recent=50, follow=True):
            if event.seq > self._last_event:
                self._last_event = event.seq
                style = _STYLES.get(TONES.get(event.severity, "none"), "")
                log.write(Text(events.line(event, Paint(on=False)).rstrip("\n"), style=style))

    def _show(self, status: pb.Status) -> None:
        self._headline(top_rows.headline(status), bad=status.health.state == "failed")
        self._show_rows(top_rows.rows(status, self._history, self._order))
        self.query_one("#health", Static).update(_health(status))

    def _headline(self, text: str, *, bad: bool) -> None:
        self.query_one("#device", Static).update(Text(plain(text), style="bold red" if bad else "bold"))

    def _show_rows(self, rows: list[top_rows.Row]) -> None:
        """Change the cells where the rows are the same ones, so that nothing jumps below the cursor."""
        table = self._table
        if [row.key for row in rows] == [row.key for row in self._shown]:
            for row in rows:
                for name, cell in zip(top_rows.COLUMNS, _cells(row), strict=True):
                    table.update_cell(row.key, name, cell, update_width=True)
            self._shown = rows
            return
        chosen = self._chosen()
        table.clear()
        for row in rows:
            table.add_row(*_cells(row), key=row.key)
        self._shown = rows
        keys = [row.key for row in rows]
        if chosen is not None and chosen.key in keys:
            table.move_cursor(row=keys.index(chosen.key))

    def _chosen(self) -> top_rows.Row | None:
        at = self._table.cursor_row
        return self._shown[at] if 0 <= at < len(self._shown) else None

    def action_order(self) -> None:
        """The next order."""
        orders = list(top_rows.ORDERS)
        self._order = orders[(orders.index(self._order) + 1) % len(orders)]
        if self._status is not None:
            self._show(self._status)
        self._tell(f"by {self._order}")

    def action_hold(self) -> None:
        """Hold the view still, or let it go on."""
        self._held = not self._held
        self._tell("held: space lets it go on" if self._held else "goes on")

    def action_help(self) -> None:
        """What the keys do."""
        self.push_screen(Help())

    def action_restart(self) -> None:
        """Ask, then restart the worker of the chosen pipeline."""
        row = self._chosen()
        if row is not None:
            self.run_worker(self._restart(row.pipeline), name="restart")

    async def _restart(self, pipeline: str) -> None:
        if await self.push_screen_wait(Question(f"Restart the worker of {pipeline}?")) and self._agent:
            try:
                await self._agent.restart_pipeline(pipeline)
            except EdgewardError as error:
                self._tell(str(error), bad=True)
            else:
                self._tell(f"{pipeline} is restarted")

    def action_snapshot(self) -> None:
        """Save a picture of the chosen stream."""
        row = self._chosen()
        if row is not None:
            self.run_worker(self._snapshot(row.pipeline, row.stream), name="snapshot")

    async def _snapshot(self, pipeline: str, stream: str) -> None:
        if self._agent is None:
            return
        try:
            reply = await self._agent.take_snapshot(pipeline, stream, annotate=True)
            name = f"{pipeline}-{reply.stream}-{time.strftime('%Y%m%d-%H%M%S')}.jpg"
            with replacing(self._pictures / name) as file:
                file.write(reply.jpeg)
        except EdgewardError as error:
            self._tell(str(error), bad=True)
        else:
            self._tell(f"saved {name}")

    def _tell(self, text: str, *, bad: bool = False) -> None:
        self.notify(plain(text), severity="error" if bad else "information", markup=False)


async def _both(*parts: Coroutine[None, None, None]) -> None:
    """Run them side by side until one ends or fails; then the others end too."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _cells(row: top_rows.Row) -> list[Text]:
    style = _STYLES.get(TONES.get(row.state, "none"), "")
    cells = [Text(plain(cell)) for cell in row.cells]
    cells[1].stylize(style)
    if not row.stream:
        cells[0].stylize("bold")
    return cells


def _health(status: pb.Status) -> Text:
    """The summary, then what is not well, the worst first."""
    health = status.health
    state = health.state or "unknown"
    text = Text(f"health: {plain(state)}", style=_STYLES.get(TONES.get(state, "none"), ""))
    if health.summary:
        text.append(f"\n{plain(health.summary)}", style="none")
    found = [check for check in health.checks if check.severity != "ok"]
    for check in sorted(found, key=lambda check: check.severity != "critical"):
        about = f"{check.subject}: " if check.subject else ""
        style = _STYLES[TONES.get(check.severity, "warn")]
        text.append(f"\n! {plain(about + check.text)}", style=style)
        if check.remedy:
            text.append(f"\n  -> {plain(check.remedy)}", style="none")
    return text
