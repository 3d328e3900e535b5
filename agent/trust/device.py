"""What this device trusts, as the agent uses it: where the keys lie, and how far the floors have risen."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from pathlib import Path

from agent.config import Config
from agent.file_mark import mark
from agent.trust import floors
from runtime.bundle import trust_folder
from runtime.bundle.ingested import Ingested
from runtime.bundle.regular_file import KEY, read_regular
from runtime.bundle.trust_folder import Grant, is_key_file
from runtime.errors import Code, EdgewardError

log = logging.getLogger("trust")

LOOK_EVERY_NS = 1_000_000_000


class DeviceTrust:
    """Keys and floors of one configuration. Reads no key: that is for the child that verifies."""

    def __init__(self, config: Config) -> None:
        self._release_keys = [Path(key) for key in config.trust.release_keys]
        self._folder = Path(config.trust.folder) if config.trust.folder else None
        self.floors = floors.path_in(Path(config.device.state_dir))

    def keys(self) -> list[Path]:
        """Key files, and the trust folder where there is one: it may be made while the agent runs.

        Raises:
            EdgewardError: ``KEY_MISSING`` when there is neither.
            OSError: it cannot be said whether there is one.
        """
        found = (
            [*self._release_keys, self._folder] if self._folder and self._has_folder() else self._release_keys
        )
        if not found:
            where = str(self._folder or "trust")
            remedy = "add one with 'edgeward trust add FILE.pub'"
            raise EdgewardError(Code.KEY_MISSING, "no key is trusted", where=where, remedy=remedy)
        return found

    def _has_folder(self) -> bool:
        try:
            return self._folder is not None and bool(self._folder.stat())
        except FileNotFoundError:
            return False

    def marks(self) -> object:
        """What changes when a key is added, removed or changed, or when others get or lose the right to."""
        rights: object = None
        files = list(self._release_keys)
        if self._folder is not None:
            with contextlib.suppress(OSError):  # none is there, or verifying says what is wrong with it
                files += sorted(path for path in self._folder.iterdir() if is_key_file(path.name))
            with contextlib.suppress(OSError):
                status = self._folder.stat()
                rights = status.st_mode, status.st_uid
        return rights, [(str(path), mark(path)) for path in files]

    def floors_mark(self) -> object:
        """What changes when a floor is raised or lowered."""
        return mark(self.floors)

    async def commit(self, bundles: Iterable[Ingested]) -> EdgewardError | None:
        """Raise the floors to these bundles, which have run; returns what went wrong.

        In a thread: a slow disk must not stop the agent. ``BUNDLE_COUNTER_REUSED`` and ``BUNDLE_ROLLBACK``
        mean that one of the bundles must not run on; any other error, that the floors stay where they were.
        """
        try:
            for bundle in bundles:
                facts = (bundle.name, bundle.release_counter, bundle.digest)
                if await asyncio.to_thread(floors.raise_to, self.floors, *facts):
                    log.info("the rollback floor of %s is release %d now", *facts[:2])
        except EdgewardError as error:
            return error
        return None

    def withdrawn(self, bundles: Iterable[Ingested]) -> Ingested | None:
        """The first of these bundles whose key may not sign it any more.

        Whoever asks has the bundle verified again, which decides: here only the text of the key files is
        looked at. ``None`` also when they make no sense: no bundle is taken then, and what runs is not to
        end for a typing error.
        """
        try:
            grants = self._grants()
        except (EdgewardError, OSError) as error:
            log.warning("what this device trusts cannot be read: %s", error)
            return None
        for bundle in bundles:
            grant = grants.get(bundle.signed_by)
            if grant is None or grant.role != "release" or not grant.covers(bundle.name):
                return bundle
        return None

    def _grants(self) -> dict[str, Grant]:
        """What each key may do, by fingerprint."""
        grants = {}
        for path in self._release_keys:
            # One that was taken away is a key that was taken away, as in the folder.
            if not path.exists():
                continue
            text = read_regular(path, KEY, limit=trust_folder.MAX_BYTES, follow_links=True)
            grants[trust_folder.fingerprint(text.decode("ascii", "replace"))] = Grant()
        if self._folder is not None and self._has_folder():
            for entry in trust_folder.read_folder(self._folder):
                name = trust_folder.fingerprint(entry.file.public_key)
                grants[name] = Grant(role=entry.file.role, names=entry.file.names)
        return grants


class TrustWatch:
    """Tells one pipeline when a key of its bundles was taken away since they were verified."""

    def __init__(self, trust: DeviceTrust) -> None:
        self._trust = trust
        self._marks: object = None
        self._next_look_ns = 0

    def verified(self, marks: object) -> None:
        """The bundles are those of the trust that had these marks."""
        self._marks = marks

    def withdrawn(self, bundles: Iterable[Ingested], now_ns: int) -> str:
        """Why the pipeline must verify its bundles anew; empty when it need not. Looks once a second."""
        if now_ns < self._next_look_ns:
            return ""
        self._next_look_ns = now_ns + LOOK_EVERY_NS
        marks = self._trust.marks()
        if marks == self._marks:
            return ""
        self._marks = marks
        bundle = self._trust.withdrawn(bundles)
        return f"the key of {bundle.name} {bundle.version} is trusted with it no more" if bundle else ""
