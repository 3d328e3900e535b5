"""What a worker is told at its start: the bundles that were verified, the streams, how engines run here."""

from __future__ import annotations

from agent import config as schema
from agent.redact import Redactor
from runtime import ipc
from runtime.bundle.ingested import Ingested


def start_message(
    pipeline: schema.Pipeline, engine: schema.Engine, bundles: dict[str, Ingested], redactor: Redactor
) -> ipc.Start:
    """The first message to a worker of ``pipeline``.

    Args:
        pipeline: of the configuration.
        engine: the device's settings, which those of the pipeline and its stages override.
        bundles: by name of the stage; the first model's under the empty name.
        redactor: learns the passwords that go into the URLs.

    Raises:
        EdgewardError: ``CONFIG_VALUE`` when a password file cannot be used.
    """
    first, tiling = bundles[""], pipeline.tiling
    return ipc.Start(
        pipeline=pipeline.name,
        bundle_dir=first.folder,
        manifest_sha256=first.manifest_sha256,
        streams=tuple(_stream(stream, redactor) for stream in pipeline.stream),
        engine=_engine(pipeline, engine, pipeline.variant, pipeline.provider),
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
        stages=tuple(_stage(stage, bundles[stage.name], pipeline, engine) for stage in pipeline.stage),
        max_batch=pipeline.max_batch,
    )


def _engine(
    pipeline: schema.Pipeline, engine: schema.Engine, variant: str, provider: str
) -> ipc.EngineOptions:
    return ipc.EngineOptions(
        threads=pipeline.threads,
        affinity=pipeline.affinity or engine.affinity,
        providers=engine.providers,
        provider=provider,
        delegates=tuple(ipc.Delegate(path=item.path, options=item.options) for item in engine.delegate),
        variant=variant,
        cache_dir=engine.cache_dir,
    )


def _stage(
    stage: schema.Stage, bundle: Ingested, pipeline: schema.Pipeline, engine: schema.Engine
) -> ipc.Stage:
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
        engine=_engine(pipeline, engine, stage.variant, stage.provider),
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
