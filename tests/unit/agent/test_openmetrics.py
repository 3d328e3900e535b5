"""OpenMetrics: valid by the parser of prometheus_client itself, named by its rules, and only growing."""

from __future__ import annotations

import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from agent.config import Stream
from agent.health import device_figures
from agent.health.openmetrics import OPENMETRICS, PREFIX, Snapshot, render
from agent.health.probe import Disk
from agent.health.totals import Totals
from agent.link import messages
from agent.workers.stream_watch import StreamWatch
from runtime import ipc
from runtime.serve.messages import Served

pytestmark = pytest.mark.unit

PAGE = Path(__file__).resolve().parents[3] / "docs" / "ref" / "metrics.md"
# What a person may write, and a label must survive.
AWKWARD = 'a "b" \\ c\nd'
MS = 1_000_000


def pipeline_with(watch: StreamWatch, *, life: int = 7, decoded: int = 0, dropped: int = 0) -> Any:
    counters = ipc.StreamCounters(decoded=decoded, results=watch.results, dropped={"stale": dropped})
    served = Served(
        listen="127.0.0.1:8001",
        waiting=2,
        answered=decoded,
        pictures=2 * decoded,
        refused={"RESOURCE_EXHAUSTED": 4},
        waited_s=0.5,
        ran_s=0.25,
    )
    told = ipc.Metrics(
        mono_ns=decoded,
        streams={"s": counters},
        cpu_s={"infer": 1.5},
        wall_s={"infer": 2.5},
        rss_mb=1.0,
        served=served,
    )
    bundle = SimpleNamespace(name="belt", version="1.2.0", digest="ab" * 32)
    return SimpleNamespace(
        state="running",
        restarts=3,
        bundles={"": bundle, "plates": bundle},
        pss_mb=120.5,
        memory_limit_mb=400.0,
        metrics=told,
        lives=life,
        streams={"s": watch},
    )


def watch_with(latencies_ms: list[float]) -> StreamWatch:
    watch = StreamWatch(Stream(name="s", url="rtsp://camera/x"), 0)
    for number, latency in enumerate(latencies_ms, start=1):
        at = number * 1000 * MS
        result = ipc.Result(
            stream="s",
            session=0,
            frame=number,
            pts_s=None,
            arrived_ns=at - int(latency * MS),
            done_ns=at,
            width=1,
            height=1,
        )
        watch.result(result, at)
    return watch


def snapshot(pipelines: dict[str, Any], totals: Totals | None = None) -> Snapshot:
    totals = totals or Totals()
    totals.see(pipelines)
    check = messages.CheckResult(
        id="disk_space", subject="", severity="warning", code="", text="", remedy="", since=0
    )
    counts = messages.KindCounts(enqueued=10, sent=7, queued=2, dropped={"full": 1})
    return Snapshot(
        device=AWKWARD,
        profile="rk3588",
        version="0.1.0",
        uptime_s=12.5,
        pipelines=pipelines,
        totals=totals,
        link=messages.LinkMetrics(queued_bytes=5, connects=2, kinds={"event": counts}),
        connected=True,
        health=messages.Health(state="degraded", checks=(check,)),
        disk=Disk(free_mb=10, total_mb=100),
        celsius={AWKWARD: 61.5},
        governor_level=1,
        governor_rate=0.75,
        now_ns=time.monotonic_ns(),
    )


def families(made: Snapshot) -> dict[str, Any]:
    body, content_type = render(made)
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")
    return {family.name: family for family in parse_openmetrics(body.decode())}


def value(found: dict[str, Any], name: str, **labels: str) -> float:
    for family in found.values():
        for sample in family.samples:
            if sample.name == PREFIX + name and labels.items() <= sample.labels.items():
                return float(sample.value)
    raise AssertionError(f"no sample {name} {labels}")


def test_the_text_is_valid_and_says_what_is() -> None:
    watch = watch_with([4.0, 40.0, 400.0, 40_000.0])
    found = families(snapshot({AWKWARD: pipeline_with(watch, decoded=9, dropped=5)}))
    labels = {"pipeline": AWKWARD, "stream": "s"}
    assert value(found, "stream_results_total", **labels) == 4
    assert value(found, "stream_frames_total", **labels) == 9
    assert value(found, "stream_dropped_total", **labels, reason="stale") == 5
    assert value(found, "stream_latency_seconds_bucket", **labels, le="0.005") == 1
    assert value(found, "stream_latency_seconds_bucket", **labels, le="0.05") == 2
    assert value(found, "stream_latency_seconds_bucket", **labels, le="10.0") == 3
    assert value(found, "stream_latency_seconds_count", **labels) == 4
    assert value(found, "stream_latency_seconds_sum", **labels) == pytest.approx(40.444)
    assert value(found, "pipeline_state", pipeline=AWKWARD, edgeward_pipeline_state="running") == 1
    assert value(found, "worker_pss_bytes", pipeline=AWKWARD) == 120_500_000
    assert value(found, "worker_cpu_seconds_total", pipeline=AWKWARD, stage="infer") == 1.5
    assert value(found, "pipeline_bundle_info", stage="plates", version="1.2.0") == 1
    assert value(found, "agent_info", device=AWKWARD, profile="rk3588") == 1
    assert value(found, "health_check", check="disk_space") == 1
    assert value(found, "health_state", edgeward_health_state="degraded") == 1
    assert value(found, "link_dropped_messages_total", kind="event", reason="full") == 1
    assert value(found, "device_temperature_celsius", zone=AWKWARD) == 61.5
    assert value(found, "device_disk_free_bytes") == 10 << 20
    assert value(found, "governor_rate_ratio") == 0.75
    assert value(found, "served_requests_total", pipeline=AWKWARD) == 9
    assert value(found, "served_pictures_total", pipeline=AWKWARD) == 18
    assert value(found, "served_refused_total", pipeline=AWKWARD, status="RESOURCE_EXHAUSTED") == 4
    assert value(found, "served_waiting", pipeline=AWKWARD) == 2
    assert value(found, "device_cpu_seconds_total", cpu="0", mode="busy") > 0


def test_it_is_valid_without_any_pipeline_and_before_the_first_result() -> None:
    families(snapshot({}))
    found = families(snapshot({"p": pipeline_with(watch_with([]))}))
    assert value(found, "stream_latency_seconds_count", pipeline="p", stream="s") == 0
    assert value(found, "stream_results_total", pipeline="p", stream="s") == 0


def test_an_old_reader_gets_the_old_format() -> None:
    body, content_type = render(snapshot({"p": pipeline_with(watch_with([1.0]))}), "text/plain")
    assert content_type.startswith("text/plain; version=0.0.4")
    assert len(list(parse_text(body.decode()))) > 30


def test_no_counter_goes_back_when_a_worker_is_restarted() -> None:
    totals, watch = Totals(), watch_with([1.0])
    counters: dict[tuple[str, str], float] = {}
    for life, decoded in [(1, 5), (1, 90), (2, 1), (2, 50), (3, 0)]:
        body, _ = render(snapshot({"p": pipeline_with(watch, life=life, decoded=decoded)}, totals))
        for family in parse_openmetrics(body.decode()):
            for sample in family.samples if family.type in {"counter", "histogram"} else ():
                key = sample.name, str(sorted(sample.labels.items()))
                assert sample.value >= counters.get(key, 0), key
                counters[key] = sample.value
    assert counters[("edgeward_stream_frames_total", "[('pipeline', 'p'), ('stream', 's')]")] == 140


def test_names_follow_the_rules_of_prometheus() -> None:
    """As `promtool check metrics` has them: base units, lower case, a help text, _total for counters only."""
    wrong_units = re.compile(r"_(ms|millis\w*|minutes|mb|kb|mib|percent|mhz|celsius_\w+)(_|$)")
    for name, family in families(snapshot({"p": pipeline_with(watch_with([1.0]), dropped=1)})).items():
        assert re.fullmatch(PREFIX + r"[a-z0-9]+(_[a-z0-9]+)*", name), name
        assert not wrong_units.search(name), name
        assert family.documentation, name
        assert not name.endswith(("_total", "_count", "_sum", "_bucket", "_info")), name
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter"), sample.name


def test_every_metric_is_on_the_page_with_its_type_and_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    # Not every machine has these.
    monkeypatch.setattr(device_figures, "_frequencies", lambda cpus: (1500.0,) * cpus)
    monkeypatch.setattr(device_figures, "_network", lambda: {"eth0": (1, 2)})
    rows = {}
    for line in PAGE.read_text("utf-8").splitlines():
        if line.startswith(f"| `{PREFIX}"):
            name, kind, labels, meaning = (cell.strip() for cell in line.strip("|").split("|"))
            assert meaning
            rows[name.strip("`")] = kind, tuple(re.findall(r"`(\w+)`", labels))
    told = {}
    for name, family in families(snapshot({"p": pipeline_with(watch_with([1.0]), dropped=1)})).items():
        names = dict.fromkeys(label for sample in family.samples for label in sample.labels)
        kind = {"stateset": "state set"}.get(family.type, family.type)
        shown = f"{name}_total" if kind == "counter" else f"{name}_info" if kind == "info" else name
        told[shown] = kind, tuple(label for label in names if label not in {name, "le"})
    assert {name: (kind, set(labels)) for name, (kind, labels) in rows.items()} == {
        name: (kind, set(labels)) for name, (kind, labels) in told.items()
    }


def test_a_device_with_64_streams_is_rendered_in_reasonable_time() -> None:
    pipelines = {f"p{number}": pipeline_with(watch_with([5.0]), dropped=1) for number in range(64)}
    made = snapshot(pipelines)
    render(made)
    began = time.process_time()
    body, _ = render(made, OPENMETRICS)
    assert time.process_time() - began < 1.0  # 30 ms on a desk; once a second at most, whoever asks
    assert len(body) < 1 << 20
