"""``[metrics]``: where programs on this device may read the figures."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from agent.config_types import Section
from runtime.errors import Code, EdgewardError

# sun_path of sockaddr_un, with its final zero.
_MAX_SOCKET_PATH = 107


class Metrics(Section, frozen=True, kw_only=True):
    """``[metrics]``. ``listen`` is empty (off), ``127.0.0.1:9105``, ``[::1]:9105`` or ``unix:/a/path``."""

    listen: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """A loopback ``host`` and ``port``, or the ``path`` of a unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address_of(listen: str, *, where: str) -> Address | None:
    """What ``listen`` names; ``None`` when it is empty.

    Raises:
        EdgewardError: ``CONFIG_VALUE``: no address, or one that other machines could reach.
    """
    if not listen:
        return None
    if listen.startswith("unix:"):
        return Address(path=_socket_path(listen.removeprefix("unix:"), where))
    host, _, port = listen.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise EdgewardError(
            Code.CONFIG_VALUE,
            f"{listen!r} is no address",
            where=where,
            remedy="write 127.0.0.1:9105, [::1]:9105 or unix:/run/edgeward/metrics.sock",
        )
    host = "127.0.0.1" if host == "localhost" else host.removeprefix("[").removesuffix("]")
    if not _is_loopback(host):
        raise EdgewardError(
            Code.CONFIG_VALUE,
            f"{host!r} is no loopback address: whoever can reach it could read the metrics",
            where=where,
            remedy="listen on 127.0.0.1 behind a proxy that asks for a password",
        )
    return Address(host=host, port=int(port))


def check(settings: Metrics, where: str) -> None:
    """Refuse an address that cannot be listened on; raises as ``address_of``."""
    address_of(settings.listen, where=f"{where}: metrics.listen")


def _socket_path(path: str, where: str) -> str:
    if not path.startswith("/") or len(path.encode()) > _MAX_SOCKET_PATH or not path.isprintable():
        raise EdgewardError(
            Code.CONFIG_VALUE,
            f"expected an absolute path of at most {_MAX_SOCKET_PATH} bytes after unix:",
            where=where,
            remedy="write unix:/run/edgeward/metrics.sock",
        )
    return path


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
