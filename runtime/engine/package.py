"""Finding an engine's own package: imported when first asked for, with a reason when it is not there."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import sys
from typing import Any

from runtime.engine import first_line
from runtime.errors import Code, EdgewardError

# Found with onnxruntime 1.31 and openvino 2026.4: a plain import tells their makers about its use, and leaves
# files in TMPDIR and the home folder. A device tells nobody about itself.
_NO_TELEMETRY = {"ORT_DISABLE_TELEMETRY": "1"}
_TELEMETRY_MODULE = "openvino_telemetry"


class MissingError(EdgewardError):
    """The package cannot be used; ``reason`` says why and what to do, in one line."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(Code.ENGINE_UNAVAILABLE, what, remedy=remedy)
        self.reason = f"{what}; {remedy}"


def find(*modules: str, install: str) -> Any:
    """The first of ``modules`` that is installed, imported with its maker's telemetry switched off.

    Args:
        modules: full names, best first.
        install: what to do when none is there, as an instruction.

    Raises:
        MissingError: none is installed, or the one that is fails to import.
    """
    _be_silent()
    for name in modules:
        try:
            top = name.partition(".")[0]
            there = top in sys.modules or importlib.util.find_spec(top) is not None
            if there:
                return importlib.import_module(name)
        except Exception as error:
            # A vendor's package may fail in any way: a library that it needs, a board that it refuses.
            what = f"its package {name} is installed and cannot be imported: {first_line(error)}"
            raise MissingError(what, f"install it again: {install}") from error
    raise MissingError(f"its package {' or '.join(modules)} is not installed", install)


def _be_silent() -> None:
    for name, value in _NO_TELEMETRY.items():
        os.environ.setdefault(name, value)
    # None stands for a module that cannot be imported; openvino then has a stub of its own.
    sys.modules.setdefault(_TELEMETRY_MODULE, None)  # type: ignore[arg-type]


def version(*distributions: str) -> str:
    """The version of the first of these that is installed; empty when none says."""
    for name in distributions:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""
