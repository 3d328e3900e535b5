"""``edgeward keys``: make signing keys, show what a key file holds."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from agent.cli import output, token_options
from runtime.errors import Code, EdgewardError

EXAMPLES = """\
examples:
  edgeward keys generate --out keys/release     writes keys/release.key and keys/release.pub
  edgeward keys show keys/release.pub
  edgeward keys show --pkcs11 'pkcs11:token=plant;object=release' --out keys/release.pub

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

    generate = _add_action(actions, "generate", "make a new key pair", "generate --out keys/release")
    generate.add_argument("--out", metavar="PREFIX", type=Path, required=True, help="PREFIX.key, PREFIX.pub")
    generate.add_argument("--force", action="store_true", help="overwrite key files that are there")
    output.add_json_option(generate)
    generate.set_defaults(handler=handle_generate)

    show = _add_action(
        actions, "show", "tell what kind of key a file holds, and its fingerprint", "show keys/release.pub"
    )
    show.add_argument("file", metavar="FILE", nargs="?", type=Path, help="a .key or .pub file")
    token_options.add_uri(show)
    token_options.add_module(show)
    token_options.add_pin(show, otherwise="there is no login")
    show.add_argument("--out", metavar="FILE.pub", type=Path, help="write the public key there")
    show.add_argument("--force", action="store_true", help="overwrite the file of --out")
    output.add_json_option(show)
    show.set_defaults(handler=handle_show)


def _add_action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, summary: str, example: str
) -> argparse.ArgumentParser:
    return actions.add_parser(
        name,
        help=summary,
        allow_abbrev=False,
        description=summary.capitalize() + ".",
        epilog=f"example:\n  edgeward keys {example}\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _exists(path: Path) -> EdgewardError:
    remedy = "choose another name, or overwrite it with --force (what it signed stays signed)"
    return EdgewardError(Code.USAGE, "the file exists", where=str(path), remedy=remedy)


def handle_generate(options: argparse.Namespace) -> int:
    """Make a key pair."""
    from runtime.bundle import keys, staging  # noqa: PLC0415 - the crypto library, for this command only
    from runtime.bundle.replace import NewFile, write_together  # noqa: PLC0415

    if options.out.name in {"", ".."}:
        raise EdgewardError(Code.USAGE, "PREFIX is no file name", where="--out", remedy="use keys/release")
    private = options.out.with_name(options.out.name + ".key")
    public = options.out.with_name(options.out.name + ".pub")
    for path in (private, public):
        if not options.force and os.path.lexists(path):
            raise _exists(path)
    key = keys.generate()
    files = [
        # The private key comes last: with --force an old one is gone only once all else is there.
        NewFile(public, keys.public_pem(key.public_key()), 0o644),
        NewFile(private, keys.private_pem(key), 0o600),
    ]
    with staging.folders_for(private.parent, mode=0o700):
        write_together(files, replace=options.force)
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
    """Show a key file, or a key in a token; write its public half."""
    from runtime.bundle import keys  # noqa: PLC0415 - the crypto library, for this command only

    token_options.check(options, "edgeward keys show")
    if (options.file is None) == (not options.pkcs11):
        what, remedy = "one key is needed: FILE or --pkcs11 URI", "see 'edgeward keys show --help'"
        raise EdgewardError(Code.USAGE, what, where="edgeward keys show", remedy=remedy)
    if options.pkcs11:
        kind, key = "token", token_options.public_key(options)
    else:
        private, key = keys.load_any(options.file)
        kind = "private" if private else "public"
    document = {
        "file": options.pkcs11 or str(options.file),
        "kind": kind,
        "curve": keys.curve_name(key),
        "fingerprint": keys.fingerprint(key),
    }
    if options.out is not None:
        _write_public(options.out, keys.public_pem(key), force=options.force)
        document["public"] = str(options.out)
    if options.json:
        output.print_document(document)
    else:
        sys.stdout.write("".join(f"{name:<12} {value}\n" for name, value in document.items()))
    return 0


def _write_public(path: Path, pem: bytes, *, force: bool) -> None:
    from runtime.bundle.replace import NewFile, write_together  # noqa: PLC0415 - for this command only

    if not force and os.path.lexists(path):
        raise _exists(path)
    write_together([NewFile(path, pem, 0o644)], replace=force)
