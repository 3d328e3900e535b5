"""What the device says at the broker: when each stream gave its last result, and who its workers are."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

import msgspec
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from agent.link import messages
from agent.link.messages import Detections, Health, Metrics


class Heard:
    """A subscriber that keeps figures only, however long it listens."""

    def __init__(self, port: int) -> None:
        self.results: Counter[tuple[str, str]] = Counter()
        self.health: Health | None = None
        self.not_understood = 0
        self._arrived: dict[tuple[str, str], float] = {}
        self._pids: dict[str, int | None] = {}
        self._silence_s: dict[tuple[str, str], float] = {}
        self._last_ns: dict[tuple[str, str], int] = {}
        self._news = threading.Condition()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe("ew/1/#", qos=1)
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def close(self) -> None:
        """Leave the broker."""
        self._client.disconnect()
        self._client.loop_stop()

    def pid(self, pipeline: str) -> int | None:
        """The worker of a pipeline, as the last metrics said; None while there is none."""
        with self._news:
            return self._pids.get(pipeline)

    def wait_result(self, pipeline: str, stream: str, *, after_ns: int, seconds: float) -> bool:
        """Wait for a result of a picture that arrived after that moment; whether one came in time."""
        key = pipeline, stream
        return self._wait(lambda: self._last_ns.get(key, 0) > after_ns, seconds)

    def wait_other_worker(self, pipeline: str, pid: int | None, seconds: float) -> bool:
        """Wait until the metrics name a worker other than ``pid``; whether they did in time."""
        return self._wait(lambda: self._pids.get(pipeline) not in {None, pid}, seconds)

    def wait_no_worker(self, pipeline: str, seconds: float) -> bool:
        """Wait until the metrics tell of no such pipeline; whether they did in time."""
        return self._wait(lambda: pipeline not in self._pids, seconds)

    def longest_silence_s(self) -> dict[tuple[str, str], float]:
        """By stream, the silence of this moment too: one that fell silent for good ends with no result."""
        with self._news:
            now = time.monotonic()
            return {key: max(self._silence_s.get(key, 0.0), now - at) for key, at in self._arrived.items()}

    def _note_silence(self, key: tuple[str, str]) -> None:
        now = time.monotonic()
        silence_s = now - self._arrived.get(key, now)
        self._silence_s[key] = max(self._silence_s.get(key, 0.0), silence_s)
        self._arrived[key] = now

    def _wait(self, fits: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        with self._news:
            # In short turns: a wait without an end would hold up Ctrl-C.
            while not fits():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._news.wait(min(left, 0.5))
            return True

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        try:
            _, body = messages.decode(bytes(message.payload))
        except msgspec.MsgspecError:
            with self._news:
                self.not_understood += 1
            return
        with self._news:
            match body:
                case Detections():
                    key = body.pipeline, body.stream
                    self.results[key] += 1
                    self._note_silence(key)
                    self._last_ns[key] = max(self._last_ns.get(key, 0), body.arrived_ns)
                case Metrics():
                    self._pids = {name: item.pid for name, item in body.pipelines.items()}
                case Health():
                    self.health = body
                case _:
                    return
            self._news.notify_all()
