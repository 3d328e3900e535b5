"""Can the broker be reached, step by step: name, port, TLS, login, and the right to publish?"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator

from paho.mqtt.reasoncodes import ReasonCode

from agent.config import Mqtt
from agent.doctor.broker_visit import Visit, context_of
from agent.doctor.finding import Finding, ok, quoted, skip
from agent.doctor.mend import edit, only_root_may
from agent.doctor.site import Site
from agent.link import faults
from agent.link.faults import Fault
from agent.link.topics import ROOT
from runtime.errors import Code

MEANING = "the broker is found, listens, is who it says, takes the login, and lets this device publish"
NEEDS = ("configuration", "agent")
TIMEOUT_S = 60.0
STEP_S = 5.0
SOON_S = 30 * 86_400.0
# X.509 verification results of OpenSSL (openssl-verification-options(1)).
_NOT_YET, _EXPIRED, _OTHER_HOST = 9, 10, 62


def probe(site: Site) -> list[Finding]:
    """Each step needs the one before; the first that fails says what to do, the rest is skipped."""
    if site.status is not None and site.status.link.connected:
        address = f"{site.known.mqtt.host}:{site.known.mqtt.port}"
        if site.status.link.address == address and not site.status.link.problem.text:
            return [ok(f"the agent is connected to {address} for {site.status.link.for_s:.0f} s")]
    steps: list[tuple[str, Callable[[Site], Iterator[Finding]]]] = [("name", _name), ("port", _port)]
    if site.known.mqtt.tls:
        steps.append(("tls", _tls))
    steps.append(("login", _login_and_publish))
    found: list[Finding] = []
    for step, run in steps:
        if any(finding.result == "fail" for finding in found):
            found.append(skip("a step before it failed", subject=step))
        else:
            found += run(site)
    return found + _of_the_agent(site)


def _of_the_agent(site: Site) -> list[Finding]:
    """The agent's own trouble: another client with its id, or an access list, does not show in our visit."""
    problem = site.status.link.problem if site.status is not None else None
    if problem is None or not problem.text:
        return []
    return [
        Finding(
            result="fail",
            text=f"the agent says: {problem.text}",
            subject="agent",
            code=problem.code,
            remedy=problem.remedy or "see its log",
            command="sudo journalctl -u edgeward -n 50 --no-pager",
        )
    ]


def _name(site: Site) -> Iterator[Finding]:
    host = site.known.mqtt.host
    try:
        addresses = sorted({str(item[4][0]) for item in socket.getaddrinfo(host, None)})
    except OSError as error:
        yield _failed("name", faults.of_exception(error, host), _looked_up(host, site))
    else:
        yield ok(f"{host} is {', '.join(addresses[:4])}", subject="name")


def _looked_up(host: str, site: Site) -> str:
    return f"{quoted('getent', 'hosts', host)}; cat /etc/resolv.conf" if host else edit(site, "mqtt.url")


def _port(site: Site) -> Iterator[Finding]:
    mqtt = site.known.mqtt
    began = time.monotonic()
    try:
        with socket.create_connection((mqtt.host, mqtt.port), STEP_S):
            took_ms = (time.monotonic() - began) * 1e3
            yield ok(f"{mqtt.host}:{mqtt.port} answers after {took_ms:.0f} ms", subject="port")
    except OSError as error:
        command = quoted("nc", "-vz", "-w", 5, mqtt.host, mqtt.port)
        yield _failed("port", faults.of_exception(error, f"{mqtt.host}:{mqtt.port}"), command)


def _tls(site: Site) -> Iterator[Finding]:
    mqtt = site.known.mqtt
    address = f"{mqtt.host}:{mqtt.port}"
    try:
        context = context_of(mqtt)
        with (
            socket.create_connection((mqtt.host, mqtt.port), STEP_S) as plain,
            context.wrap_socket(plain, server_hostname=mqtt.host) as secured,
        ):
            version, certificate = secured.version(), secured.getpeercert() or {}
    except (OSError, ValueError) as error:
        yield _failed("tls", faults.of_exception(error, address), _tls_command(error, site))
        return
    ends_in_s = ssl.cert_time_to_seconds(str(certificate["notAfter"])) - time.time()
    text = f"{version}, the broker's certificate ends in {ends_in_s / 86_400:.0f} days"
    if ends_in_s < SOON_S:
        remedy = "have it renewed by whoever runs the broker"
        yield Finding(
            result="warn", text=text, subject="tls", code="link.tls", remedy=remedy, command=_dates(mqtt)
        )
    else:
        yield ok(text, subject="tls")


def _tls_command(error: Exception, site: Site) -> str:
    mqtt = site.known.mqtt
    if not isinstance(error, ssl.SSLCertVerificationError):
        return edit(site, "mqtt.cert_file" if mqtt.cert_file else "mqtt.url")
    if error.verify_code == _NOT_YET:
        return "sudo timedatectl set-ntp true"
    if error.verify_code == _EXPIRED:
        return _dates(mqtt)
    return edit(site, "mqtt.url" if error.verify_code == _OTHER_HOST or not mqtt.ca_file else "mqtt.ca_file")


def _address(mqtt: Mqtt) -> str:
    return f"[{mqtt.host}]:{mqtt.port}" if ":" in mqtt.host else f"{mqtt.host}:{mqtt.port}"


def _dates(mqtt: Mqtt) -> str:
    name = quoted("openssl", "s_client", "-connect", _address(mqtt), "-servername", mqtt.host)
    return f"{name} </dev/null | openssl x509 -noout -dates -subject -issuer"


def _login_and_publish(site: Site) -> Iterator[Finding]:
    config = site.known
    address = f"{config.mqtt.host}:{config.mqtt.port}"
    topic = f"{ROOT}/{config.device.id}/up/doctor"
    step = "login"
    visit = Visit(config.mqtt, f"{config.device.id}-doctor", STEP_S)
    try:
        visit.log_in()
        yield ok(f"the broker takes this device{_as(config.mqtt)}", subject="login")
        step = "publish"
        refused = visit.publish(topic)
        if refused is None:
            yield ok(f"the broker takes messages on {topic}", subject="publish")
        else:
            yield _not_allowed(refused, topic, site)
    except Exception as error:
        fault = faults.of_exception(error, address)
        if only_root_may(fault.text):
            yield skip(f"{fault.text}: run the doctor as root", subject=step)
        else:
            yield _failed(step, fault, _login_command(fault, site))
    finally:
        visit.close()


def _as(mqtt: Mqtt) -> str:
    return f" as {mqtt.username}" if mqtt.username else ""


def _login_command(fault: Fault, site: Site) -> str:
    mqtt = site.known.mqtt
    if fault.code not in {"link.unauthorized", Code.CONFIG_VALUE.text}:
        # It says no to something else than to the login, or nothing at all.
        return edit(site, "device.id" if fault.code == "link.client-id" else "mqtt.url")
    if mqtt.password_file and not mqtt.password_file.startswith("credential:"):
        return quoted("sudo", "editor", mqtt.password_file)
    return edit(site, "mqtt.username" if mqtt.username else "mqtt.url")


def _not_allowed(refused: ReasonCode, topic: str, site: Site) -> Finding:
    user, device = site.known.mqtt.username or site.known.device.id, site.known.device.id
    lines = quoted("printf", r"user %s\ntopic write %s\n", user, f"{ROOT}/{device}/up/#")
    return Finding(
        result="fail",
        text=f"the broker refuses messages on {topic} of the client {device}-doctor: {refused.getName()}",
        subject="publish",
        code="link.refused-topic",
        remedy="allow it in the broker's access list (mosquitto: acl_file), on the broker's machine",
        command=f"{lines} | sudo tee -a /etc/mosquitto/acl && sudo systemctl reload mosquitto",
    )


def _failed(step: str, fault: Fault, command: str) -> Finding:
    return Finding(
        result="fail", text=fault.text, subject=step, code=fault.code, remedy=fault.remedy, command=command
    )
