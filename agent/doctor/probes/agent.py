"""Does the agent run, and does it answer on its control socket?"""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

from agent.control.client import Client
from agent.doctor.finding import Finding, ok, quoted
from agent.doctor.in_thread import in_thread
from agent.doctor.mend import as_root, finding_of
from agent.doctor.site import Site
from agent.doctor.state_lock_owner import owner
from runtime.errors import Code, EdgewardError

MEANING = "the agent runs and answers on its control socket"
TIMEOUT_S = 30.0
HOLDER_S = 5.0


async def probe(site: Site) -> list[Finding]:
    """Never blocks: the doctor looks at everything without an agent too."""
    pid = site.agent_pid = await _holder(site) if site.config is not None else None
    if site.socket == Path():
        return [ok("the control socket is switched off (control.socket is empty)")]
    try:
        async with Client(site.socket) as client:
            site.status = await client.get_status()
            site.health = await client.get_health()
    except EdgewardError as error:
        return [_silent(site, error, pid)]
    status = site.status
    found = [ok(f"agent {status.version} runs as process {status.pid} since {status.uptime_s:.0f} s")]
    if status.HasField("config_problem") and status.config_problem.text:
        problem = status.config_problem
        found.append(
            Finding(
                result="fail",
                text=f"it did not take the configuration that it was last told to load: {problem.text}",
                code=problem.code,
                remedy=problem.remedy or "mend the file and load it",
                command=f"edgeward config check {quoted(site.file.absolute())} && sudo edgeward reload",
            )
        )
    return found


async def _holder(site: Site) -> int | None:
    """Who holds the state folder; None when its disk hangs, which the probe of the state tells."""
    try:
        async with asyncio.timeout(HOLDER_S):
            return await in_thread(lambda: owner(site.state_dir))
    except TimeoutError:
        return None


def _silent(site: Site, error: EdgewardError, pid: int | None) -> Finding:
    subject = str(site.socket)
    if error.code is Code.CONTROL_PERMISSION:
        group = _group(site)
        # Nobody is to become a member of root's group for the sake of a socket.
        command = quoted("sudo", "usermod", "-aG", group, _user()) if group != "root" else as_root(site)
        return finding_of(error, site, subject=subject, command=command, result="warn", blocks=False)
    if pid is not None:
        text = f"process {pid} holds the state folder, and nobody answers on the control socket"
        return Finding(
            result="fail",
            text=text,
            subject=subject,
            code=error.code.text,
            remedy="see what it says; a restart makes the socket anew",
            command="sudo systemctl restart edgeward",
        )
    if error.code is Code.CONTROL_TIMEOUT:
        command = f"{quoted('sudo', 'fuser', '-v', site.socket)}; sudo systemctl restart edgeward"
        return finding_of(error, site, subject=subject, command=command, blocks=False)
    stale = _is_socket(site)
    what = (
        "the socket is there and nobody listens: an agent ended without taking it away"
        if stale
        else error.what
    )
    return Finding(
        result="fail" if stale else "warn",
        text=what,
        subject=subject,
        code=error.code.text,
        remedy="start the agent, which takes a stale socket over" if stale else "start the agent",
        command="sudo systemctl start edgeward",
    )


def _is_socket(site: Site) -> bool:
    try:
        return stat.S_ISSOCK(os.lstat(site.socket).st_mode)
    except OSError:
        return False


def _group(site: Site) -> str:
    import grp  # noqa: PLC0415 - here only

    try:
        return grp.getgrgid(os.stat(site.socket).st_gid).gr_name  # noqa: PTH116 - follows no further than that
    except (OSError, KeyError):
        return "edgeward"


def _user() -> str:
    import getpass  # noqa: PLC0415 - here only

    return getpass.getuser()
