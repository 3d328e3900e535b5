"""From a worker's result to the event that is published, which has a bounded size.

An event must neither crowd all others out of the queue nor be refused by the broker without a word. Where
one is too large, masks and the runs of segmentations go first, which ``left_out`` tells; if that is not
enough, the event says ``failed`` and why.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from agent.link import messages
from agent.link.messages import Detected, Detections, LeftOut
from runtime import findings, ipc

MAX_EVENT_BYTES = 512 << 10
# Upper bounds, in bytes of JSON: a number with its comma; the keys and signs of an object; a character.
_NUMBER, _OBJECT, _CHARACTER = 26, 120, 6

Found = ipc.Result | findings.Findings


def nothing_found(result: ipc.Result) -> bool:
    """Whether the model looked and there is nothing to tell: no object, no class, no label in the picture."""
    seen = result.detections or result.classes or result.embedding or result.tensors
    return not seen and not (result.segmentation is not None and result.segmentation.shares)


def event(pipeline: str, result: ipc.Result, now_ns: int) -> Detections:
    """The body for ``result``, handed over at ``now_ns``; at most ``MAX_EVENT_BYTES`` of JSON."""
    body = Detections(
        pipeline=pipeline,
        stream=result.stream,
        session=result.session,
        frame=result.frame,
        pts_s=result.pts_s,
        arrived_ns=result.arrived_ns,
        latency_ms=round((now_ns - result.arrived_ns) / 1e6, 3),
        width=result.width,
        height=result.height,
        status=result.status,
        why=result.why,
        detections=tuple(map(_detected, result.detections)),
        classes=_classes(result.classes),
        segmentation=_segmentation(result.segmentation),
        embedding=result.embedding,
        tensors=_tensors(result.tensors),
    )
    # Cheap for the usual frame: only what may be too large is measured.
    return body if _bound(result) + 6 * len(body.why) <= MAX_EVENT_BYTES else _fitted(body)


def _fitted(body: Detections) -> Detections:
    size = messages.size_of(body)
    if size <= MAX_EVENT_BYTES:
        return body
    gone: set[LeftOut] = set()
    lighter = msgspec.structs.replace(
        body,
        detections=_without_masks(body.detections, gone),
        segmentation=_without_runs(body.segmentation, gone),
    )
    lighter = msgspec.structs.replace(lighter, left_out=tuple(sorted(gone)))
    if gone and messages.size_of(lighter) <= MAX_EVENT_BYTES:
        return lighter
    why = f"too large to be published: {size} bytes, an event has {MAX_EVENT_BYTES} at most"
    return msgspec.structs.replace(
        body,
        status="failed",
        why=why,
        detections=(),
        classes=(),
        segmentation=None,
        embedding=(),
        tensors=(),
    )


def _detected(item: findings.Detection) -> Detected:
    if not (item.keypoints or item.mask or item.inside):
        return Detected(label=item.label, score=item.score, box=item.box)
    mask = item.mask
    return Detected(
        label=item.label,
        score=item.score,
        box=item.box,
        keypoints=tuple(
            messages.Keypoint(name=point.name, x=point.x, y=point.y, score=point.score)
            for point in item.keypoints
        ),
        mask=messages.Mask(box=mask.box, width=mask.width, height=mask.height, runs=mask.runs)
        if mask is not None
        else None,
        inside=tuple(map(_inside, item.inside)),
    )


def _inside(item: findings.Inside) -> messages.Inside:
    found = item.findings
    return messages.Inside(
        stage=item.stage,
        detections=tuple(map(_detected, found.detections)),
        classes=_classes(found.classes),
        segmentation=_segmentation(found.segmentation),
        embedding=found.embedding,
        tensors=_tensors(found.tensors),
    )


def _classes(found: Iterable[findings.Classified]) -> tuple[messages.Classified, ...]:
    return tuple(messages.Classified(label=item.label, score=item.score) for item in found)


def _segmentation(found: findings.Segmentation | None) -> messages.Segmentation | None:
    if found is None:
        return None
    return messages.Segmentation(
        box=found.box, width=found.width, height=found.height, runs=found.runs, shares=found.shares
    )


def _tensors(found: Iterable[findings.Tensor]) -> tuple[messages.Tensor, ...]:
    return tuple(
        messages.Tensor(name=item.name, dtype=item.dtype, shape=item.shape, data=item.data) for item in found
    )


def _without_masks(detections: Iterable[Detected], gone: set[LeftOut]) -> tuple[Detected, ...]:
    lighter = []
    for item in detections:
        if item.mask is not None:
            gone.add("masks")
        inside = tuple(
            msgspec.structs.replace(
                one,
                detections=_without_masks(one.detections, gone),
                segmentation=_without_runs(one.segmentation, gone),
            )
            for one in item.inside
        )
        lighter.append(msgspec.structs.replace(item, mask=None, inside=inside))
    return tuple(lighter)


def _without_runs(
    segmentation: messages.Segmentation | None, gone: set[LeftOut]
) -> messages.Segmentation | None:
    """The shares stay: often they are all that is asked for."""
    if segmentation is None:
        return None
    gone.add("segmentation")
    return msgspec.structs.replace(segmentation, runs=())


def _bound(found: Found) -> int:
    """Bytes of JSON that ``found`` can have at most."""
    size = 2 * _OBJECT + _NUMBER * (12 + len(found.embedding))
    for item in found.detections:
        size += _OBJECT + _NUMBER * 5 + _CHARACTER * len(item.label)
        for point in item.keypoints:
            size += _OBJECT + _NUMBER * 3 + _CHARACTER * len(point.name)
        if item.mask is not None:
            size += _OBJECT + _NUMBER * (6 + len(item.mask.runs))
        for inside in item.inside:
            size += _CHARACTER * len(inside.stage) + _bound(inside.findings)
    for one in found.classes:
        size += _OBJECT + _NUMBER + _CHARACTER * len(one.label)
    for tensor in found.tensors:
        size += _OBJECT + _CHARACTER * len(tensor.name) + _NUMBER * len(tensor.shape) + 2 * len(tensor.data)
    if found.segmentation is not None:
        size += _OBJECT + _NUMBER * (6 + 2 * len(found.segmentation.runs))
        size += sum(_CHARACTER * len(label) + _NUMBER for label in found.segmentation.shares)
    return size
