"""The link to a real broker: it comes back whatever happens, blocks nothing, and counts what it drops."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from agent.link import messages

pytestmark = pytest.mark.integration


def invariant_holds(metrics: messages.Metrics) -> bool:
    return all(
        counts.enqueued == counts.sent + counts.queued + sum(counts.dropped.values())
        for counts in metrics.link.kinds.values()
    )


def test_birth_health_inventory_metrics_and_events_arrive(
    broker: Any, agents: Any, subscribe: Callable[..., Any]
) -> None:
    listener = subscribe(broker.port)
    agent = agents.start(agents.write(broker.url, {"line": "ok"}))
    birth = listener.wait(messages.Status)
    assert (birth.state, birth.reason) == ("online", "started")
    event = listener.wait(messages.Detections)
    assert event.status == "detections"
    assert event.detections[0].label == "thing"
    assert 0 < event.latency_ms < 1000
    inventory = listener.wait(messages.Inventory, lambda body: body.bundles and body.bundles[0].engine)
    assert inventory.bundles[0].pipeline == "line"
    assert listener.wait(messages.Health, lambda body: body.state == "ok").checks
    metrics = listener.wait(messages.Metrics, lambda body: body.pipelines["line"].streams["cam"].fps > 10)
    stream = metrics.pipelines["line"].streams["cam"]
    assert (stream.state, stream.codec, stream.width) == ("running", "h264", 640)
    assert stream.latency_p95_ms is not None
    assert metrics.device.agent_pss_mb is not None
    assert metrics.device.agent_pss_mb < 40
    assert invariant_holds(metrics)
    assert agent.end() == 0
    goodbye = listener.wait(messages.Status, lambda body: body.state == "offline")
    assert (goodbye.reason, goodbye.session) == ("stopped", birth.session)
    retained = [m for m in listener.messages if m.retain]
    assert {m.topic.rpartition("/")[2] for m in retained} == {"status", "inventory", "health"}
    events = [messages.decode(m.payload)[0] for m in listener.messages if "/event/" in m.topic]
    assert [envelope.seq for envelope in events] == list(range(len(events)))


def test_a_broker_that_is_down_at_start_blocks_nothing(
    make_broker: Callable[..., Any], agents: Any, subscribe: Callable[..., Any]
) -> None:
    broker = make_broker()
    agent = agents.start(agents.write(broker.url, {"line": "ok"}))
    agent.wait_line("nothing listens at 127.0.0.1")
    agent.wait_line("line/cam runs")
    # Held still until somebody listens: what waited would else be gone before.
    agent.process.send_signal(signal.SIGSTOP)
    broker.start()
    listener = subscribe(broker.port)
    agent.process.send_signal(signal.SIGCONT)
    assert listener.wait(messages.Status).reason == "started"
    first = listener.wait(messages.Detections)
    assert first.frame == 0, "what waited is sent, from the first result on"
    assert agent.end() == 0


def test_a_broker_that_is_killed_and_comes_back(
    broker: Any, agents: Any, subscribe: Callable[..., Any]
) -> None:
    listener = subscribe(broker.port)
    agent = agents.start(agents.write(broker.url, {"line": "fps=60"}))
    listener.wait(messages.Metrics, lambda body: body.pipelines["line"].streams["cam"].results > 0)
    broker.stop(signal.SIGKILL)
    agent.wait_line("not connected")
    agent.process.send_signal(signal.SIGSTOP)
    broker.start()
    later = subscribe(broker.port)
    agent.process.send_signal(signal.SIGCONT)
    birth = later.wait(messages.Status)
    assert (birth.state, birth.reason) == ("online", "reconnected")
    assert later.wait(messages.Inventory).bundles
    assert later.wait(messages.Health).state in {"ok", "degraded"}
    metrics = later.wait(messages.Metrics, lambda body: body.link.connects == 2)
    assert invariant_holds(metrics)
    assert metrics.pipelines["line"].restarts == 0
    # What was under way may come twice, with one id; nothing may be missing.
    later.wait(messages.Detections, lambda body: body.frame > 100)
    frames = {
        body.frame
        for m in listener.messages + later.messages
        if isinstance(body := messages.decode(m.payload)[1], messages.Detections)
    }
    assert frames >= set(range(100))
    assert agent.end() == 0


def test_what_is_dropped_while_the_broker_is_away_is_counted(
    make_broker: Callable[..., Any], agents: Any, subscribe: Callable[..., Any]
) -> None:
    # mosquitto itself drops what is over 1000 messages for a subscriber; not what is tested here.
    broker = make_broker("max_queued_messages 0")
    agent = agents.start(agents.write(broker.url, {"line": "burst=6000"}))
    agent.wait_line("worker: the burst is out")
    # Held still until somebody listens: what waited would else be gone before.
    agent.process.send_signal(signal.SIGSTOP)
    broker.start()
    listener = subscribe(broker.port)
    agent.process.send_signal(signal.SIGCONT)
    metrics = listener.wait(messages.Metrics, lambda body: body.link.kinds["event"].sent >= 2000)
    assert invariant_holds(metrics)
    assert metrics.link.kinds["event"].dropped == {"full": 4000}
    newest = listener.wait(messages.Detections, lambda body: body.frame == 5999)
    assert newest.frame == 5999, "the oldest are dropped, the newest arrive"
    agent.end(signal.SIGKILL)


def test_the_last_will_is_seen_when_the_agent_is_killed(
    broker: Any, agents: Any, subscribe: Callable[..., Any]
) -> None:
    listener = subscribe(broker.port)
    agent = agents.start(agents.write(broker.url, {}))
    birth = listener.wait(messages.Status)
    agent.end(signal.SIGKILL)
    will = listener.wait(messages.Status, lambda body: body.state == "offline")
    assert (will.reason, will.session) == ("lost", birth.session)


def test_a_restart_within_the_will_delay_is_not_an_outage(
    broker: Any, agents: Any, subscribe: Callable[..., Any]
) -> None:
    listener = subscribe(broker.port)
    config = agents.write(broker.url, {})
    first = agents.start(config, will_delay=20)
    birth = listener.wait(messages.Status)
    first.end(signal.SIGKILL)
    second = agents.start(config, will_delay=20)
    listener.wait(messages.Status, lambda body: body.session != birth.session)
    second.end()
    states = [
        body.state
        for m in listener.messages
        if isinstance(body := messages.decode(m.payload)[1], messages.Status)
    ]
    assert states == ["online", "online", "offline"]


def test_a_refused_login_says_what_to_do_and_heals(
    make_broker: Callable[..., Any], agents: Any, subscribe: Callable[..., Any], tmp_path: Any
) -> None:
    passwords = tmp_path / "passwords"
    passwords.touch(0o600)
    subprocess.run(["mosquitto_passwd", "-b", passwords, "dev", "right-secret"], check=True)
    broker = make_broker(f"password_file {passwords}", anonymous=False).start()
    secret = tmp_path / "secret"
    secret.touch(0o600)
    secret.write_text("wrong-secret\n")
    config = agents.write(broker.url, {}, mqtt='username = "dev"\npassword_file = "secret"')
    agent = agents.start(config)
    line = agent.wait_line("refused the login of this device")
    assert "mqtt.password_file" in line
    secret.write_text("right-secret\n")
    listener = subscribe(broker.port, username="dev", password="right-secret")  # noqa: S106
    assert listener.wait(messages.Status).state == "online"
    assert agent.end() == 0
    assert "secret" not in agent.log.replace("mqtt.password_file", "")


def test_messages_that_the_access_list_refuses_are_named(
    make_broker: Callable[..., Any], agents: Any, subscribe: Callable[..., Any], tmp_path: Any
) -> None:
    acl = tmp_path / "acl"
    acl.write_text(
        "topic readwrite ew/1/dev/up/status\ntopic readwrite ew/1/dev/up/health\n"
        "topic readwrite ew/1/dev/up/metrics\n"
    )
    broker = make_broker(f"acl_file {acl}").start()
    listener = subscribe(broker.port)
    agent = agents.start(agents.write(broker.url, {"line": "ok"}))
    agent.wait_line("the broker refuses messages on ew/1/dev/up/")
    health = listener.wait(
        messages.Health, lambda body: any(c.code == "link.refused-topic" for c in body.checks)
    )
    assert health.state == "degraded"
    metrics = listener.wait(messages.Metrics, lambda body: body.link.kinds["event"].dropped.get("refused"))
    assert invariant_holds(metrics)
    agent.end()


def test_tls_with_a_certificate_of_our_own(
    make_broker: Callable[..., Any], agents: Any, subscribe: Callable[..., Any], tmp_path: Any
) -> None:
    make_certificates(tmp_path)
    broker = make_broker(
        f"certfile {tmp_path}/server.crt\nkeyfile {tmp_path}/server.key\ncafile {tmp_path}/ca.crt\n"
        "require_certificate true\nuse_identity_as_username true"
    ).start()
    url = broker.url.replace("mqtt://", "mqtts://")
    login = 'ca_file = "ca.crt"\ncert_file = "device.crt"\nkey_file = "device.key"'
    trusted = agents.start(agents.write(url, {"line": "ok"}, mqtt=login))
    trusted.wait_line("connected to 127.0.0.1")
    trusted.wait_line("line/cam runs")
    assert trusted.end() == 0

    stranger = agents.start(agents.write(url, {}, mqtt=login.replace("ca.crt", "other.crt")))
    line = stranger.wait_line("is not trusted")
    assert "mqtt.ca_file" in line
    assert "[link.tls]" in line
    stranger.end()

    nobody = agents.start(agents.write(url, {}, mqtt='ca_file = "ca.crt"'))
    assert "[link." in nobody.wait_line("not connected")
    nobody.end()


def make_certificates(folder: Any) -> None:
    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    for name in ("ca", "other"):
        openssl(
            "req", "-x509", *curve, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt"
        )
    for name, extension in (("server", "subjectAltName=IP:127.0.0.1"), ("device", "subjectAltName=DNS:dev")):
        (folder / "ext").write_text(extension)
        openssl("req", *curve, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        signing = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "ext")
        openssl("x509", "-req", "-in", f"{name}.csr", *signing, "-out", f"{name}.crt")
