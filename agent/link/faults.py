"""Why there is no connection to the broker, in words that say what to do."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass

from paho.mqtt.reasoncodes import ReasonCode

from runtime.errors import EdgewardError


@dataclass(frozen=True, slots=True)
class Fault:
    """A stable code, what is wrong, what to do, and whether to hurry with the next try."""

    code: str
    text: str
    remedy: str = ""
    slow: bool = False


class LinkLostError(Exception):
    """A connection ended, or did not come about."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        super().__init__(fault.text)


LOST = Fault("link.lost", "the connection to the broker broke", "it is tried again without end")
NO_ANSWER = Fault("link.timeout", "the broker took the connection and does not answer", "check the port")

_LOGIN_REFUSED = Fault(
    "link.unauthorized",
    "the broker refused the login of this device",
    "check mqtt.username, mqtt.password_file or mqtt.cert_file, and the broker's access list",
    slow=True,
)

# MQTT 5, 2.4: reason codes of CONNACK and DISCONNECT that a person can do something about.
_BY_REASON: dict[int, Fault] = {
    0x84: Fault("link.protocol", "the broker does not speak MQTT 5", "use a broker that does", slow=True),
    0x85: Fault(
        "link.client-id", "the broker refuses the device id as client id", "check device.id", slow=True
    ),
    # Brokers differ in which of the two they send for a wrong password; mosquitto sends the second.
    0x86: _LOGIN_REFUSED,
    0x87: _LOGIN_REFUSED,
    0x88: Fault("link.busy", "the broker says that it is unavailable"),
    0x89: Fault("link.busy", "the broker says that it is busy"),
    0x8A: Fault("link.unauthorized", "the broker has banned this device", "ask who runs it", slow=True),
    0x8B: Fault("link.lost", "the broker is shutting down", "it is tried again without end"),
    0x8D: Fault("link.lost", "the broker heard nothing for too long", "check the network"),
    0x8E: Fault(
        "link.taken-over",
        "another client connected with the id of this device",
        "give each device an id of its own (device.id)",
        slow=True,
    ),
    0x95: Fault("link.too-large", "the broker refused a message as too large", "raise its limit"),
    0x97: Fault("link.quota", "the broker's quota for this device is used up", "ask who runs it", slow=True),
    0x9F: Fault("link.busy", "the broker limits the rate of connections", slow=True),
}


def of_reason(reason: ReasonCode) -> Fault:
    """What a reason code of the broker means here."""
    known = _BY_REASON.get(reason.value)
    if known is not None:
        return known
    if reason.value >= 0x80:
        return Fault("link.refused", f"the broker says: {reason.getName()}")
    return LOST


def of_exception(error: BaseException, address: str) -> Fault:
    """What an exception while connecting or talking means; never fails."""
    if isinstance(error, LinkLostError):
        return error.fault
    if isinstance(error, EdgewardError):
        return Fault(error.code.text, f"{error.where}: {error.what}", error.remedy, slow=True)
    if isinstance(error, ssl.SSLError):
        return _of_tls(error, address)
    if isinstance(error, OSError):
        return _of_os_error(error, address)
    what = f"{address}: {type(error).__name__}: {error}"
    return Fault("link.internal", what, "please report it", slow=True)


def _of_tls(error: ssl.SSLError, address: str) -> Fault:
    if isinstance(error, ssl.SSLCertVerificationError):
        return Fault(
            "link.tls",
            f"the certificate of {address} is not trusted: {error.verify_message}",
            "check mqtt.ca_file, the host name in mqtt.url and the clock of this device",
            slow=True,
        )
    return Fault(
        "link.tls",
        f"TLS with {address} failed: {error.reason or error}",
        "check that the port speaks TLS and that mqtt.cert_file and mqtt.key_file belong together",
        slow=True,
    )


def _of_os_error(error: OSError, address: str) -> Fault:
    if isinstance(error, socket.gaierror):
        return Fault("link.unreachable", f"{address}: no such host", "check mqtt.url and the DNS")
    if isinstance(error, TimeoutError):
        return Fault("link.timeout", f"{address} does not answer", "check the address and the network")
    if isinstance(error, ConnectionRefusedError):
        return Fault("link.refused", f"nothing listens at {address}", "check that the broker runs")
    reason = (error.strerror or str(error)).lower()
    return Fault("link.unreachable", f"{address}: {reason}", "check the address and the network")
