"""Can the configuration be read, and is everything in it right?"""

from __future__ import annotations

from agent import config_problems
from agent.doctor.finding import Finding, ok
from agent.doctor.mend import as_root, edit, finding_of, only_root_may
from agent.doctor.site import Site
from runtime.errors import EdgewardError

MEANING = "the configuration file is there, and every key in it is known and has a value that makes sense"


def probe(site: Site) -> list[Finding]:
    """Every mistake at once; what is allowed and probably not meant is a warning."""
    problems = config_problems.problems(site.file)
    # With a mistake in one value the rest can still be looked at.
    blocks = site.config is None
    found = [_finding(site.clean(problem), site, blocks=blocks) for problem in problems]
    if found or site.config is None:
        return found
    pipelines, streams = len(site.config.pipeline), len(site.streams())
    found = [ok(f"{site.file}: {_count(pipelines, 'pipeline')}, {_count(streams, 'stream')}")]
    for warning in site.config.warnings():
        remedy = "change the configuration if that is not meant"
        found.append(Finding(result="warn", text=warning, remedy=remedy, command=edit(site)))
    return found


def _finding(problem: EdgewardError, site: Site, *, blocks: bool) -> Finding:
    if only_root_may(problem.what) and not blocks:
        return finding_of(problem, site, command=as_root(site), result="warn", blocks=False)
    return finding_of(problem, site, blocks=blocks)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
