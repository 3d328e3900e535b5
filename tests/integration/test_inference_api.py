"""Other programs of the device use the loaded models over gRPC, with a client of the open protocol."""

from __future__ import annotations

import signal
import socket
import stat
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import grpc
import numpy as np
import onnxruntime
import pytest

from runtime import ipc
from runtime.serve.messages import ServeOptions
from tests import models
from tests.integration.agent_peers import free_port
from tests.integration.real_models import MOBILENET, VWW, YOLOX_ONNX, RealModel
from tests.integration.serving_worker import Serving, served
from tests.integration.triton_calls import Triton, triton

pytestmark = pytest.mark.integration

SERVICE = "/inference.GRPCInferenceService/"
FPS = 20


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grey that never changes, 64x64, twenty pictures a second."""
    path = tmp_path_factory.mktemp("film") / "grey.mp4"
    with av.open(str(path), "w", format="mp4") as container:
        video = cast("av.VideoStream", container.add_stream("libx264", rate=Fraction(FPS)))
        video.width = video.height = 64
        video.pix_fmt = "yuv420p"
        for _ in range(FPS):
            planes = np.full((96, 64), 128, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        container.mux(video.encode(None))
    return path


def start_of(
    folder: tuple[Path, str], film: Path, listen: str = "", *, fps: float = 0.0, **options: Any
) -> ipc.Start:
    return ipc.Start(
        pipeline="p",
        bundle_dir=str(folder[0]),
        manifest_sha256=folder[1],
        streams=(ipc.StreamSpec(name="cam", url=str(film), loop=True, max_fps=fps),),
        serve=ServeOptions(listen=listen or f"127.0.0.1:{free_port()}", **options),
    )


def brightness(tmp_path: Path) -> tuple[Path, str]:
    """The mean of each picture, of which it takes several."""
    picture = ("batch", 3, 32, 32)
    return models.bundle_folder(
        tmp_path / "brightness",
        models.brightness(models.Input("images", "float32", picture)),
        inputs=(models.tensor("images", "float32", picture),),
        outputs=(models.tensor("output", "float32", ("batch", 1)),),
        preprocess={"fit": "stretch"},
        postprocess={"decoder": "embedding", "normalise": False},
        task="embedding",
    )


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, film: Path) -> Iterator[Serving]:
    """A worker with ``brightness``, whose camera runs."""
    folder = brightness(tmp_path_factory.mktemp("small"))
    with served(start_of(folder, film, max_batch=4, max_message_mb=1)) as running:
        running.listens()
        yield running


@pytest.fixture(scope="module")
def client(small: Serving) -> Iterator[Triton]:
    with triton(small.address) as made:
        yield made


def pictures(*levels: float) -> dict[str, np.ndarray[Any, Any]]:
    return {"images": np.stack([np.full((3, 32, 32), level, np.float32) for level in levels])}


def raw_call(address: str, method: str, data: bytes, **options: Any) -> tuple[str, str]:
    """The status and text with which a call ends; the messages are bytes."""
    with grpc.insecure_channel(address, **options) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(method)(data, timeout=20)
        return caught.value.code().name, caught.value.details()


def test_the_server_is_live_and_ready_and_says_what_it_is(client: Triton) -> None:
    assert client.live() == (True, True)
    assert client.server()["name"] == "edgeward"
    assert client.model_ready("made")
    assert client.model_ready("made", "1.0.0")
    assert not client.model_ready("made", "2.0.0")
    assert not client.model_ready("other")


def test_metadata_of_a_model_that_takes_several_pictures(client: Triton) -> None:
    assert client.metadata("made") == {
        "name": "made",
        "versions": ["1.0.0"],
        "platform": "onnxruntime",
        "inputs": [{"name": "images", "datatype": "FP32", "shape": ["-1", "3", "32", "32"]}],
        "outputs": [{"name": "output", "datatype": "FP32", "shape": ["-1", "1"]}],
    }


def test_each_picture_of_a_request_gets_its_own_answer(client: Triton) -> None:
    answer = client.infer("made", pictures(1, 2, 3), outputs=["output"], version="1.0.0", id="abc")
    assert (answer.status, answer.text) == ("", "")
    np.testing.assert_allclose(answer.outputs["output"], [[1], [2], [3]])
    assert answer.id == "abc"
    assert answer.model == ("made", "1.0.0")


def test_bad_requests_are_refused_in_words_and_the_next_good_one_is_answered(client: Triton) -> None:
    five = pictures(1, 2, 3, 4, 5)
    cases: list[tuple[str, dict[str, Any], dict[str, Any], str, str]] = [
        ("other", pictures(1), {}, "NOT_FOUND", "no model 'other' is served here; there is made 1.0.0"),
        ("made", pictures(1), {"version": "2.0.0"}, "NOT_FOUND", "no model 'made' '2.0.0' is served here"),
        ("made", {"image": pictures(1)["images"]}, {}, "INVALID_ARGUMENT", "no input 'image'"),
        ("made", {}, {}, "INVALID_ARGUMENT", "input 'images' is missing"),
        ("made", five, {}, "INVALID_ARGUMENT", "5 pictures, expected 1 to 4"),
        ("made", pictures(1), {"outputs": ["scores"]}, "INVALID_ARGUMENT", "no output 'scores'"),
        ("made", pictures(1), {"datatypes": {"images": "BYTES"}}, "INVALID_ARGUMENT", "'BYTES' is not sup"),
        ("made", pictures(1), {"datatypes": {"images": "BF16"}}, "INVALID_ARGUMENT", "'BF16' is not supp"),
        ("made", pictures(1), {"shapes": {"images": [2, 3, 32, 32]}}, "INVALID_ARGUMENT", "12288 bytes"),
        ("made", pictures(1), {"shapes": {"images": [-1, 3, 32, 32]}}, "INVALID_ARGUMENT", "-1 pictures"),
        ("made", pictures(1), {"shapes": {"images": [2**62] * 4}}, "INVALID_ARGUMENT", "expected [-1, 3, 32"),
    ]
    for name, inputs, more, status, text in cases:
        answer = client.infer(name, inputs, **more)
        assert (answer.status, text in answer.text) == (status, True), answer
    assert client.infer("made", pictures(7)).outputs["output"][0, 0] == pytest.approx(7)


def test_what_is_no_message_and_what_is_not_offered_is_told_so(small: Serving) -> None:
    assert raw_call(small.address, SERVICE + "ModelInfer", b"\xff" * 40) == (
        "INVALID_ARGUMENT",
        "the request is no inference.ModelInferRequest",
    )
    status, text = raw_call(small.address, SERVICE + "ModelConfig", b"")
    assert status == "UNIMPLEMENTED"
    assert "edgeward does not offer 'ModelConfig'; it offers ServerLive" in text
    assert raw_call(small.address, "/inference.Other/Method", b"")[0] == "UNIMPLEMENTED"


def test_a_message_over_the_limit_and_one_that_is_compressed_are_refused(small: Serving) -> None:
    method = SERVICE + "ModelInfer"
    status, text = raw_call(small.address, method, b"\0" * (1_100_000))
    assert (status, "larger than max" in text) == ("RESOURCE_EXHAUSTED", True)
    status, text = raw_call(small.address, method, b"\0" * 50_000_000, compression=grpc.Compression.Gzip)
    assert (status, "compression" in text.lower()) == ("UNIMPLEMENTED", True), text


def test_the_answers_to_frames_are_the_same_while_requests_come(small: Serving, client: Triton) -> None:
    began = time.monotonic()
    hammered = client.hammer("made", pictures(1e6, -1e6), clients=4, seconds=2)
    answers = {result.embedding for result in small.results(began, time.monotonic())}
    assert hammered.statuses.get("OK", 0) > 10
    assert len(answers) == 1
    assert small.figures(lambda figures: figures.answered > 10).pictures > 20


@pytest.mark.parametrize(
    ("model", "dtype"), [(MOBILENET, np.uint8), (VWW, np.int8)], ids=["mobilenet-uint8", "vww-int8"]
)
def test_quantised_models_answer_as_litert_does_by_itself(
    model: RealModel, dtype: Any, test_data: Path, film: Path, tmp_path: Path
) -> None:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType  # noqa: PLC0415 - an engine

    folder = model.folder(tmp_path, test_data / "models")
    name = Path(model.file).stem.lower()
    with served(start_of(folder, film, fps=5)) as running, triton(running.address) as asks:
        running.listens()
        (given,) = asks.metadata(name)["inputs"]
        shape = [int(size) for size in given["shape"]]
        assert given["datatype"] == {"uint8": "UINT8", "int8": "INT8"}[np.dtype(dtype).name]
        limits = np.iinfo(dtype)
        random = np.random.default_rng(1)
        data = random.integers(limits.min, limits.max, shape, dtype, endpoint=True)
        answer = asks.infer(name, {given["name"]: data})
    direct = Interpreter(
        str(test_data / "models" / model.file),
        experimental_op_resolver_type=OpResolverType.AUTO,
        num_threads=1,
    )
    direct.allocate_tensors()
    direct.set_tensor(direct.get_input_details()[0]["index"], data)
    direct.invoke()
    (output,) = answer.outputs.values()
    np.testing.assert_array_equal(output, direct.get_tensor(direct.get_output_details()[0]["index"]))


def test_a_stage_of_a_cascade_is_served_under_the_name_of_its_bundle(film: Path, tmp_path: Path) -> None:
    rows = np.array([[[0.0, 0.0, 8.0, 8.0, 0.0, 0.0]]], np.float32)
    first = models.bundle_folder(
        tmp_path / "first",
        models.constant({"output": rows}),
        outputs=models.tensors_of({"output": rows}),
        name="boxes",
        labels=["thing"],
        preprocess={"fit": "stretch"},
        postprocess={"decoder": "yolov10"},
    )
    second = brightness(tmp_path)
    start = start_of(first, film)
    stage = ipc.Stage(name="inner", bundle_dir=str(second[0]), manifest_sha256=second[1])
    start = ipc.Start(
        pipeline="p",
        bundle_dir=start.bundle_dir,
        manifest_sha256=start.manifest_sha256,
        streams=start.streams,
        stages=(stage,),
        serve=start.serve,
    )
    with served(start) as running, triton(running.address) as asks:
        running.listens()
        answer = asks.infer("made", pictures(5))
        np.testing.assert_allclose(answer.outputs["output"], [[5]])
        first_answer = asks.infer("boxes", pictures(5))
        np.testing.assert_array_equal(first_answer.outputs["output"], rows)


@pytest.fixture(scope="module")
def yolox_folder(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    return YOLOX_ONNX.folder(tmp_path_factory.mktemp("yolox"), test_data / "models")


def test_eight_clients_that_never_rest_cost_a_camera_at_most_5_percent_of_its_frames(
    yolox_folder: tuple[Path, str], film: Path
) -> None:
    seconds = 6
    with served(start_of(yolox_folder, film, fps=8)) as running, triton(running.address) as asks:
        running.listens()
        data = {"images": np.zeros((1, 3, 416, 416), np.float32)}
        assert not asks.infer("yolox_nano", data).status
        began = time.monotonic()
        time.sleep(seconds)  # what the camera does alone, as long as with clients
        alone = running.results(began, time.monotonic())
        began = time.monotonic()
        hammered = asks.hammer("yolox_nano", data, clients=8, seconds=seconds)
        together = running.results(began, began + seconds)
        figures = running.figures(lambda one: one.answered > 0)
    assert hammered.statuses["OK"] >= seconds, "and the clients get on"
    assert set(hammered.statuses) == {"OK"}
    # One frame more or less by where the window begins.
    assert len(together) >= 0.95 * len(alone) - 1, (len(alone), len(together))
    late = [(result.done_ns - result.arrived_ns) / 1e9 for result in together]
    each_s = figures.ran_s / figures.answered
    median_alone = np.median([(result.done_ns - result.arrived_ns) / 1e9 for result in alone])
    # A frame waits for the one request that runs, and no more.
    assert np.median(late) <= median_alone + 2 * each_s + 0.05


def test_a_full_queue_refuses_and_every_request_gets_some_answer(
    yolox_folder: tuple[Path, str], film: Path
) -> None:
    options = start_of(yolox_folder, film, fps=2, max_queue=1)
    with served(options) as running, triton(running.address) as asks:
        running.listens()
        data = {"images": np.zeros((1, 3, 416, 416), np.float32)}
        hammered = asks.hammer("yolox_nano", data, clients=8, seconds=3)
        assert set(hammered.statuses) == {"OK", "RESOURCE_EXHAUSTED"}
        answered, refused = (hammered.statuses[status] for status in ("OK", "RESOURCE_EXHAUSTED"))
        # The figures are those of some moment: the last answer may be in them before the last refusal is.
        counted = running.figures(
            lambda one: one.answered >= answered and one.refused.get("RESOURCE_EXHAUSTED", 0) >= refused
        )
        assert (counted.answered, counted.refused["RESOURCE_EXHAUSTED"]) == (answered, refused)
        assert asks.live() == (True, True)


def test_what_waits_too_long_is_told_so_and_is_not_run(yolox_folder: tuple[Path, str], film: Path) -> None:
    with served(start_of(yolox_folder, film, fps=2)) as running, triton(running.address) as asks:
        running.listens()
        data = {"images": np.zeros((1, 3, 416, 416), np.float32)}
        assert not asks.infer("yolox_nano", data).status
        hammered = asks.hammer("yolox_nano", data, clients=8, seconds=3, timeout_s=0.03)
        assert hammered.statuses["DEADLINE_EXCEEDED"] > 0
        assert set(hammered.statuses) <= {"OK", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"}
        # The queue holds none of them any more, and the next one is answered at once.
        assert not asks.infer("yolox_nano", data).status
        running.figures(lambda one: one.waiting == 0)


def test_a_unix_socket_is_for_the_group_and_one_that_a_killed_worker_left_is_taken_over(
    film: Path, tmp_path: Path
) -> None:
    path = tmp_path / "infer.sock"
    folder = brightness(tmp_path)
    with served(start_of(folder, film, f"unix:{path}")) as running, triton(running.address) as asks:
        running.listens()
        mode = path.stat().st_mode
        assert (stat.S_ISSOCK(mode), stat.S_IMODE(mode)) == (True, 0o660)
        assert asks.infer("made", pictures(3)).outputs["output"][0, 0] == pytest.approx(3)
        running.worker.process.send_signal(signal.SIGKILL)
        running.worker.process.wait(10)
        assert path.is_socket()
        assert asks.infer("made", pictures(3)).status == "UNAVAILABLE"
        with served(start_of(folder, film, f"unix:{path}")) as again:
            again.listens()
            assert set(asks.wait_answer("made", pictures(3))) <= {"UNAVAILABLE"}


def test_a_port_that_is_taken_stops_no_camera_and_is_used_once_it_is_free(film: Path, tmp_path: Path) -> None:
    folder = brightness(tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        running = Serving(start_of(folder, film, address))
        try:
            problem = running.figures(lambda one: bool(one.problem)).problem
            assert problem == f"cannot listen at {address}: Address already in use"
            running.wait(lambda one: isinstance(one, ipc.Result) and one.status == "detections")
            other.close()
            running.figures(lambda one: not one.problem, 30)
            with triton(address) as asks:
                assert asks.infer("made", pictures(3)).outputs["output"][0, 0] == pytest.approx(3)
        finally:
            running.end()


def test_requests_are_slowed_down_with_the_rate_of_the_cameras(
    yolox_folder: tuple[Path, str], film: Path
) -> None:
    seconds = 4
    with served(start_of(yolox_folder, film, fps=2)) as running, triton(running.address) as asks:
        running.listens()
        running.worker.say(ipc.SetRate(factor=0.2))
        data = {"images": np.zeros((1, 3, 416, 416), np.float32)}
        hammered = asks.hammer("yolox_nano", data, clients=4, seconds=seconds)
        figures = running.figures(lambda one: one.answered == hammered.statuses["OK"])
    # Of the time to the last answer, a fifth; and the one request that ran when the time began.
    assert figures.ran_s <= 0.2 * (seconds + max(hammered.seconds)) + 2 * figures.ran_s / figures.answered


def test_a_worker_that_is_told_to_stop_refuses_what_waits_and_ends_in_order(
    yolox_folder: tuple[Path, str], film: Path
) -> None:
    with served(start_of(yolox_folder, film, fps=2)) as running, triton(running.address) as asks:
        running.listens()
        data = {"images": np.zeros((1, 3, 416, 416), np.float32)}
        hammered: list[Any] = []
        thread = threading.Thread(
            target=lambda: hammered.append(asks.hammer("yolox_nano", data, clients=8, seconds=4))
        )
        thread.start()
        running.figures(lambda one: one.answered > 3)
        running.worker.say(ipc.Stop())
        running.wait(lambda one: isinstance(one, ipc.Stopped), 10)
        assert running.worker.process.wait(10) == 0
        thread.join(60)
    # What was still on its way when the worker's patience ended was cancelled, which says nothing else.
    assert {"OK", "UNAVAILABLE"} <= set(hammered[0].statuses) <= {"OK", "UNAVAILABLE", "CANCELLED"}


def test_yolox_answers_as_onnxruntime_does_by_itself(yolox_folder: tuple[Path, str], film: Path) -> None:
    data = np.random.default_rng(1).random((1, 3, 416, 416), np.float32) * 255
    session = onnxruntime.InferenceSession(str(yolox_folder[0] / "yolox_nano.onnx"))
    (direct,) = session.run(None, {"images": data})
    with served(start_of(yolox_folder, film, fps=2)) as running, triton(running.address) as asks:
        running.listens()
        answer = asks.infer("yolox_nano", {"images": data})
    np.testing.assert_allclose(answer.outputs["output"], direct, rtol=1e-4, atol=1e-4)
