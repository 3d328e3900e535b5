"""Is every bundle there, whole, and signed by somebody who may?"""

from __future__ import annotations

import os
from pathlib import Path

from agent.doctor.finding import Finding, ok, quoted, skip
from agent.doctor.in_thread import in_thread
from agent.doctor.mend import copy_again, finding_of
from agent.doctor.site import Site
from agent.trust import floors
from agent.trust.device import DeviceTrust
from agent.trust.ingest import ingest
from runtime.errors import Code, EdgewardError

MEANING = "every bundle that is configured is there, whole, and signed by a key that this device trusts"
NEEDS = ("configuration", "trust")
TIMEOUT_S = 600.0
HEAVY = True


async def probe(site: Site) -> list[Finding]:
    """Each bundle is verified and unpacked into a private folder, by the child that does it for the agent."""
    if not site.known.pipeline:
        return [skip("no pipeline is configured")]
    return [await _one(site, file, users) for file, users in site.bundle_files().items()]


async def _one(site: Site, file: Path, users: list[str]) -> Finding:
    subject = str(file)
    limits = site.known.bundles.limits
    floor_file = floors.path_in(site.state_dir)
    try:
        # Both may lie on a disk that hangs.
        keys = await in_thread(DeviceTrust(site.known).keys)
        # Without the right to read them, whether the bundle is too old cannot be said: the rest can.
        readable = await in_thread(lambda: os.access(floor_file, os.R_OK))
        known_floors = floor_file if readable else None
        bundle = await ingest(file, keys, site.scratch / "bundles", limits=limits, floors=known_floors)
    except EdgewardError as error:
        if error.code is Code.SYSTEM_DISK_FULL and error.where.startswith(str(site.scratch)):
            return _no_room(error, site, subject)
        return finding_of(error, site, subject=subject, command=_command(error, file), blocks=False)
    site.bundles[file] = bundle
    signer = bundle.signed_by[:16]
    return ok(f"{bundle.name} {bundle.version}, signed by {signer}, for {', '.join(users)}", subject=subject)


def _no_room(error: EdgewardError, site: Site, subject: str) -> Finding:
    """The agent unpacks elsewhere: nothing is wrong with the bundle."""
    again = quoted("sudo", "TMPDIR=/var/tmp", "edgeward", "doctor", "--config", site.file.absolute())
    return Finding(
        result="skip",
        text=f"no room to unpack it beside the agent: {error.what}",
        subject=subject,
        code=error.code.text,
        remedy="run the doctor with TMPDIR in a folder with more room",
        command=again,
    )


def _command(error: EdgewardError, file: Path) -> str:
    """What mends it, where the code alone does not say so."""
    if error.code in {Code.BUNDLE_ROLLBACK, Code.BUNDLE_COUNTER_REUSED}:
        return quoted("sudo", "edgeward", "trust", "floors", "list")
    if error.code in {Code.BUNDLE_TRUNCATED, Code.BUNDLE_FORMAT, Code.BUNDLE_DIGEST, Code.BUNDLE_SIGNATURE}:
        # It was damaged on its way: copy it again from where it was made.
        return copy_again(file)
    return ""
