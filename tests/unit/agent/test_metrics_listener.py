"""The page of figures: served to this device only, and no reader costs more than a little."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import stat
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from agent import config_file
from agent.health import listener
from agent.health.listener import MOST_CONNECTIONS, MOST_HEAD, MetricsListener
from agent.health.settings import Address, address_of
from agent.workers.reason import Reason
from runtime.errors import Code, EdgewardError

pytestmark = pytest.mark.unit


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Served:
    """A listener that runs, what it told, and how often its page was made."""

    def __init__(self, address: Address, **settings: Any) -> None:
        self.address = address
        self.problems: list[Reason | None] = []
        self.made: list[str] = []
        self.told = asyncio.Event()
        self._task = asyncio.create_task(
            MetricsListener(address, self._render, self._problem, **settings).run()
        )

    def _render(self, accept: str) -> tuple[bytes, str]:
        self.made.append(accept)
        return b"edgeward_up 1\n# EOF\n", "application/openmetrics-text; version=1.0.0"

    def _problem(self, problem: Reason | None) -> None:
        self.problems.append(problem)
        self.told.set()

    async def listens(self) -> None:
        while not self.problems or self.problems[-1] is not None:
            self.told.clear()
            await asyncio.wait_for(self.told.wait(), 10)

    async def end(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task


@contextlib.asynccontextmanager
async def served(address: Address | None = None, **settings: Any) -> AsyncIterator[Served]:
    made = Served(address or Address(host="127.0.0.1", port=free_port()), **settings)
    try:
        await made.listens()
        yield made
    finally:
        await made.end()


async def raw(address: Address, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def in_thread(work: Callable[[], Any]) -> Any:
    return asyncio.get_running_loop().run_in_executor(None, work)


def test_a_real_client_reads_the_page() -> None:
    async def run() -> None:
        async with served() as page:
            url = f"http://{page.address}/metrics"
            with await in_thread(lambda: urllib.request.urlopen(url, timeout=10)) as answer:
                assert answer.status == 200
                assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
                assert answer.read() == b"edgeward_up 1\n# EOF\n"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /metrics HTTP/1.1", b"200 OK"),
        (b"GET /metrics?x=1 HTTP/1.0", b"200 OK"),
        (b"HEAD /metrics HTTP/1.1", b"200 OK"),
        (b"GET /other HTTP/1.1", b"404 Not Found"),
        (b"POST /metrics HTTP/1.1", b"405 Method Not Allowed"),
        (b"GET /metrics HTTP/2", b"400 Bad Request"),
        (b"\x16\x03\x01 what", b"400 Bad Request"),
        (b"GET", b"400 Bad Request"),
    ],
)
def test_each_request_gets_its_status(request_line: bytes, status: bytes) -> None:
    async def run() -> bytes:
        async with served() as page:
            return await raw(page.address, request_line + b"\r\nHost: x\r\n\r\n")

    answer = asyncio.run(run())
    assert answer.startswith(b"HTTP/1.1 " + status + b"\r\n")
    assert (b"edgeward_up" in answer) == (status == b"200 OK" and not request_line.startswith(b"HEAD"))


def test_who_sends_nothing_or_too_much_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "READ_S", 0.2)

    async def run() -> None:
        async with served() as page:
            assert await raw(page.address, b"") == b""
            assert await raw(page.address, b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 3 * MOST_HEAD) == b""
            assert b"200 OK" in await raw(page.address, b"GET / HTTP/1.1\r\n\r\n")

    asyncio.run(run())


def test_many_readers_at_once_are_bounded_and_the_next_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with served() as page:
            held = [
                await asyncio.open_connection(page.address.host, page.address.port)
                for _ in range(MOST_CONNECTIONS)
            ]
            answer = await raw(page.address, b"GET /metrics HTTP/1.1\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 503 ") or answer == b""
            for reader, writer in held:
                writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
                assert b"200 OK" in await asyncio.wait_for(reader.read(), 10)
                writer.close()
            assert b"200 OK" in await raw(page.address, b"GET /metrics HTTP/1.1\r\n\r\n")

    asyncio.run(run())


def test_who_asks_a_hundred_times_has_the_page_made_once_a_second() -> None:
    async def run() -> list[str]:
        async with served() as page:
            began = asyncio.get_running_loop().time()
            kinds = "application/openmetrics-text; version={}", "text/x{}", "a, application/openmetrics-text"
            for number in range(99):
                accept = kinds[number % 3].format(number).encode()
                answer = await raw(page.address, b"GET / HTTP/1.1\r\nAccept: " + accept + b"\r\n\r\n")
                assert b"200 OK" in answer
            seconds = asyncio.get_running_loop().time() - began
            assert len(page.made) <= 2 * (seconds + 1)
            return page.made

    assert asyncio.run(run())


def test_a_port_in_use_is_told_once_and_tried_again_until_it_is_free(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run() -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            address = Address(host="127.0.0.1", port=other.getsockname()[1])
            page = Served(address, retry_s=0.02)
            while len(page.problems) < 5:
                page.told.clear()
                await asyncio.wait_for(page.told.wait(), 10)
            assert all(problem is not None for problem in page.problems)
            problem = page.problems[0]
            assert problem is not None
            assert str(address) in problem.text
            assert problem.code == "system.busy"
            assert "metrics.listen" in problem.remedy
        await page.listens()
        assert b"200 OK" in await raw(address, b"GET /metrics HTTP/1.1\r\n\r\n")
        await page.end()

    asyncio.run(run())
    assert sum("cannot be read" in line.getMessage() for line in caplog.records) == 1


# --- the unix socket ---


async def over_socket(path: Path) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


def test_a_unix_socket_is_for_user_and_group_and_goes_with_its_listener(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sock"

    async def run() -> None:
        async with served(Address(path=str(path))):
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            assert b"200 OK" in await over_socket(path)
        assert not path.exists()

    asyncio.run(run())


def test_a_stale_socket_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    async def run() -> None:
        async with served(Address(path=str(path))):
            assert b"200 OK" in await over_socket(path)

    asyncio.run(run())


def test_a_socket_that_another_put_in_the_place_of_ours_stays(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sock"

    async def run() -> None:
        with socket.socket(socket.AF_UNIX) as other:
            async with served(Address(path=str(path))):
                path.unlink()
                other.bind(str(path))
            assert path.exists()

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["live socket", "file", "file for a folder"])
def test_what_belongs_to_others_is_left_alone_and_told(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("file/metrics.sock" if kind == "file for a folder" else "metrics.sock")
    (tmp_path / "file").touch()

    async def run() -> Reason | None:
        with socket.socket(socket.AF_UNIX) as other:
            if kind == "live socket":
                other.bind(str(path))
                other.listen()
            elif kind == "file":
                path.write_text("mine")
            page = Served(Address(path=str(path)), retry_s=60)
            await asyncio.wait_for(page.told.wait(), 10)
            await page.end()
            if kind != "file for a folder":
                assert path.exists()
            return page.problems[0]

    problem = asyncio.run(run())
    assert problem is not None
    assert str(path) in problem.text
    assert problem.code == ("system.busy" if kind == "live socket" else "config.value")
    assert "metrics.listen" in problem.remedy


# --- the setting ---


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("", None),
        ("127.0.0.1:9105", Address(host="127.0.0.1", port=9105)),
        ("localhost:9105", Address(host="127.0.0.1", port=9105)),
        ("127.8.8.8:1", Address(host="127.8.8.8", port=1)),
        ("[::1]:9105", Address(host="::1", port=9105)),
        ("unix:/run/edgeward/metrics.sock", Address(path="/run/edgeward/metrics.sock")),
    ],
)
def test_what_may_be_listened_on(listen: str, address: Address | None) -> None:
    assert address_of(listen, where="x") == address


@pytest.mark.parametrize(
    ("listen", "what"),
    [
        ("0.0.0.0:9105", "no loopback"),
        ("[::]:9105", "no loopback"),
        ("192.168.1.5:9105", "no loopback"),
        ("example.com:9105", "no loopback"),
        ("9105", "no address"),
        (":9105", "no address"),
        ("127.0.0.1:0", "no address"),
        ("127.0.0.1:65536", "no address"),
        ("127.0.0.1:x", "no address"),
        ("unix:relative", "absolute path"),
        ("unix:/" + "x" * 200, "absolute path"),
    ],
)
def test_what_others_could_reach_is_refused_with_the_reason(listen: str, what: str) -> None:
    with pytest.raises(EdgewardError) as caught:
        address_of(listen, where="edgeward.toml: metrics.listen")
    assert caught.value.code is Code.CONFIG_VALUE
    assert what in caught.value.what
    assert caught.value.where == "edgeward.toml: metrics.listen"
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[metrics]\nlisten = "0.0.0.0:9105"', "metrics.listen"),
        ("[metrics]\nport = 9105", "metrics.port"),
        ('[log]\nlevel = "loud"', "log.level"),
        ("[log]\nburst = 0", "log.burst"),
    ],
)
def test_a_configuration_that_would_not_do_is_refused_by_key(text: str, key: str, tmp_path: Path) -> None:
    with pytest.raises(EdgewardError) as caught:
        config_file.parse(text, where="edgeward.toml", folder=tmp_path)
    assert caught.value.where == f"edgeward.toml: {key}"
