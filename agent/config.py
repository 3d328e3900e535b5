"""``edgeward.toml`` as typed structs. Strict: what is not understood is refused, by name.

``docs/ref/configuration.md`` is the reference; a test holds it to these structs.
"""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import SplitResult, quote, urlsplit

import msgspec

from agent import log_settings, secret_files
from agent.config_types import Cpus, Fraction, Name, Seconds, Section, Text
from agent.control import settings as control_settings
from agent.device import settings as device_settings
from agent.health import settings as health_settings
from agent.workers import settings as supervision_settings
from agent.workers.serve_settings import Serve
from runtime.bundle.limits import MAX_BYTES, MAX_MEMBERS, MAX_PATH, Limits
from runtime.errors import Code, EdgewardError, from_os_error
from runtime.redact import redact

MAX_SECRET_BYTES = 4096
DEFAULT_TRUST_FOLDER = "/etc/edgeward/trust.d"
DEFAULT_PROFILES_FOLDER = "/etc/edgeward/profiles.d"
STREAM_SCHEMES = ("file", "rtsp", "rtsps", "http", "https")


def default_device_id() -> str:
    """The host name, made safe for a topic."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", socket.gethostname())[:64].strip("-") or "edgeward"


class Device(Section, frozen=True, kw_only=True):
    """``[device]``: who this is and where its state lives."""

    id: Name = msgspec.field(default_factory=default_device_id)
    profile: Annotated[str, msgspec.Meta(max_length=64)] = ""
    profiles_dir: str = DEFAULT_PROFILES_FOLDER
    state_dir: str = "/var/lib/edgeward"


class Mqtt(Section, frozen=True, kw_only=True):
    """``[mqtt]``: the broker. An empty text means "not set"."""

    url: str = "mqtt://127.0.0.1:1883"
    username: str = ""
    password_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    keepalive_s: Annotated[int, msgspec.Meta(ge=5, le=3600)] = 30

    @property
    def tls(self) -> bool:
        """Whether the URL asks for TLS."""
        return urlsplit(self.url).scheme == "mqtts"

    @property
    def host(self) -> str:
        """Host of the URL, without the brackets of an IPv6 address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Port of the URL, or the usual one of its scheme."""
        return urlsplit(self.url).port or (8883 if self.tls else 1883)


class Trust(Section, frozen=True, kw_only=True):
    """``[trust]``: who may sign what.

    ``release_keys`` are plain public keys, which may sign any bundle; ``folder`` holds key files that say
    what each may do, and need not exist.
    """

    release_keys: tuple[str, ...] = ()
    folder: str = DEFAULT_TRUST_FOLDER


class Bundles(Section, frozen=True, kw_only=True):
    """``[bundles]``: how large a bundle may be; ``max_mb`` counts 1048576 bytes."""

    max_members: Annotated[int, msgspec.Meta(ge=3, le=MAX_MEMBERS)] = MAX_MEMBERS
    max_mb: Annotated[int, msgspec.Meta(ge=1, le=MAX_BYTES >> 20)] = MAX_BYTES >> 20
    max_path: Annotated[int, msgspec.Meta(ge=16, le=MAX_PATH)] = MAX_PATH

    @property
    def limits(self) -> Limits:
        """The same, as whoever reads bundles wants it."""
        return Limits(self.max_members, self.max_mb << 20, self.max_path)


class Health(Section, frozen=True, kw_only=True):
    """``[health]``: how often the device reports when nothing changes."""

    interval_s: Annotated[float, msgspec.Meta(ge=1, le=60)] = 60.0
    metrics_interval_s: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 10.0


class Delegate(Section, frozen=True, kw_only=True):
    """``[[engine.delegate]]``: a vendor's library for LiteRT, and its options."""

    path: str
    options: dict[str, str] = msgspec.field(default_factory=dict)


class Engine(Section, frozen=True, kw_only=True):
    """``[engine]``: how engines run on this device. An empty list or text means "not set"."""

    affinity: Cpus = ()
    providers: Annotated[tuple[Text, ...], msgspec.Meta(max_length=32)] = ()
    cache_dir: str = ""
    delegate: Annotated[tuple[Delegate, ...], msgspec.Meta(max_length=16)] = ()


class Preflight(Section, frozen=True, kw_only=True):
    """``[preflight]``: what a variant of a bundle must show on this device before it runs; see the guide."""

    enabled: bool = True
    deadline_s: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 60.0
    memory_mb: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = 0.0
    rounds: Annotated[int, msgspec.Meta(ge=30, le=100_000)] = 100
    require_golden: bool = False


class Tiling(Section, frozen=True, kw_only=True):
    """``[pipeline.tiling]``: look at overlapping tiles of the picture; see ``runtime.ipc.Tiling``."""

    columns: Annotated[int, msgspec.Meta(ge=1, le=16)]
    rows: Annotated[int, msgspec.Meta(ge=1, le=16)]
    overlap: Annotated[float, msgspec.Meta(ge=0, le=0.5)] = 0.2
    whole: bool = True
    iou: Fraction = 0.45
    inside: Fraction = 0.8


class Stage(Section, frozen=True, kw_only=True):
    """``[[pipeline.stage]]``: a bundle that looks at the crops of what the first one found."""

    name: Name
    bundle: str
    labels: Annotated[tuple[Text, ...], msgspec.Meta(max_length=1000)] = ()
    min_score: Fraction = 0.0
    min_size: Annotated[int, msgspec.Meta(ge=1, le=16_384)] = 8
    grow: Fraction = 0.0
    max_crops: Annotated[int, msgspec.Meta(ge=1, le=64)] = 16
    score_threshold: Fraction | None = None
    variant: str = ""
    provider: str = ""


class Stream(Section, frozen=True, kw_only=True):
    """``[[pipeline.stream]]``: one camera, stream or file."""

    name: Name
    url: str
    username: str = ""
    password_file: str = ""
    max_fps: Annotated[float, msgspec.Meta(ge=0, le=1000)] = 0.0
    stall_after_s: Seconds = 3.0
    open_timeout_s: Seconds = 10.0
    read_timeout_s: Seconds = 5.0
    loop: bool = False

    def url_for_worker(self) -> str:
        """The URL with its credentials, for the socket to the worker and nothing else.

        Raises:
            EdgewardError: ``CONFIG_VALUE`` when the password file cannot be used.
        """
        if not self.username:
            return self.url
        user = quote(self.username, safe="")
        if self.password_file:
            user += ":" + quote(read_secret(self.password_file, where=self.password_file), safe="")
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{user}@{rest}"


class Pipeline(Section, frozen=True, kw_only=True):
    """``[[pipeline]]``: one bundle and the streams that it looks at, in one worker process.

    An empty ``variant`` or ``provider`` leaves the choice to the worker; an empty ``affinity`` means that of
    the device.
    """

    name: Name
    bundle: str
    variant: str = ""
    provider: str = ""
    threads: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    affinity: Cpus = ()
    weight: Annotated[int, msgspec.Meta(ge=1, le=100)] = 100
    memory_mb: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = 0.0
    max_batch: Annotated[int, msgspec.Meta(ge=1, le=64)] = 8
    score_threshold: Fraction | None = None
    publish: Literal["all", "nonempty"] = "all"
    worker_timeout_s: Annotated[float, msgspec.Meta(ge=2, le=600)] = 10.0
    load_timeout_s: Annotated[float, msgspec.Meta(ge=2, le=7200)] = 180.0
    tiling: Tiling | None = None
    serve: Serve | None = None
    stage: Annotated[tuple[Stage, ...], msgspec.Meta(max_length=8)] = ()
    stream: Annotated[tuple[Stream, ...], msgspec.Meta(min_length=1, max_length=64)]


class Config(Section, frozen=True, kw_only=True):
    """The whole file. ``agent.config_file.load`` makes it."""

    device: Device = msgspec.field(default_factory=Device)
    mqtt: Mqtt = Mqtt()
    trust: Trust = Trust()
    bundles: Bundles = Bundles()
    health: Health = Health()
    metrics: health_settings.Metrics = health_settings.Metrics()
    log: log_settings.Log = log_settings.Log()
    control: control_settings.Control = control_settings.Control()
    engine: Engine = Engine()
    preflight: Preflight = Preflight()
    supervision: supervision_settings.Supervision = supervision_settings.Supervision()
    governor: device_settings.Governor = device_settings.Governor()
    pipeline: Annotated[tuple[Pipeline, ...], msgspec.Meta(max_length=64)] = ()

    def warnings(self) -> list[str]:
        """What is allowed and probably not meant."""
        found = []
        if not self.pipeline:
            found.append("no [[pipeline]] is configured: the device reports and looks at nothing")
        if self.mqtt.username and not self.mqtt.tls and not _is_loopback(self.mqtt.host):
            found.append("mqtt.url: the password crosses the network in clear text; use mqtts://")
        for index, key in enumerate(self.trust.release_keys):
            if _others_may_write(key):
                found.append(f"trust.release_keys[{index}]: others may change it; run 'chmod go-w {key}'")
        return found


def read_secret(path: str, *, where: str) -> str:
    """The password in a file, without the line break at its end.

    Raises:
        EdgewardError: ``CONFIG_VALUE``: missing, empty, too long, no text, or readable by everybody.
    """
    with os.fdopen(secret_files.open_private(path, where=where), "rb") as file:
        try:
            raw = file.read(MAX_SECRET_BYTES + 1)
        except OSError as error:
            raise from_os_error(error, where=where, fallback=Code.CONFIG_VALUE) from error
    try:
        secret = raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise EdgewardError(Code.CONFIG_VALUE, "the password file is not UTF-8 text", where=where) from error
    if not secret or len(raw) > MAX_SECRET_BYTES or not secret.isprintable():
        expected = f"expected one line of 1 to {MAX_SECRET_BYTES} bytes"
        raise EdgewardError(
            Code.CONFIG_VALUE, f"the password file holds no password: {expected}", where=where
        )
    return secret


def check_stream_url(url: str, *, where: str) -> None:
    """Refuse a URL that no source can open, or that has a password in it.

    Raises:
        EdgewardError: ``CONFIG_VALUE``; the URL is never repeated in full.
    """
    if "://" not in url:
        if not url or not url.isprintable():
            raise EdgewardError(Code.CONFIG_VALUE, "expected a URL or a path", where=where)
        return
    parts = split_url(url, where=where)
    if parts.scheme not in STREAM_SCHEMES:
        known = ", ".join(f"{scheme}://" for scheme in STREAM_SCHEMES)
        raise EdgewardError(
            Code.CONFIG_VALUE,
            f"{parts.scheme}:// is not supported",
            where=where,
            remedy=f"use a path or {known}",
        )
    if parts.scheme == "file":
        if parts.netloc or not parts.path.startswith("/"):
            raise EdgewardError(Code.CONFIG_VALUE, "expected file:///absolute/path", where=where)
    elif not parts.hostname:
        raise EdgewardError(Code.CONFIG_VALUE, f"{redact(url)} names no host", where=where)


def split_url(url: str, *, where: str) -> SplitResult:
    """The parts of a URL without user part.

    Raises:
        EdgewardError: ``CONFIG_VALUE`` when it is no URL or carries a user name.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
        bad = not url.isprintable() or " " in url
    except ValueError:
        bad = True
    if bad:
        raise EdgewardError(
            Code.CONFIG_VALUE,
            "this is not a URL",
            where=where,
            remedy="expected scheme://host:port/path, with special characters as %XX",
        )
    if "@" in parts.netloc:
        raise EdgewardError(
            Code.CONFIG_VALUE,
            "a user name or password must not stand in the URL",
            where=where,
            remedy="use the keys username and password_file",
        )
    return parts


def _others_may_write(path: str) -> bool:
    """Group or everybody. A file that is not there is for whoever reads it to complain of."""
    try:
        return bool(Path(path).stat().st_mode & 0o022)
    except OSError:
        return False


def _is_loopback(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")
