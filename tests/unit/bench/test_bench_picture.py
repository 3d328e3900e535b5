"""The picture of the stages fits the terminal, shows shares as they are, and is plain where it must be."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli.bench_measure import Stage
from agent.cli.bench_picture import _share_out, stages

pytestmark = pytest.mark.unit

STAGES = [
    Stage("decode", 6.0, 6.1),
    Stage("infer", 12.0, 12.3),
    Stage("publish", 0.05, None),
    Stage("other", 0.95, None),
]


class Screen(io.StringIO):
    """A terminal, or a file, of some encoding."""

    def __init__(self, *, tty: bool, encoding: str = "utf-8") -> None:
        super().__init__()
        self._tty, self._encoding = tty, encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return self._tty


@given(
    st.lists(st.floats(0, 1e4), min_size=1, max_size=9).filter(lambda values: sum(values) > 0),
    st.integers(1, 400),
)
def test_no_line_is_wider_than_the_terminal(values: list[float], width: int) -> None:
    parts = [Stage(f"stage{index}", value, None) for index, value in enumerate(values)]
    for line in stages(parts, sum(values), Screen(tty=False), width):
        assert len(line) <= max(40, width - 1), line


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=12), st.integers(1, 200))
def test_cells_are_shared_out_whole_and_by_size(values: list[float], cells: int) -> None:
    shares = _share_out(values, cells)
    assert sum(shares) == cells
    if sum(values) > 0:
        for value, share in zip(values, shares, strict=True):
            assert abs(share - value * cells / sum(values)) < 1


def test_a_file_gets_no_colour_codes_and_a_terminal_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b" not in "".join(stages(STAGES, 19.0, Screen(tty=False), 80))
    coloured = stages(STAGES, 19.0, Screen(tty=True), 80)[-1]
    assert "\x1b[" in coloured
    assert len(re.sub(r"\x1b\[[0-9;]*m", "", coloured)) == 79
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in "".join(stages(STAGES, 19.0, Screen(tty=True), 80))


def test_an_encoding_without_blocks_gets_signs_that_it_has() -> None:
    lines = stages(STAGES, 19.0, Screen(tty=False, encoding="ascii"), 80)
    assert "\n".join(lines).isascii()
    assert "######" in "\n".join(lines)


def test_every_stage_has_its_figures() -> None:
    text = "\n".join(stages(STAGES, 19.0, Screen(tty=False), 100))
    for expected in (
        "decode      6.000     6.100   32 %",
        "infer      12.000    12.300   63 %",
        "frame 19.00 ms CPU",
        "infer 12.00",
    ):
        assert expected in text, text
