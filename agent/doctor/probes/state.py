"""Can edgeward write what it has to keep, and is nobody else using its folder?"""

from __future__ import annotations

import os
import pwd
import stat
import time
from pathlib import Path

from agent.doctor.finding import Finding, ok, quoted
from agent.doctor.mend import as_root, finding_of, mount_of
from agent.doctor.site import Site
from agent.doctor.state_lock_owner import owner
from agent.trust import floors
from runtime.bundle import floors as floor_file
from runtime.errors import Code, EdgewardError, from_os_error

MEANING = "the state folder is there, edgeward's, takes writes down to the disk, and one agent uses it"
NEEDS = ("configuration", "agent")
SLOW_S = 2.0
_NAME = ".doctor"


def probe(site: Site) -> list[Finding]:
    """Owner and rights, a write with fsync, the lock, the file of the rollback floors."""
    folder = site.state_dir
    try:
        status = folder.stat()
    except FileNotFoundError:
        return [_missing(folder)]
    if not stat.S_ISDIR(status.st_mode):
        text = "this is no folder"
        return [_broken(folder, text, quoted("sudo", "mv", folder, f"{folder}.old"))]
    found = []
    if status.st_mode & stat.S_IWOTH:
        text = "everybody on this machine can change what is in it"
        found.append(_broken(folder, text, quoted("sudo", "chmod", "o-rwx", folder)))
    found.append(_write(folder, status.st_uid, site))
    found += _lock(folder, site)
    found += _floors(folder, site)
    return found


def _missing(folder: Path) -> Finding:
    return Finding(
        result="warn",
        text="there is no such folder yet; the agent makes it when it may",
        subject=str(folder),
        remedy="make it, for the user that edgeward runs as",
        command=quoted("sudo", "install", "-d", "-m", "0750", "-o", "edgeward", "-g", "edgeward", folder),
    )


def _write(folder: Path, uid: int, site: Site) -> Finding:
    """Write as the agent does: a file of its own, down to the disk."""
    path = folder / f"{_NAME}.{os.getpid()}"
    began = time.monotonic()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(descriptor, b"doctor\n" * 512)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            path.unlink()
    except PermissionError:
        return _not_ours(folder, uid, site)
    except OSError as error:
        named = from_os_error(error, where=str(folder), fallback=Code.SYSTEM_IO)
        command = _disk_command(named, error, folder)
        return finding_of(named, site, subject=str(folder), command=command, blocks=False)
    took_s = time.monotonic() - began
    text = f"a write reaches the disk after {took_s * 1e3:.0f} ms"
    if took_s > SLOW_S:
        remedy = "a flash card that is this slow is about to fail: replace it"
        return Finding(
            result="warn", text=text, subject=str(folder), remedy=remedy, command="sudo dmesg -T | tail"
        )
    return ok(text, subject=str(folder))


def _disk_command(named: EdgewardError, error: OSError, folder: Path) -> str:
    if named.code is Code.SYSTEM_DISK_FULL:
        return f"{quoted('sudo', 'du', '-xh', folder)} | sort -h | tail -n 20"
    mount = mount_of(folder)
    read_only = error.errno == 30  # EROFS
    return quoted("sudo", "mount", "-o", "remount,rw", mount) if read_only else "sudo dmesg -T | tail -n 40"


def _not_ours(folder: Path, uid: int, site: Site) -> Finding:
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    me = pwd.getpwuid(os.getuid()).pw_name
    return Finding(
        result="warn" if name == "edgeward" else "fail",
        text=f"it belongs to {name}, and {me} may not write there",
        subject=str(folder),
        code=Code.SYSTEM_PERMISSION.text,
        remedy="run the doctor as root to look further"
        if name == "edgeward"
        else "give it to edgeward's user",
        command=as_root(site)
        if name == "edgeward"
        else quoted("sudo", "chown", "-R", "edgeward:edgeward", folder),
    )


def _lock(folder: Path, site: Site) -> list[Finding]:
    pid = owner(folder)
    if pid is None:
        return []
    if site.status is not None and site.status.pid == pid:
        return [ok(f"the agent, process {pid}, uses it", subject="lock")]
    if site.status is not None:
        text = f"process {pid} holds the lock of {folder}, and process {site.status.pid} answers"
        remedy = "two agents run: stop one, or give it a device.state_dir of its own"
        command = quoted("ps", "-o", "pid,user,lstart,args", "-p", f"{pid},{site.status.pid}")
    else:
        text = f"another agent (process {pid}) uses {folder} and does not answer on {site.socket}"
        remedy = "an agent that is started now is refused: end the one that hangs, or was started by hand"
        command = quoted("sudo", "kill", pid)
    code = Code.SYSTEM_BUSY.text
    return [Finding(result="fail", text=text, subject="lock", code=code, remedy=remedy, command=command)]


def _floors(folder: Path, site: Site) -> list[Finding]:
    path = floors.path_in(folder)
    if not os.access(path, os.R_OK):
        return []
    try:
        known = floor_file.load(path)
    except EdgewardError as error:
        command = quoted("sudo", "edgeward", "trust", "floors", "list")
        return [finding_of(error, site, subject="floors", command=command, blocks=False)]
    return [ok(f"rollback floors of {len(known)} bundles", subject="floors")]


def _broken(folder: Path, text: str, command: str) -> Finding:
    return Finding(
        result="fail",
        text=text,
        subject=str(folder),
        code=Code.SYSTEM_PERMISSION.text,
        remedy="mend it before the agent starts again",
        command=command,
    )
