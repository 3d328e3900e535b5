"""Where secrets lie: files with a path, or systemd's credentials by name; and who may read them.

``credential:NAME`` in the configuration is the file NAME of ``/etc/edgeward/credentials``, which root alone
can read. In the service systemd hands it to the agent, and to nobody else (``LoadCredential=``).
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from runtime.errors import Code, EdgewardError, from_os_error

PREFIX = "credential:"
FOLDER = Path("/etc/edgeward/credentials")
# LoadCredential=edgeward:FOLDER: systemd puts this before the name of each file.
_UNIT_PREFIX = "edgeward_"
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}\Z")


def located(value: str, *, where: str, environment: Mapping[str, str] = os.environ) -> str:
    """The path of ``credential:NAME``; whether something is there is for whoever reads it to find.

    Args:
        value: as it stands in the configuration, with the prefix.
        where: file and key, for the error.
        environment: of this process: in a service it says where systemd has put the credentials.

    Raises:
        EdgewardError: ``CONFIG_VALUE`` when the name is none.
    """
    name = value.removeprefix(PREFIX)
    if not _NAME.match(name):
        raise EdgewardError(
            Code.CONFIG_VALUE,
            "expected credential:NAME, with a name of letters, digits, '.', '-' and '_'",
            where=where,
            remedy=f"NAME is a file in {FOLDER}",
        )
    given = environment.get("CREDENTIALS_DIRECTORY", "")
    if not given:
        return str(FOLDER / name)
    # A site's own LoadCredential=NAME:/path comes without the prefix.
    plain = Path(given) / name
    return str(plain if plain.exists() else Path(given) / f"{_UNIT_PREFIX}{name}")


def open_private(path: str, *, where: str) -> int:
    """A file descriptor of a secret file that not everybody can read or change. Does not wait, on a FIFO say.

    Raises:
        EdgewardError: ``CONFIG_VALUE``: missing, unreadable, no plain file, or open to everybody.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(error, path, where) from error
    mode = os.fstat(file).st_mode
    if stat.S_ISREG(mode) and not mode & 0o007:
        return file
    os.close(file)
    if not stat.S_ISREG(mode):
        raise EdgewardError(Code.CONFIG_VALUE, f"not a plain file: {path}", where=where)
    raise EdgewardError(
        Code.CONFIG_VALUE,
        f"everybody on this machine can read or change the secret in {path}",
        where=where,
        remedy=f"run 'chmod o= {path}', and put another secret in: this one may be known",
    )


def check_private(path: str, *, where: str) -> None:
    """As ``open_private``, for a file that somebody else will read."""
    os.close(open_private(path, where=where))


def _unreadable(error: OSError, path: str, where: str) -> EdgewardError:
    if str(Path(path).parent) == str(FOLDER):
        remedy = f"put the secret into {path}; only root and the service can read it there"
    elif Path(path).name.startswith(_UNIT_PREFIX):
        name = Path(path).name.removeprefix(_UNIT_PREFIX)
        remedy = f"put the secret into {FOLDER / name} and restart the service: systemctl restart edgeward"
    elif isinstance(error, PermissionError):
        remedy = f"give it to the group that runs edgeward: chgrp edgeward {path}; chmod 640 {path}"
    else:
        return from_os_error(error, where=f"{where}: {path}", fallback=Code.CONFIG_VALUE)
    what = f"{(error.strerror or str(error)).lower()}: {path}"
    return EdgewardError(Code.CONFIG_VALUE, what, where=where, remedy=remedy)
