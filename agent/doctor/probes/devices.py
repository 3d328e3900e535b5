"""May edgeward open the cameras and accelerators that are configured?"""

from __future__ import annotations

import getpass
import grp
import os
import stat
from pathlib import Path
from urllib.parse import urlsplit

from agent.doctor.finding import Finding, ok, quoted
from agent.doctor.mend import edit
from agent.doctor.site import Site
from runtime.errors import Code

MEANING = "device files that the configuration needs (cameras, GPU, NPU) are there and may be opened"
NEEDS = ("configuration",)
_ACCELERATED = ("GPU", "CUDA", "Tensorrt", "ROCM", "NPU", "RKNN")


def probe(site: Site) -> list[Finding]:
    """Camera files by their path; render nodes where a provider asks for them."""
    found = [_one(path, edit(site, key)) for key, path in _cameras(site)]
    if _wants_accelerator(site):
        nodes = sorted(site.at("/dev/dri").glob("renderD*"))
        found += [_one(node, edit(site, "engine.providers")) for node in nodes]
    return found or [ok("no device file is needed")]


def _cameras(site: Site) -> list[tuple[str, Path]]:
    """Key and path of each stream that is a device file."""
    found = []
    for number, pipeline in enumerate(site.known.pipeline):
        for index, stream in enumerate(pipeline.stream):
            path = urlsplit(stream.url).path if stream.url.startswith("file://") else stream.url
            if path.startswith("/dev/"):
                found.append((f"pipeline[{number}].stream[{index}].url", site.at(path)))
    return found


def _wants_accelerator(site: Site) -> bool:
    pipelines = site.known.pipeline
    named = [*site.known.engine.providers, *(item.provider for item in pipelines)]
    return any(mark.lower() in name.lower() for name in named for mark in _ACCELERATED)


def _one(path: Path, change: str) -> Finding:
    try:
        status = path.stat()
    except OSError as error:
        return Finding(
            result="fail",
            text=(error.strerror or str(error)).lower(),
            subject=str(path),
            code=Code.SOURCE_MISSING.text,
            remedy="plug the device in, or name another one",
            command=f"ls -l /dev/video* /dev/dri; {change}",
        )
    if not stat.S_ISCHR(status.st_mode):
        return Finding(
            result="fail",
            text="this is no device file",
            subject=str(path),
            code=Code.SOURCE_MISSING.text,
            remedy="remove it, and plug the device in again",
            command=quoted("sudo", "rm", path),
        )
    if os.access(path, os.R_OK | os.W_OK):
        return ok("may be opened", subject=str(path))
    try:
        group = grp.getgrgid(status.st_gid).gr_name
    except KeyError:
        group = str(status.st_gid)
    user = getpass.getuser()
    return Finding(
        result="fail",
        text=f"{user} may not open it; the group {group} may",
        subject=str(path),
        code=Code.SYSTEM_PERMISSION.text,
        remedy=f"make edgeward's user a member of the group {group}, then restart it",
        command=f"{quoted('sudo', 'usermod', '-aG', group, 'edgeward')} && sudo systemctl restart edgeward",
    )
