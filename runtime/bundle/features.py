"""What a bundle may need of the runtime that reads it, by name.

A feature gets a name here when an older runtime would do wrong, rather than less, with a bundle that uses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.bundle.manifest import Manifest

GOLDEN = "golden"
ENGINE_VERSION = "engine-version"
KNOWN = frozenset({GOLDEN, ENGINE_VERSION})


def used(manifest: Manifest) -> tuple[str, ...]:
    """The features that ``manifest`` uses, sorted: what ``pack`` writes into ``requires``."""
    found = set()
    if manifest.golden is not None:
        found.add(GOLDEN)
    if any(variant.engine_version for variant in manifest.variants):
        found.add(ENGINE_VERSION)
    return tuple(sorted(found))
