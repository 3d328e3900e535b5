"""A worker is told exactly what the configuration says, with what the device says for all."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import config_file
from agent.preflight.gate import Passed
from agent.redact import Redactor
from agent.workers.start_message import at_a_time, engine_options, start_message
from runtime import ipc
from runtime.bundle.ingested import Ingested

pytestmark = pytest.mark.unit

HEAD = '[trust]\nrelease_keys = ["r.pub"]\n'
STREAM = '[[pipeline.stream]]\nname = "cam"\nurl = "rtsp://camera/1"\nmax_fps = 5\n'


def told(text: str) -> ipc.Start:
    config = config_file.parse(HEAD + text, where="edgeward.toml", folder=Path("/etc/edgeward"))
    (pipeline,) = config.pipeline
    bundles = {stage: bundle(stage) for stage in ("", *(stage.name for stage in pipeline.stage))}
    engines = engine_options(pipeline, config.engine, config.device.profile)
    batches = at_a_time(pipeline)
    passed = {stage: Passed(options.variant, batches[stage]) for stage, options in engines.items()}
    start = start_message(pipeline, engines, bundles, passed, Redactor())
    sent = ipc.decode_to_worker(ipc.encode(start)[4:])
    assert isinstance(sent, ipc.Start)
    return sent


def bundle(stage: str) -> Ingested:
    return Ingested(
        name="b",
        version="1.0.0",
        release_counter=1,
        digest=stage,
        manifest_sha256=f"{stage}-sha",
        signed_by="",
        folder=f"/store/{stage}",
        size=0,
        new=True,
    )


def test_a_plain_pipeline_leaves_everything_to_the_worker() -> None:
    start = told(f'[[pipeline]]\nname = "p"\nbundle = "b.ewb"\n{STREAM}')
    assert start.engine == ipc.EngineOptions(cache_dir="/var/lib/edgeward/cache")
    assert (start.bundle_dir, start.manifest_sha256) == ("/store/", "-sha")
    assert (start.tiling, start.stages, start.max_batch, start.score_threshold) == (None, (), 1, None)
    assert [(stream.name, stream.max_fps) for stream in start.streams] == [("cam", 5)]


def test_device_pipeline_and_stage_each_say_their_part() -> None:
    start = told(
        f"""
        [device]
        profile = "rk3588"
        [engine]
        affinity = [0]
        providers = ["tensorrt", "cuda"]
        cache_dir = "compiled"
        [[engine.delegate]]
        path = "lib/npu.so"
        options = {{ "log level" = "3" }}
        [[engine.delegate]]
        path = "libedgetpu.so.1"
        [[pipeline]]
        name = "p"
        bundle = "cars.ewb"
        variant = "int8"
        provider = "cuda"
        threads = 3
        max_batch = 2
        score_threshold = 0.25
        [pipeline.tiling]
        columns = 3
        rows = 2
        overlap = 0.1
        whole = false
        iou = 0.5
        inside = 0.7
        [[pipeline.stage]]
        name = "plate"
        bundle = "plates.ewb"
        labels = ["car", "truck"]
        min_score = 0.5
        min_size = 40
        grow = 0.1
        max_crops = 4
        score_threshold = 0.75
        variant = "float16"
        [[pipeline.stage]]
        name = "make"
        bundle = "makes.ewb"
        {STREAM}"""
    )
    device = {
        "threads": 3,
        "affinity": (0,),
        "providers": ("tensorrt", "cuda"),
        "delegates": (
            ipc.Delegate(path="/etc/edgeward/lib/npu.so", options={"log level": "3"}),
            ipc.Delegate(path="libedgetpu.so.1"),
        ),
        "profile": "rk3588",
        "cache_dir": "/etc/edgeward/compiled",
    }
    assert start.engine == ipc.EngineOptions(**device, variant="int8", provider="cuda")
    assert start.tiling == ipc.Tiling(columns=3, rows=2, overlap=0.1, whole=False, iou=0.5, inside=0.7)
    assert (start.max_batch, start.score_threshold) == (2, 0.25)
    plate, make = start.stages
    assert plate == ipc.Stage(
        name="plate",
        bundle_dir="/store/plate",
        manifest_sha256="plate-sha",
        labels=("car", "truck"),
        min_score=0.5,
        min_size=40,
        grow=0.1,
        max_crops=4,
        score_threshold=0.75,
        max_batch=2,
        engine=ipc.EngineOptions(**device, variant="float16"),
    )
    assert make == ipc.Stage(
        name="make",
        bundle_dir="/store/make",
        manifest_sha256="make-sha",
        max_batch=2,
        engine=ipc.EngineOptions(**device),
    )


def test_no_model_gets_more_pictures_at_a_time_than_preflight_looked_at() -> None:
    text = f"""{HEAD}
        [[pipeline]]
        name = "p"
        bundle = "cars.ewb"
        [[pipeline.stage]]
        name = "plate"
        bundle = "plates.ewb"
        {STREAM}{STREAM.replace("cam", "cam-2")}"""
    config = config_file.parse(text, where="edgeward.toml", folder=Path("/etc/edgeward"))
    (pipeline,) = config.pipeline
    engines = engine_options(pipeline, config.engine, "")
    passed = {"": Passed("int8", 1), "plate": Passed("float16", 4)}
    start = start_message(pipeline, engines, {"": bundle(""), "plate": bundle("plate")}, passed, Redactor())
    assert (start.engine.variant, start.max_batch) == ("int8", 1)
    assert (start.stages[0].engine.variant, start.stages[0].max_batch) == ("float16", 4)


def test_a_pipelines_own_cpus_stand_in_for_those_of_the_device() -> None:
    text = (
        f'[engine]\naffinity = [0, 1]\n[[pipeline]]\nname = "p"\nbundle = "b.ewb"\naffinity = [0]\n{STREAM}'
    )
    assert told(text).engine.affinity == (0,)


def test_a_model_gets_as_many_pictures_at_a_time_as_streams_and_tiles_can_give() -> None:
    text = f"""{HEAD}
        [[pipeline]]
        name = "p"
        bundle = "cars.ewb"
        max_batch = 12
        [pipeline.tiling]
        columns = 2
        rows = 2
        [[pipeline.stage]]
        name = "plate"
        bundle = "plates.ewb"
        max_crops = 4
        {STREAM}{STREAM.replace("cam", "cam-2")}"""
    (pipeline,) = config_file.parse(text, where="edgeward.toml", folder=Path("/etc/edgeward")).pipeline
    assert at_a_time(pipeline) == {"": 10, "plate": 4}
