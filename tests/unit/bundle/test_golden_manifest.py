"""What a manifest says of golden frames, of features and of versions of engines is checked in full."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from runtime.bundle import features
from runtime.bundle.check import parse_manifest
from runtime.bundle.engine_version import fits
from runtime.errors import Code, EdgewardError

pytestmark = pytest.mark.unit

SHA = "0" * 64
GOLDEN = {
    "frames": ["golden/frames-1.y4m"],
    "results": "golden/results.json",
    "count": 3,
    "reference": "cpu",
    "metric": {"compare": "detections"},
}


def entry(path: str, role: str) -> dict[str, Any]:
    return {"path": path, "size": 9, "sha256": SHA, "role": role}


def manifest(**changes: Any) -> dict[str, Any]:
    return {
        "schema": 1,
        "name": "gate",
        "version": "1.0.0",
        "release_counter": 1,
        "task": "detection",
        "labels": ["person"],
        "files": [
            entry("model.onnx", "model"),
            entry("golden/frames-1.y4m", "golden"),
            entry("golden/frames-2.y4m", "golden"),
            entry("golden/results.json", "golden"),
            entry("notes.y4m", "doc"),
        ],
        "variants": [
            {
                "id": "cpu",
                "engine": "onnxruntime",
                "file": "model.onnx",
                "inputs": [{"name": "images", "dtype": "float32", "shape": [1, 3, 32, 32]}],
                "outputs": [{"name": "output", "dtype": "float32", "shape": [1, 21, 6]}],
            }
        ],
        "preprocess": {},
        "postprocess": {"decoder": "yolox"},
        "golden": GOLDEN,
        "requires": ["golden"],
    } | changes


def parsed(document: dict[str, Any]) -> Any:
    return parse_manifest(json.dumps(document).encode(), where="x.ewb")


def test_a_good_golden_part_is_accepted() -> None:
    found = parsed(manifest())
    assert (found.golden.count, found.golden.reference, found.requires) == (3, "cpu", ("golden",))
    assert features.used(found) == ("golden",)


@pytest.mark.parametrize(
    ("changes", "key", "says"),
    [
        ({"frames": ["golden/other.y4m"]}, "golden.frames[0]", "is not a golden file of the bundle"),
        ({"frames": ["notes.y4m"]}, "golden.frames[0]", "is not a golden file of the bundle"),
        ({"frames": ["golden/results.json"]}, "golden.frames[0]", "is no .y4m file"),
        ({"frames": ["golden/frames-1.y4m"] * 2}, "golden.frames", "has a file twice"),
        ({"results": "golden/frames-2.y4m"}, "golden.results", "is no .json file"),
        ({"results": "../results.json"}, "golden.results", "is not a golden file of the bundle"),
        ({"reference": "gpu"}, "golden.reference", "there is no variant 'gpu'"),
        ({"metric": {"compare": "classes"}}, "golden.metric.compare", "the decoder yolox gives detections"),
        ({"metric": {"compare": "vectors"}}, "golden.metric.compare", "the decoder yolox gives detections"),
        ({"metric": {"compare": "boxes"}}, "golden.metric.compare", "not known"),
        ({"metric": {"compare": "detections", "iou": 0}}, "golden.metric.iou", ">= 0.1"),
        ({"metric": {"compare": "detections", "min_matched": 0}}, "golden.metric.min_matched", ">= 0.5"),
        ({"metric": {"compare": "detections", "score_tolerance": 1}}, "golden.metric.score_tolerance", "0.5"),
        (
            {"metric": {"compare": "detections", "max_keypoint_distance": 9}},
            "golden.metric.max_keypoint_distance",
            "<= 0.5",
        ),
        ({"metric": {"compare": "detections", "min_iou": 2}}, "golden.metric.min_iou", "<= 1.0"),
        ({"metric": {"compare": "detections", "top_k": 2}}, "golden.metric.top_k", "unknown key"),
        ({"count": 0}, "golden.count", ">= 1"),
        ({"count": 1001}, "golden.count", "<= 1000"),
        ({"frames": []}, "golden.frames", "length >= 1"),
        ({"seed": 1}, "golden.seed", "unknown key"),
    ],
)
def test_a_golden_part_that_does_not_fit_is_refused(changes: dict[str, Any], key: str, says: str) -> None:
    with pytest.raises(EdgewardError) as refused:
        parsed(manifest(golden=GOLDEN | changes))
    assert refused.value.code is Code.BUNDLE_MANIFEST
    assert refused.value.where == f"x.ewb: manifest.json: {key}"
    assert says in refused.value.what
    assert refused.value.remedy


def test_results_that_no_board_should_read_at_a_piece_are_refused() -> None:
    document = manifest()
    document["files"][3]["size"] = (16 << 20) + 1
    with pytest.raises(EdgewardError, match="has 16777217 bytes, over 16777216") as refused:
        parsed(document)
    assert refused.value.where == "x.ewb: manifest.json: golden.results"


def test_a_decoder_of_one_variant_must_fit_the_metric_too() -> None:
    document = manifest(task="segmentation", postprocess={"decoder": "semantic"})
    document["variants"][0]["postprocess"] = {"decoder": "yolov8_seg"}
    document["golden"] = GOLDEN | {"metric": {"compare": "cells"}}
    with pytest.raises(EdgewardError, match="the decoder yolov8_seg gives detections"):
        parsed(document)


def with_features(*names: str) -> dict[str, Any]:
    return manifest(requires=list(names))


def of_the_future(document: dict[str, Any]) -> dict[str, Any]:
    """New features come with new keys."""
    return document | {"tracker": {"kind": "new"}}


@pytest.mark.parametrize("change", [dict, of_the_future])
def test_a_feature_that_is_not_known_is_named_before_its_keys(
    change: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    with pytest.raises(EdgewardError) as refused:
        parsed(change(with_features("golden", "tracker", "time-travel")))
    assert refused.value.code is Code.BUNDLE_UNSUPPORTED
    assert refused.value.what == "the bundle needs what is not known here: 'tracker', 'time-travel'"
    assert refused.value.where == "x.ewb: manifest.json: requires"


@pytest.mark.parametrize("requires", ["golden", [1], {"golden": True}, None])
def test_features_are_a_list_of_text(requires: object) -> None:
    with pytest.raises(EdgewardError) as refused:
        parsed(manifest(requires=requires))
    assert refused.value.code is Code.BUNDLE_MANIFEST


@pytest.mark.parametrize(
    ("wanted", "version", "fit"),
    [
        (">=1.17,<2", "1.31.1", True),
        (">=1.17,<2", "2.0.0", False),
        (">=1.17,<2", "1.9.9", False),
        (">=1.17, <2", "1.17", True),
        ("<2", "2rc1", False),
        (">1.17", "1.17.0", False),
        ("<=1.17", "1.17.0.0", True),
        ("==1.17", "1.17.0", True),
        ("==1.17", "1.17.1", False),
        ("!=1.17.1", "1.17.2", True),
        ("!=1.17.1", "1.17.1", False),
        (">=2.3", "ai-edge-litert 2.3.0", True),
        (">=2026.4", "2026.4.0-21200-abc", True),
        (">=1", "", False),
        (">=1", "unknown", False),
        (">=1.0.20250503", "1.0.20250503", True),
    ],
)
def test_an_engine_s_version_fits_when_every_condition_holds(wanted: str, version: str, fit: bool) -> None:
    assert fits(wanted, version) is fit


NO_CONDITIONS = ["1.17", "=>1.17", ">=1.17,", ">=", ">=1.x", "~=1.2", "==1.*", ">=01", ">=1 <2", ">=1\n"]
NO_CONDITIONS += [">=1;<2", ">=-1", ">=1," * 60 + "<2", ">=9999999999"]


@pytest.mark.parametrize("wanted", NO_CONDITIONS)
def test_what_is_no_condition_is_refused(wanted: str) -> None:
    document = manifest()
    document["variants"][0]["engine_version"] = wanted
    with pytest.raises(EdgewardError) as refused:
        parsed(document)
    assert refused.value.where == "x.ewb: manifest.json: variants[0].engine_version"
    assert "is no condition on a version" in refused.value.what


def test_a_variant_for_another_version_needs_a_runtime_that_looks_at_it() -> None:
    document = manifest()
    document["variants"][0]["engine_version"] = ">=1"
    assert features.used(parsed(document)) == ("engine-version", "golden")
    assert features.used(parsed({key: value for key, value in manifest().items() if key != "golden"})) == ()
