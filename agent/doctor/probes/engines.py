"""Which inference engines are installed, and do they load?"""

from __future__ import annotations

import importlib.metadata
import sys

from agent.doctor.child import ENGINES, last_line
from agent.doctor.finding import Finding, ok, quoted, skip
from agent.doctor.site import Site, as_dict
from runtime.errors import Code

MEANING = "at least one inference engine is installed, and each that is installed can be loaded"
TIMEOUT_S = 120.0
HEAVY = True
# Engine, and the extra of this package that installs it.
EXTRAS = {"onnxruntime": "onnx", "litert": "litert", "openvino": "openvino", "ncnn": "ncnn"}
PACKAGES = {
    "onnxruntime": ("onnxruntime",),
    "litert": ("ai-edge-litert", "tflite-runtime"),
    "openvino": ("openvino",),
    "ncnn": ("ncnn",),
}


async def probe(_site: Site) -> list[Finding]:
    """Each engine; asked in a process of its own, since one may crash when it is loaded."""
    engines = await last_line(ENGINES, b"", seconds=TIMEOUT_S)
    found = [_one(name, as_dict(engine)) for name, engine in engines.items()]
    if not any(finding.result == "ok" for finding in found):
        found.append(
            Finding(
                result="fail",
                text="no inference engine can be used: no model can run",
                code=Code.ENGINE_UNAVAILABLE.text,
                remedy="install the one that the bundles want",
                command=quoted(sys.executable, "-m", "pip", "install", "edgeward[onnx]"),
                blocks=True,
            )
        )
    return found


def _one(name: str, engine: dict[str, object]) -> Finding:
    providers = engine.get("providers")
    if engine.get("available"):
        on = (
            f", runs on {', '.join(map(str, providers))}" if isinstance(providers, list) and providers else ""
        )
        return ok(f"{engine.get('version')}{on}", subject=name)
    reason = str(engine.get("reason", ""))
    package = next((item for item in PACKAGES.get(name, ()) if _installed(item)), "")
    if not package:
        return skip(f"not installed: {reason}", subject=name)
    return Finding(
        result="fail",
        text=f"the package {package} is installed and cannot be used: {reason}",
        subject=name,
        code=Code.ENGINE_UNAVAILABLE.text,
        remedy="install the package anew",
        command=quoted(sys.executable, "-m", "pip", "install", "--force-reinstall", "--no-deps", package),
    )


def _installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
