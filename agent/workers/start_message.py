"""What a worker is told at its start: the bundles that were verified, the streams, how engines run here."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from agent import config as schema
from agent.preflight.gate import Passed
from agent.redact import Redactor
from agent.workers.serve_settings import Serve, address
from runtime import ipc
from runtime.bundle.ingested import Ingested
from runtime.rights import Rights
from runtime.serve.messages import ServeOptions


def start_message(
    pipeline: schema.Pipeline,
    engines: Mapping[str, ipc.EngineOptions],
    bundles: Mapping[str, Ingested],
    passed: Mapping[str, Passed],
    redactor: Redactor,
    rights: Rights | None = None,
) -> ipc.Start:
    """The first message to a worker of ``pipeline``.

    Args:
        pipeline: of the configuration.
        engines: how each model runs, see ``engine_options``.
        bundles: by name of the stage; the first model's under the empty name.
        passed: of each bundle the variant to run, and with how many pictures at a time.
        redactor: learns the passwords that go into the URLs.
        rights: what the worker keeps.

    Raises:
        EdgewardError: ``CONFIG_VALUE`` when a password file cannot be used.
    """
    first, tiling = bundles[""], pipeline.tiling
    chosen = {
        stage: msgspec.structs.replace(options, variant=passed[stage].variant)
        for stage, options in engines.items()
    }
    return ipc.Start(
        pipeline=pipeline.name,
        bundle_dir=first.folder,
        manifest_sha256=first.manifest_sha256,
        streams=tuple(_stream(stream, redactor) for stream in pipeline.stream),
        engine=chosen[""],
        score_threshold=pipeline.score_threshold,
        tiling=ipc.Tiling(
            columns=tiling.columns,
            rows=tiling.rows,
            overlap=tiling.overlap,
            whole=tiling.whole,
            iou=tiling.iou,
            inside=tiling.inside,
        )
        if tiling is not None
        else None,
        stages=tuple(
            _stage(stage, bundles[stage.name], chosen[stage.name], passed[stage.name].batch)
            for stage in pipeline.stage
        ),
        max_batch=passed[""].batch,
        rights=rights,
        serve=_serve(pipeline.serve),
    )


def engine_options(
    pipeline: schema.Pipeline, engine: schema.Engine, profile: str, cpus: tuple[int, ...] = ()
) -> dict[str, ipc.EngineOptions]:
    """How each model of ``pipeline`` runs, by name of the stage; the first model's under the empty name.

    Args:
        pipeline: of the configuration; the ``variant`` of an answer is what it forces.
        engine: the device's settings, which those of the pipeline and its stages override.
        profile: of the device.
        cpus: those that inference runs best on here, where nobody says otherwise.
    """
    asked = {"": (pipeline.variant, pipeline.provider)}
    asked |= {stage.name: (stage.variant, stage.provider) for stage in pipeline.stage}
    return {
        name: ipc.EngineOptions(
            threads=pipeline.threads,
            affinity=pipeline.affinity or engine.affinity or cpus,
            providers=engine.providers,
            provider=provider,
            delegates=tuple(ipc.Delegate(path=item.path, options=item.options) for item in engine.delegate),
            variant=variant,
            profile=profile,
            cache_dir=engine.cache_dir,
        )
        for name, (variant, provider) in asked.items()
    }


def at_a_time(pipeline: schema.Pipeline) -> dict[str, int]:
    """How many pictures each model of ``pipeline`` may get in one inference, by name of the stage."""
    tiling = pipeline.tiling
    views = 1 if tiling is None else tiling.columns * tiling.rows + int(tiling.whole)
    found = {"": min(pipeline.max_batch, len(pipeline.stream) * views)}
    for stage in pipeline.stage:
        found[stage.name] = min(pipeline.max_batch, stage.max_crops)
    return found


def _serve(serve: Serve | None) -> ServeOptions | None:
    if serve is None:
        return None
    return ServeOptions(
        listen=address(serve.listen, where="serve.listen"),
        max_queue=serve.max_queue,
        max_batch=serve.max_batch,
        max_message_mb=serve.max_message_mb,
        max_share=serve.max_share,
    )


def _stage(stage: schema.Stage, bundle: Ingested, engine: ipc.EngineOptions, max_batch: int) -> ipc.Stage:
    return ipc.Stage(
        name=stage.name,
        bundle_dir=bundle.folder,
        manifest_sha256=bundle.manifest_sha256,
        labels=stage.labels,
        min_score=stage.min_score,
        min_size=stage.min_size,
        grow=stage.grow,
        max_crops=stage.max_crops,
        score_threshold=stage.score_threshold,
        max_batch=max_batch,
        engine=engine,
    )


def _stream(stream: schema.Stream, redactor: Redactor) -> ipc.StreamSpec:
    if stream.password_file:
        redactor.learn(schema.read_secret(stream.password_file, where=stream.password_file))
    return ipc.StreamSpec(
        name=stream.name,
        url=stream.url_for_worker(),
        open_timeout_s=stream.open_timeout_s,
        read_timeout_s=stream.read_timeout_s,
        loop=stream.loop,
        max_fps=stream.max_fps,
    )
