"""What an engine is fed with for a few frames, as the quantiser wants to see it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from runtime.engine import Array, Binding, Engine, TensorInfo
from runtime.errors import Code, from_os_error


class Recording:
    """An engine that writes down its inputs at each run; see ``runtime.engine.Engine``.

    So that calibration sees what edgeward's own preprocessing makes of a frame, and whatever else the model
    is fed with. Each run is a file in ``folder``: many pictures need not fit into memory.
    """

    def __init__(self, inner: Engine, folder: Path) -> None:
        self._inner = inner
        self._folder = folder
        self.provider = inner.provider
        self.inputs: Sequence[TensorInfo] = inner.inputs
        self.outputs: Sequence[TensorInfo] = inner.outputs
        self.runs: list[Path] = []

    def bind(self, batch: int) -> Binding:
        """See ``runtime.engine.Engine``."""
        return _RecordingBinding(self._inner.bind(batch), self)

    def release(self, batch: int) -> None:
        """See ``runtime.engine.Engine``."""
        self._inner.release(batch)

    def close(self) -> None:
        """See ``runtime.engine.Engine``."""
        self._inner.close()

    def write(self, arrays: Sequence[Array]) -> None:
        """Write down one run.

        Raises:
            EdgewardError: ``SYSTEM_DISK_FULL`` and the like.
        """
        path = self._folder / f"{len(self.runs)}.npz"
        named = {info.name: array for info, array in zip(self.inputs, arrays, strict=True)}
        try:
            np.savez(path, **{f"{at}": array for at, array in enumerate(named.values())})  # type: ignore[arg-type]
        except OSError as error:
            raise from_os_error(error, where=str(path), fallback=Code.SYSTEM_IO) from error
        self.runs.append(path)

    def feeds(self) -> Iterator[dict[str, Array]]:
        """Each run's inputs by name."""
        for path in self.runs:
            with np.load(path) as arrays:
                yield {info.name: arrays[str(at)] for at, info in enumerate(self.inputs)}


class _RecordingBinding:
    """See ``runtime.engine.Binding``."""

    def __init__(self, inner: Binding, recording: Recording) -> None:
        self.inputs = inner.inputs
        # An engine replaces in this list an output whose size the model decides.
        self.outputs = inner.outputs
        self._run = inner.run
        self._recording = recording

    def run(self) -> None:
        """See ``runtime.engine.Binding``."""
        self._recording.write(self.inputs)
        self._run()


class Reader:
    """``CalibrationDataReader`` of onnxruntime's quantiser."""

    def __init__(self, recording: Recording) -> None:
        self._feeds = recording.feeds()

    def get_next(self) -> dict[str, Any] | None:
        """The next run's inputs; None at the end."""
        return next(self._feeds, None)
