"""The log: forms, secrets and limits."""

from __future__ import annotations

import json
import logging
import os
import pty
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import logs
from agent.log_settings import Log
from agent.logs import formats
from agent.logs.limit import MAX_KINDS, RateLimit
from agent.logs.line import MAX_TEXT, Line, line_of
from agent.redact import Redactor

pytestmark = pytest.mark.unit

TIME_MS = 1_700_000_000_123

SECRET = 's3cret/"word'  # noqa: S105


def line(text: str = "text", *, seq: int = 1, level: int = logging.INFO, exception: str = "") -> Line:
    return Line(
        seq=seq,
        time_ms=TIME_MS,
        level=level,
        part="link",
        pipeline="",
        text=text,
        exception=exception,
    )


def record(text: str = "%s happened", *values: object, level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("part", level, __file__, 1, text, values, None)


@pytest.fixture
def restored() -> Iterator[None]:
    """The root logger as pytest has it."""
    root = logging.getLogger()
    handlers, level, raising = list(root.handlers), root.level, logging.raiseExceptions
    yield
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.raiseExceptions = raising


def written(settings: Log, say: object, redactor: Redactor | None = None) -> str:
    """What `say` logs into a pipe."""
    reading, writing = os.pipe()
    root = logging.getLogger()
    kept = list(root.handlers)
    root.handlers[:] = []
    try:
        handler = logs.set_up(redactor or Redactor(), settings, fd=writing)
        say()  # type: ignore[operator]
        root.removeHandler(handler)
        handler.close()
    finally:
        root.handlers[:] = kept
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        return pipe.read()


# --- forms ---


def test_a_plain_line_has_time_level_part_and_text() -> None:
    assert formats.as_text(line("x", level=logging.WARNING)) == "2023-11-14T22:13:20.123Z WARNING link: x"


def test_a_json_line_is_one_object_whatever_the_text_holds() -> None:
    shown = formats.as_json(line('a "quoted"\ttext', exception="Traceback\nValueError: x"))
    assert "\n" not in shown
    assert json.loads(shown) == {
        "ts": "2023-11-14T22:13:20.123Z",
        "level": "INFO",
        "part": "link",
        "text": 'a "quoted"\ttext',
        "exception": "Traceback\nValueError: x",
    }


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.DEBUG, 7), (logging.INFO, 6), (logging.WARNING, 4), (logging.ERROR, 3), (logging.CRITICAL, 2)],
)
def test_the_journal_gets_the_priority_of_each_line(level: int, priority: int) -> None:
    assert formats.as_journal_json(line(level=level)).startswith(f"<{priority}>{{")


def test_auto_is_json_only_when_stderr_is_the_journal_itself(tmp_path: Path) -> None:
    with (tmp_path / "journal").open("wb") as journal, (tmp_path / "other").open("wb") as other:
        status = os.fstat(journal.fileno())
        environment = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert formats.choose("auto", journal.fileno(), environment) is formats.as_journal_json
        # Redirected into a file by a service's own script: no journal takes the priority off.
        assert formats.choose("auto", other.fileno(), environment) is formats.as_text
        assert formats.choose("json", other.fileno(), environment) is formats.as_json
        for broken in ("", "x", "1", "a:b"):
            assert formats.choose("auto", other.fileno(), {"JOURNAL_STREAM": broken}) is formats.as_text


def test_colours_are_for_a_terminal_that_wants_them() -> None:
    ours, theirs = pty.openpty()
    try:
        assert formats.choose("auto", theirs, {}) is formats.as_coloured
        assert formats.choose("auto", theirs, {"NO_COLOR": "1"}) is formats.as_pretty
        assert formats.choose("auto", theirs, {"TERM": "dumb"}) is formats.as_pretty
    finally:
        os.close(ours)
        os.close(theirs)
    assert "\x1b[31m" in formats.as_coloured(line(level=logging.ERROR))
    assert "\x1b" not in formats.as_pretty(line(level=logging.ERROR))


def test_a_line_break_in_a_text_begins_no_new_entry() -> None:
    found = line_of(record("a\n2026-01-01T00:00:00.000Z ERROR link: forged"), 1, Redactor())
    assert found.text == "a | 2026-01-01T00:00:00.000Z ERROR link: forged"


def test_what_a_terminal_would_obey_is_taken_out() -> None:
    assert "\x1b" not in line_of(record("\x1b]0;title\x07 %s", "\x1b[2J"), 1, Redactor()).text


def test_a_wrong_log_call_is_logged_and_breaks_nobody() -> None:
    found = line_of(record("%d apples", "many"), 1, Redactor())
    assert "%d apples" in found.text
    assert "TypeError" in found.text


def test_a_text_is_bounded_and_of_a_traceback_the_end_stays() -> None:
    try:
        float("x" * 2 * MAX_TEXT + "the end")
    except ValueError:
        bad = logging.LogRecord("part", logging.ERROR, __file__, 1, "y" * 2 * MAX_TEXT, (), sys.exc_info())
    found = line_of(bad, 1, Redactor())
    assert len(found.text) < MAX_TEXT + 10
    assert found.exception.endswith("the end'")
    assert len(found.exception) < MAX_TEXT + 10


@pytest.mark.parametrize("form", ["text", "json", "pretty"])
def test_no_secret_is_in_any_form_nor_in_what_is_kept(form: str) -> None:
    redactor = Redactor()
    redactor.learn(SECRET)
    handlers = []

    def say() -> None:
        handlers.append(logs.installed())
        log = logging.getLogger("part")
        log.info("password %s of %s", SECRET, "rtsp://admin:hunter22@10.0.0.1/x?pwd=abcdef")
        # Where the text is cut half a secret must not stay.
        log.info("%s%s", "x" * (MAX_TEXT - 5), SECRET)
        try:
            float(f"refused {SECRET}")
        except ValueError:
            log.exception("it failed")

    shown = written(Log(format=form), say, redactor)  # type: ignore[arg-type]
    kept = "".join(f"{each.text}{each.exception}" for each in handlers[0].recent.recent())
    for text in (shown, kept):
        assert "it failed" in text
        for secret in ("s3cret", "s3c", "hunter22", "abcdef"):
            assert secret not in text


def test_the_level_is_obeyed_and_can_change_while_it_runs(restored: None) -> None:
    def say() -> None:
        log = logging.getLogger("part")
        log.info("one")
        logs.apply(logs.installed(), Log(level="debug"))  # type: ignore[arg-type]
        log.debug("two")
        logs.apply(logs.installed(), Log(level="error", format="json"))  # type: ignore[arg-type]
        log.warning("three")
        log.error("four")

    _, first, second = written(Log(format="text"), say).splitlines()
    assert first.endswith("DEBUG part: two")
    assert json.loads(second)["text"] == "four"


# --- limit ---


def test_alike_lines_over_the_burst_are_left_out_and_counted() -> None:
    limit = RateLimit(burst=3, window_s=10, redactor=Redactor())
    assert [limit.passes(record("%s", n), now=n / 10) for n in range(10)] == [True] * 3 + [False] * 7
    assert limit.passes(record("another"), 1.0)
    assert limit.next_due() == 10.0
    assert not limit.due(9.9)
    (left_out,) = limit.due(10.0)
    assert (left_out.count, left_out.part, left_out.sample) == (7, "part", "%s")
    assert limit.next_due() is None
    assert limit.passes(record("%s", 11), 10.1)


def test_the_first_of_a_kind_and_all_that_is_critical_pass() -> None:
    limit = RateLimit(burst=1, window_s=10, redactor=Redactor())
    assert limit.passes(record("a"), 0)
    assert not limit.passes(record("a"), 0)
    assert limit.passes(record("a", level=logging.ERROR), 0)
    assert all(limit.passes(record("a", level=logging.CRITICAL), 0) for _ in range(100))


def test_one_pipeline_that_floods_takes_nothing_from_another() -> None:
    limit = RateLimit(burst=1, window_s=10, redactor=Redactor())

    def of(pipeline: str) -> logging.LogRecord:
        made = record("%s: worker: %s", pipeline, "x")
        made.pipeline = pipeline
        return made

    while limit.passes(of("p"), 0):
        pass
    assert limit.passes(of("q"), 0)


def test_kinds_are_bounded_and_no_count_is_forgotten_for_a_quiet_one() -> None:
    limit = RateLimit(burst=1, window_s=10, redactor=Redactor())
    limit.passes(record("loud"), 0)
    limit.passes(record("loud"), 0)
    for number in range(MAX_KINDS * 3):
        limit.passes(record(f"kind {number}"), 0)
    assert [found.sample for found in limit.due(10)] == ["loud"]


def test_what_was_left_out_is_told_even_if_nothing_is_logged_any_more() -> None:
    def say() -> None:
        for number in range(30):
            logging.getLogger("part").info("number %d", number)
        handler = logs.installed()
        assert handler is not None
        deadline = time.monotonic() + 10
        while not any("left out" in each.text for each in handler.recent.recent()):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    shown = written(Log(format="text", burst=10, window_s=0.2), say).splitlines()
    assert len(shown) == 11
    assert shown[-1].endswith("WARNING log: 20 lines of part left out that were like 'number %d'")


def test_counts_are_told_at_the_end_too() -> None:
    def say() -> None:
        for number in range(30):
            logging.getLogger("part").info("number %d", number)

    assert "20 lines of part left out" in written(Log(format="text", burst=10, window_s=1000), say)


def test_a_secret_is_not_half_shown_where_the_sample_is_cut() -> None:
    redactor = Redactor()
    redactor.learn("hunter2secret")

    def say() -> None:
        for _ in range(3):
            logging.getLogger("part").warning("y" * 70 + " hunter2secret")

    shown = written(Log(burst=1), say, redactor)
    assert "2 lines of part left out" in shown
    assert "hunter" not in shown


def test_an_object_that_cannot_be_shown_breaks_nobody_who_logs_it() -> None:
    class Bad:
        def __str__(self) -> str:
            raise ValueError("no")

    shown = written(Log(), lambda: logging.getLogger("part").warning(Bad()))
    assert "a Bad (cannot be shown: ValueError)" in shown
