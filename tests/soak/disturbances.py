"""What is done to the device, one thing after another; each says how long it took to be well again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from agent.control import control_pb2 as pb
from runtime.errors import EdgewardError
from tests.soak.site import STREAMS, Site

AWAY_S = 4.0
# A killed worker verifies nothing anew and loads a small model; a camera that is back is tried at once or
# after a backoff of seconds. The rest is room for a busy machine.
WELL_WITHIN_S = 45.0


class NotWellError(Exception):
    """The device did not become well again, or said what it should not."""


@dataclass(frozen=True, slots=True)
class Disturbance:
    """``run`` does it and returns once the device is well again."""

    name: str
    run: Callable[[Site], None]


def lose_cameras(site: Site) -> None:
    """Kill the camera server, let it be gone for a while, start it again."""
    site.cameras.stop(signal.SIGKILL)
    time.sleep(AWAY_S)  # the outage itself
    back_ns = time.monotonic_ns()
    site.cameras.start()
    _wait_results(site, back_ns, *(item for item in STREAMS if item[0] != "changing"))


def lose_broker(site: Site) -> None:
    """Kill the broker, let it be gone for a while, start it again."""
    site.broker.stop(signal.SIGKILL)
    time.sleep(AWAY_S)
    back_ns = time.monotonic_ns()
    site.broker.start()
    _wait_results(site, back_ns, ("steady", "cam-1"), ("killed", "cam-1"))


def kill_worker(number: signal.Signals) -> Callable[[Site], None]:
    """Kill the worker of the pipeline ``killed``."""

    def kill(site: Site) -> None:
        pid = site.heard.pid("killed")
        if pid is None:
            raise NotWellError("the pipeline 'killed' has no worker to kill")
        killed_ns = time.monotonic_ns()
        os.kill(pid, number)
        if not site.heard.wait_other_worker("killed", pid, WELL_WITHIN_S):
            raise NotWellError(f"no other worker {WELL_WITHIN_S:g} s after {number.name}")
        _wait_results(site, killed_ns + int(0.5e9), ("killed", "cam-1"))

    return kill


def reload(*, changing: bool, threshold: float, expected: str) -> Callable[[Site], None]:
    """Load another configuration; ``expected`` is what the reply says of the pipeline ``changing``."""

    def load(site: Site) -> None:
        before = site.heard.pid("steady")
        site.write_config(changing=changing, threshold=threshold)
        began_ns = time.monotonic_ns()
        reply = site.ask(lambda client: client.reload())
        if list(getattr(reply, expected)) != ["changing"] or "steady" not in reply.unchanged:
            raise NotWellError(f"a reload that should have {expected} 'changing' says {reply}")
        if changing:
            _wait_results(site, began_ns, ("changing", "cam-2"))
        elif not site.heard.wait_no_worker("changing", WELL_WITHIN_S):
            raise NotWellError("the pipeline 'changing' was taken out and still has a worker")
        if site.heard.pid("steady") != before:
            raise NotWellError("a reload that did not touch it restarted the pipeline 'steady'")

    return load


def bad_reload(site: Site) -> None:
    """Load a configuration with a mistake: refused, and nothing changes."""
    before = {name: site.heard.pid(name) for name in ("steady", "killed")}
    site.write_config(mistake='[devcie]\nid = "soak"\n')
    try:
        site.ask(lambda client: client.reload())
    except EdgewardError as error:
        if "devcie" not in str(error):
            raise NotWellError(f"the mistake is not named: {error}") from error
    else:
        raise NotWellError("a configuration with a mistake was taken")
    finally:
        site.write_config()
    if before != {name: site.heard.pid(name) for name in before}:
        raise NotWellError("a configuration that was refused restarted a worker")


def snapshot(site: Site) -> None:
    """Take a picture of each stream of ``steady``."""
    for stream in ("cam-1", "cam-2"):
        reply = _picture(site, stream)
        if not (reply.jpeg.startswith(b"\xff\xd8") and reply.jpeg.endswith(b"\xff\xd9")):
            raise NotWellError(f"the snapshot of {stream} is no JPEG: {reply.jpeg[:16]!r}")


def _picture(site: Site, stream: str) -> pb.SnapshotReply:
    return site.ask(lambda client: client.take_snapshot("steady", stream, annotate=True, max_width=640))


# In this order again and again. Kills stand far apart, so that they are no crash loop.
ALL = (
    Disturbance("cameras gone for 4 s", lose_cameras),
    Disturbance("worker killed (SIGKILL)", kill_worker(signal.SIGKILL)),
    Disturbance("pipeline changed by reload", reload(changing=True, threshold=0.6, expected="restarted")),
    Disturbance("snapshots", snapshot),
    Disturbance("broker gone for 4 s", lose_broker),
    Disturbance("pipeline removed by reload", reload(changing=False, threshold=0.4, expected="stopped")),
    Disturbance("worker crashed (SIGSEGV)", kill_worker(signal.SIGSEGV)),
    Disturbance("pipeline added by reload", reload(changing=True, threshold=0.4, expected="started")),
    Disturbance("bad configuration refused", bad_reload),
)


def _wait_results(site: Site, after_ns: int, *streams: tuple[str, str]) -> None:
    for pipeline, stream in streams:
        if not site.heard.wait_result(pipeline, stream, after_ns=after_ns, seconds=WELL_WITHIN_S):
            site.check()
            raise NotWellError(f"no result of {pipeline}/{stream} within {WELL_WITHIN_S:g} s")
