"""Stored bundles: whether their files were touched (often), and whether they still hash (daily)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from pathlib import Path

from agent.config import Config
from agent.trust.device import DeviceTrust
from agent.trust.ingest import Stored, ingest
from runtime.bundle.staging import PREFIX
from runtime.errors import Code, EdgewardError

log = logging.getLogger("health")

Marks = dict[str, tuple[int, int, int]]
# The first look some time after the start, when the device has less to do; then once a day.
FIRST_S = 1800.0
AGAIN_S = 86_400.0
# What is suspected or damaged already.
SOON_S = 300.0
CHECK_S = 1800.0
# These say that the bytes are not what was signed. The others say something of keys, floors or this moment.
_DAMAGE = frozenset(
    {
        Code.BUNDLE_MISSING,
        Code.BUNDLE_READ_ERROR,
        Code.BUNDLE_DIGEST,
        Code.BUNDLE_CHANGED,
        Code.BUNDLE_MISSING_FILE,
        Code.BUNDLE_UNSIGNED_FILE,
        Code.BUNDLE_MANIFEST,
        Code.BUNDLE_SIGNATURE,
        Code.BUNDLE_SIGNATURE_FILE,
        Code.BUNDLE_NOT_A_FILE,
    }
)


class StoreMarks:
    """Size, time and number of each stored file, as they were when the folder was first seen.

    What differs is only suspected: a file that was merely touched still hashes. ``look`` is for one thread;
    ``settle`` may come from another.
    """

    def __init__(self, store: Path) -> None:
        self.faults: dict[str, str] = {}
        self._store = store
        self._first: dict[str, tuple[int, Marks]] = {}
        self._suspected: dict[str, tuple[int, Marks]] = {}

    def look(self) -> dict[str, str]:
        """What changed since, by digest. A folder that was stored anew is seen for the first time."""
        faults = {}
        for digest, inode in _stored(self._store).items():
            marks = _marks(self._store / digest)
            known = self._first.get(digest)
            if known is None or known[0] != inode:
                self._first[digest] = inode, marks
            elif marks != known[1] and (self._store / digest).is_dir():
                self._suspected[digest] = inode, marks
                names = [name for name in {**known[1], **marks} if marks.get(name) != known[1].get(name)]
                faults[digest] = f"{min(names)} of the stored bundle was changed or removed"
        self._first = {
            digest: known for digest, known in self._first.items() if (self._store / digest).is_dir()
        }
        self._suspected = {digest: self._suspected[digest] for digest in faults}
        self.faults = faults
        return faults

    def settle(self, digest: str) -> None:
        """It hashes to what was signed, as ``look`` last saw it: from now on that is how it should be."""
        suspected = self._suspected.get(digest)
        if suspected is not None:
            self._first[digest] = suspected
            self.faults = {name: fault for name, fault in self.faults.items() if name != digest}


class StoreRecheck:
    """Has the bundles in use verified where they lie, one after another, each by a short-lived child.

    What is suspected, or was found damaged, is verified again soon: until it has been stored anew.

    Args:
        in_use: digests that pipelines run now.
        verify: verifies one; raises ``EdgewardError``.
        on_change: called when ``faults`` has changed.
        marks: suspects bundles.
    """

    def __init__(
        self,
        in_use: Callable[[], Iterable[str]],
        verify: Callable[[str], Awaitable[object]],
        on_change: Callable[[], None] = lambda: None,
        marks: StoreMarks | None = None,
    ) -> None:
        self.faults: dict[str, str] = {}
        self._in_use = in_use
        self._verify = verify
        self._on_change = on_change
        self._marks = marks

    async def run(self, first_s: float = FIRST_S, again_s: float = AGAIN_S, soon_s: float = SOON_S) -> None:
        """Look again and again, until cancelled."""
        due_s = time.monotonic() + first_s
        while True:
            await asyncio.sleep(min(soon_s, max(due_s - time.monotonic(), 0.0)))
            in_use = set(self._in_use())
            if time.monotonic() >= due_s:
                await self.look(in_use | self._suspects())
                due_s = time.monotonic() + again_s
            else:
                await self.look(self._suspects() | (self.faults.keys() & in_use))

    async def look(self, digests: Collection[str]) -> None:
        """Verify each once. What was found of others stays; of those that have gone it is forgotten."""
        known = set(self._in_use()) | self._suspects()
        faults = {name: fault for name, fault in self.faults.items() if name in known - set(digests)}
        for digest in sorted(digests):
            try:
                await self._verify(digest)
            except (EdgewardError, OSError) as error:
                if isinstance(error, EdgewardError) and error.code in _DAMAGE:
                    faults[digest] = f"the stored bundle is damaged: {error.what}"
                    if digest not in self.faults:
                        log.error("stored bundle %.12s is damaged: %s", digest, error)  # noqa: TRY400
                else:
                    log.info("stored bundle %.12s could not be checked: %s", digest, error)
            else:
                if self._marks is not None:
                    self._marks.settle(digest)
        changed, self.faults = faults != self.faults, faults
        if changed:
            self._on_change()

    def _suspects(self) -> set[str]:
        return set(self._marks.faults) if self._marks is not None else set()


def verifier(config: Config) -> Callable[[str], Awaitable[object]]:
    """Verifies a stored bundle by the keys that the device trusts now, whatever the rollback floors say."""
    trust = DeviceTrust(config)
    into = Path(config.device.state_dir) / "bundles"

    async def verify(digest: str) -> object:
        return await ingest(
            Stored(digest),
            trust.keys(),
            into,
            limits=config.bundles.limits,
            timeout_s=CHECK_S,
            background=True,
        )

    return verify


def _stored(store: Path) -> dict[str, int]:
    """Digests and the inodes of their folders."""
    found: dict[str, int] = {}
    with contextlib.suppress(OSError), os.scandir(store) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(PREFIX):
                found[entry.name] = entry.inode()
    return found


def _marks(folder: Path) -> Marks:
    marks: Marks = {}
    with contextlib.suppress(OSError):
        for path, _, names in os.walk(folder):
            for name in names:
                file = Path(path) / name
                status = file.lstat()
                marks[str(file.relative_to(folder))] = (status.st_ino, status.st_size, status.st_mtime_ns)
    return marks
