"""Which board is this, and is that sure?"""

from __future__ import annotations

from agent import device
from agent.doctor.finding import Finding, ok
from agent.doctor.mend import edit, finding_of
from agent.doctor.site import Site
from runtime.errors import EdgewardError

MEANING = "the board is known, so that cores, temperatures and memory are judged by its own figures"
NEEDS = ("configuration",)


def probe(site: Site) -> list[Finding]:
    """The profile, where it is from, and what is known to be limited on such a board."""
    try:
        chosen = device.current(site.known, site.root)
    except EdgewardError as error:
        return [finding_of(error, site, command=edit(site, "device.profile"), blocks=False)]
    profile = chosen.profile
    text = f"{profile.name}: {profile.title} ({chosen.source})"
    if not chosen.warning:
        return [ok(text)]
    return [
        Finding(
            result="warn",
            text=f"{text}; {chosen.warning}",
            remedy="name the profile that fits in device.profile, if there is one",
            command=f"edgeward profile list; {edit(site, 'device')}",
        )
    ]
