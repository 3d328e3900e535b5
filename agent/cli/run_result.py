"""One result of ``edgeward run`` as the JSON line that leaves. Keys that have nothing to say are left out."""

from __future__ import annotations

import base64
import time
from typing import Any

from runtime import findings, ipc

_ALWAYS_DETECTIONS = ("detection", "keypoints")


def result_line(result: ipc.Result, task: str) -> dict[str, Any]:
    """``result`` of a bundle for ``task``, as plain data.

    ``detections`` is always there for a task that detects, so that "nothing seen" is a value and no gap.
    """
    found = _found(result)
    if task in _ALWAYS_DETECTIONS or (task == "segmentation" and result.segmentation is None):
        found = {"detections": found.pop("detections", []), **found}
    return {
        "type": "result",
        "stream": result.stream,
        "session": result.session,
        "frame": result.frame,
        "pts_s": result.pts_s,
        "status": result.status,
        **({"why": result.why} if result.why else {}),
        "width": result.width,
        "height": result.height,
        "latency_ms": round((time.monotonic_ns() - result.arrived_ns) / 1e6, 2),
        **found,
    }


def _found(found: ipc.Result | findings.Findings) -> dict[str, Any]:
    segmentation = found.segmentation
    document = {
        "detections": [_detection(one) for one in found.detections],
        "classes": [{"label": one.label, "score": round(one.score, 4)} for one in found.classes],
        "segmentation": {
            "box": _rounded(segmentation.box),
            "width": segmentation.width,
            "height": segmentation.height,
            "runs": segmentation.runs,
            "shares": {label: round(share, 4) for label, share in segmentation.shares.items()},
        }
        if segmentation is not None
        else None,
        "embedding": [round(one, 6) for one in found.embedding],
        "tensors": [
            {
                "name": one.name,
                "dtype": one.dtype,
                "shape": one.shape,
                "data": base64.b64encode(one.data).decode("ascii"),
            }
            for one in found.tensors
        ],
    }
    return {name: value for name, value in document.items() if value}


def _detection(one: findings.Detection) -> dict[str, Any]:
    document: dict[str, Any] = {"label": one.label, "score": round(one.score, 4), "box": _rounded(one.box)}
    if one.keypoints:
        document["keypoints"] = [
            {
                "name": point.name,
                "x": round(point.x, 2),
                "y": round(point.y, 2),
                "score": round(point.score, 4),
            }
            for point in one.keypoints
        ]
    if one.mask is not None:
        mask = one.mask
        document["mask"] = {
            "box": _rounded(mask.box),
            "width": mask.width,
            "height": mask.height,
            "runs": mask.runs,
        }
    if one.inside:
        document["inside"] = [{"stage": inside.stage, **_found(inside.findings)} for inside in one.inside]
    return document


def _rounded(box: tuple[float, float, float, float]) -> list[float]:
    return [round(edge, 2) for edge in box]
