"""``edgeward status``: one screen, whatever the agent says, with the remedy under what is wrong."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cli import message_document, paint, pipeline_report, status, status_report
from agent.control import control_pb2 as pb
from runtime.errors import Code, EdgewardError, ExitStatus

pytestmark = pytest.mark.unit

PLAIN = paint.Paint(on=False)
# What turns the wrapping of long lines off and on.
NO_WRAP, WRAP = "\x1b[?7l", "\x1b[?7h"
WIDTH = 80


def device_at_work() -> pb.Status:
    """One pipeline with a stream that runs and one that does not."""
    found = pb.Status(version="0.2.0", pid=812, uptime_s=98_765, agent_pss_mb=33.2)
    found.config_file = "/etc/edgeward/edgeward.toml"
    found.device.id, found.device.profile, found.device.profile_title = "edge-17", "rpi5", "Raspberry Pi 5"
    found.device.memory_mb, found.device.cpu_count, found.device.temperature_c = 8000, 4, 61.4
    found.link.address, found.link.for_s, found.link.connected = "mqtts://broker:8883", 7200, True
    found.health.state, found.health.summary = "failed", "1 of 12 checks is not ok"
    found.health.checks.add(id="disk_space", severity="ok", text="12 GB free")
    found.health.checks.add(
        id="stream_progress",
        subject="line/cam2",
        severity="critical",
        code="source.refused",
        text="no results for 12 s: nothing listens there",
        remedy="is the camera on?",
    )
    line = found.pipelines.add(name="line", state="running", for_s=7200, pid=33, memory_mb=120)
    line.bundles.add(name="belt", version="1.2.0", engine="onnxruntime", provider="cpu", digest="ab" * 32)
    good = line.streams.add(name="cam1", state="running", for_s=7200, fps=24.94, max_fps=25)
    good.latency_p50_ms, good.latency_p95_ms, good.latency_p99_ms = 12, 31, 60
    bad = line.streams.add(name="cam2", state="stalled", for_s=12)
    bad.problem.code, bad.problem.text, bad.problem.remedy = (
        "source.refused",
        "nothing listens there",
        "is the camera on?",
    )
    return found


def screen(message: pb.Status) -> str:
    return status_report.screen(message, PLAIN, WIDTH)


def test_the_screen_shows_device_link_pipelines_health_and_version() -> None:
    shown = screen(device_at_work())
    for part in (
        "edge-17 failed",
        "Raspberry Pi 5",
        "61 °C",
        "edgeward 0.2.0, pid 812, up 1 d 3 h, 33 MB",
        "connected to mqtts://broker:8883 for 2 h 0 min",
        "1 critical, see pipelines",
        "belt 1.2.0 on onnxruntime, cpu",
        "24.9/25        12/31",
    ):
        assert part in shown


def test_under_what_is_wrong_stand_reason_and_remedy_once() -> None:
    lines = screen(device_at_work()).splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("  cam2"))
    assert lines[at + 1].strip() == "! nothing listens there [source.refused]"
    assert lines[at + 2].strip() == "-> is the camera on?"
    assert "\n".join(lines).count("is the camera on?") == 1


def test_the_remedy_of_a_check_that_is_about_no_pipeline_stands_below_it() -> None:
    message = device_at_work()
    message.health.checks.add(id="disk_space", severity="warning", text="300 MB left", remedy="remove films")
    shown = screen(message)
    assert "1 critical, 1 warning, see pipelines" in shown
    assert shown.index("! 300 MB left [disk_space]") < shown.index("-> remove films")


def test_one_cause_of_a_pipeline_its_bundle_and_its_streams_is_told_once() -> None:
    message = device_at_work()
    line = message.pipelines[0]
    for place in (line.problem, line.bundles[0].quarantined, line.streams[1].problem):
        place.code, place.text, place.remedy = (
            "bundle.quarantined",
            "it crashed three times",
            "install another",
        )
    assert screen(message).count("it crashed three times") == 1


def test_a_broken_link_is_told_at_the_link_and_counted_in_the_health() -> None:
    message = device_at_work()
    message.link.connected = False
    message.link.problem.code, message.link.problem.text = "link.refused", "nothing listens at broker:8883"
    message.health.checks.add(
        id="broker_link", severity="warning", code="link.refused", text="nothing listens at broker:8883"
    )
    shown = screen(message)
    assert shown.count("nothing listens at broker:8883") == 1
    assert "health   1 critical, 1 warning, see pipelines and link" in shown


def test_a_cause_without_a_code_is_told_once_too() -> None:
    message = device_at_work()
    line = message.pipelines[0]
    line.state, line.problem.text = "stopped", "stopped on request"
    del message.health.checks[1]
    for stream in line.streams:
        stream.problem.code, stream.problem.text = "", "stopped on request"
        message.health.checks.add(
            subject=f"line/{stream.name}", severity="critical", text="no results: stopped on request"
        )
    assert screen(message).count("stopped on request") == 1


def test_a_finding_about_a_stream_that_stands_nowhere_else_is_shown() -> None:
    message = device_at_work()
    message.health.checks.add(id="latency", subject="line/cam2", severity="warning", text="90 ms, not 40")
    assert "! line/cam2: 90 ms, not 40 [latency]" in screen(message)


def test_a_device_without_findings_says_so() -> None:
    message = device_at_work()
    del message.health.checks[1]
    message.health.state, message.health.summary = "ok", ""
    assert "health   1 checks, all ok" in screen(message)


def test_what_the_governor_does_and_a_refused_configuration_are_not_kept_quiet() -> None:
    message = device_at_work()
    assert "governor" not in screen(message)
    message.governor.level, message.governor.rate = 2, 0.5
    message.governor.reasons.append("soc-thermal at 81 °C")
    message.config_problem.text, message.config_problem.remedy = "mqtt.url: not a URL", "mend it"
    message.draining = True
    shown = screen(message)
    assert "streams run at 50% (level 2): soc-thermal at 81 °C" in shown
    assert "! the file was refused: mqtt.url: not a URL" in shown
    assert "-> mend it" in shown
    assert "edge-17 failed, drained" in shown


def test_details_of_a_pipeline_hold_last_lines_limits_and_the_quarantined_bundle() -> None:
    line = device_at_work().pipelines[0]
    line.last_end, line.restarts, line.memory_limit_mb = "killed by SIGSEGV", 3, 400
    line.last_lines.extend(["loading", "Segmentation fault"])
    line.bundles[0].quarantined.text = "three crashes within a minute"
    line.bundles[0].quarantined.remedy = "install a newer one"
    shown = pipeline_report.details(line, PLAIN, WIDTH)
    for part in (
        "quarantined: three crashes within a minute",
        "-> install a newer one",
        "3, the last one: killed by SIGSEGV",
        "120 MB of 400 MB allowed",
        "  Segmentation fault",
        "ab" * 32,
        "p50 12.0 ms, p95 31.0 ms, p99 60.0 ms",
    ):
        assert part in shown


def filled(message: Message, data: st.DataObject, depth: int = 0) -> None:
    """Put anything that its types allow into a message, into the messages in it too."""
    for field in message.DESCRIPTOR.fields:
        if field.message_type is not None:
            if field.is_repeated:
                for _ in range(data.draw(st.integers(0, 1))):
                    filled(getattr(message, field.name).add(), data, depth + 1)
            elif data.draw(st.booleans()):
                filled(getattr(message, field.name), data, depth + 1)
            continue
        kinds: dict[int, st.SearchStrategy[Any]] = {
            field.CPPTYPE_STRING: st.text(max_size=90),
            field.CPPTYPE_BOOL: st.booleans(),
            field.CPPTYPE_DOUBLE: st.floats(0, 1e9),
            field.CPPTYPE_INT64: st.integers(0, 4_000_000_000_000),
            field.CPPTYPE_UINT64: st.integers(0, 1 << 40),
            field.CPPTYPE_UINT32: st.integers(0, (1 << 32) - 1),
        }
        value = data.draw(kinds[field.cpp_type])
        if field.is_repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_no_line_is_longer_than_80_columns_and_none_commands_the_terminal(data: st.DataObject) -> None:
    message = pb.Status()
    filled(message, data)
    texts = [screen(message), *(pipeline_report.details(item, PLAIN, WIDTH) for item in message.pipelines)]
    for text in texts:
        for line in text.split("\n"):
            assert len(line) <= WIDTH, line
            assert line.isprintable(), line


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_json_holds_every_field_by_its_name_and_numbers_as_numbers(data: st.DataObject) -> None:
    message = pb.Status()
    filled(message, data)
    found = json.loads(json.dumps(message_document.document(message)))
    assert set(found) == {field.name for field in message.DESCRIPTOR.fields}
    assert found["config_loaded_ms"] == message.config_loaded_ms
    assert len(found["pipelines"]) == len(message.pipelines)


def test_what_is_not_known_is_null_in_json() -> None:
    found = message_document.document(pb.Status(pipelines=[pb.Pipeline(streams=[pb.Stream()])]))
    assert found["device"] is None
    assert found["pipelines"][0]["streams"][0]["latency_p95_ms"] is None
    assert found["pipelines"][0]["streams"][0]["results"] == 0


@pytest.mark.parametrize(
    ("state", "expected"),
    [("ok", ExitStatus.OK), ("degraded", ExitStatus.DEGRADED), ("failed", ExitStatus.FAILED)],
)
def test_the_exit_code_tells_the_health_of_the_device(state: str, expected: ExitStatus) -> None:
    assert status.judged(pb.Status(health=pb.Health(state=state))) is expected


@pytest.mark.parametrize(
    ("state", "stream", "expected"),
    [
        ("running", "running", ExitStatus.OK),
        ("stopped", "stalled", ExitStatus.OK),
        ("running", "starting", ExitStatus.DEGRADED),
        ("running", "stalled", ExitStatus.FAILED),
        ("preflight", "starting", ExitStatus.DEGRADED),
        ("quarantined", "starting", ExitStatus.FAILED),
        ("something new", "running", ExitStatus.FAILED),
    ],
)
def test_the_exit_code_tells_how_a_pipeline_is(state: str, stream: str, expected: ExitStatus) -> None:
    pipeline = pb.Pipeline(state=state, streams=[pb.Stream(state=stream)])
    assert status.judged(pipeline) is expected


def test_a_pipeline_that_fell_back_to_an_older_bundle_is_degraded() -> None:
    bundle = pb.BundleRun(quarantined=pb.Problem(text="it crashed"))
    assert status.judged(pb.Pipeline(state="running", bundles=[bundle])) is ExitStatus.DEGRADED


def test_an_unknown_pipeline_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(EdgewardError, match="there are: line") as caught:
        status.chosen(device_at_work(), "lime")
    assert caught.value.code is Code.CONTROL_UNKNOWN_PIPELINE


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "colours"),
    [
        (Terminal(), {"TERM": "xterm"}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (io.StringIO(), {"TERM": "xterm"}, False),
    ],
)
def test_colours_are_for_terminals_whose_user_wants_them(
    stream: io.StringIO, environment: dict[str, str], colours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    shown = status_report.screen(device_at_work(), paint.paint_for(stream), WIDTH)
    assert ("\x1b[31mstalled" in shown) is colours
    assert ("\x1b" in shown) is colours


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 s"),
        (9.96, "10.0 s"),
        (12.4, "12 s"),
        (119, "119 s"),
        (3599, "59 min"),
        (7260, "2 h 1 min"),
        (90_000, "1 d 1 h"),
        (9_000_000, "104 d"),
        (-1, "0.0 s"),
    ],
)
def test_a_time_is_told_as_people_tell_it(seconds: float, words: str) -> None:
    assert paint.duration(seconds) == words


@pytest.mark.parametrize("rows", [1, 2, 3, 9, 10, 50])
def test_a_watched_screen_never_scrolls_however_small_the_terminal(
    rows: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("LINES", str(rows))
    status._redraw("".join(f"line {number} of a long screen\n" for number in range(9)))
    told = capsys.readouterr().out
    assert told.startswith(NO_WRAP)
    assert told.endswith(WRAP)
    assert told.count("\n") <= max(1, rows - 1)
    assert ("more lines" in told) is (rows < 10)
