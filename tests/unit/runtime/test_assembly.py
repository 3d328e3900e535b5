"""A pipeline that is ready has left the process as it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtime import ipc
from runtime.assembly import assemble
from tests import models

pytestmark = pytest.mark.unit


def test_the_cpus_of_the_model_are_not_those_of_threads_that_decode(tmp_path: Path) -> None:
    """Streams are started by the thread that loads and tries the model, and inherit its CPUs."""
    before = os.sched_getaffinity(0)
    if len(before) < 2:
        pytest.skip("one CPU")
    folder, digest = models.bundle_folder(
        tmp_path,
        models.brightness(models.Input("images", "float32", (1, 3, 32, 32))),
        outputs=(models.tensor("output", "float32", (1, 1)),),
        postprocess={"decoder": "embedding", "normalise": False},
        task="embedding",
    )
    start = ipc.Start(
        pipeline="p",
        bundle_dir=str(folder),
        manifest_sha256=digest,
        streams=(ipc.StreamSpec(name="a", url="nowhere"),),
        engine=ipc.EngineOptions(affinity=(min(before),)),
    )
    try:
        assemble(start)
        assert os.sched_getaffinity(0) == before
    finally:
        os.sched_setaffinity(0, before)
