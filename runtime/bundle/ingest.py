"""Verifies a bundle into its place; as a program, the short-lived child that the agent trusts for it.

``python -m runtime.bundle.ingest --bundle X --key PUB --into DIR`` prints one JSON document
(``runtime.bundle.ingested.Answer``) and ends; it takes its own rights away first. With ``--fd N`` the bundle
comes by a descriptor that the parent opened: a file, a pipe, a socket.
"""

from __future__ import annotations

import argparse
import select
import sys
from collections.abc import Mapping, Sequence
from io import FileIO, RawIOBase
from pathlib import Path
from types import MappingProxyType

import msgspec

from runtime.bundle import archive, confine, policy, staging
from runtime.bundle.archive import Discard, Verified
from runtime.bundle.container import Readable, Reader
from runtime.bundle.floors import Floor
from runtime.bundle.floors import load as load_floors
from runtime.bundle.folder import verify_folder
from runtime.bundle.ingested import Answer, Ingested, Refusal
from runtime.bundle.keys import TrustedKeys, load_trusted
from runtime.bundle.limits import FORMAT, Limits
from runtime.bundle.regular_file import BUNDLE, is_folder, open_regular, size_of
from runtime.errors import Code, EdgewardError


def ingest(
    readable: Readable,
    source: str,
    *,
    keys: TrustedKeys,
    into: Path,
    limits: Limits = FORMAT,
    floors: Mapping[str, Floor] = MappingProxyType({}),
) -> Ingested:
    """Verify the bundle that ``readable`` gives and store it as ``into/<digest>``, or leave nothing behind.

    A folder that is there already is checked file by file, and replaced when it is not sound. When it is
    sound nothing is written: a start needs no space for it and wears no flash.

    Args:
        readable: the bytes of the ``.ewb``, by whatever way they arrive; need not seek or know its size. It
            is read until it ends, since nothing may lie behind the bundle.
        source: what it is called in errors: a path, a URL without its password.
        keys: who may sign.
        into: the folder of bundles; made when missing.
        limits: how large the bundle may be.
        floors: the newest releases that have run here, by name of the bundle.

    Raises:
        EdgewardError: ``BUNDLE_*`` or ``SYSTEM_*``.
    """
    reader = Reader(readable, where=source, size=size_of(readable), limits=limits)
    # Before the store is locked: whoever is refused keeps nobody waiting and waits for nobody.
    front = archive.verify_front(reader, keys)
    policy.admit(front.verified, floors, where=source)
    with staging.locked(into):
        target = into / front.verified.digest
        new = not _is_sound(target, keys, front.verified)
        if new:
            with staging.fresh(into, needed=front.stored_bytes) as staged:
                archive.verify_rest(reader, front, staged)
                staged.publish(target)
        else:
            archive.verify_rest(reader, front, Discard())
        return _ingested(front.verified, target, new=new)


def ingest_file(path: Path, keys: Sequence[Path], into: Path, *, limits: Limits = FORMAT) -> Ingested:
    """As ``ingest``, for a bundle file and public key files on a desk.

    Raises:
        EdgewardError: ``BUNDLE_*``, ``KEY_*`` or ``SYSTEM_*``.
    """
    trusted = load_trusted(keys)
    stream, _ = open_regular(path, BUNDLE)
    with stream:
        return ingest(stream.raw, str(path), keys=trusted, into=into, limits=limits)


def verify_stored(
    digest: str, *, keys: TrustedKeys, into: Path, floors: Mapping[str, Floor] = MappingProxyType({})
) -> Ingested:
    """Verify the bundle of that digest where it lies in the store: nothing is written.

    Raises:
        EdgewardError: ``BUNDLE_*`` or ``SYSTEM_*``.
    """
    target = into / digest
    with staging.locked(into):
        if not is_folder(target):
            remedy = "install the bundle again"
            raise EdgewardError(Code.BUNDLE_MISSING, "not in the store", where=str(target), remedy=remedy)
        verified = verify_folder(target, keys)
    if verified.digest != digest:
        raise EdgewardError(Code.BUNDLE_DIGEST, "another bundle lies there", where=str(target))
    policy.admit(verified, floors, where=str(target))
    return _ingested(verified, target, new=False)


def _is_sound(target: Path, keys: TrustedKeys, expected: Verified) -> bool:
    try:
        return is_folder(target) and verify_folder(target, keys).digest == expected.digest
    except (EdgewardError, OSError):
        return False


def _ingested(verified: Verified, target: Path, *, new: bool) -> Ingested:
    manifest = verified.manifest
    return Ingested(
        name=manifest.name,
        version=manifest.version,
        release_counter=manifest.release_counter,
        digest=verified.digest,
        manifest_sha256=verified.manifest_sha256,
        signed_by=verified.signed_by,
        folder=str(target),
        size=sum(entry.size for entry in manifest.files),
        new=new,
    )


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m runtime.bundle.ingest", allow_abbrev=False)
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--bundle", type=Path, help="the bundle's file")
    given.add_argument("--fd", type=int, help="an open descriptor that gives the bundle's bytes")
    given.add_argument("--stored", metavar="DIGEST", help="a bundle that lies in the store already")
    parser.add_argument("--source", default="", help="what the bundle is called in errors")
    parser.add_argument("--key", type=Path, action="append", required=True)
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--floors", type=Path, help="the file with the rollback floors")
    parser.add_argument("--max-members", type=int, default=FORMAT.members)
    parser.add_argument("--max-bytes", type=int, default=FORMAT.total)
    parser.add_argument("--max-path", type=int, default=FORMAT.path)
    parser.add_argument("--parent", type=int, help="die when this process does")
    return parser.parse_args(argv)


def _source(options: argparse.Namespace) -> str:
    if options.stored is not None:
        return str(options.into / options.stored)
    return str(options.source or (f"descriptor {options.fd}" if options.bundle is None else options.bundle))


class _Stream(FileIO):
    """A descriptor that somebody opened, perhaps an event loop's, on which nobody may wait: it is left so."""

    def read(self, count: int | None = -1, /) -> bytes:
        """As ``FileIO.read``, but that it waits until there is something to read."""
        while (data := super().read(-1 if count is None else count)) is None:
            waiting = select.poll()
            waiting.register(self, select.POLLIN)
            waiting.poll()
        return data


def _opened(options: argparse.Namespace) -> RawIOBase:
    if options.bundle is not None:
        return open_regular(options.bundle, BUNDLE)[0].detach()
    try:
        return _Stream(options.fd, "rb")
    except (OSError, ValueError) as error:
        what = f"the descriptor cannot be read: {error}"
        raise EdgewardError(Code.BUNDLE_UNREADABLE, what, where=_source(options)) from error


def _confined(options: argparse.Namespace) -> Answer:
    """Open what there is to open, give up the right to open anything, and only then read the bundle."""
    limits = Limits(options.max_members, options.max_bytes, options.max_path)
    lacks: list[str] = []
    try:
        confine.limit(parent=options.parent, largest_file=limits.total)
        trusted = load_trusted(options.key)
        floors = load_floors(options.floors)
        if options.stored is not None:
            staging.make_store(options.into)
            lacks = confine.enclose(write=[options.into])
            found = verify_stored(options.stored, keys=trusted, into=options.into, floors=floors)
            return Answer(ok=found, lacks=tuple(lacks))
        with _opened(options) as readable:
            staging.make_store(options.into)
            lacks = confine.enclose(write=[options.into])
            found = ingest(
                readable, _source(options), keys=trusted, into=options.into, limits=limits, floors=floors
            )
        return Answer(ok=found, lacks=tuple(lacks))
    except EdgewardError as error:
        return Answer(error=Refusal(**error.as_dict()), lacks=tuple(lacks))
    except MemoryError:
        remedy = "free some memory and try again"
        refusal = Refusal(
            code=Code.SYSTEM_IO.text, what="out of memory", where=_source(options), remedy=remedy
        )
        return Answer(error=refusal, lacks=tuple(lacks))


def _encoded(answer: Answer) -> bytes:
    """The answer as JSON, which has no letters for a file name that is not UTF-8."""
    try:
        return msgspec.json.encode(answer)
    except UnicodeEncodeError:
        if answer.error is None:
            what, remedy = "the path of the store is not UTF-8 text", "give it another name"
            error = Refusal(code=Code.SYSTEM_IO.text, what=what, remedy=remedy)
        else:
            shown = {
                name: text.encode("utf-8", "backslashreplace").decode()
                for name, text in msgspec.structs.asdict(answer.error).items()
            }
            error = Refusal(**shown)
        return msgspec.json.encode(Answer(error=error))


def main(argv: Sequence[str] | None = None) -> int:
    """The child: confine, ingest, print the answer."""
    answer = _confined(_options(argv))
    sys.stdout.buffer.write(_encoded(answer) + b"\n")
    sys.stdout.flush()
    return 0 if answer.error is None else int(Code.of(answer.error.code).exit_status)


if __name__ == "__main__":
    sys.exit(main())
