"""Versions of kernels and drivers, compared as far as the profile names them."""

from __future__ import annotations

import re

from agent.health.view import VersionFacts


def numbers(version: str) -> tuple[int, ...]:
    """``(5, 10, 110)`` of ``5.10.110-rockchip``; nothing of a text that does not begin so."""
    found = re.match(r"v?(\d+(?:\.\d+)*)", version.strip())
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def misfit(version: VersionFacts) -> str:
    """Why ``version`` is out of its bounds; empty when it is within, or cannot be told."""
    found = numbers(version.found)
    least, most = numbers(version.least), numbers(version.most)
    if not found:
        return ""
    if least and found[: len(least)] < least:
        return f"{version.found} is older than {version.least}"
    # A bound of 4.9 allows every 4.9.x.
    if most and found[: len(most)] > most:
        return f"{version.found} is newer than {version.most}"
    return ""
