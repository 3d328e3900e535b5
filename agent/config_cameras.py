"""A camera that is a device of this machine opens once: two streams on it are refused before they fight."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from agent.config import Config
from runtime.errors import Code, EdgewardError

_DEVICES = "/dev/"


def camera_checks(config: Config, where: str) -> Iterator[partial[None]]:
    """One check for each stream whose camera another stream before it has taken."""
    taken: dict[str, str] = {}
    for index, pipeline in enumerate(config.pipeline):
        for number, stream in enumerate(pipeline.stream):
            key = f"pipeline[{index}].stream[{number}]"
            camera = exclusive(stream.url)
            if camera is None:
                continue
            first = taken.setdefault(camera, key)
            if first != key:
                yield partial(_refuse, camera, stream.url, first, f"{where}: {key}.url")


def exclusive(url: str) -> str | None:
    """The device node that a stream's URL or path leads to; ``None`` when it is none.

    Links are followed (``/dev/v4l/by-id/...``), since two names may mean one camera. One that is not plugged
    in is told by its name.
    """
    path = url
    if "://" in url:
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        if parts.scheme != "file":
            return None
        path = unquote(parts.path)
    try:
        real = os.path.realpath(path)
    except (OSError, ValueError):
        return None
    try:
        mode = Path(real).stat().st_mode
    except OSError:
        return real if real.startswith(_DEVICES) else None
    if stat.S_ISCHR(mode):
        return real
    return None


def _refuse(camera: str, url: str, first: str, key: str) -> None:
    named = camera if camera == url else f"{url}, which is {camera},"
    raise EdgewardError(
        Code.CONFIG_VALUE,
        f"the camera {named} is taken by {first}: it opens once",
        where=key,
        remedy="let one pipeline have it; more models on its pictures are stages: [[pipeline.stage]]",
    )
