"""What the sections of ``edgeward.toml`` are made of: their base, and the types of their values."""

from __future__ import annotations

from typing import Annotated

import msgspec

# \Z and not $: with $ a name could end in a line break.
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Cpus = Annotated[tuple[Annotated[int, msgspec.Meta(ge=0, le=8191)], ...], msgspec.Meta(max_length=1024)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Immutable, refuses unknown keys."""
