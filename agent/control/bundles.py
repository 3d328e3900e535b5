"""Requests about bundles: what this device holds, one more of them, and the way back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import get_args

import msgspec

from agent.control import control_pb2 as pb
from agent.control.parts import Parts
from agent.control.pipelines import SETTLED, PipelineRequests
from agent.control.to_its_end import begin, to_its_end
from agent.control.waits import check_wait
from agent.workers.bundle_record import Installed, Quarantined
from agent.workers.pipeline import Pipeline, PipelineState
from runtime.errors import Code, EdgewardError

log = logging.getLogger("bundles")

# Beside what the pipeline allows its models for loading: verifying, and preflight of each variant.
MORE_S = 600.0
_WORDS: dict[PipelineState, str] = {
    "verifying": "the bundle in the store is verified",
    "preflight": "its variants are tried on this device",
    "starting": "its worker loads it",
    "backoff": "its worker ended; it is started again",
    "running": "it runs",
}
_STATES: frozenset[PipelineState] = frozenset(get_args(PipelineState))
_DIGEST_LETTERS = 64
# Verifying gives each stored bundle the space that it needs and no more; its manifest is small.
_MOST_MANIFEST = 8 << 20


class _Manifest(msgspec.Struct, frozen=True):
    """Of a manifest, what a list shows. It was checked when the bundle was stored."""

    name: str
    version: str
    release_counter: int


class BundleRequests:
    """Of one agent."""

    def __init__(self, parts: Parts, pipelines: PipelineRequests) -> None:
        self._parts = parts
        self._pipelines = pipelines
        self._busy: set[str] = set()

    async def list(self) -> pb.ListBundlesReply:
        """The bundles in the store, and which pipelines have to do with them."""
        folder = Path(self._parts.reloader.config.device.state_dir) / "bundles"
        stored = await asyncio.to_thread(lambda: list(_stored(folder)))
        return pb.ListBundlesReply(bundles=[self._bundle(*one) for one in stored])

    async def install(self, request: pb.InstallBundleRequest) -> AsyncIterator[pb.InstallProgress]:
        """Verify a file and run it in the place of the pipeline's bundle; one that fails is taken out again.

        The work goes on when the client leaves.

        Raises:
            EdgewardError: the file is refused, or it does not run: then the former bundle runs again.
        """
        wait_s = check_wait(request.wait_s)
        file = Path(request.file)
        if not file.is_absolute():
            what, remedy = "expected an absolute path on this device", "name it from / on"
            raise EdgewardError(Code.USAGE, what, where=request.file, remedy=remedy)
        pipeline = self._pipelines.named(request.pipeline)
        news: asyncio.Queue[pb.InstallProgress | EdgewardError] = asyncio.Queue()
        begin(self._install(pipeline, request.stage, file, news), "install")
        until = time.monotonic() + wait_s
        switched = False
        while True:
            # What verifies the file is waited for in any case: before it there is nothing to tell.
            left = max(0.0, until - time.monotonic()) if switched else None
            try:
                async with asyncio.timeout(left):
                    item = await news.get()
            except TimeoutError:
                text = "it is in place, and goes on starting"
                yield pb.InstallProgress(
                    step="starting", text=text, done=True, pipeline=self._pipelines.shown(pipeline)
                )
                return
            if isinstance(item, EdgewardError):
                raise item
            yield item
            switched = switched or item.step == "installed"
            if item.done:
                return

    async def roll_back(self, request: pb.RollbackBundleRequest) -> pb.PipelineReply:
        """Run the bundle again that ran well before the present one.

        Raises:
            EdgewardError: ``CONTROL_STATE`` when there is none.
        """
        wait_s = check_wait(request.wait_s)
        pipeline = self._pipelines.named(request.pipeline)
        await to_its_end(self._roll_back(pipeline, request.stage), "rollback")
        return pb.PipelineReply(pipeline=await self._pipelines.settled(pipeline, wait_s, SETTLED))

    async def _roll_back(self, pipeline: Pipeline, stage: str) -> None:
        with self._alone(pipeline):
            target = await pipeline.supply.roll_back(stage)
            self._note(pipeline, f"going back to {target} ({target.digest[:12]})")
            await self._parts.supervisor.restart_pipeline(pipeline.config.name)

    async def _install(
        self,
        pipeline: Pipeline,
        stage: str,
        file: Path,
        news: asyncio.Queue[pb.InstallProgress | EdgewardError],
    ) -> None:
        """Tells what it does; never raises."""
        try:
            with self._alone(pipeline):
                await self._verify_and_switch(pipeline, stage, file, news)
        except EdgewardError as error:
            log.warning("%s: the installation failed: %s", pipeline.config.name, error)
            news.put_nowait(error)
        except Exception as error:
            log.exception("%s: a defect in edgeward", pipeline.config.name)
            what = f"a defect in edgeward: {type(error).__name__}"
            news.put_nowait(EdgewardError(Code.INTERNAL, what, remedy="please report it"))

    async def _verify_and_switch(
        self,
        pipeline: Pipeline,
        stage: str,
        file: Path,
        news: asyncio.Queue[pb.InstallProgress | EdgewardError],
    ) -> None:
        def tell(step: str, text: str, *, done: bool = False) -> None:
            shown = self._pipelines.shown(pipeline) if done else None
            news.put_nowait(pb.InstallProgress(step=step, text=text, done=done, pipeline=shown))

        before = pipeline.supply.installed(stage)
        # The verifier copies while it reads: what runs later lies in the store, never on a stick.
        tell("verifying", f"reading {file} and copying it into the store")
        bundle = await pipeline.supply.verify(file)
        if not self._is_there(pipeline):
            what = "the configuration has changed meanwhile: nothing was installed"
            raise EdgewardError(Code.CONTROL_STATE, what, where=pipeline.config.name, remedy="try again")
        tell("installed", f"{bundle.name} {bundle.version} ({bundle.digest[:12]}) takes its place")
        await pipeline.supply.install(bundle, stage)
        self._note(pipeline, f"installed {bundle.name} {bundle.version} ({bundle.digest[:12]})")
        await self._parts.supervisor.restart_pipeline(pipeline.config.name)
        await self._watch(pipeline, tell)
        runs = pipeline.bundles.get(stage)
        fell_back = pipeline.state == "running" and (runs is None or runs.digest != bundle.digest)
        if fell_back or pipeline.state in {"failed", "quarantined"}:
            await self._take_back(pipeline, stage, before)
        tell(pipeline.state, _WORDS.get(pipeline.state, pipeline.state), done=True)

    async def _watch(self, pipeline: Pipeline, tell: Callable[[str, str], None]) -> None:
        """Tell each state that it comes through, until it runs or does not."""
        until = time.monotonic() + pipeline.config.load_timeout_s + MORE_S
        while pipeline.state not in SETTLED and self._is_there(pipeline) and time.monotonic() < until:
            state = pipeline.state
            tell(state, _WORDS.get(state, state))
            await pipeline.wait_for(_STATES - {state}, max(0.0, until - time.monotonic()))

    def _is_there(self, pipeline: Pipeline) -> bool:
        """Whether no reload has removed it."""
        return self._parts.supervisor.pipelines.get(pipeline.config.name) is pipeline

    async def _take_back(self, pipeline: Pipeline, stage: str, before: Installed | None) -> None:
        reason = pipeline.quarantine.get(stage) or pipeline.reason
        await pipeline.supply.take_back(stage, before)
        await self._parts.supervisor.restart_pipeline(pipeline.config.name)
        self._note(pipeline, "the installed bundle does not run: the former one is started again")
        raise EdgewardError(
            Code.of(reason.code) if reason else Code.CONTROL_STATE,
            f"it does not run here: {reason.text if reason else 'no reason given'}; "
            "the former bundle is started again",
            where=pipeline.config.name,
            remedy=reason.remedy if reason else "",
        )

    @contextlib.contextmanager
    def _alone(self, pipeline: Pipeline) -> Iterator[None]:
        name = pipeline.config.name
        if name in self._busy:
            what, remedy = "another bundle is being installed there", "wait for its end"
            raise EdgewardError(Code.CONTROL_BUSY, what, where=name, remedy=remedy)
        self._busy.add(name)
        try:
            yield
        finally:
            self._busy.discard(name)

    def _note(self, pipeline: Pipeline, text: str) -> None:
        log.info("%s: %s", pipeline.config.name, text)
        self._parts.events.add("bundle.changed", text, subject=pipeline.config.name)

    def _bundle(self, digest: str, manifest: _Manifest, size: int) -> pb.StoredBundle:
        current, previous = [], []
        quarantined: Quarantined | None = None
        for name, pipeline in self._parts.supervisor.pipelines.items():
            choice = pipeline.supply.choice
            for stage in choice.record.stages.keys() | pipeline.bundles.keys():
                runs = pipeline.bundles.get(stage)
                label = f"{name}/{stage}" if stage else name
                back = choice.way_back(stage, runs.digest if runs else choice.stage(stage).seen)
                if runs is not None and runs.digest == digest:
                    current.append(label)
                elif back is not None and back.digest == digest:
                    previous.append(label)
                quarantined = quarantined or choice.quarantined(stage, digest)
        return pb.StoredBundle(
            name=manifest.name,
            version=manifest.version,
            release_counter=manifest.release_counter,
            digest=digest,
            bytes=size,
            current=sorted(current),
            previous=sorted(previous),
            quarantined=pb.Problem(code=quarantined.code, text=quarantined.text) if quarantined else None,
        )


def _stored(folder: Path) -> Iterator[tuple[str, _Manifest, int]]:
    """Digest, manifest and size of each bundle in the store; what is no bundle is left out."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if len(path.name) != _DIGEST_LETTERS or path.is_symlink() or not path.is_dir():
            continue
        try:
            with (path / "manifest.json").open("rb") as file:
                manifest = msgspec.json.decode(file.read(_MOST_MANIFEST), type=_Manifest)
            size = sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file())
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("%s cannot be listed: %s", path, error)
            continue
        yield path.name, manifest, size
