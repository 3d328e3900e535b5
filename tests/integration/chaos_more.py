"""Two cases of their own: a worker that prints without end, and a bundle that fails again and again."""

from __future__ import annotations

import os
import signal
import time

from tests.integration.chaos import BEGINS, WATCH_S, Device, Figures, runs


def log_flood(device: Device, *, megabytes: int, watch_s: float = WATCH_S) -> Figures:
    """The victim prints so much as fast as it is taken, and goes on with its work."""
    victim = device.bundle("victim", f"run:after={runs(watch_s)} flood {megabytes << 20}")
    other = device.bundle("other", "run:")
    device.start(victim.bundle, other.bundle)
    log = device.log()
    device.running("victim", "other")
    log.wait_line(BEGINS, 60)
    began, before_mb = time.monotonic(), device.agent_mb()
    log.wait_line("lines left out", 15)
    noticed = time.monotonic()
    # It is over when all of it was taken: the pipe is read at its own pace, of 1 MiB a second.
    over = device.folder / "state" / "scratch" / "victim" / "the-flood-is-over"
    deadline = time.monotonic() + 3 * megabytes + 30
    while not over.exists():
        assert time.monotonic() < deadline, "the flood is not taken"
        time.sleep(0.05)
    ended = time.monotonic()
    return Figures(
        noticed_s=noticed - began,
        recovered_s=None,
        load_s=0.0,
        fps_before=device.fps("other", began - watch_s, began),
        fps_during=device.fps("other", began, ended),
        agent_before_mb=before_mb,
        agent_after_mb=device.agent_mb(),
    )


def crash_loop(device: Device) -> Figures:
    """A release that ran well is followed by one that aborts: it is put in quarantine, the first one runs."""
    good = device.bundle("victim", "run:", release=1)
    bad = device.bundle("victim", "run:native abort", release=2)
    other = device.bundle("other", "run:")
    place = device.folder / "victim.ewb"
    place.write_bytes(good.bundle.read_bytes())
    device.start(place, other.bundle)
    log = device.log()
    device.running("victim", "other")
    time.sleep(8)  # it is to run well for a while, and to be measured undisturbed
    lines, mark, before_mb = len(log.lines), device.heard.mark(), device.agent_mb()
    new = device.folder / "new.ewb"
    new.write_bytes(bad.bundle.read_bytes())
    new.rename(place)
    pid = device.metrics(lambda body: body.pipelines["victim"].pid is not None).pipelines["victim"].pid
    assert pid is not None
    began = time.monotonic()
    os.kill(pid, signal.SIGTERM)
    log.wait_line("victim 2.0.0 is in quarantine", 60, after=lines)
    noticed = time.monotonic()
    recovered = device.result("victim", device.heard.mark(), 60)
    ended = max(time.monotonic(), began + 8)
    time.sleep(max(0.0, ended - time.monotonic()))
    assert mark < device.heard.mark()
    return Figures(
        noticed_s=noticed - began,
        recovered_s=recovered - began,
        load_s=0.0,
        fps_before=device.fps("other", began - 8, began),
        fps_during=device.fps("other", began, ended),
        agent_before_mb=before_mb,
        agent_after_mb=device.agent_mb(),
    )
