"""The control socket of a real agent: who may use it, who gets it, and what a bad client can do: nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from grpclib.reflection.v1.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from agent.control import control_pb2 as pb
from agent.control.client import Blocking
from runtime.errors import Code, EdgewardError
from tests.integration.agent_peers import ROOT
from tests.integration.control_peer import connected, wait_status

pytestmark = pytest.mark.integration

NOWHERE = "mqtt://127.0.0.1:9"
SERVICE = "/edgeward.control.v1.Control/"


def is_up(status: pb.Status) -> bool:
    return all(one.state == "running" and one.streams[0].fps > 5 for one in status.pipelines)


def test_another_grpc_library_is_answered_and_gets_typed_errors(agents: Any) -> None:
    agent = agents.start(agents.write(NOWHERE, {"line": "ok"}))
    with connected(agents.folder, agent) as client:
        wait_status(client, is_up)
        with grpc.insecure_channel(f"unix:{agents.folder / 'control.sock'}") as channel:
            get_status = channel.unary_unary(
                SERVICE + "GetStatus",
                request_serializer=pb.GetStatusRequest.SerializeToString,
                response_deserializer=pb.Status.FromString,
            )
            status = get_status(pb.GetStatusRequest(), timeout=10)
            assert (status.device.id, status.pid) == ("dev", agent.process.pid)
            start = channel.unary_unary(
                SERVICE + "StartPipeline",
                request_serializer=pb.PipelineRequest.SerializeToString,
                response_deserializer=pb.PipelineReply.FromString,
            )
            with pytest.raises(grpc.RpcError) as caught:
                start(pb.PipelineRequest(name="größe"), timeout=10)
            error: Any = caught.value
            assert error.code() is grpc.StatusCode.NOT_FOUND
            assert error.details() == "no pipeline 'größe'"
            trailing = dict(error.trailing_metadata())
            assert trailing["edgeward-code"] == "control.unknown-pipeline"
            assert trailing["edgeward-remedy-bin"].decode() == "there is line"
            watch = channel.unary_stream(
                SERVICE + "WatchStatus",
                request_serializer=pb.WatchStatusRequest.SerializeToString,
                response_deserializer=pb.Status.FromString,
            )
            watching = watch(pb.WatchStatusRequest(interval_ms=200))
            assert [next(watching).device.id for _ in range(3)] == ["dev"] * 3
            watching.cancel()
            reflect = channel.stream_stream(
                "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                request_serializer=ServerReflectionRequest.SerializeToString,
                response_deserializer=ServerReflectionResponse.FromString,
            )
            (answer,) = reflect(iter([ServerReflectionRequest(list_services="")]), timeout=10)
            names = {service.name for service in answer.list_services_response.service}
            assert {"edgeward.control.v1.Control", "grpc.health.v1.Health"} <= names
            check = channel.unary_unary("/grpc.health.v1.Health/Check")
            assert check(b"", timeout=10) == b"\x08\x01"  # status: SERVING
    assert agent.end() == 0


CLIENT = """
import sys
from pathlib import Path
from agent.control.client import Blocking
from runtime.errors import EdgewardError
try:
    with Blocking(Path(sys.argv[1])) as client:
        print(client.run(lambda c: c.get_status()).device.id)
except EdgewardError as error:
    print(error.code.text)
"""


def as_user(uid: int, path: Path) -> str:
    """What a client of another user hears. The checkout may be closed to it, so it is opened before."""
    script = f"import os, sys; sys.path.insert(0, {str(ROOT)!r})\n" + CLIENT.replace(
        "try:",
        f"import agent.control.control_pb2\nos.setgroups([]); os.setgid({uid}); os.setuid({uid})\ntry:",
        1,
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout.strip() or done.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_is_kept_out_by_the_rights_of_the_socket(agents: Any) -> None:
    # Every folder above lets everybody through: it is the socket itself that does not.
    folder = agents.folder
    opened = [above for above in (folder, *folder.parents) if not above.stat().st_mode & 0o001]
    modes = [(above, above.stat().st_mode) for above in opened]
    agent = agents.start(agents.write(NOWHERE, {"line": "ok"}))
    try:
        for above in opened:
            above.chmod(above.stat().st_mode | 0o011)
        with connected(folder, agent):
            path = folder / "control.sock"
            assert as_user(0, path) == "dev"
            assert as_user(65534, path) == "control.permission"
    finally:
        for above, mode in modes:
            above.chmod(mode & 0o7777)
    assert agent.end() == 0


def test_an_agent_that_was_killed_leaves_a_socket_that_the_next_one_takes_over(agents: Any) -> None:
    config = agents.write(NOWHERE, {"line": "ok"})
    first = agents.start(config)
    with connected(agents.folder, first) as client:
        wait_status(client, is_up)
        first.end(signal.SIGKILL)
        assert (agents.folder / "control.sock").is_socket()
        with pytest.raises(EdgewardError) as caught:
            client.run(lambda c: c.get_status())
        assert caught.value.code is Code.CONTROL_UNAVAILABLE
    second = agents.start(config)
    with connected(agents.folder, second) as client:
        assert client.run(lambda c: c.get_status()).pid == second.process.pid
    assert second.end() == 0
    assert not (agents.folder / "control.sock").exists()


def test_a_second_agent_on_the_socket_is_refused_and_told_who_has_it(agents: Any) -> None:
    config = agents.write(NOWHERE, {"line": "ok"})
    first = agents.start(config)
    with connected(agents.folder, first) as client:
        other = agents.folder / "other.toml"
        other.write_text(config.read_text().replace('"state"', '"state2"'))
        second = agents.start(other)
        assert second.process.wait(30) == Code.SYSTEM_BUSY.exit_status
        assert f"another process ({first.process.pid}) listens" in second.wait_line("control.sock")
        assert client.run(lambda c: c.get_status()).pid == first.process.pid
    assert first.end() == 0


def test_without_an_agent_the_client_says_what_to_do(tmp_path: Path) -> None:
    with Blocking(tmp_path / "control.sock") as client, pytest.raises(EdgewardError) as caught:
        client.run(lambda c: c.get_status())
    assert caught.value.code is Code.CONTROL_UNAVAILABLE
    assert "systemctl start edgeward" in caught.value.remedy


@pytest.mark.parametrize("talk", ["garbage", "nothing", "huge request", "half a request"])
def test_a_client_that_talks_nonsense_harms_nobody(agents: Any, talk: str) -> None:
    agent = agents.start(agents.write(NOWHERE, {"line": "ok"}))
    with connected(agents.folder, agent) as client:
        wait_status(client, is_up)
        path = agents.folder / "control.sock"
        if talk == "huge request":
            with grpc.insecure_channel(f"unix:{path}") as channel:
                call = channel.unary_unary(SERVICE + "GetStatus")
                with pytest.raises(grpc.RpcError):
                    call(b"x" * (3 << 20), timeout=20)
            agent.wait_line("whose request is over")
        else:
            others = [socket.socket(socket.AF_UNIX) for _ in range(10)]
            for other in others:
                other.connect(str(path))
                if talk == "garbage":
                    other.sendall(os.urandom(5000))
                elif talk == "half a request":
                    other.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00")
            assert client.run(lambda c: c.get_status()).pid == agent.process.pid
            for other in others:
                other.close()
        wait_status(client, is_up)
    assert agent.end() == 0
    assert "Traceback" not in agent.log


def test_idle_connections_make_room_and_busy_ones_are_counted(agents: Any) -> None:
    agent = agents.start(agents.write(NOWHERE, {"line": "ok"}))
    with connected(agents.folder, agent) as client:
        wait_status(client, is_up)
        idle = [socket.socket(socket.AF_UNIX) for _ in range(100)]
        for one in idle:
            one.connect(str(agents.folder / "control.sock"))
        with Blocking(agents.folder / "control.sock") as late:
            assert late.run(lambda c: c.get_status()).pid == agent.process.pid
        sockets = psutil.Process(agent.process.pid).net_connections("unix")
        held = len([one for one in sockets if str(one.laddr).endswith("control.sock")])
        assert held <= 40
        for one in idle:
            one.close()
    assert agent.end() == 0


FOLLOW = """
import sys
from pathlib import Path
from agent.control.client import Blocking
with Blocking(Path(sys.argv[1])) as client:
    for event in client.each(lambda c: c.get_events(follow=True, detections=True)):
        print(event.lost, flush=True)
"""


def test_a_follower_that_hangs_costs_no_memory_and_holds_up_nobody(agents: Any) -> None:
    agent = agents.start(agents.write(NOWHERE, {"line": "everything fps=100"}))
    path = agents.folder / "control.sock"
    with connected(agents.folder, agent) as client:
        wait_status(client, is_up)
        follower = subprocess.Popen(
            [sys.executable, "-c", FOLLOW, str(path)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        try:
            assert follower.stdout is not None
            assert follower.stdout.readline()
            follower.send_signal(signal.SIGSTOP)
            process = psutil.Process(agent.process.pid)
            before, began = process.memory_info().rss, results(client)
            # What a result takes as JSON, so often that it would fill any buffer many times over.
            wait_status(client, lambda status: total(status) > began + 1500, seconds=60)
            assert process.memory_info().rss - before < 12 << 20
            follower.send_signal(signal.SIGCONT)
            # It is told what it has lost, and follows again.
            deadline = time.monotonic() + 30
            while int(follower.stdout.readline()) == 0:
                assert time.monotonic() < deadline
        finally:
            follower.kill()
            follower.communicate()
    assert agent.end() == 0


def total(status: pb.Status) -> int:
    return sum(stream.results for one in status.pipelines for stream in one.streams)


def results(client: Blocking) -> int:
    return total(client.run(lambda c: c.get_status()))
