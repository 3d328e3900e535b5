"""Verifies a bundle into its place; as a program, the short-lived child that the agent trusts for it.

``python -m runtime.bundle.ingest --bundle X --key PUB --into DIR`` prints one JSON document
(``runtime.bundle.ingested.Answer``) and ends; it takes its own rights away first.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from runtime.bundle import archive, staging
from runtime.bundle.archive import Discard, Verified
from runtime.bundle.confine import confine
from runtime.bundle.folder import verify_folder
from runtime.bundle.ingested import Answer, Ingested, Refusal
from runtime.bundle.keys import TrustedKeys, load_trusted
from runtime.bundle.regular_file import is_folder
from runtime.errors import Code, EdgewardError


def ingest(path: Path, keys: Sequence[Path], into: Path) -> Ingested:
    """Verify the bundle ``path`` and store it as ``into/<digest>``, or leave nothing behind.

    A folder that is there already is checked file by file, and replaced when it is not sound. When it is
    sound nothing is written: a start needs no space for it and wears no flash.

    Args:
        path: the ``.ewb`` file.
        keys: public key files of those who may sign.
        into: the folder of bundles; made when missing.

    Raises:
        EdgewardError: ``BUNDLE_*``, ``KEY_*`` or ``SYSTEM_*``.
    """
    trusted = load_trusted(keys)
    with archive.open_archive(path) as reader, staging.locked(into):
        front = archive.verify_front(reader, trusted)
        target = into / front.verified.digest
        new = not _is_sound(target, trusted, front.verified)
        if new:
            with staging.fresh(into) as staged:
                archive.verify_rest(reader, front, staged)
                staged.publish(target)
        else:
            archive.verify_rest(reader, front, Discard())
        return _ingested(front.verified, target, new=new)


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
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--key", type=Path, action="append", required=True)
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--parent", type=int, help="die when this process does")
    return parser.parse_args(argv)


def _answer(options: argparse.Namespace) -> Answer:
    try:
        return Answer(ok=ingest(options.bundle, options.key, options.into))
    except EdgewardError as error:
        return Answer(error=Refusal(**error.as_dict()))
    except MemoryError:
        where, remedy = str(options.bundle), "free some memory and try again"
        return Answer(
            error=Refusal(code=Code.SYSTEM_IO.text, what="out of memory", where=where, remedy=remedy)
        )


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
    options = _options(argv)
    try:
        confine(parent=options.parent)
        answer = _answer(options)
    except EdgewardError as error:
        answer = Answer(error=Refusal(**error.as_dict()))
    sys.stdout.buffer.write(_encoded(answer) + b"\n")
    sys.stdout.flush()
    return 0 if answer.error is None else int(Code.of(answer.error.code).exit_status)


if __name__ == "__main__":
    sys.exit(main())
