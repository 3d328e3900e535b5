"""``edgeward keys``: make signing keys, show what a key file holds."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from agent.cli import output
from runtime.errors import Code, EdgewardError, from_os_error

EXAMPLES = """\
examples:
  edgeward keys generate --out keys/release     writes keys/release.key and keys/release.pub
  edgeward keys show keys/release.pub

The .key file signs bundles: keep it off the devices. The .pub file goes onto every device.
"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "keys",
        help="make and show signing keys",
        description="Make and show the keys that sign bundles (ECDSA P-256, PEM).",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    generate = actions.add_parser("generate", help="make a new key pair", allow_abbrev=False)
    generate.add_argument("--out", metavar="PREFIX", type=Path, required=True, help="PREFIX.key, PREFIX.pub")
    generate.add_argument("--force", action="store_true", help="overwrite key files that are there")
    output.add_json_option(generate)
    generate.set_defaults(handler=handle_generate)

    show = actions.add_parser("show", help="what kind of key a file holds, and its fingerprint")
    show.add_argument("file", metavar="FILE", type=Path, help="a .key or .pub file")
    output.add_json_option(show)
    show.set_defaults(handler=handle_show)


def _write(path: Path, data: bytes, *, mode: int, force: bool) -> None:
    """A key file that is never readable by others for a moment, and never overwrites by chance."""
    from runtime.bundle.replace import replacing  # noqa: PLC0415 - only this command needs it

    if force:
        with replacing(path, mode=mode) as stream:
            stream.write(data)
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
    except FileExistsError as error:
        raise _exists(path) from error
    except OSError as error:
        raise from_os_error(error, where=str(path), fallback=Code.SYSTEM_IO) from error


def _exists(path: Path) -> EdgewardError:
    remedy = "choose another name, or overwrite it with --force (what it signed stays signed)"
    return EdgewardError(Code.USAGE, "the file exists", where=str(path), remedy=remedy)


def handle_generate(options: argparse.Namespace) -> int:
    """Make a key pair."""
    from runtime.bundle import keys  # noqa: PLC0415 - the crypto library, for this command only

    if not options.out.name:
        raise EdgewardError(Code.USAGE, "PREFIX is no file name", where="--out", remedy="use keys/release")
    private = options.out.with_name(options.out.name + ".key")
    public = options.out.with_name(options.out.name + ".pub")
    for path in (private, public):
        if not options.force and os.path.lexists(path):
            raise _exists(path)
    try:
        private.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise from_os_error(error, where=str(private.parent), fallback=Code.SYSTEM_IO) from error
    key = keys.generate()
    _write(private, keys.private_pem(key), mode=0o600, force=options.force)
    _write(public, keys.public_pem(key.public_key()), mode=0o644, force=options.force)
    fingerprint = keys.fingerprint(key.public_key())
    if options.json:
        document = {"private": str(private), "public": str(public), "fingerprint": fingerprint}
        output.print_document(document | {"curve": keys.curve_name(key)})
    else:
        sys.stdout.write(
            f"private key  {private} (keep it secret: it signs bundles)\n"
            f"public key   {public} (for the devices)\n"
            f"fingerprint  {fingerprint}\n"
        )
    return 0


def handle_show(options: argparse.Namespace) -> int:
    """Show a key file."""
    from runtime.bundle import keys  # noqa: PLC0415 - the crypto library, for this command only

    private, key = keys.load_any(options.file)
    document = {
        "file": str(options.file),
        "kind": "private" if private else "public",
        "curve": keys.curve_name(key),
        "fingerprint": keys.fingerprint(key),
    }
    if options.json:
        output.print_document(document)
    else:
        sys.stdout.write("".join(f"{name:<12} {value}\n" for name, value in document.items()))
    return 0
