"""From an error to the command that mends it, with the real paths."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from agent.config import DEFAULT_TRUST_FOLDER
from agent.doctor.finding import Finding, Result, quoted
from agent.doctor.site import Site
from runtime.errors import Code, EdgewardError


def finding_of(
    error: EdgewardError,
    site: Site,
    *,
    subject: str = "",
    command: str = "",
    result: Result = "fail",
    blocks: bool = True,
) -> Finding:
    """An error as a finding; ``command`` is what mends it where the code alone does not say it."""
    where = f"{error.where}: " if error.where and error.where != subject else ""
    return Finding(
        result=result,
        text=f"{where}{error.what}",
        subject=subject,
        code=error.code.text,
        remedy=error.remedy or _usual_remedy(error.code),
        command=command or mending(error, site),
        blocks=blocks,
    )


def mending(error: EdgewardError, site: Site) -> str:
    """What to type for an error; empty when no command helps."""
    mend = _BY_CODE.get(error.code)
    return mend(error, site) if mend else ""


def edit(site: Site, key: str = "") -> str:
    """Open the configuration, at the line of ``key`` if it stands there."""
    line = line_of(site.file, key)
    at = [f"+{line}"] if line else []
    return quoted("sudo", "editor", *at, site.file.absolute())


def line_of(file: Path, key: str) -> int:
    """The line in which a key such as ``pipeline[1].stream[0].url`` stands; 0 when it cannot be told."""
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return 0
    parts = re.findall(r"([A-Za-z_][\w-]*)(?:\[(\d+)\])?", key)
    if not parts:
        return 0
    at = 0
    for depth, (_, number) in enumerate(parts[:-1] if len(parts) > 1 else parts):
        dotted = ".".join(part for part, _ in parts[: depth + 1])
        header = re.compile(r"\s*\[\[?\s*" + re.escape(dotted) + r"\s*\]")
        found = [index for index, line in enumerate(lines) if index >= at and header.match(line)]
        if len(found) <= int(number or 0):
            break
        at = found[int(number or 0)]
    last = re.compile(r"\s*[\"']?" + re.escape(parts[-1][0]) + r"[\"']?\s*=")
    return next(
        (index + 1 for index in range(at, len(lines)) if last.match(lines[index])), at + 1 if at else 0
    )


def _usual_remedy(code: Code) -> str:
    if code.text.startswith("config."):
        return "correct it there"
    return f"docs/ref/errors.md tells more of {code.text}"


def _edit_line(error: EdgewardError, site: Site) -> str:
    """The parser of TOML says where it stopped."""
    line = re.search(r"at line (\d+)", error.what)
    return quoted("sudo", "editor", *([f"+{line[1]}"] if line else []), site.file.absolute())


def _edit_key(error: EdgewardError, site: Site) -> str:
    # What follows is the file that the key names.
    key = error.where.partition(": ")[2].partition(": ")[0]
    secret = re.search(r"everybody|others", error.what)
    path = _secret_file(site, key) if secret else None
    if path is not None:
        return quoted("sudo", "chmod", "o-rwx,g-w", path)
    return edit(site, key)


def _secret_file(site: Site, key: str) -> Path | None:
    """The file that a key such as ``mqtt.password_file`` or ``pipeline[0].stream[1].password_file`` names."""
    value: object = site.config
    for name, number in re.findall(r"([a-z_]+)(?:\[(\d+)\])?", key):
        value = getattr(value, name, None)
        if number and isinstance(value, tuple):
            value = value[int(number)] if int(number) < len(value) else None
    return Path(value) if isinstance(value, str) and value else None


def _path(error: EdgewardError, _site: Site) -> Path:
    return Path(error.where.partition(": ")[0])


def as_root(site: Site) -> str:
    """The doctor again, with the right to look everywhere."""
    return quoted("sudo", "edgeward", "doctor", "--config", site.file.absolute())


def only_root_may(text: str) -> bool:
    """Whether a fault is no more than that whoever looks is not root: credentials are for root alone."""
    return os.geteuid() != 0 and "permission denied" in text.lower()


def _missing_config(error: EdgewardError, site: Site) -> str:
    if _is_kept_from_us(site.file, error):
        return as_root(site)
    return quoted("sudo", "install", "-D", "-m", "0644", "edgeward.toml", site.file.absolute())


def _install(error: EdgewardError, site: Site) -> str:
    path = _path(error, site)
    if _is_kept_from_us(path, error):
        return as_root(site)
    return copy_again(path)


def copy_again(path: Path) -> str:
    """Put a file in its place, from where it was made; the folder may be missing too."""
    return quoted("sudo", "install", "-D", "-m", "0644", path.name, path)


def _is_kept_from_us(path: Path, error: EdgewardError) -> bool:
    """Whether the file may well be there, and this user may not look: nothing is to replace it."""
    return "permission" in error.what or (os.path.lexists(path) and not os.access(path, os.R_OK))


def _sign_again(error: EdgewardError, site: Site) -> str:
    return quoted("edgeward", "bundle", "sign", _path(error, site), "--key", "release.key")


def trust_key(site: Site) -> str:
    """Trust one more key: in the folder of trust, or in the configuration where there is no folder."""
    folder = site.known.trust.folder
    if not folder:
        return edit(site, "trust.release_keys")
    more = ["--folder", folder] if folder != DEFAULT_TRUST_FOLDER else []
    return quoted("sudo", "edgeward", "trust", "add", "release.pub", "--role", "release", *more)


def mount_of(folder: Path) -> Path:
    """Where the file system of a folder is mounted."""
    path = folder.resolve()
    while not path.is_mount():
        path = path.parent
    return path


def _not_others(error: EdgewardError, site: Site) -> str:
    return quoted("sudo", "chmod", "go-w", _path(error, site))


def _again(_error: EdgewardError, site: Site) -> str:
    return quoted("edgeward", "doctor", "--config", site.file.absolute())


def _room(error: EdgewardError, site: Site) -> str:
    return quoted("du", "-xh", "--max-depth=2", _path(error, site))


_BY_CODE: dict[Code, Callable[[EdgewardError, Site], str]] = {
    Code.CONFIG_MISSING: _missing_config,
    Code.CONFIG_SYNTAX: _edit_line,
    Code.CONFIG_UNKNOWN_KEY: _edit_key,
    Code.CONFIG_VALUE: _edit_key,
    Code.KEY_MISSING: _install,
    Code.KEY_INVALID: _install,
    Code.BUNDLE_MISSING: _install,
    Code.BUNDLE_TRUNCATED: _install,
    Code.BUNDLE_FORMAT: _install,
    Code.BUNDLE_DIGEST: _install,
    Code.BUNDLE_UNREADABLE: lambda error, site: quoted("sudo", "chmod", "a+r", _path(error, site)),
    Code.BUNDLE_UNSIGNED: _sign_again,
    Code.BUNDLE_UNTRUSTED_KEY: lambda _error, site: trust_key(site),
    Code.TRUST_WRITABLE: _not_others,
    Code.SYSTEM_PERMISSION: lambda _error, site: as_root(site),
    Code.SYSTEM_DISK_FULL: _room,
    Code.SYSTEM_TIMEOUT: _again,
}
