"""Are Python and the installed packages those that this edgeward was made for?"""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Iterator

from agent.doctor.finding import Finding, ok, quoted
from agent.doctor.site import Site
from runtime.bundle import plugins

MEANING = "Python and every package that edgeward needs are installed, in versions that it was made for"
LEAST, BELOW = (3, 11), (3, 14)
_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*\(?([^;)]*)\)?\s*(?:;(.*))?$")


def probe(_site: Site) -> list[Finding]:
    """Versions against what the package itself says that it needs."""
    return [_python(), *_misfits(), *_not_ours()]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if LEAST <= sys.version_info[:2] < BELOW:
        return ok(f"{version} in {sys.prefix}", subject="python")
    return Finding(
        result="warn",
        text=f"{version}: edgeward is tested with 3.11 to 3.13",
        subject="python",
        remedy="make its virtual environment with one of these",
        command="sudo script/install-service",
    )


def _misfits() -> Iterator[Finding]:
    try:
        edgeward = importlib.metadata.distribution("edgeward")
    except importlib.metadata.PackageNotFoundError:
        yield ok("a checkout that is not installed: no requirements to hold it to", subject="edgeward")
        return
    wrong = 0
    for requirement in edgeward.requires or ():
        parts = _REQUIREMENT.match(requirement)
        if parts is None or "extra" in (parts[3] or ""):
            continue
        fault = _fault(parts[1], parts[2])
        if fault:
            wrong += 1
            wanted = f"{parts[1]}{parts[2].replace(' ', '')}"
            yield Finding(
                result="fail",
                text=fault,
                subject=parts[1],
                remedy="install the version that fits",
                command=quoted(sys.executable, "-m", "pip", "install", wanted),
            )
    if not wrong:
        yield ok(f"{edgeward.version}, all that it needs is installed", subject="edgeward")


def _fault(name: str, bounds: str) -> str:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return f"not installed, {bounds or 'any version'} is needed"
    for sign, bound in re.findall(r"(>=|<=|==|!=|<|>)\s*([0-9][0-9A-Za-z.]*)", bounds):
        if not _fits(_numbers(version), sign, _numbers(bound)):
            return f"{version} is installed, {bounds} is needed"
    return ""


def _fits(version: tuple[int, ...], sign: str, bound: tuple[int, ...]) -> bool:
    return {
        ">=": version >= bound,
        ">": version > bound,
        "<=": version <= bound,
        "<": version < bound,
        "==": version == bound,
        "!=": version != bound,
    }[sign]


def _numbers(version: str) -> tuple[int, ...]:
    """The release part of a version, without zeros at its end."""
    numbers = [int(part) for part in re.match(r"[0-9.]*", version)[0].strip(".").split(".") if part]  # type: ignore[index]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _not_ours() -> Iterator[Finding]:
    """Plug-ins that others added: worth knowing when something is odd."""
    for group in (plugins.ENGINES, plugins.DECODERS):
        for point in plugins.installed(group).values():
            owner = point.dist.name if point.dist else ""
            if owner not in {"", "edgeward"}:
                yield ok(f"{point.name} was added by the package {owner}", subject=group)
