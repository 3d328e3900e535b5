"""The windows over the live view: a question before something is stopped, and what the keys do."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

_BOX = """
{name} {{ align: center middle; }}
{name} Vertical {{ width: 64; height: auto; border: round $accent; padding: 1 2; background: $surface; }}
"""

HELP = """\
up, down    choose a pipeline or a stream
o           order: by name, state, frame rate, latency, dropped frames
r           restart the worker of the chosen pipeline (asks first)
s           save a snapshot of the chosen stream in this folder
space       hold the view still, and let it go on
?           this page
q           end

FPS         results a second over the last seconds
RECENT FPS  the same, look by look; the highest bar is the highest rate
P50, P95    milliseconds from a frame's arrival to its result
DROPPED     frames that were not looked at since the worker started

Any key closes this page.\
"""


class Question(ModalScreen[bool]):
    """Yes or no; anything but y is a no."""

    DEFAULT_CSS = _BOX.format(name="Question")
    BINDINGS: ClassVar[list[BindingType]] = [
        ("y", "answer(True)", "yes"),
        ("n,escape,q,enter", "answer(False)", "no"),
    ]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """The question and its keys."""
        with Vertical():
            yield Static(f"{self._text}\n\ny: yes    n: no", markup=False)

    def action_answer(self, answer: bool) -> None:
        """Close it."""
        self.dismiss(answer)


class Help(ModalScreen[None]):
    """What the keys and columns are."""

    DEFAULT_CSS = _BOX.format(name="Help")

    def compose(self) -> ComposeResult:
        """The text."""
        with Vertical():
            yield Static(HELP, markup=False)

    def on_key(self) -> None:
        """Any key closes it."""
        self.dismiss()
