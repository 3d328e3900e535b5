"""What a device makes of a bundle whose signature is proven: may that key sign it, and is it new enough?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from runtime.bundle.floors import Floor
from runtime.errors import Code, EdgewardError

if TYPE_CHECKING:
    from runtime.bundle.archive import Verified
    from runtime.bundle.signature import Signed


def check_role(signed: Signed, *, where: str) -> None:
    """Only a release key signs bundles.

    Raises:
        EdgewardError: ``BUNDLE_KEY_ROLE``.
    """
    if signed.grant.role != "release":
        what = f"signed by the key {_named(signed)}, which has the role {signed.grant.role!r}"
        remedy = "sign it with a key that has the role 'release' on this device"
        raise EdgewardError(Code.BUNDLE_KEY_ROLE, what, where=where, remedy=remedy)


def check_name(signed: Signed, name: str, *, where: str) -> None:
    """The key may sign bundles called ``name``.

    Raises:
        EdgewardError: ``BUNDLE_KEY_NAME``.
    """
    if not signed.grant.covers(name):
        may = ", ".join(signed.grant.names)
        what = f"signed by the key {_named(signed)}, which may sign {may} and not {name!r}"
        remedy = "sign it with a key that may, or add that name to the key's 'names' on this device"
        raise EdgewardError(Code.BUNDLE_KEY_NAME, what, where=where, remedy=remedy)


def admit(verified: Verified, floors: Mapping[str, Floor], *, where: str) -> None:
    """Refuse an older release than one that has run here, and another one under the same counter.

    Args:
        verified: the bundle; role and name of its key were checked when its manifest was.
        floors: by name of the bundle (``runtime.bundle.floors``); empty on a desk.
        where: the bundle's file, for errors.

    Raises:
        EdgewardError: ``BUNDLE_ROLLBACK``, ``BUNDLE_COUNTER_REUSED``.
    """
    name, counter = verified.manifest.name, verified.manifest.release_counter
    check_floor(name, counter, verified.digest, floors.get(name), where=where)


def check_floor(name: str, counter: int, digest: str, floor: Floor | None, *, where: str) -> None:
    """As ``admit``, for a bundle of which only name, release counter and digest are at hand.

    Raises:
        EdgewardError: ``BUNDLE_ROLLBACK``, ``BUNDLE_COUNTER_REUSED``.
    """
    if floor is None or counter > floor.counter:
        return
    if counter < floor.counter:
        what = f"release {counter} of {name!r} is older than release {floor.counter}, which has run here"
        remedy = (
            f"pack it with a higher release_counter, or 'edgeward trust floors lower {name} --to {counter}'"
        )
        raise EdgewardError(Code.BUNDLE_ROLLBACK, what, where=where, remedy=remedy)
    if floor.digest and digest != floor.digest:
        what = (
            f"release {counter} of {name!r} is not the one that has run here: "
            f"digest {digest[:16]}, then {floor.digest[:16]}"
        )
        remedy = "pack what has changed with a higher release_counter"
        raise EdgewardError(Code.BUNDLE_COUNTER_REUSED, what, where=where, remedy=remedy)


def _named(signed: Signed) -> str:
    short = signed.signed_by[:16]
    return f"{short} ({signed.grant.source})" if signed.grant.source else short
