"""A manifest that somebody signed and that is wrong all the same: refused, with the key that is wrong."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import ExitStatus

from .conftest import KeyPair, Outcome, check_line, sealed

pytestmark = pytest.mark.unit

Edgeward = Callable[..., Outcome]

MODEL = b"a model"


def manifest(**changes: object) -> dict[str, Any]:
    entry = {
        "path": "m.onnx",
        "size": len(MODEL),
        "sha256": hashlib.sha256(MODEL).hexdigest(),
        "role": "model",
    }
    tensor = {"name": "x", "dtype": "float32", "shape": [1, 3, 8, 8]}
    variant = {
        "id": "cpu",
        "engine": "onnxruntime",
        "file": "m.onnx",
        "inputs": [tensor],
        "outputs": [tensor],
    }
    document: dict[str, Any] = {
        "schema": 1,
        "name": "gate",
        "version": "1.0.0",
        "release_counter": 1,
        "task": "detection",
        "labels": ["person"],
        "files": [entry],
        "variants": [variant],
        "preprocess": {},
        "postprocess": {"decoder": "yolox"},
    }
    return document | changes


def with_file(path: str) -> dict[str, Any]:
    document = manifest()
    document["files"][0]["path"] = path
    document["variants"][0]["file"] = path
    return document


def with_variant(**changes: object) -> dict[str, Any]:
    document = manifest()
    document["variants"][0] |= changes
    return document


def with_entry(**changes: object) -> dict[str, Any]:
    document = manifest()
    document["files"][0] |= changes
    return document


MANIFESTS: dict[str, tuple[Any, str]] = {
    "an unknown key": (manifest(lables=[]), "manifest.json: lables: unknown key; did you mean 'labels'?"),
    "an unknown key deep inside": (with_variant(enginee="x"), "variants[0].enginee: unknown key"),
    "a key that steers terminals": (manifest(**{"\x1b[2J": 1}), "unknown key"),
    "a profile without a name": (with_variant(profiles=["\x1b[2J"]), "variants[0].profiles"),
    "a missing key": ({k: v for k, v in manifest().items() if k != "task"}, "manifest.json: task: missing"),
    "no labels": ({k: v for k, v in manifest().items() if k != "labels"}, "manifest.json: labels: is empty"),
    "schema 2": (manifest(schema=2, new_key=1), "schema 2 is not known"),
    "schema true": (manifest(schema=True), "schema"),
    "a newer runtime": (manifest(min_runtime="0.2.0"), "needs edgeward 0.2.0"),
    "a wrong type": (manifest(release_counter="1"), "release_counter: expected int, got str"),
    "no counter": (manifest(release_counter=0), "release_counter"),
    "a bad version": (manifest(version="1.0"), "'1.0' does not fit; use a semantic version"),
    "a version in other digits": (manifest(version="1\u0662.0.0"), "does not fit"),
    "a bad name": (manifest(name="Gate"), "'Gate' does not fit; use lower-case letters"),
    "another task": (manifest(task="detect"), "did you mean 'detection'"),
    "no decoder": (manifest(postprocess={}), "postprocess.decoder: missing"),
    "another decoder": (manifest(postprocess={"decoder": "yolx"}), "did you mean 'yolox'"),
    "a decoder of another type": (manifest(postprocess={"decoder": ["yolox"]}), "postprocess.decoder"),
    "a key of another decoder": (
        manifest(postprocess={"decoder": "yolov8", "strides": [8]}),
        "postprocess.strides: unknown key",
    ),
    "a key twice as deep": (
        with_variant(postprocess={"decoder": "yolov8", "scoer": 1}),
        "variants[0].postprocess.scoer: unknown key",
    ),
    "a threshold over 1": (
        manifest(postprocess={"decoder": "yolov8", "score_threshold": 1.5}),
        "postprocess.score_threshold: expected float <= 1.0",
    ),
    "no strides": (
        manifest(postprocess={"decoder": "yolox", "strides": []}),
        "postprocess.strides: expected array of length >= 1",
    ),
    "a stride of zero": (
        manifest(postprocess={"decoder": "yolox", "strides": [0]}),
        "postprocess.strides[0]: expected int >= 1",
    ),
    "a plug-in that steers terminals": (
        manifest(postprocess={"decoder": "plugin", "name": "\x1b[2J"}),
        "postprocess.name: is not printable",
    ),
    "a keypoint that steers terminals": (
        manifest(task="keypoints", postprocess={"decoder": "movenet", "keypoints": ["\x1b[2J"]}),
        "postprocess.keypoints[0]: empty or not printable",
    ),
    "an option that is a list": (
        manifest(postprocess={"decoder": "plugin", "name": "x", "options": {"a": [1]}}),
        "postprocess.options",
    ),
    "weights that are no file of it": (
        with_variant(weights="/etc/passwd"),
        "variants[0].weights: '/etc/passwd'",
    ),
    "priors outside": (
        manifest(postprocess={"decoder": "ssd", "priors": "../p.bin"}),
        "postprocess.priors: there is no file '../p.bin'",
    ),
    "a dimension that steers terminals": (
        with_variant(dimensions={"\x1b[2J": 1}),
        "variants[0].dimensions",
    ),
    "a dimension of zero": (
        with_variant(dimensions={"height": 0}),
        "variants[0].dimensions[...]: expected int >= 1",
    ),
    "more values than can be meant": (
        with_variant(inputs=[{"name": "x", "dtype": "float32", "shape": [1], "value": [0] * 65537}]),
        "variants[0].inputs[0].value: expected array of length <= 65536",
    ),
    "an output that is fed": (
        with_variant(outputs=[{"name": "x", "dtype": "float32", "shape": [1], "feed": "picture"}]),
        "variants[0].outputs[0].feed: unknown key",
    ),
    "traversal": (with_file("../m.onnx"), "'../m.onnx' is not allowed"),
    "traversal inside": (with_file("a/../../m.onnx"), "is not allowed"),
    "an absolute path": (with_file("/etc/m.onnx"), "is not allowed"),
    "a hidden file": (with_file(".m.onnx"), "is not allowed"),
    "a line end in a name": (with_file("m.onnx\n"), "is not allowed"),
    "the manifest as a file": (with_file("manifest.json"), "is not allowed"),
    "a file below the manifest": (with_file("manifest.json/m"), "is a file and a folder"),
    "a file twice": (manifest(files=manifest()["files"] * 2), "stands twice"),
    "a label twice": (manifest(labels=["a", "a"]), "the label 'a' stands twice"),
    "an empty label": (manifest(labels=[" "]), "labels[0]"),
    "an escape in a label": (manifest(labels=["\x1b[2J"]), "labels[0]"),
    "an escape in the description": (manifest(description="\x1b[2J"), "control character"),
    "a lone surrogate": (manifest(license="\ud800"), "one half of a surrogate pair"),
    "a missing model": (with_variant(file="n.onnx"), "'n.onnx' is not a model file"),
    "no inputs": (with_variant(inputs=[]), "variants[0].inputs: is empty"),
    "a negative dimension": (
        with_variant(inputs=[{"name": "x", "dtype": "int8", "shape": [-1]}]),
        "dimension",
    ),
    "too few blocks": (with_entry(size=len(MODEL), blocks=["0" * 64] * 2), "block digests"),
    "blocks of one byte": (with_entry(block_size=1), "files[0].block_size: expected int >= 4096"),
    "wrong blocks": (with_entry(blocks=["0" * 64]), "block digests of 'm.onnx'"),
    "a division by zero": (manifest(preprocess={"std": [1, 0, 1]}), "divide by zero"),
    "infinity": (manifest(preprocess={"scale": float("inf")}), "not a number of JSON"),
    "a number over all": (b"1e999", "preprocess.scale"),
    "not JSON": (b"{", "not valid JSON"),
    "not an object": (b"[]", "not a JSON object"),
    "deep nesting": (b"[" * 100_000, "nested too deep"),
    "a doubled key": (b'{"schema": 1, "schema": 1}', "'schema' stands twice"),
}


@pytest.mark.parametrize("kind", MANIFESTS)
def test_a_signed_manifest_is_refused_that_has(
    kind: str, release: KeyPair, tmp_path: Path, edgeward: Edgeward
) -> None:
    document, text = MANIFESTS[kind]
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    if data == b"1e999":
        data = json.dumps(manifest(preprocess={"scale": 1})).replace('"scale": 1', '"scale": 1e999').encode()
    entries = document["files"] if isinstance(document, dict) else []
    files = {entry["path"]: MODEL for entry in entries if entry["path"] == "m.onnx"}
    signed = {entry["path"]: entry["sha256"] for entry in entries if entry["path"] != "manifest.json"}
    bundle = sealed(tmp_path / "x.ewb", data, files, release, signed=signed)
    outcome = edgeward("bundle", "verify", bundle, "--key", release.public)
    check_line(outcome, ExitStatus.BUNDLE_REFUSED, text)


def test_the_manifest_that_these_cases_change_is_good(
    release: KeyPair, tmp_path: Path, edgeward: Edgeward
) -> None:
    bundle = sealed(tmp_path / "x.ewb", json.dumps(manifest()).encode(), {"m.onnx": MODEL}, release)
    assert edgeward("bundle", "verify", bundle, "--key", release.public).status == 0


@pytest.mark.parametrize(
    ("files", "signed", "text"),
    [
        ({"m.onnx": MODEL}, {"more.bin": "0" * 64}, "not the signed files"),
        ({"m.onnx": MODEL}, {"m.onnx": "0" * 64}, "not the signed files"),
        ({"n.onnx": MODEL}, {}, "not the signed files"),
        (
            {"m.onnx": b"A model"},
            {"m.onnx": hashlib.sha256(MODEL).hexdigest()},
            "'m.onnx' is not what was signed",
        ),
        ({"n.onnx": MODEL}, {"m.onnx": hashlib.sha256(MODEL).hexdigest()}, "not the signed files"),
        ({}, {"m.onnx": hashlib.sha256(MODEL).hexdigest()}, "'m.onnx' is missing"),
    ],
)
def test_files_must_be_the_signed_ones(
    files: dict[str, bytes],
    signed: dict[str, str],
    text: str,
    release: KeyPair,
    tmp_path: Path,
    edgeward: Edgeward,
) -> None:
    data = json.dumps(manifest()).encode()
    bundle = sealed(tmp_path / "x.ewb", data, files, release, signed=signed)
    check_line(edgeward("bundle", "verify", bundle, "--key", release.public), ExitStatus.BUNDLE_REFUSED, text)
