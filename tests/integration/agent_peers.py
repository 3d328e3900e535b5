"""Peers of the agent for integration tests: brokers, subscribers, whole agents, systemd's socket."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

from agent.link import messages

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = Path(__file__).resolve().parent


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Broker:
    """A real mosquitto on a loopback port of its own; it can be stopped and started again."""

    def __init__(self, folder: Path, extra: str = "", *, anonymous: bool = True) -> None:
        self.port = free_port()
        self.folder = folder
        self._config = folder / "mosquitto.conf"
        allow = "true" if anonymous else "false"
        # root: mosquitto would otherwise become a user that cannot read pytest's folders.
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous {allow}\nuser root\n"
            f"set_tcp_nodelay true\n{extra}\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> Broker:
        log = (self.folder / "mosquitto.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                ["/usr/sbin/mosquitto", "-c", str(self._config)], stdout=log, stderr=log
            )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            assert self._process.poll() is None, (self.folder / "mosquitto.log").read_text()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return self
            time.sleep(0.01)
        raise AssertionError("mosquitto does not listen")

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(10)
            self._process = None


class Subscriber:
    """Collects messages from a broker and waits for one that fits."""

    def __init__(self, port: int, topic: str = "ew/1/#", **login: str) -> None:
        self.messages: list[paho.MQTTMessage] = []
        self._news = threading.Condition()
        self._subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        if login:
            self._client.username_pw_set(login["username"], login["password"])
        options = SubscribeOptions(qos=1, retainAsPublished=True)
        self._client.on_connect = lambda client, *_: client.subscribe(topic, options=options)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._subscribed.wait(10)

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        with self._news:
            self.messages.append(message)
            self._news.notify_all()

    def wait_raw(
        self, fits: Callable[[paho.MQTTMessage], bool], seconds: float = 15, *, after: int = 0
    ) -> paho.MQTTMessage:
        """The first message from index ``after`` on that fits; fails when none comes in time."""
        deadline = time.monotonic() + seconds
        seen = after
        with self._news:
            while True:
                for message in self.messages[seen:]:
                    if fits(message):
                        return message
                seen = len(self.messages)
                left = deadline - time.monotonic()
                if left <= 0:
                    topics = [
                        f"{m.topic} {m.payload[:600]!r}" for m in self.messages if "event" not in m.topic
                    ]
                    raise AssertionError("no such message; the last were\n" + "\n".join(topics[-8:]))
                self._news.wait(left)

    def wait(
        self,
        kind: type[messages.Body],
        fits: Callable[[Any], bool] = lambda _: True,
        seconds: float = 15,
        *,
        after: int = 0,
    ) -> Any:
        """The body of the first message of that kind which fits."""
        found: list[Any] = []

        def check(message: paho.MQTTMessage) -> bool:
            _, body = messages.decode(message.payload)
            if isinstance(body, kind) and fits(body):
                found.append(body)
                return True
            return False

        self.wait_raw(check, seconds, after=after)
        return found[0]

    def mark(self) -> int:
        """How many messages there are; for ``after``."""
        with self._news:
            return len(self.messages)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class AgentProcess:
    """A whole agent in a process of its own."""

    def __init__(self, command: list[str], env: dict[str, str] | None = None) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, text=True
        )
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stderr:
            for line in stderr:
                with self._news:
                    self.lines.append(line.rstrip("\n"))
                    self._news.notify_all()

    def wait_line(self, part: str, seconds: float = 15, *, after: int = 0) -> str:
        deadline = time.monotonic() + seconds
        with self._news:
            while True:
                for line in self.lines[after:]:
                    if part in line:
                        return line
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"no log line with {part!r}:\n" + "\n".join(self.lines[-30:]))
                self._news.wait(left)

    def end(self, number: int = signal.SIGTERM, seconds: float = 15) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(seconds)
        self._reader.join(5)
        return status

    @property
    def log(self) -> str:
        return "\n".join(self.lines)


class AgentFolder:
    """Writes a configuration and starts agents that run the fake worker with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state_dir = folder / "state"
        self.started: list[AgentProcess] = []

    def write(
        self,
        url: str,
        behaviours: dict[str, str],
        *,
        streams: tuple[str, ...] = ("cam",),
        mqtt: str = "",
        pipeline: str = "",
    ) -> Path:
        """One pipeline for each behaviour of the fake worker; its bundle is a file that names it.

        ``mqtt`` and ``pipeline`` are more lines for the section, and for each pipeline.
        """
        text = (
            '[device]\nid = "dev"\nstate_dir = "state"\n[control]\nsocket = "control.sock"\n'
            f'[mqtt]\nurl = "{url}"\n{mqtt}\n'
            '[trust]\nrelease_keys = ["release.pub"]\n[health]\ninterval_s = 5\nmetrics_interval_s = 1\n'
            # The fake worker's bundles hold no model that could be tried.
            "[preflight]\nenabled = false\n"
        )
        for name, behaviour in behaviours.items():
            self.behave(name, behaviour)
            text += (
                f'[[pipeline]]\nname = "{name}"\nbundle = "{name}.ewb"\nworker_timeout_s = 2\n{pipeline}\n'
            )
            for stream in streams:
                text += f'[[pipeline.stream]]\nname = "{stream}"\nurl = "rtsp://127.0.0.1/{stream}"\n'
                text += "stall_after_s = 1\n"
        path = self.folder / "edgeward.toml"
        path.write_text(text)
        return path

    def behave(self, pipeline: str, behaviour: str) -> None:
        """What the next worker of ``pipeline`` does."""
        (self.folder / f"{pipeline}.ewb").write_text(behaviour)

    def start(self, config: Path, *, env: dict[str, str] | None = None, **settings: Any) -> AgentProcess:
        """An agent with the fake worker; ``settings`` go into ``Timing`` and ``Limits``."""
        script = HERE / "agent_with_fake_worker.py"
        agent = AgentProcess([sys.executable, str(script), str(config), json.dumps(settings)], env)
        self.started.append(agent)
        return agent

    def close(self) -> None:
        for agent in self.started:
            agent.end(signal.SIGKILL)


def wait_gone(pid: int, seconds: float = 5) -> None:
    """Wait until a process that is no child of ours has ended: gone, or a zombie of this host's init."""
    deadline = time.monotonic() + seconds
    with contextlib.suppress(psutil.NoSuchProcess):
        while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, f"process {pid} still runs"
            time.sleep(0.01)


class NotifySocket:
    """What systemd listens on."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(15)

    def wait(self, start: str) -> str:
        """The next state that starts so; fails when none comes in time."""
        while True:
            state = self._socket.recv(4096).decode()
            if state.startswith(start):
                return state

    def drain(self) -> None:
        """Forget what has come so far."""
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while self._socket.recv(4096):
                continue
        self._socket.settimeout(15)

    def hears(self, start: str, seconds: float) -> bool:
        """Whether a state that starts so comes within ``seconds``."""
        deadline = time.monotonic() + seconds
        try:
            while (left := deadline - time.monotonic()) > 0:
                self._socket.settimeout(left)
                if self._socket.recv(4096).decode().startswith(start):
                    return True
        except TimeoutError:
            return False
        finally:
            self._socket.settimeout(15)
        return False

    def __enter__(self) -> NotifySocket:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
