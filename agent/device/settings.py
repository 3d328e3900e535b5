"""``[governor]``: how detection rates are lowered before the board slows itself down."""

from __future__ import annotations

from typing import Annotated

import msgspec

from agent.config_types import Section
from runtime.errors import Code, EdgewardError

Factor = Annotated[float, msgspec.Meta(gt=0, le=1)]
Celsius = Annotated[float, msgspec.Meta(ge=0, le=130)]


class Governor(Section, frozen=True, kw_only=True):
    """``[governor]``. Temperatures in degrees Celsius; 0 means "as the profile or the board says".

    ``root`` is where /sys and /proc are looked for: another folder is for tests and for diagnosis.
    """

    enabled: bool = True
    steps: Annotated[tuple[Factor, ...], msgspec.Meta(min_length=2, max_length=16)] = (
        1.0,
        0.75,
        0.5,
        0.35,
        0.25,
        0.1,
    )
    # At most what the trend of a temperature can be judged by (agent/device/signs.py).
    interval_s: Annotated[float, msgspec.Meta(ge=0.1, le=4)] = 2.0
    hold_s: Annotated[float, msgspec.Meta(ge=0.1, le=600)] = 10.0
    recover_s: Annotated[float, msgspec.Meta(ge=0.1, le=3600)] = 60.0
    longest_recover_s: Annotated[float, msgspec.Meta(ge=0.1, le=86_400)] = 900.0
    warn_c: Celsius = 0.0
    limit_c: Celsius = 0.0
    hysteresis_c: Annotated[float, msgspec.Meta(ge=0.5, le=30)] = 5.0
    pressure_percent: Annotated[float, msgspec.Meta(ge=0.1, le=100)] = 10.0
    root: str = "/"


def check(governor: Governor, key: str) -> None:
    """What no type can say of the section; ``key`` names it in errors.

    Raises:
        EdgewardError: ``CONFIG_VALUE``.
    """
    falling = all(one > two for one, two in zip(governor.steps, governor.steps[1:], strict=False))
    if governor.steps[0] != 1.0 or not falling:
        raise EdgewardError(
            Code.CONFIG_VALUE,
            "expected 1.0 and then smaller and smaller numbers",
            where=f"{key}.steps",
            remedy="for example [1.0, 0.5, 0.25]",
        )
    if governor.warn_c and governor.limit_c and governor.warn_c >= governor.limit_c:
        raise EdgewardError(Code.CONFIG_VALUE, "expected less than limit_c", where=f"{key}.warn_c")
    if governor.longest_recover_s < governor.recover_s:
        raise EdgewardError(
            Code.CONFIG_VALUE, "expected at least recover_s", where=f"{key}.longest_recover_s"
        )
    if not governor.root.startswith("/"):
        raise EdgewardError(Code.CONFIG_VALUE, "expected an absolute path", where=f"{key}.root")
