"""May the service's own user open what the configuration names? Root may, and that proves nothing."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from agent.doctor.finding import Finding, ok, quoted, skip
from agent.doctor.site import Site, environment
from runtime.errors import Code

MEANING = "the user that the service runs as may open every file that the configuration names"
NEEDS = ("configuration",)
USER = "edgeward"
ASK_S = 10.0
# As in the unit: groups that the service has beside its own, and folders that it does not see.
_MORE_GROUPS = ("video", "render")
_HIDDEN = ("/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/")  # noqa: S108 - named, not used
_UNIT = "edgeward.service"
_CONFIG = Path("/etc/edgeward/edgeward.toml")
# One question for all: access lists and folders above count too, so the kernel is asked, not the mode.
_ASK = 'for path; do if [ -r "$path" ]; then echo y; elif [ -e "$path" ]; then echo n; else echo -; fi; done'


def probe(site: Site) -> list[Finding]:
    """Asks as that user; only root can."""
    try:
        user = pwd.getpwnam(USER)
    except KeyError:
        return [skip(f"there is no user {USER}")]
    if os.geteuid() != 0:
        return [skip("only root can ask in the name of another user")]
    paths = list(dict.fromkeys(str(path.absolute()) for path in _paths(site)))
    answers = _asked(user, paths)
    installed = _is_installed(site)
    found = []
    for path, answer in zip(paths, answers, strict=True):
        # What is not there is told by the probe that wants it; a folder above may hide it, too.
        if answer != "y" and os.path.lexists(path):
            found.append(_closed(path, user))
        elif installed and path.startswith(_HIDDEN):
            found.append(_unseen(path))
    return found or [ok(f"{USER} may read {len(paths)} files")]


def _paths(site: Site) -> Iterator[Path]:
    config = site.known
    if site.file.absolute() == _CONFIG:  # another one may be tried from a home folder before it is used
        yield site.file
    yield from map(Path, config.trust.release_keys)
    if config.trust.folder:
        yield Path(config.trust.folder)
    yield from site.bundle_files()
    secrets = [stream.password_file for _, stream in site.streams()]
    mqtt = config.mqtt
    for name in (mqtt.ca_file, mqtt.cert_file, mqtt.key_file, mqtt.password_file, *secrets):
        # Systemd hands credentials over as root.
        if name and not name.startswith(("credential:", "/etc/edgeward/credentials/")):
            yield Path(name)
    for _, stream in site.streams():
        if stream.url.startswith("file://"):
            yield Path(unquote(urlsplit(stream.url).path))
        elif "://" not in stream.url:
            yield Path(stream.url)


def _asked(user: pwd.struct_passwd, paths: list[str]) -> list[str]:
    more = [group.gr_gid for group in grp.getgrall() if group.gr_name in _MORE_GROUPS]
    done = subprocess.run(
        ["/bin/sh", "-c", _ASK, "sh", *paths],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=ASK_S,
        check=True,
        cwd="/",
        env=environment(),
        user=user.pw_uid,
        group=user.pw_gid,
        extra_groups=sorted({*os.getgrouplist(user.pw_name, user.pw_gid), *more}),
    )
    return done.stdout.split()


def _is_installed(site: Site) -> bool:
    folders = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
    return any(site.at(f"{folder}/{_UNIT}").exists() for folder in folders)


def _closed(path: str, user: pwd.struct_passwd) -> Finding:
    group = grp.getgrgid(user.pw_gid).gr_name
    return Finding(
        result="fail",
        text=f"{USER} may not read it: the service cannot use it",
        subject=path,
        code=Code.SYSTEM_PERMISSION.text,
        remedy=f"give it to the group {group}; the folders above it must let {USER} through, too",
        command=f"{quoted('sudo', 'chgrp', group, path)} && {quoted('sudo', 'chmod', 'g+rX', path)}; "
        f"{quoted('namei', '-l', path)}",
    )


def _unseen(path: str) -> Finding:
    goal = Path("/etc/edgeward") / Path(path).name
    return Finding(
        result="fail",
        text="the service does not see this folder (ProtectHome, PrivateTmp)",
        subject=path,
        code=Code.SYSTEM_PERMISSION.text,
        remedy="put the file elsewhere, and name that place in the configuration",
        command=quoted("sudo", "install", "-m", "0640", "-g", USER, path, goal),
    )
