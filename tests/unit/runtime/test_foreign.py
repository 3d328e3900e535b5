"""A decoder of another package may do what it likes: there are findings or an error, and the worker lives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from runtime.engine import Array
from runtime.errors import Code, EdgewardError
from runtime.findings import Detection, Findings
from runtime.foreign import ForeignDecoder
from runtime.vision.placement import Placement

pytestmark = pytest.mark.unit

PLACE = Placement(1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 64, 64)
SEEN = Findings(detections=(Detection("car", 0.5, (1.0, 2.0, 3.0, 4.0)),))


class Says:
    """A decoder that says ``answer``, or raises it."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def decode(self, _outputs: Sequence[Array], _place: Placement) -> Findings:
        if isinstance(self._answer, type):
            raise self._answer
        found: Findings = self._answer
        return found


def test_findings_come_out_as_they_are() -> None:
    assert ForeignDecoder(Says(SEEN), where="b").decode([], PLACE) == SEEN


@pytest.mark.parametrize(
    "answer",
    [
        None,
        KeyError,
        SystemExit,
        MemoryError,
        Findings(detections=(Detection(7, 0.5, (1.0, 2.0, 3.0, 4.0)),)),  # type: ignore[arg-type]
        Findings(embedding=(np.float32(1.0),)),
        Findings(detections=(Detection("car", float("nan"), (1.0, 2.0, 3.0, 4.0)),)),
        Findings(detections=(Detection("car", 0.5, (1.0, 2.0, float("inf"), 4.0)),)),
    ],
)
def test_what_is_no_finding_is_an_error_and_not_the_end_of_the_worker(answer: Any) -> None:
    with pytest.raises(EdgewardError, match="the decoder") as refused:
        ForeignDecoder(Says(answer), where="b").decode([], PLACE)
    assert refused.value.code is Code.MODEL_RUN
    assert refused.value.where == "b"
