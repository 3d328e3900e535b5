"""Parts that other packages may add, by the names they are installed under; nothing is imported here."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

ENGINES = "edgeward.engines"
DECODERS = "edgeward.decoders"


def installed(group: str) -> dict[str, EntryPoint]:
    """The entry points of a group by name; where two packages give one name, edgeward's own is taken."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=group):
        ours = point.dist is not None and point.dist.name == "edgeward"
        if ours or point.name not in found:
            found[point.name] = point
    return found
