"""A worker at work: one bundle, its streams, one inference thread; talks to the agent only.

``runtime.worker_process`` is its process. It holds no lock and no queue that another process knows, so that
killing it harms nobody.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from runtime import ipc
from runtime.agent_link import Agent
from runtime.annotate import Annotator
from runtime.assembly import assemble
from runtime.errors import EdgewardError
from runtime.mailbox import Mailbox
from runtime.model import Model
from runtime.rate import Rate
from runtime.serve.messages import ServeOptions
from runtime.snapshot import Snapshots
from runtime.source.frame import Drop, Frame
from runtime.stream import Stream

if TYPE_CHECKING:
    from runtime.serve.server import InferenceServer

_METRICS_EVERY_S = 1.0
_STREAMS_END_WITHIN_S = 1.0


class Worker:
    """A pipeline and its streams, from ``Start`` to ``Stopped``."""

    def __init__(self, start: ipc.Start, agent: Agent, *, lacks: tuple[str, ...] = ()) -> None:
        self._agent = agent
        self._lacks = lacks
        self._assembled = assemble(start)
        self._pipeline = self._assembled.pipeline
        self._annotator = Annotator(Path(start.annotate)) if start.annotate else None
        self._mailbox = Mailbox(spec.name for spec in start.streams)
        self._rate = Rate(spec.name for spec in start.streams)
        self._streams = {
            spec.name: Stream(spec, self._mailbox, agent.send, self._rate) for spec in start.streams
        }
        self._snapshots = Snapshots(self._streams, agent.send)
        self._server = self._serving(start.serve)
        self._inference = threading.Thread(target=self._infer, name="inference", daemon=True)
        self._failure: EdgewardError | None = None

    def _serving(self, options: ServeOptions | None) -> InferenceServer | None:
        if options is None:
            return None
        from runtime.serve.server import serving  # noqa: PLC0415 - for pipelines that serve only

        return serving(options, self._assembled, self._mailbox.wake)

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
                latency_budget_ms=manifest.budgets.latency_p95_ms or 0.0,
                memory_mb=self._budget_mb(),
                lacks=self._lacks,
            )
        )
        self._inference.start()
        for stream in self._streams.values():
            stream.start()
        stopped = self._attend()
        if self._server is not None:
            self._server.close()
        for stream in self._streams.values():
            stream.stop()
        self._mailbox.close()
        self._inference.join(_STREAMS_END_WITHIN_S)
        deadline = time.monotonic() + _STREAMS_END_WITHIN_S
        for stream in self._streams.values():
            stream.join(max(0.0, deadline - time.monotonic()))
        if self._server is not None:
            self._server.join(max(0.0, deadline - time.monotonic()))
        # While a picture is still worked on, its film is not finished under it: it can be played as it is.
        if self._annotator and not self._inference.is_alive():
            self._annotator.close()
        self._send_metrics()
        if self._failure is not None:
            raise self._failure
        self._agent.send(ipc.Stopped(reason="stop" if stopped else "sources-ended"))

    def _budget_mb(self) -> float:
        """What the manifests allow for all models together, and for requests; 0 when one does not say."""
        models = [self._assembled.model, *self._assembled.stages.values()]
        budgets = [model.manifest.budgets.memory_mb or 0.0 for model in models]
        if not all(budgets):
            return 0.0
        return sum(budgets) + (self._server.memory_mb if self._server is not None else 0.0)

    def _attend(self) -> bool:
        """Send metrics each second; True when told to stop, False when the streams have all ended."""
        due = time.monotonic()
        while self._inference.is_alive():
            if time.monotonic() >= due:
                if self._server is not None:
                    self._server.attend()
                self._send_metrics()
                due += _METRICS_EVERY_S
            message = self._agent.receive(min(0.1, max(0.001, due - time.monotonic())))
            if isinstance(message, ipc.Stop):
                return True
            self._obey(message)
        return False

    def _obey(self, message: ipc.ToWorker | None) -> None:
        """What the agent may ask for while the pipeline runs."""
        match message:
            case ipc.TakeSnapshot():
                self._snapshots.take(message)
            case ipc.SetRate():
                self._rate.set(message.factor)
                if self._server is not None:
                    # Or requests would take, and heat the board with, what the streams gave up.
                    self._server.turns.slow_down(message.factor)

    def _infer(self) -> None:
        """The inference thread: frames in, results out, one after the other, and requests between them."""
        turns = self._server.turns if self._server is not None else None
        try:
            while True:
                if turns is not None:
                    turns.take(self._mailbox.held_up_s)
                    if not self._mailbox.wait(turns.due_in_s):
                        continue
                taken = self._mailbox.take(self._pipeline.batch)
                if not taken:
                    return
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
        began_s = time.monotonic()
        results = self._pipeline.process(items)
        self._rate.worked(time.monotonic() - began_s, len(items))
        for (name, frame), result in zip(items, results, strict=True):
            stream = self._streams[name]
            clock.start()
            sent = self._publish(result)
            done = stream.tally.finished(failed=sent.status == "failed")
            clock.done("publish")
            self._snapshots.offer(name, frame, sent)
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
                served=self._server.snapshot() if self._server is not None else None,
            )
        )


def _loaded(model: Model) -> ipc.Loaded:
    return ipc.Loaded(variant=model.variant.id, engine=model.variant.engine, provider=model.engine.provider)
