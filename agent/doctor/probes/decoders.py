"""Does this device decode H.264 and H.265?"""

from __future__ import annotations

import sys

from agent.doctor.child import selftest
from agent.doctor.finding import Finding, ok, quoted
from agent.doctor.mend import finding_of
from agent.doctor.site import Site, as_dict
from runtime.errors import Code, EdgewardError

MEANING = "a short clip of each codec, H.264 and H.265, is decoded to the right pictures"
TIMEOUT_S = 60.0
HEAVY = True
_REINSTALL = quoted(sys.executable, "-m", "pip", "install", "--force-reinstall", "--no-deps", "av")


async def probe(site: Site) -> list[Finding]:
    """In a process of its own: a broken library may take it along."""
    try:
        answer = await selftest({"task": "decode"}, seconds=TIMEOUT_S)
    except EdgewardError as error:
        return [finding_of(error, site, command=_REINSTALL)]
    found = []
    for codec, one in as_dict(answer.get("codecs")).items():
        result = as_dict(one)
        text = str(result.get("text", ""))
        if result.get("ok"):
            found.append(ok(f"{text} (PyAV {answer.get('av')})", subject=codec))
        else:
            remedy = "install the decoder library anew"
            code = Code.SOURCE_CODEC.text
            found.append(
                Finding(result="fail", text=text, subject=codec, code=code, remedy=remedy, command=_REINSTALL)
            )
    return found
