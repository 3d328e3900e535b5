"""The device's session with its broker: connected for ever, whatever happens.

A thread of its own, and all of paho in that one thread: connecting (name look-up, TCP, TLS) blocks, and
neither that nor a wedged socket may hold up the supervision of workers. The agent only puts messages
into a bounded queue and wakes the thread, so publishing never blocks and never fails.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from paho.mqtt.reasoncodes import ReasonCode

from agent.backoff import Backoff
from agent.config import Mqtt
from agent.link import faults
from agent.link.composer import Composer
from agent.link.connection import Connection
from agent.link.faults import Fault
from agent.link.messages import Body, LinkMetrics, Status, uuid7
from agent.link.queue import Outgoing, OutgoingQueue
from agent.link.topics import Topics

log = logging.getLogger("link")


@dataclass(frozen=True, kw_only=True)
class Timing:
    """All times of the session, in seconds; tests shorten them."""

    first_retry: float = 0.5
    slowest_retry: float = 30.0
    # A refusal of the login or an untrusted certificate does not heal in a second.
    slow_retry: float = 15.0
    # A connection that lived this long was a good one: the next loss starts at the first retry again.
    good_after: float = 10.0
    will_delay: int = 30
    session_expiry: int = 3600
    flush: float = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkState:
    """What is known about the link; ``since_ns`` is monotonic."""

    connected: bool
    since_ns: int
    fault: Fault | None = None
    refused_topics: frozenset[str] = frozenset()

    @property
    def refused_topic(self) -> str:
        """The topics that the broker refuses, as text; empty without any."""
        return ", ".join(sorted(self.refused_topics))


class Session:
    """Publishes for the agent. ``on_change`` is called from the network thread when the state changes."""

    def __init__(
        self,
        config: Mqtt,
        topics: Topics,
        composer: Composer,
        *,
        device: str,
        version: str,
        on_change: Callable[[], None],
        timing: Timing | None = None,
    ) -> None:
        self.queue = OutgoingQueue()
        self.id = uuid7()
        self.state = LinkState(connected=False, since_ns=time.monotonic_ns())
        self.connects = 0
        # When its thread last got round, connected or not: what the watchdog looks at.
        self.turned = time.monotonic()
        self._config = config
        self._topics = topics
        self._composer = composer
        self._device = device
        self._version = version
        self._on_change = on_change
        self._timing = timing or Timing()
        self._address = f"{config.host}:{config.port}"
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="link", daemon=True)

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def stop(self, seconds: float) -> bool:
        """Say goodbye and end; ``False`` when it did not end in time. Blocks: call it off the event loop."""
        self._stopping.set()
        self._rouse()
        self._thread.join(seconds)
        if self._thread.is_alive():
            return False
        wake, self._wake = self._wake, -1
        if wake >= 0:
            os.close(wake)
        return True

    @property
    def alive(self) -> bool:
        """Whether the network thread runs."""
        return self._thread.is_alive()

    def publish(
        self, topic: str, body: Body, *, kind: str, qos: int = 1, retain: bool = False, ttl_s: float = 0
    ) -> None:
        """Queue a message; never blocks. ``kind`` is what it is counted under."""
        message = Outgoing(
            topic=topic,
            payload=self._composer.compose(topic, body),
            kind=kind,
            qos=1 if qos else 0,
            retain=retain,
            deadline=time.monotonic() + ttl_s if ttl_s else None,
        )
        self.queue.put(message)
        self._rouse()

    def metrics(self) -> LinkMetrics:
        """Counts of the queue."""
        held, kinds = self.queue.counts()
        return LinkMetrics(queued_bytes=held, connects=self.connects, kinds=kinds)

    def _rouse(self) -> None:
        if self._wake >= 0:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_write(self._wake, 1)

    def _run(self) -> None:
        backoff = Backoff(self._timing.first_retry, self._timing.slowest_retry)
        while not self._stopping.is_set():
            began = self.turned = time.monotonic()
            fault = self._one_connection()
            if self._stopping.is_set():
                return
            if self.state.connected and time.monotonic() - began > self._timing.good_after:
                backoff.reset()
            self._changed(connected=False, fault=fault)
            self.turned = time.monotonic()
            delay = backoff.next_delay()
            self._stopping.wait(max(delay, self._timing.slow_retry) if fault.slow else delay)

    def _one_connection(self) -> Fault:
        connection: Connection | None = None
        try:
            connection = Connection(self._config, self._device, self.queue, self._wake)
            connection.open(
                will=(self._topics.status, self._compose_will()),
                will_delay_s=self._timing.will_delay,
                session_expiry_s=self._timing.session_expiry,
                on_refused=self._refused,
                on_accepted=self._accepted,
            )
            self._greet()
            while not self._stopping.is_set():
                connection.turn()
                self.turned = time.monotonic()
            self._put_status("offline", "stopped")
            connection.goodbye(self._timing.flush)
        except Exception as error:
            fault = faults.of_exception(error, self._address)
            if fault.code == "link.internal" and fault != self.state.fault:
                log.exception("the link failed in a way that it should not")
            return fault
        finally:
            if connection is not None:
                connection.close()
        return faults.LOST

    def _greet(self) -> None:
        self.connects += 1
        self._changed(connected=True, fault=None)
        self._put_status("online", "started" if self.connects == 1 else "reconnected")
        # A broker that lost its memory gets all states again.
        self.queue.requeue_retained()

    def _put_status(self, state: str, reason: str) -> None:
        body = Status(
            state="online" if state == "online" else "offline",
            session=self.id,
            reason=reason,  # type: ignore[arg-type]
            version=self._version,
        )
        payload = self._composer.compose(self._topics.status, body)
        self.queue.put(Outgoing(topic=self._topics.status, payload=payload, kind="status", retain=True))

    def _compose_will(self) -> bytes:
        body = Status(state="offline", session=self.id, reason="lost", version=self._version)
        return self._composer.compose_will(self._topics.status, body)

    def _refused(self, topic: str, reason: ReasonCode) -> None:
        if topic not in self.state.refused_topics:
            log.warning(
                "the broker refuses messages on %s: %s; check its access list", topic, reason.getName()
            )
            self._refuses(self.state.refused_topics | {topic})

    def _accepted(self, topic: str) -> None:
        if topic in self.state.refused_topics:
            log.info("the broker takes messages on %s again", topic)
            self._refuses(self.state.refused_topics - {topic})

    def _refuses(self, topics: frozenset[str]) -> None:
        self.state = LinkState(connected=True, since_ns=self.state.since_ns, refused_topics=topics)
        self._on_change()

    def _changed(self, *, connected: bool, fault: Fault | None) -> None:
        before = self.state
        since = before.since_ns if before.connected == connected else time.monotonic_ns()
        self.state = LinkState(connected=connected, since_ns=since, fault=fault)
        if connected:
            log.info("connected to %s", self._address)
        elif fault is not None and (before.connected or before.fault != fault):
            remedy = f"; {fault.remedy}" if fault.remedy else ""
            log.warning("not connected to %s: %s%s [%s]", self._address, fault.text, remedy, fault.code)
        if (before.connected, before.fault) != (connected, fault):
            self._on_change()
