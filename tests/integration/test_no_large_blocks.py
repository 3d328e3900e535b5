"""After warm-up no frame makes the worker ask for a block of the size of a frame or a tensor."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime import ipc
from tests.conftest import Signed
from tests.integration import footage_1080p
from tests.integration.worker_peer import Worker, start_message

pytestmark = [pytest.mark.integration, pytest.mark.command]

# A chroma plane of 1080p has 518,400 bytes; the tensor of yolox_nano 2,076,672, its output 1,206,660.
FROM_BYTES = 400_000
WARM, COUNTED = 30, 60


class Counter:
    """Counts large blocks of a process that it is preloaded into."""

    def __init__(self, folder: Path) -> None:
        library = folder / "large_blocks.so"
        source = Path(__file__).with_name("large_blocks.c")
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        path = folder / "count"
        path.write_bytes(bytes(mmap.PAGESIZE))
        self.environment = {
            "LD_PRELOAD": str(library),
            "LARGE_BLOCKS": str(path),
            "LARGE_BLOCKS_FROM": str(FROM_BYTES),
            # Python keeps small objects in arenas of 1 MiB: now and then one of these would be counted.
            "PYTHONMALLOC": "malloc",
        }
        self._path = path

    def read(self) -> int:
        return int.from_bytes(self._path.read_bytes()[:8], "little")


def blocks_while_counted(worker: Worker, counter: Counter) -> int:
    worker.until(lambda one: isinstance(one, ipc.Result) and one.frame >= WARM)
    before = counter.read()
    assert before > 0, "nothing is counted: the model alone needs large blocks"
    worker.until(lambda one: isinstance(one, ipc.Result) and one.frame >= WARM + COUNTED)
    return counter.read() - before


@pytest.mark.parametrize("encoder", ["libx264", "libx265"])
def test_frames_ask_for_no_block_of_their_size(yolox: Signed, tmp_path: Path, encoder: str) -> None:
    film = footage_1080p.write(tmp_path / "film.mp4", WARM + COUNTED + 10, encoder=encoder)
    counter = Counter(tmp_path)
    streams = (ipc.StreamSpec(name="s", url=str(film), pacing="every", reconnect=False),)
    with Worker(start_message(yolox, tmp_path / "store", streams), environment=counter.environment) as worker:
        assert blocks_while_counted(worker, counter) == 0


def test_a_block_that_is_asked_for_is_counted(tmp_path: Path) -> None:
    counter = Counter(tmp_path)

    def blocks(program: str) -> int:
        before = counter.read()
        subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, **counter.environment})
        return counter.read() - before

    import_alone = blocks("import numpy")
    asking = f"import numpy; [numpy.ones({FROM_BYTES}, numpy.uint8) for _ in range(7)]"
    assert blocks(asking) - import_alone == 7
