"""The worker process: one bundle, its streams, one inference thread; talks to the agent only.

Started by the agent as ``python -m runtime.worker --fd N --parent PID``; ``N`` is its end of a
socketpair. It holds no lock and no queue that another process knows, so that killing it harms nobody.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

import psutil

from runtime import ipc
from runtime.agent_link import Agent
from runtime.annotate import Annotator
from runtime.assembly import assemble
from runtime.errors import Code, EdgewardError
from runtime.mailbox import Mailbox
from runtime.model import Model
from runtime.process_limits import die_with
from runtime.source.frame import Drop, Frame
from runtime.stream import Stream

_METRICS_EVERY_S = 1.0
_STREAMS_END_WITHIN_S = 1.0


class Worker:
    """A pipeline and its streams, from ``Start`` to ``Stopped``."""

    def __init__(self, start: ipc.Start, agent: Agent) -> None:
        self._agent = agent
        self._assembled = assemble(start)
        self._pipeline = self._assembled.pipeline
        self._annotator = Annotator(Path(start.annotate)) if start.annotate else None
        self._mailbox = Mailbox(spec.name for spec in start.streams)
        self._streams = {spec.name: Stream(spec, self._mailbox, agent.send) for spec in start.streams}
        self._inference = threading.Thread(target=self._infer, name="inference", daemon=True)
        self._failure: EdgewardError | None = None

    def run(self) -> None:
        """Work until all streams have ended or the agent says stop."""
        model = self._assembled.model
        manifest, runs = model.manifest, _loaded(model)
        self._agent.send(
            ipc.Ready(
                bundle=manifest.name,
                version=manifest.version,
                variant=runs.variant,
                engine=runs.engine,
                provider=runs.provider,
                load_ms=model.load_ms,
                labels=manifest.labels,
                task=manifest.task,
                batch=self._pipeline.batch,
                stages={name: _loaded(stage) for name, stage in self._assembled.stages.items()},
            )
        )
        self._inference.start()
        for stream in self._streams.values():
            stream.start()
        stopped = self._attend()
        for stream in self._streams.values():
            stream.stop()
        self._mailbox.close()
        self._inference.join(_STREAMS_END_WITHIN_S)
        deadline = time.monotonic() + _STREAMS_END_WITHIN_S
        for stream in self._streams.values():
            stream.join(max(0.0, deadline - time.monotonic()))
        # While a picture is still worked on, its film is not finished under it: it can be played as it is.
        if self._annotator and not self._inference.is_alive():
            self._annotator.close()
        self._send_metrics()
        if self._failure is not None:
            raise self._failure
        self._agent.send(ipc.Stopped(reason="stop" if stopped else "sources-ended"))

    def _attend(self) -> bool:
        """Send metrics each second; True when told to stop, False when the streams have all ended."""
        due = time.monotonic()
        while self._inference.is_alive():
            if time.monotonic() >= due:
                self._send_metrics()
                due += _METRICS_EVERY_S
            if isinstance(self._agent.receive(min(0.1, max(0.001, due - time.monotonic()))), ipc.Stop):
                return True
        return False

    def _infer(self) -> None:
        """The inference thread: frames in, results out, one after the other."""
        try:
            while taken := self._mailbox.take(self._pipeline.batch):
                self._work([item for item in taken if self._wanted(item[0])])
        except EdgewardError as error:
            self._failure = error

    def _wanted(self, name: str) -> bool:
        stream = self._streams[name]
        limit = stream.spec.max_frames
        if limit and stream.tally.finished_so_far >= limit:
            stream.tally.dropped(Drop.ENDED)
            return False
        return True

    def _work(self, items: list[tuple[str, Frame]]) -> None:
        clock = self._pipeline.clock
        for (name, frame), result in zip(items, self._pipeline.process(items), strict=True):
            stream = self._streams[name]
            clock.start()
            sent = self._publish(result)
            done = stream.tally.finished(failed=sent.status == "failed")
            clock.done("publish")
            if self._annotator:
                self._annotator.write(frame, sent)
            if done == stream.spec.max_frames:
                stream.stop()

    def _publish(self, result: ipc.Result) -> ipc.Result:
        """Send a result; one that is too large for a message becomes a failure that says so."""
        try:
            self._agent.send(result)
        except EdgewardError as error:
            result = ipc.failed(result, str(error))
            self._agent.send(result)
        return result

    def _send_metrics(self) -> None:
        clock = self._pipeline.clock
        tallies = [stream.tally for stream in self._streams.values()]
        decode_cpu_s, decode_wall_s = map(sum, zip(*(tally.decode_s for tally in tallies), strict=True))
        self._agent.send(
            ipc.Metrics(
                mono_ns=time.monotonic_ns(),
                streams={name: stream.tally.snapshot() for name, stream in self._streams.items()},
                cpu_s={"decode": decode_cpu_s, **clock.cpu_s, "process": time.process_time()},
                wall_s={"decode": decode_wall_s, **clock.wall_s},
                rss_mb=psutil.Process().memory_info().rss / 1e6,
            )
        )


def _loaded(model: Model) -> ipc.Loaded:
    return ipc.Loaded(variant=model.variant.id, engine=model.variant.engine, provider=model.engine.provider)


def _end_loudly(caught: threading.ExceptHookArgs) -> None:
    """A thread that dies by a defect of ours must not leave a process that looks alive."""
    threading.__excepthook__(caught)
    sys.stderr.flush()
    os._exit(int(Code.INTERNAL.exit_status))


def main() -> NoReturn:
    """Entry point of the process."""
    parser = argparse.ArgumentParser(prog="runtime.worker", description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="this end of the socketpair")
    parser.add_argument("--parent", type=int, required=True, help="process id of the agent")
    options = parser.parse_args()
    die_with(options.parent)
    # Ctrl-C reaches the whole terminal group; the agent decides, and says Stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.excepthook = _end_loudly
    agent = Agent(socket.socket(fileno=options.fd))
    status = 0
    try:
        start = agent.receive(None)
        if isinstance(start, ipc.Start):
            Worker(start, agent).run()
    except EdgewardError as error:
        agent.send(ipc.Fatal(code=error.code.text, what=error.what, where=error.where, remedy=error.remedy))
        status = int(error.code.exit_status)
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    # A thread may be inside libav, waiting for a camera; interpreter shutdown would wait for it or
    # crash under it.
    os._exit(status)


if __name__ == "__main__":
    main()
