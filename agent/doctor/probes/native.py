"""Does the native core load, and does it calculate right on this CPU?"""

from __future__ import annotations

import sys

from agent.doctor.child import selftest
from agent.doctor.finding import Finding, ok, quoted
from agent.doctor.mend import finding_of
from agent.doctor.site import Site
from runtime.errors import EdgewardError

MEANING = "the native core loads, and every instruction set of this CPU gives the same pixels"
TIMEOUT_S = 60.0


async def probe(site: Site) -> list[Finding]:
    """In a process of its own: a wrong build may end with an illegal instruction."""
    try:
        answer = await selftest({"task": "native"}, seconds=TIMEOUT_S)
    except EdgewardError as error:
        command = quoted(sys.executable, "-m", "pip", "install", "--force-reinstall", "--no-deps", "edgeward")
        return [finding_of(error, site, command=command)]
    available = answer.get("available")
    others = ", ".join(map(str, available)) if isinstance(available, list) else ""
    return [ok(f"uses {answer.get('simd')} (there are {others})")]
