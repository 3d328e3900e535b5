"""Preflight with real models: wrong answers, budgets and files that an engine refuses, all with figures."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent.preflight.check import BundleCheck, Settings
from agent.preflight.report import Report, VariantReport
from agent.trust.ingest import ingest
from runtime import ipc
from runtime.errors import Code, EdgewardError
from runtime.preflight.messages import MIN_ROUNDS
from tests.conftest import Signed, make_signed
from tests.integration.real_models import YOLOX_ONNX, YOLOX_TFLITE

pytestmark = [pytest.mark.integration, pytest.mark.command]

FILM = "one-by-one-person-detection.mp4"
PICTURE = "test_object_detection_1.jpg"
HEAD = '[bundle]\nname = "{name}"\nversion = "1.0.0"\nrelease_counter = 1\nlabels_file = "labels.txt"\n'
GOLDEN = '[golden]\nframes = ["film.mp4#200,300,400,520,640,760,900,1000", "picture.jpg"]\n'
# Best first is not how the author wrote them: the broken one stands first.
VARIANTS = {
    "int8": (YOLOX_TFLITE.manifest, "yolox_nano_int8_quantize.tflite"),
    "float16": (YOLOX_TFLITE.manifest, "yolox_nano_float16_quantize.tflite"),
    "float32": (YOLOX_ONNX.manifest, "yolox_nano.onnx"),
}

BROKEN = """
[[variant]]
id = "tflite"
engine = "litert"
file = "{file}"
input = [{{ name = "x", dtype = "{dtype}", shape = [1, 96, 96, {channels}] }}]
output = [{{ name = "y", dtype = "{dtype}", shape = [1, 3] }}]
[preprocess]
layout = "nhwc"
order = "{order}"
mean = [{mean}, {mean}, {mean}]
[postprocess]
decoder = "classification"
"""


def author(folder: Path, test_data: Path, extra: str, *, frames: bool = True) -> Signed:
    """yolox_nano in three variants, the int8 one of which is broken; with golden frames of real footage."""
    folder.mkdir(parents=True)
    models = test_data / "models"
    text = HEAD.format(name="yolox-nano")
    for name, (manifest, file) in VARIANTS.items():
        (folder / file).write_bytes((models / file).read_bytes())
        table, _, rest = manifest.partition("[preprocess]")
        text += table.replace("FILE", file).replace('id = "tflite-float16"', f'id = "{name}"')
    text += f"[preprocess]{rest}{extra}"
    (folder / "labels.txt").write_text("\n".join(YOLOX_ONNX.labels(models)))
    if frames:
        text += GOLDEN
        (folder / "film.mp4").write_bytes((test_data / "videos" / FILM).read_bytes())
        (folder / "picture.jpg").write_bytes((test_data / "images" / PICTURE).read_bytes())
    (folder / "bundle.toml").write_text(text)
    return make_signed(folder.parent, folder, folder / file)


def checked(signed: Signed, store: Path, settings: Settings, only: tuple[str, ...] = ()) -> Report:
    async def run() -> Report:
        bundle = await ingest(signed.bundle, [signed.key], store)
        return await BundleCheck(bundle, ipc.EngineOptions(), settings).run(only)

    return asyncio.run(run())


def by_id(report: Report) -> dict[str, VariantReport]:
    return {variant.id: variant for variant in report.variants}


@pytest.fixture(scope="module")
def trio(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Signed:
    return author(tmp_path_factory.mktemp("trio") / "author", test_data, "")


def test_the_broken_int8_is_refused_by_its_answers_and_the_fastest_of_the_others_is_chosen(
    trio: Signed, tmp_path: Path
) -> None:
    report = checked(trio, tmp_path / "store", Settings())
    found = by_id(report)
    assert {name: one.state for name, one in found.items()} == {
        "int8": "refused",
        "float16": "passed",
        "float32": "passed",
    }
    golden = found["int8"].golden
    assert golden is not None
    assert golden.frames == 9
    assert golden.figures["matched"] < 0.3
    assert golden.figures["mean_iou"] < 0.8
    (refusal,) = found["int8"].refusals
    assert refusal.code == "preflight.golden"
    assert f"matched {golden.figures['matched']:.3g}" in refusal.text
    assert "mean_iou" in refusal.text
    assert found["int8"].latency is None, "nobody wants to know how fast it is wrong"

    for name in ("float16", "float32"):
        one = found[name]
        assert one.golden is not None
        assert one.golden.figures["matched"] > 0.95
        assert one.golden.figures["mean_iou"] > 0.95
        assert one.latency is not None
        assert one.latency.rounds >= MIN_ROUNDS
        assert (one.latency.width, one.latency.height) == (768, 432)
        assert 0 < one.latency.p50_ms <= one.latency.p95_ms <= one.latency.max_ms
        assert set(one.latency.stages_ms) == {"preprocess", "infer", "postprocess"}
        assert one.load_ms is not None
        assert one.load_ms > 1
        assert one.peak_mb is not None
        assert one.pss_mb is not None
        assert 20 < one.pss_mb <= one.peak_mb < 1000
    medians = {name: found[name].latency.p50_ms for name in ("float16", "float32")}  # type: ignore[union-attr]
    slower, faster = sorted(medians, key=medians.__getitem__, reverse=True)
    if medians[slower] > 1.05 * medians[faster]:
        assert report.ranked == (faster, slower)
    assert report.chosen == report.ranked[0]
    assert found["float32"].provider == "CPUExecutionProvider"
    assert "XNNPACK" in found["float16"].provider
    assert report.checked


@pytest.mark.parametrize("name", ["yolox_nano.onnx", "manifest.json", ".y4m", ".json"])
def test_what_changed_after_it_was_verified_is_not_run(trio: Signed, tmp_path: Path, name: str) -> None:
    async def run() -> Report:
        bundle = await ingest(trio.bundle, [trio.key], tmp_path / "store")
        manifest = Path(bundle.folder) / "manifest.json"
        golden = [path for path in Path(bundle.folder).rglob(f"*{name}") if path != manifest]
        damaged = manifest if name == "manifest.json" else golden[0]
        data = bytearray(damaged.read_bytes())
        data[-2] ^= 1
        damaged.chmod(0o600)
        damaged.write_bytes(data)
        return await BundleCheck(bundle, ipc.EngineOptions(), Settings(rounds=30)).run(["float32"])

    if name == "manifest.json":
        with pytest.raises(EdgewardError) as refused:
            asyncio.run(run())
        assert refused.value.code is Code.BUNDLE_DIGEST
        return
    (one,) = asyncio.run(run()).variants
    assert [refusal.code for refusal in one.refusals] == ["bundle.digest"]


def test_a_latency_budget_of_a_millisecond_is_refused_with_what_was_measured(
    test_data: Path, tmp_path: Path
) -> None:
    signed = author(tmp_path / "author", test_data, "[budgets]\nlatency_p95_ms = 1\n", frames=False)
    report = checked(signed, tmp_path / "store", Settings(rounds=30), ("float16", "float32"))
    for one in report.variants:
        (refusal,) = one.refusals
        assert refusal.code == "preflight.latency"
        assert one.latency is not None
        assert one.latency.p95_ms > 1
        assert f"takes up to {one.latency.p95_ms:.1f} ms" in refusal.text
        assert "over the budget of 1 ms" in refusal.text
    error = report.refused()
    assert error is not None
    assert error.code.text == "preflight.latency"


def test_a_memory_budget_is_refused_with_what_was_measured(test_data: Path, tmp_path: Path) -> None:
    signed = author(tmp_path / "author", test_data, "[budgets]\nmemory_mb = 30\n", frames=False)
    report = checked(signed, tmp_path / "store", Settings(rounds=30), ("float32",))
    (one,) = report.variants
    (refusal,) = one.refusals
    assert refusal.code == "preflight.memory"
    assert one.peak_mb is not None
    assert one.peak_mb > 30
    assert f"takes up to {one.peak_mb:.0f} MB of memory, over the budget of 30 MB" in refusal.text


@pytest.mark.parametrize(
    ("file", "dtype", "order", "says"),
    [
        ("model_invoking_error.tflite", "uint8", "rgb", "custom op"),
        ("person_detect.tflite", "int8", "gray", "quantized_dimension"),
    ],
)
def test_a_file_that_litert_refuses_is_a_refusal_that_says_why(
    test_data: Path, tmp_path: Path, file: str, dtype: str, order: str, says: str
) -> None:
    folder = tmp_path / "author"
    folder.mkdir()
    (folder / file).write_bytes((test_data / "models" / file).read_bytes())
    (folder / "labels.txt").write_text("a\nb\nc\n")
    channels, mean = (1, 128) if order == "gray" else (3, 0)
    table = BROKEN.format(file=file, dtype=dtype, order=order, channels=channels, mean=mean)
    (folder / "bundle.toml").write_text(HEAD.format(name="broken") + table)
    signed = make_signed(tmp_path, folder, folder / file)
    report = checked(signed, tmp_path / "store", Settings(load_s=30.0))
    (one,) = report.variants
    assert one.state == "refused"
    (refusal,) = one.refusals
    assert refusal.code == "model.load"
    assert says in refusal.text.lower() or any(says in line for line in one.last_lines), (refusal, one)
    error = report.refused()
    assert error is not None
    assert error.code.text == "model.load"
