"""Where profiles are: those that come with edgeward, and those of the site, which replace or extend them."""

from __future__ import annotations

import difflib
import functools
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from agent.device.profile import Profile
from runtime.errors import Code, EdgewardError, from_os_error

BUILT_IN = Path(__file__).resolve().parents[2] / "device_profiles"
SITE = Path("/etc/edgeward/profiles.d")
MAX_BYTES = 1 << 16
# What says which board a profile is for belongs to that profile alone.
_NOT_INHERITED = ("detect",)


@dataclass(frozen=True, slots=True)
class _Document:
    """A file as it was read; ``site`` when it is not one of ours."""

    file: Path
    site: bool
    content: dict[str, Any]


class Library:
    """All profiles of this device. Reads the files once, when it is made.

    Args:
        site: folder of the site's own; it need not exist.
        built_in: folder of those that come with edgeward.

    Raises:
        EdgewardError: ``CONFIG_*``: a file that cannot be read or is no profile; file and key are named.
    """

    def __init__(self, site: Path = SITE, built_in: Path = BUILT_IN) -> None:
        self._built_in = _read_once(built_in)
        self._site = _read_all(site, site=True)
        self._made: dict[str, Profile] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all profiles, in alphabetical order."""
        return tuple(sorted(self._built_in | self._site))

    def is_of_site(self, name: str) -> bool:
        """Whether the profile is the site's own, or changed by it."""
        return name in self._site

    def file(self, name: str) -> Path:
        """The file that says most about ``name``."""
        return (self._site.get(name) or self._built_in[name]).file

    def get(self, name: str, *, where: str = "") -> Profile:
        """The profile ``name``; ``where`` is who asks for it, for the error.

        Raises:
            EdgewardError: ``CONFIG_VALUE`` when there is none, or when its file does not hold one.
        """
        if name not in self._built_in and name not in self._site:
            near = difflib.get_close_matches(name, self.names, n=1)
            remedy = f"did you mean {near[0]!r}?" if near else f"known profiles: {', '.join(self.names)}"
            raise EdgewardError(Code.CONFIG_VALUE, f"unknown profile {name!r}", where=where, remedy=remedy)
        if name not in self._made:
            document = self._site.get(name) or self._built_in[name]
            self._made[name] = _typed(self._whole(document, ()), document.file)
        return self._made[name]

    def all(self) -> tuple[Profile, ...]:
        """Every profile, by name.

        Raises:
            EdgewardError: ``CONFIG_*`` when a file does not hold one.
        """
        return tuple(self.get(name) for name in self.names)

    def _whole(self, document: _Document, above: tuple[Path, ...]) -> dict[str, Any]:
        """What a file says, over what the one says that it extends."""
        content = dict(document.content)
        base_name = content.pop("extends", "")
        if base_name == "":
            return content
        where = f"{document.file}: extends"
        if not isinstance(base_name, str):
            raise EdgewardError(Code.CONFIG_VALUE, "expected the name of a profile", where=where)
        same = base_name == content["name"]
        base = self._built_in.get(base_name) if same else self._site.get(base_name)
        base = base or self._built_in.get(base_name)
        if base is None:
            raise EdgewardError(
                Code.CONFIG_VALUE,
                f"there is no profile {base_name!r} to extend",
                where=where,
                remedy=f"known profiles: {', '.join(self.names)}",
            )
        if base.file in above or base is document:
            raise EdgewardError(Code.CONFIG_VALUE, f"{base_name!r} extends itself", where=where)
        below = self._whole(base, (*above, document.file))
        if not same:
            below = {key: value for key, value in below.items() if key not in _NOT_INHERITED}
        return _merged(below, content)


@functools.cache
def _read_once(folder: Path) -> dict[str, _Document]:
    """Those that come with edgeward do not change under a running process."""
    return _read_all(folder, site=False)


def _read_all(folder: Path, *, site: bool) -> dict[str, _Document]:
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix == ".toml")
    except (FileNotFoundError, NotADirectoryError):
        files = []
    except OSError as error:
        raise from_os_error(error, where=str(folder), fallback=Code.CONFIG_VALUE) from error
    found: dict[str, _Document] = {}
    for file in files:
        content = _read(file)
        name = content.get("name")
        if not isinstance(name, str) or not name:
            raise EdgewardError(
                Code.CONFIG_VALUE, "expected the name of the profile", where=f"{file}: name", remedy="add it"
            )
        if name in found:
            what = f"the profile {name!r} stands in {found[name].file} too"
            raise EdgewardError(Code.CONFIG_VALUE, what, where=str(file), remedy="keep one of the two")
        found[name] = _Document(file, site, content)
    return found


def _read(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise from_os_error(error, where=str(file), fallback=Code.CONFIG_VALUE) from error
    if len(raw) > MAX_BYTES:
        raise EdgewardError(Code.CONFIG_SYNTAX, f"longer than {MAX_BYTES} bytes", where=str(file))
    try:
        return tomllib.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        what = f"byte {error.start} is not UTF-8"
        raise EdgewardError(Code.CONFIG_SYNTAX, what, where=str(file), remedy="save it as UTF-8") from error
    except (ValueError, RecursionError) as error:  # tomllib's own error is a ValueError
        what = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise EdgewardError(Code.CONFIG_SYNTAX, f"not valid TOML: {what}", where=str(file)) from error


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Tables are merged key by key; everything else, lists too, is replaced."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(value, dict) and isinstance(under, dict):
            merged[key] = _merged(under, value)
        else:
            merged[key] = value
    return merged


_MESSAGE = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<at>.*)`)?\Z", re.DOTALL)


def _typed(content: dict[str, Any], file: Path) -> Profile:
    """The profile that a document holds; what is wrong with it is named by file and key."""
    try:
        profile = msgspec.convert(content, Profile)
    except (msgspec.ValidationError, OverflowError, RecursionError) as error:
        raise _explained(str(error), file) from error
    for number, cluster in enumerate(profile.clusters):
        if len(set(cluster.cpus)) != len(cluster.cpus):
            where = f"{file}: cpu.cluster[{number}].cpus"
            raise EdgewardError(Code.CONFIG_VALUE, "a CPU stands there twice", where=where)
    thermal = profile.thermal
    if thermal and thermal.warn_c is not None and thermal.limit_c is None:
        raise EdgewardError(
            Code.CONFIG_VALUE, "warn_c needs limit_c", where=f"{file}: thermal", remedy="give both or neither"
        )
    if thermal and thermal.limit_c is not None and (thermal.warn_c or 0.0) >= thermal.limit_c:
        raise EdgewardError(Code.CONFIG_VALUE, "expected less than limit_c", where=f"{file}: thermal.warn_c")
    return profile


def _explained(message: str, file: Path) -> EdgewardError:
    match = _MESSAGE.match(message)
    what = (match["what"] if match else message).replace("`", "'")
    at = (match["at"] if match else None) or ""
    code, remedy = Code.CONFIG_VALUE, ""
    if unknown := re.match(r"Object contains unknown field '(.*)'\Z", what, re.DOTALL):
        code, at = Code.CONFIG_UNKNOWN_KEY, f"{at}.{unknown[1]}" if at else unknown[1]
        what, remedy = "unknown key", "see docs/ref/profiles.md"
    elif missing := re.match(r"Object missing required field '(\w+)'", what):
        at = f"{at}.{missing[1]}" if at else missing[1]
        what, remedy = "this key is required and missing", "add it"
    at = at if at.isprintable() else repr(at)
    where = f"{file}: {at}" if at else str(file)
    return EdgewardError(code, what[:1].lower() + what[1:], where=where, remedy=remedy)
