"""What engines there are on this device, as JSON: ``python -m runtime.engine.listing``.

A process of its own, for the agent imports no engine, and an engine that crashes when it is looked at must
not take anybody along.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from runtime.bundle import plugins
from runtime.engine import Capabilities, backend, first_line
from runtime.errors import EdgewardError


def engines() -> dict[str, dict[str, Any]]:
    """Every engine that is installed, by name: what it can do here, or why it cannot, and whose it is."""
    found = {}
    for name, point in sorted(plugins.installed(plugins.ENGINES).items()):
        package = point.dist.name if point.dist else ""
        found[name] = {**_capabilities(name)._asdict(), "package": package}
    return found


def _capabilities(name: str) -> Capabilities:
    try:
        engine = backend(name)
        if engine is None:
            return Capabilities(available=False, reason="it was removed while it was looked at")
        return engine.capabilities()
    except EdgewardError as error:
        return Capabilities(available=False, reason=f"{error.what}; {error.remedy}")
    except Exception as error:
        # A plug-in is somebody else's code: whatever goes wrong in it is what there is to tell.
        return Capabilities(available=False, reason=f"asking it failed: {first_line(error)}")


if __name__ == "__main__":
    json.dump(engines(), sys.stdout)
