"""What ``edgeward run`` prints for a result: all that was found, and no key that has nothing to say."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from agent.cli.run_report import Report
from agent.cli.run_result import result_line
from runtime import ipc
from runtime.findings import (
    Classified,
    Detection,
    Findings,
    Inside,
    Keypoint,
    Mask,
    Segmentation,
    Tensor,
)

pytestmark = pytest.mark.unit

BOX = (1.001, 2.0, 3.0, 4.0)
SEGMENTATION = Segmentation(box=BOX, width=2, height=1, runs=((0, 1), (-1, 1)), shares={"road": 0.5})


def result(**found: Any) -> ipc.Result:
    fields = {"stream": "source", "session": 0, "frame": 0, "pts_s": 0.0, "arrived_ns": 1, "done_ns": 2}
    return ipc.Result(**{**fields, "width": 640, "height": 480, **found})


def line(task: str, **found: Any) -> dict[str, Any]:
    return dict(json.loads(json.dumps(result_line(result(**found), task))))


@pytest.mark.parametrize("task", ["detection", "keypoints", "segmentation"])
def test_nothing_seen_is_a_value_for_a_task_that_detects(task: str) -> None:
    assert line(task)["detections"] == []


def test_a_plain_detection_prints_what_it_always_did() -> None:
    printed = line("detection", detections=(Detection("cup", 0.123456, BOX),))
    assert printed["detections"] == [{"label": "cup", "score": 0.1235, "box": [1.0, 2.0, 3.0, 4.0]}]
    assert list(printed) == [
        *("type", "stream", "session", "frame", "pts_s", "status", "width", "height", "latency_ms"),
        "detections",
    ]


@pytest.mark.parametrize(
    ("task", "found", "key", "printed"),
    [
        (
            "classification",
            {"classes": (Classified("cat", 0.5),)},
            "classes",
            [{"label": "cat", "score": 0.5}],
        ),
        ("embedding", {"embedding": (0.12345678, 1.0)}, "embedding", [0.123457, 1.0]),
        (
            "segmentation",
            {"segmentation": SEGMENTATION},
            "segmentation",
            {
                "box": [1.0, 2.0, 3.0, 4.0],
                "width": 2,
                "height": 1,
                "runs": [[0, 1], [-1, 1]],
                "shares": {"road": 0.5},
            },
        ),
        (
            "tensors",
            {"tensors": (Tensor(name="out", dtype="uint8", shape=(2,), data=b"\x01\x02"),)},
            "tensors",
            [{"name": "out", "dtype": "uint8", "shape": [2], "data": base64.b64encode(b"\x01\x02").decode()}],
        ),
    ],
)
def test_another_task_prints_its_own_key_and_no_empty_detections(
    task: str, found: dict[str, Any], key: str, printed: Any
) -> None:
    shown = line(task, **found)
    assert shown[key] == printed
    assert {"detections", "classes", "segmentation", "embedding", "tensors"} & set(shown) == {key}


def test_keypoints_mask_and_what_was_found_inside_stand_in_the_detection() -> None:
    thing = Detection(
        "car",
        0.5,
        BOX,
        keypoints=(Keypoint("wheel", 1.001, 2.0, 0.75),),
        mask=Mask(BOX, 2, 1, (1, 1)),
        inside=(Inside("plate", Findings(classes=(Classified("blue", 0.5),))),),
    )
    (shown,) = line("detection", detections=(thing,))["detections"]
    assert shown["keypoints"] == [{"name": "wheel", "x": 1.0, "y": 2.0, "score": 0.75}]
    assert shown["mask"] == {"box": [1.0, 2.0, 3.0, 4.0], "width": 2, "height": 1, "runs": [1, 1]}
    assert shown["inside"] == [{"stage": "plate", "classes": [{"label": "blue", "score": 0.5}]}]


@pytest.mark.parametrize(
    ("task", "found", "said", "counted"),
    [
        (
            "detection",
            {"detections": (Detection("cup", 0.5, BOX),) * 2},
            "2 results, 4 detections",
            "detections",
        ),
        (
            "classification",
            {"classes": (Classified("tabby", 0.93),)},
            "2 results, 2 classifications (last: tabby 0.93)",
            "classifications",
        ),
        ("segmentation", {"segmentation": SEGMENTATION}, "2 results, 2 segmentations", "segmentations"),
        ("embedding", {"embedding": (1.0,)}, "2 results, 2 embeddings", "embeddings"),
        (
            "tensors",
            {"tensors": (Tensor(name="o", dtype="int8", shape=(1,), data=b"\0"),)},
            "2 results, 2 tensors",
            "tensors",
        ),
    ],
)
def test_the_last_word_and_the_summary_count_what_the_task_gives(
    task: str, found: dict[str, Any], said: str, counted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    report = Report(live=True)
    ready = ipc.Ready(
        bundle="b", version="1.0.0", variant="v", engine="e", provider="p", load_ms=1, labels=(), task=task
    )
    report.hear(ready)
    for _ in range(2):
        report.hear(result(**found))
    report.finish()
    shown = capsys.readouterr().err
    assert f"model for {task} on e (p), variant v" in shown
    assert said in shown
    summary = report.summary()
    assert (summary["task"], summary["variant"]) == (task, "v")
    assert summary[counted] == (4 if task == "detection" else 2)
