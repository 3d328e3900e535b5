"""A short visit at the broker under a name of its own, so that the agent's session is left alone."""

from __future__ import annotations

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

# Whoever listens has no use for it; the broker is not to keep it for anybody.
_EXPIRES_S = 5


def context_of(mqtt: Mqtt) -> ssl.SSLContext:
    """TLS as the link sets it up.

    Raises:
        OSError: a file of it cannot be read (``ssl.SSLError``: or makes no sense).
    """
    context = ssl.create_default_context(cafile=mqtt.ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if mqtt.cert_file:
        context.load_cert_chain(mqtt.cert_file, mqtt.key_file or None)
    return context


class Visit:
    """One connection. Each step takes ``step_s`` seconds at most."""

    def __init__(self, mqtt: Mqtt, client_id: str, step_s: float) -> None:
        self._mqtt = mqtt
        self._step_s = step_s
        self._answer: ReasonCode | None = None
        self._published: ReasonCode | None = None
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTProtocolVersion.MQTTv5
        )
        self._client.connect_timeout = step_s
        self._client.on_connect = self._on_connect
        self._client.on_publish = self._on_publish

    def log_in(self) -> None:
        """Connect and wait for the broker's yes.

        Raises:
            Exception: whatever went wrong; ``agent.link.faults.of_exception`` knows what it means.
        """
        mqtt = self._mqtt
        if mqtt.username:
            file = mqtt.password_file
            self._client.username_pw_set(
                mqtt.username, read_secret(file, where="mqtt.password_file") if file else None
            )
        if mqtt.tls:
            self._client.tls_set_context(context_of(mqtt))
        self._client.connect(mqtt.host, mqtt.port, keepalive=mqtt.keepalive_s, clean_start=True)
        self._wait(lambda: self._answer is not None)
        if self._answer is None:
            raise LinkLostError(faults.NO_ANSWER)
        if self._answer.is_failure:
            raise LinkLostError(faults.of_reason(self._answer))

    def publish(self, topic: str) -> ReasonCode | None:
        """Send an empty message, acknowledged and not retained; the broker's refusal, if it refused.

        Raises:
            LinkLostError: no acknowledgement came.
        """
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.MessageExpiryInterval = _EXPIRES_S
        info = self._client.publish(topic, b"{}", qos=1, properties=properties)
        if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._wait(lambda: self._published is not None)
        if self._published is None:
            raise LinkLostError(faults.LOST)
        return self._published if self._published.is_failure else None

    def close(self) -> None:
        """Say goodbye."""
        self._client.disconnect()
        self._client.loop(0.1)

    def _wait(self, arrived: Callable[[], bool]) -> None:
        deadline = time.monotonic() + self._step_s
        while not arrived() and time.monotonic() < deadline:
            if self._client.loop(0.2) != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return

    def _on_connect(
        self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        self._answer = reason

    def _on_publish(self, _client: Any, _data: Any, _mid: int, reason: ReasonCode, _properties: Any) -> None:
        self._published = reason
