"""Golden frames and results for ``pack``, made in a process of its own, which alone loads engines."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec
from msgspec.structs import replace

import runtime
from runtime.bundle import check_golden
from runtime.bundle.author import AUTHOR_NAME, Author, GoldenTable, refuse
from runtime.bundle.decoders import Postprocess
from runtime.bundle.golden_messages import Failed, FromChild, GoldenMade, Making, Request
from runtime.bundle.manifest import Manifest
from runtime.bundle.metrics import DetectionsAgree, Metric, metrics
from runtime.bundle.progress import Progress
from runtime.errors import Code, EdgewardError

_LAST_WORDS = 16384


@contextmanager
def made(
    author: Author, manifest: Manifest, folder: Path, progress: Progress
) -> Iterator[tuple[Path, GoldenMade]]:
    """Golden files below a folder that is removed afterwards, and what is in them.

    Args:
        author: with a ``[golden]`` table.
        manifest: of the bundle, without its golden part.
        folder: the author's.
        progress: told of each frame.

    Raises:
        EdgewardError: ``BUNDLE_GOLDEN`` and what loading and running a model can raise.
    """
    table = author.golden
    if table is None:
        raise ValueError(author)
    compared = metric(table, manifest)
    toml = folder / AUTHOR_NAME
    for problem in check_golden.metric(compared, manifest):
        raise refuse(toml, problem.key, problem.what, problem.remedy)
    with tempfile.TemporaryDirectory(prefix="edgeward-golden-") as scratch:
        request = Request(
            folder=str(folder.absolute()),
            into=scratch,
            toml=str(toml),
            frames=table.frames,
            reference=table.reference,
            metric=compared,
            manifest=manifest,
        )
        yield Path(scratch), _run(request, progress)


def metric(table: GoldenTable, manifest: Manifest) -> Metric:
    """How answers are compared: as the author says, else as is usual for what the decoder gives.

    Of detections just over a decoder's threshold nobody knows on which side they fall on a board: where the
    author leaves out ``min_score`` it keeps clear of the highest threshold by ``score_tolerance``, or by half
    of what there is above.
    """
    found = table.metric or metrics(manifest.task, manifest.postprocess)[0]()
    return clear_of(found, (manifest.postprocess, *(variant.postprocess for variant in manifest.variants)))


def clear_of(found: Metric, decoders: Iterable[Postprocess | None]) -> Metric:
    """``found`` with a ``min_score`` that keeps clear of the decoders' thresholds, where it has none."""
    if not isinstance(found, DetectionsAgree) or found.min_score:
        return found
    threshold = max(float(getattr(decoder, "score_threshold", 0.0)) for decoder in decoders)
    clear = min(threshold + found.score_tolerance, (threshold + 1) / 2) if threshold else 0.0
    return replace(found, min_score=round(clear, 6))


def _run(request: Request, progress: Progress) -> GoldenMade:
    code = Path(str(runtime.__file__)).resolve().parent.parent
    command = [sys.executable, "-P", "-m", "runtime.golden", str(os.getpid())]
    # Ours first; packages with engines and decoders may lie on the author's own path.
    path = os.pathsep.join(filter(None, (str(code), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": path}
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment
        )
        with child:
            try:
                answer = _answer(child, request, progress)
            except BaseException:
                child.kill()
                raise
        if answer is None:
            raise _died(child.returncode, errors, request)
    if isinstance(answer, Failed):
        told = answer.error
        raise EdgewardError(Code.of(told.code), told.what, where=told.where, remedy=told.remedy)
    return answer


def _answer(
    child: subprocess.Popen[bytes], request: Request, progress: Progress
) -> GoldenMade | Failed | None:
    """The last message; None when the child ended without one."""
    if child.stdin is None or child.stdout is None:
        raise ValueError(child)
    decoder = msgspec.json.Decoder(FromChild)
    try:
        child.stdin.write(msgspec.json.encode(request))
        child.stdin.close()
    except BrokenPipeError:
        return None
    for line in child.stdout:
        try:
            message: FromChild = decoder.decode(line)
        except msgspec.DecodeError:
            return None
        if not isinstance(message, Making):
            return message
        progress(message.doing, message.done, message.total, unit="frames")
    return None


def _died(status: int, errors: IO[bytes], request: Request) -> EdgewardError:
    """An engine may abort the process: say which signal ended it, and its last words."""
    # The end of it: engines may print without end.
    errors.seek(max(0, errors.seek(0, os.SEEK_END) - _LAST_WORDS))
    lines = errors.read().decode("utf-8", "replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")
    how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
    what = f"the process that ran the model for golden results was ended {how}; its last line: {last[:200]}"
    remedy = "check that the engine runs this model, with its own tools"
    return EdgewardError(Code.BUNDLE_GOLDEN, what, where=f"{request.toml}: golden", remedy=remedy)
