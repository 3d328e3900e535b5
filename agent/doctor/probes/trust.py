"""Are there keys that may sign bundles, and can they be read?"""

from __future__ import annotations

from pathlib import Path

from agent.doctor.finding import Finding, ok
from agent.doctor.mend import finding_of, trust_key
from agent.doctor.site import Site
from runtime.errors import Code, EdgewardError

MEANING = "the public keys that may sign bundles are there, are keys, and can be changed by nobody else"
NEEDS = ("configuration",)


def probe(site: Site) -> list[Finding]:
    """Each key with its fingerprint; a key that cannot be used, or none at all."""
    # Imported here: the crypto library is large, and no other probe needs it.
    from agent.trust import store  # noqa: PLC0415

    trust = site.known.trust
    found: list[Finding] = []
    keys: list[store.Key] = []
    try:
        keys = store.list_keys(Path(trust.folder)) if trust.folder else []
    except EdgewardError as error:
        found.append(finding_of(error, site))
    for name in trust.release_keys:
        try:
            keys += store.list_named([Path(name)], keys)
        except EdgewardError as error:
            found.append(finding_of(error, site))
    for key in keys:
        what = f"{key.state} {key.role} key {key.fingerprint[:16]}"
        found.append(ok(f"{what}, for {', '.join(key.names) or 'any bundle'}", subject=key.name))
    if not any(key.role == "release" for key in keys) and not found:
        what, remedy = "no key is trusted that may sign bundles", "add one"
        none = EdgewardError(Code.KEY_MISSING, what, where=trust.folder or "trust", remedy=remedy)
        found.append(
            finding_of(none, site, command=trust_key(site), result="fail" if site.known.pipeline else "warn")
        )
    return found
