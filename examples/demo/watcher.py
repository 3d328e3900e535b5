"""A subscriber of its own: counts what arrives at the broker, measures latency, scores detections."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from agent.link import messages
from agent.link.messages import Detections, Health, Metrics, Status, StreamMetrics
from examples.conveyor.footage import read_truth
from examples.conveyor.score import Detection, Score, score
from examples.conveyor.truth import Truth
from examples.demo.site import DEVICE, FPS, PIPELINE, Camera

_RATE_OVER_S = 3.0


@dataclass
class Seen:
    """What was heard of one camera."""

    truth: list[list[Truth]]
    latency_ms: list[float] = field(default_factory=list)
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=200))
    results: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    not_results: Counter[str] = field(default_factory=Counter)
    pairs: list[tuple[list[Detection], list[Truth]]] = field(default_factory=list)
    last: Detections | None = None
    best: tuple[int, list[Detection]] = (0, [])
    found: Counter[str] = field(default_factory=Counter)

    def rate(self) -> float:
        """Results a second, over the whole run."""
        seconds = self.last_at - self.first_at
        return (self.results - 1) / seconds if seconds > 0 else 0.0

    def index(self, message: Detections) -> int:
        """Which rendered frame this was: each client's playback starts at 0, and loops.

        libav gives no time to the first picture of an RTSP stream; it is number 0.
        """
        return round((message.pts_s or 0.0) * FPS) % len(self.truth)


class Watcher:
    """Subscribes to everything that the demo's device says. Thread-safe to read through ``lock``."""

    def __init__(self, port: int, cameras: dict[str, Path]) -> None:
        self.lock = threading.Lock()
        self.topics: Counter[str] = Counter()
        self.cameras = {name: Seen(read_truth(path.with_suffix(".json"))) for name, path in cameras.items()}
        self.health: Health | None = None
        self.metrics: Metrics | None = None
        self.status: Status | None = None
        self.bad = 0
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id="demo-watcher", protocol=mqtt.MQTTv5
        )
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.subscribe(f"ew/1/{DEVICE}/up/#", qos=1)
        self._client.loop_start()

    def close(self) -> None:
        """Leave the broker."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        arrived_ns = time.monotonic_ns()
        kind = message.topic.split("/")[4]
        try:
            _, body = messages.decode(bytes(message.payload))
        except msgspec.MsgspecError:
            with self.lock:
                self.bad += 1
            return
        with self.lock:
            self.topics[kind] += 1
            match body:
                case Detections():
                    self._on_detections(body, arrived_ns)
                case Health():
                    self.health = body
                case Metrics():
                    self.metrics = body
                case Status():
                    self.status = body
                case _:
                    pass

    def _on_detections(self, body: Detections, arrived_ns: int) -> None:
        seen = self.cameras[body.stream]
        seen.last = body
        if body.status != "detections":
            seen.not_results[body.status] += 1
            return
        seen.results += 1
        seen.last_at = arrived_ns / 1e9
        seen.first_at = seen.first_at or seen.last_at
        seen.recent.append(seen.last_at)
        seen.latency_ms.append((arrived_ns - body.arrived_ns) / 1e6)
        found = [Detection(one.label, one.box, one.score) for one in body.detections]
        index = seen.index(body)
        seen.pairs.append((found, seen.truth[index]))
        seen.found.update(one.label for one in found)
        if len(found) >= len(seen.best[1]):
            seen.best = (index, found)

    def rate(self, name: str) -> float:
        """Results a second that arrived during the last three seconds."""
        now = time.monotonic()
        return sum(now - at <= _RATE_OVER_S for at in self.cameras[name].recent) / _RATE_OVER_S

    def stream(self, name: str) -> StreamMetrics | None:
        """What the device's last metrics say of a camera."""
        if self.metrics is None or PIPELINE not in self.metrics.pipelines:
            return None
        return self.metrics.pipelines[PIPELINE].streams.get(name)


def percentile(values: list[float], percent: float) -> float | None:
    """Percentile of all latencies, ms, or None when there are none."""
    return round(float(np.percentile(values, percent)), 2) if values else None


def summary(watcher: Watcher, cameras: tuple[Camera, ...], seconds: float) -> dict[str, Any]:
    """The figures of the run: what the subscriber counted, and what the device said of itself."""
    with watcher.lock:
        document: dict[str, Any] = {
            "seconds": round(seconds, 2),
            "cameras": {},
            "mqtt_messages": dict(watcher.topics) | {"not understood": watcher.bad},
            "health": watcher.health.state if watcher.health else None,
        }
        for camera in cameras:
            seen = watcher.cameras[camera.name]
            told = watcher.stream(camera.name)
            scored: Score = score(seen.pairs)
            document["cameras"][camera.name] = {
                "codec": told.codec if told else None,
                "width": told.width if told else None,
                "height": told.height if told else None,
                "frames_decoded": told.decoded if told else 0,
                "results": seen.results,
                "not_results": dict(seen.not_results),
                "dropped": told.dropped if told else {},
                "decode_errors": told.decode_errors if told else 0,
                "fps": round(seen.rate(), 2),
                "latency_ms": {
                    "p50": percentile(seen.latency_ms, 50),
                    "p95": percentile(seen.latency_ms, 95),
                },
                "precision": round(scored.precision, 4),
                "recall": round(scored.recall, 4),
                "found": dict(seen.found),
            }
        return document
