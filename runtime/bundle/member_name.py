"""Names that a file of a bundle may have, and what is said of those that it may not.

A name is a plain relative ASCII path. It means the same file on every file system: it leads nowhere
else, has one spelling, and differs from the others in more than upper and lower case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from runtime.bundle.limits import MAX_PATH
from runtime.errors import Code, EdgewardError

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*\Z")
_REMEDY = "use letters, digits, '.', '_', '+', '-' and '/' and no leading dot or dash"


def check_name(name: str, *, where: str, limit: int = MAX_PATH) -> None:
    """Refuse a name that is not a plain relative path of at most ``limit`` letters.

    Raises:
        EdgewardError: ``BUNDLE_NAME_LENGTH``, ``BUNDLE_NAME_ABSOLUTE``, ``BUNDLE_NAME_TRAVERSAL``,
            ``BUNDLE_NAME_FORM`` or ``BUNDLE_NAME_CHARACTERS``, naming it.
    """
    code, why = _problem(name, limit)
    if code is not None:
        shown = repr(name) if len(name) <= 300 else f"{name[:300]!r}..."
        what = f"the file name {shown} is not allowed: {why}"
        raise EdgewardError(code, what, where=where, remedy=_REMEDY)


def _problem(name: str, limit: int) -> tuple[Code | None, str]:
    parts = name.split("/")
    if len(name) > limit:
        return Code.BUNDLE_NAME_LENGTH, f"it has {len(name)} letters, over {limit}"
    if name.startswith("/"):
        return Code.BUNDLE_NAME_ABSOLUTE, "it begins with a slash"
    if ".." in parts:
        return Code.BUNDLE_NAME_TRAVERSAL, "it leads out of its folder"
    if "" in parts or "." in parts:
        return Code.BUNDLE_NAME_FORM, "it has an empty part or a part '.'"
    if not all(map(_PART.match, parts)):
        return Code.BUNDLE_NAME_CHARACTERS, "it has a character that is not"
    return None, ""


def check_case(names: Iterable[str], *, where: str) -> None:
    """Refuse names, or folders in them, that would be one on a file system that ignores case.

    Raises:
        EdgewardError: ``BUNDLE_NAME_CASE``, naming two.
    """
    spelled: dict[str, str] = {}
    for name in names:
        end = 0
        while end >= 0:
            end = name.find("/", end + 1)
            path = name if end < 0 else name[:end]
            other = spelled.setdefault(path.lower(), path)
            if other != path:
                what = f"the names {other!r} and {path!r} differ in case only"
                raise EdgewardError(Code.BUNDLE_NAME_CASE, what, where=where, remedy="rename one of them")
