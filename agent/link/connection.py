"""One connection to the broker, from CONNECT to its end, run by one thread.

A fresh paho client for each connection: nothing of a broken one is carried over. What was under way is
put back into the agent's own queue and sent again with the same envelope id, by which a receiver knows
a repeat; so the broker's Receive Maximum holds for repeats as well (paho alone ignores it).
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent.config import Mqtt, read_secret
from agent.link import faults
from agent.link.faults import LinkLostError
from agent.link.queue import Outgoing, OutgoingQueue

MAX_IN_FLIGHT = 32
CONNECT_TIMEOUT_S = 5.0
_PASS_S = 1.0
# Topic, two lengths, packet id and properties beside the payload: an upper bound, generous.
_PACKET_OVERHEAD = 256


class Connection:
    """Everything here is called by the network thread."""

    def __init__(self, config: Mqtt, client_id: str, queue: OutgoingQueue, wake: int) -> None:
        self._config = config
        self._queue = queue
        self._wake = wake
        self._in_flight: dict[int, Outgoing] = {}
        self._limit = MAX_IN_FLIGHT
        self._max_packet: int | None = None
        self._answer: ReasonCode | None = None
        self._end: faults.Fault | None = None
        self._refused: Callable[[str, ReasonCode], None] = lambda _topic, _reason: None
        self._accepted: Callable[[str], None] = lambda _topic: None
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTProtocolVersion.MQTTv5
        )
        self._client.connect_timeout = CONNECT_TIMEOUT_S
        self._client.max_inflight_messages_set(MAX_IN_FLIGHT)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_socket_open = self._on_socket_open

    def open(
        self,
        *,
        will: tuple[str, bytes],
        will_delay_s: int,
        session_expiry_s: int,
        on_refused: Callable[[str, ReasonCode], None],
        on_accepted: Callable[[str], None],
    ) -> None:
        """Connect and wait for the broker's yes.

        Args:
            will: topic and payload of the last will, QoS 1, retained.
            will_delay_s: how long the broker waits with it for a reconnect.
            session_expiry_s: how long the broker keeps the session without a connection.
            on_refused: told the topic of a message that the broker acknowledged with a refusal.
            on_accepted: told the topic of a message that the broker acknowledged.

        Raises:
            Exception: whatever went wrong; ``faults.of_exception`` knows what it means.
        """
        self._refused = on_refused
        self._accepted = on_accepted
        self._log_in()
        will_properties = Properties(PacketTypes.WILLMESSAGE)  # type: ignore[no-untyped-call]
        will_properties.WillDelayInterval = will_delay_s
        self._client.will_set(will[0], will[1], qos=1, retain=True, properties=will_properties)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = session_expiry_s
        self._client.connect(
            self._config.host,
            self._config.port,
            keepalive=self._config.keepalive_s,
            clean_start=False,
            properties=properties,
        )
        deadline = time.monotonic() + CONNECT_TIMEOUT_S
        while self._answer is None:
            if time.monotonic() > deadline:
                raise LinkLostError(faults.NO_ANSWER)
            self._turn(0.2)
        if self._answer.is_failure:
            raise LinkLostError(faults.of_reason(self._answer))

    def turn(self) -> None:
        """Send what can be sent, then wait for the network or a wake-up, one second at most.

        Raises:
            LinkLostError: the connection has ended.
        """
        self._pump()
        self._turn(_PASS_S)

    def goodbye(self, seconds: float) -> None:
        """Send what is queued, at most for ``seconds``, then DISCONNECT, which discards the will."""
        deadline = time.monotonic() + seconds
        while not self._queue.empty and time.monotonic() < deadline:
            self._pump()
            self._turn(min(0.1, _PASS_S))
        self._client.disconnect()
        with contextlib.suppress(LinkLostError):
            while self._client.socket() is not None and time.monotonic() < deadline + 1:
                self._turn(0.1)

    def close(self) -> None:
        """Let go of the socket; what was under way goes back into the queue."""
        with contextlib.suppress(OSError, ValueError):
            sock = self._client.socket()
            if sock is not None:
                sock.close()
        self._in_flight.clear()
        self._queue.put_back()

    def _log_in(self) -> None:
        config = self._config
        if config.username:
            file = config.password_file
            password = read_secret(file, where="mqtt.password_file") if file else None
            self._client.username_pw_set(config.username, password)
        if config.tls:
            context = ssl.create_default_context(cafile=config.ca_file or None)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if config.cert_file:
                context.load_cert_chain(config.cert_file, config.key_file or None)
            self._client.tls_set_context(context)

    def _pump(self) -> None:
        """Hand over while the socket takes it: paho's own buffer has no bound, so it stays empty."""
        while len(self._in_flight) < self._limit and not self._client.want_write():
            message = self._queue.take()
            if message is None:
                return
            size = len(message.payload) + len(message.topic) + _PACKET_OVERHEAD
            if self._max_packet is not None and size > self._max_packet:
                self._queue.drop(message, "too-large")
                continue
            info = self._client.publish(message.topic, message.payload, message.qos, message.retain)
            if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
                raise LinkLostError(faults.LOST)
            if message.qos:
                self._in_flight[info.mid] = message
            else:
                self._queue.settle(message)

    def _turn(self, seconds: float) -> None:
        sock = self._client.socket()
        if sock is None:
            raise LinkLostError(self._why())
        poller = select.poll()
        write = select.POLLOUT if self._client.want_write() else 0
        poller.register(sock.fileno(), select.POLLIN | write)
        poller.register(self._wake, select.POLLIN)
        # TLS may hold decrypted bytes that the poll cannot see.
        ready = dict(poller.poll(0 if _pending(sock) else seconds * 1000))
        if ready.pop(self._wake, 0):
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._wake)
        if any(ready.values()) or _pending(sock):
            self._client.loop_read(MAX_IN_FLIGHT)
        if self._client.want_write():
            self._client.loop_write()
        self._client.loop_misc()
        if self._client.socket() is None:
            raise LinkLostError(self._why())

    def _why(self) -> faults.Fault:
        """Why the connection ended: the broker's own word where it gave one.

        After a refused CONNECT paho reports an end of its own making, which says less.
        """
        if self._answer is not None and self._answer.is_failure:
            return faults.of_reason(self._answer)
        return faults.LOST if self._end is None else self._end

    def _on_connect(
        self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self._answer = reason
        receive_maximum = getattr(properties, "ReceiveMaximum", MAX_IN_FLIGHT)
        self._limit = max(1, min(MAX_IN_FLIGHT, receive_maximum))
        self._max_packet = getattr(properties, "MaximumPacketSize", None)

    def _on_disconnect(
        self, _client: Any, _data: Any, flags: paho.DisconnectFlags, reason: ReasonCode, _properties: Any
    ) -> None:
        # Only a DISCONNECT packet is the broker's word; else paho has put its own return code in.
        self._end = faults.of_reason(reason) if flags.is_disconnect_packet_from_server else faults.LOST

    def _on_publish(self, _client: Any, _data: Any, mid: int, reason: ReasonCode, _properties: Any) -> None:
        message = self._in_flight.pop(mid, None)
        if message is None:
            return
        if reason.is_failure:
            self._queue.drop(message, "refused")
            self._refused(message.topic, reason)
        else:
            self._queue.settle(message)
            self._accepted(message.topic)

    def _on_socket_open(self, _client: Any, _data: Any, sock: Any) -> None:
        # A result must not wait for the acknowledgement of the one before (Nagle), and a peer that
        # vanished must be noticed as soon as data goes unacknowledged for the keep-alive time.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self._config.keepalive_s * 1000)


def _pending(sock: Any) -> bool:
    pending = getattr(sock, "pending", None)
    return bool(pending and pending())
