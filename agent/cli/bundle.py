"""``edgeward bundle``: make, sign, verify, look at and unpack bundles. Runs on the author's desk too."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any, TypeAlias

from agent.cli import (
    bundle_diff,
    bundle_extract,
    bundle_init,
    bundle_quantize,
    bundle_report,
    output,
    token_options,
)

EXAMPLES = """\
examples:
  edgeward bundle init my-model.onnx --labels labels.txt
  edgeward bundle pack my-model/ --out my-model.ewb
  edgeward bundle sign my-model.ewb --key keys/release.key
  edgeward bundle verify my-model.ewb --key keys/release.pub
  edgeward bundle inspect my-model.ewb --key keys/release.pub
  edgeward bundle unpack my-model.ewb --key keys/release.pub --out unpacked/

my-model/ holds the model and a bundle.toml (docs/ref/manifest.md).
"""

Actions: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no other name


def add(subparsers: Actions) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "bundle",
        help="make, sign, verify, compare and unpack bundles",
        description="Make and check signed model bundles (.ewb).",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    bundle_init.add(actions)
    _add_pack(actions)
    _add_sign(actions)
    _add_verify(actions)
    _add_inspect(actions)
    _add_unpack(actions)
    bundle_extract.add(actions)
    bundle_diff.add(actions)
    bundle_quantize.add(actions)


def _action(actions: Actions, name: str, summary: str, example: str) -> argparse.ArgumentParser:
    parser = actions.add_parser(
        name,
        help=summary,
        allow_abbrev=False,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"example:\n  edgeward bundle {example}\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    output.add_json_option(parser)
    return parser


def _add_keys(parser: argparse.ArgumentParser, *, required: bool, text: str) -> None:
    more = {"action": "append", "default": [], "type": Path, "metavar": "PUB", "required": required}
    parser.add_argument("--key", dest="keys", help=text, **more)  # type: ignore[arg-type]


_TRUSTED = "public key file of whoever may sign, or a trust folder; repeat it to trust several"


def _add_pack(actions: Actions) -> None:
    example = "pack my-model/ --out my-model.ewb"
    parser = _action(actions, "pack", "pack a folder with a bundle.toml into an unsigned bundle", example)
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="holds bundle.toml and the model files")
    parser.add_argument("--out", metavar="X.ewb", type=Path, required=True, help="the bundle to write")
    parser.set_defaults(handler=handle_pack)


def _add_sign(actions: Actions) -> None:
    example = (
        "sign my-model.ewb --key keys/release.key\n"
        "  edgeward bundle sign my-model.ewb --pkcs11 'pkcs11:token=plant;object=release' --pin-file pin"
    )
    parser = _action(actions, "sign", "sign a packed bundle with a private key", example)
    parser.add_argument("bundle", metavar="X.ewb", type=Path, help="the bundle")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--key", metavar="KEY", type=Path, help="the private key file")
    token_options.add_uri(which)
    token_options.add_module(parser)
    token_options.add_pin(parser)
    parser.add_argument("--out", metavar="Y.ewb", type=Path, help="write here instead of in place")
    parser.set_defaults(handler=handle_sign)


def _add_verify(actions: Actions) -> None:
    example = "verify my-model.ewb --key keys/release.pub"
    parser = _action(actions, "verify", "check signature and every byte of a bundle or folder", example)
    parser.add_argument("bundle", metavar="X.ewb|FOLDER", type=Path, help="a bundle, or an unpacked one")
    _add_keys(parser, required=True, text=_TRUSTED)
    parser.set_defaults(handler=handle_verify)


def _add_inspect(actions: Actions) -> None:
    example = "inspect my-model.ewb --key keys/release.pub"
    parser = _action(actions, "inspect", "show what a bundle holds and who signed it", example)
    parser.add_argument("bundle", metavar="X.ewb", type=Path, help="the bundle; with --key a folder too")
    _add_keys(parser, required=False, text=f"{_TRUSTED}; without it nothing shown is proven")
    parser.set_defaults(handler=handle_inspect)


def _add_unpack(actions: Actions) -> None:
    example = "unpack my-model.ewb --key keys/release.pub --out unpacked/"
    parser = _action(actions, "unpack", "verify a bundle and unpack it into a new folder", example)
    parser.add_argument("bundle", metavar="X.ewb", type=Path, help="the bundle")
    _add_keys(parser, required=True, text=_TRUSTED)
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="a folder that does not exist")
    parser.set_defaults(handler=handle_unpack)


class _Progress:
    """A line on stderr each second, from the second second on: short work stays silent."""

    def __init__(self) -> None:
        self._next = time.monotonic() + 1.0

    def __call__(self, doing: str, done: int, total: int, *, unit: str = "bytes") -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + 1.0
            amount = f"{done >> 20} of {total >> 20} MiB" if unit == "bytes" else f"{done} of {total} {unit}"
            output.progress(f"{doing} {amount}")


def _print(options: argparse.Namespace, document: dict[str, Any], text: str) -> int:
    if options.json:
        output.print_document(document)
    else:
        sys.stdout.write(text)
    return 0


def handle_pack(options: argparse.Namespace) -> int:
    """Pack a folder."""
    from runtime.bundle import plugins  # noqa: PLC0415 - for this command only
    from runtime.bundle.pack import pack_bundle  # noqa: PLC0415

    packed = pack_bundle(options.folder, options.out, progress=_Progress())
    manifest = packed.manifest
    engines = plugins.installed(plugins.ENGINES)
    for variant in manifest.variants:
        if variant.engine not in engines:
            known = ", ".join(sorted(engines))
            output.warn(f"variant {variant.id!r}: the engine {variant.engine!r} is not known, only {known}")
    document: dict[str, Any] = {
        "bundle": str(options.out),
        "name": manifest.name,
        "version": manifest.version,
    }
    document |= {"release_counter": manifest.release_counter, "files": len(manifest.files), "signed": False}
    text = f"packed {manifest.name} {manifest.version} into {options.out}: {bundle_report.files(manifest)}\n"
    if packed.golden is None:
        text += "  golden     none: no device can check what the model answers (docs/guide/bundles.md)\n"
    else:
        golden = packed.golden
        if golden.precision != "float32":
            output.warn(
                f"golden results come from {golden.reference!r}, which is {golden.precision}: "
                "what is lost in it is not seen; add a float32 variant"
            )
        if golden.alike:
            output.warn(
                "a model that is stuck, and answers always the same, would pass: "
                "name golden frames that show different things"
            )
        document["golden"] = {
            "frames": len(golden.sources),
            "findings": golden.findings,
            "empty_frames": golden.empty,
            "alike": golden.alike,
            "reference": golden.reference,
            "engine": golden.engine,
            "seconds": round(golden.seconds, 3),
        }
        text += (
            f"  golden     {len(golden.sources)} frames, {golden.findings} findings, {golden.empty} frames "
            f"with none; by {golden.reference!r} on {golden.engine} in {golden.seconds:.1f} s\n"
        )
    text += f"not signed yet: edgeward bundle sign {options.out} --key KEY\n"
    return _print(options, document, text)


def handle_sign(options: argparse.Namespace) -> int:
    """Sign a bundle."""
    from runtime.bundle.keys import load_private  # noqa: PLC0415 - the crypto library, for this command only
    from runtime.bundle.replace import check_target  # noqa: PLC0415
    from runtime.bundle.sign import sign_bundle  # noqa: PLC0415

    token_options.check(options, "edgeward bundle sign")
    if options.out is not None:
        check_target(options.out, keep=[path for path in (options.key, options.pin_file) if path])
    if options.key is None:
        with token_options.open_key(options) as token_key:
            signed = sign_bundle(options.bundle, token_key, out=options.out)
    else:
        key = load_private(options.key)
        if options.key.stat().st_mode & 0o077:
            output.warn(f"{options.key} is open to others; run 'chmod 600 {options.key}'")
        signed = sign_bundle(options.bundle, key, out=options.out)
    out = options.out or options.bundle
    document = {"bundle": str(out), "name": signed.manifest.name, "version": signed.manifest.version}
    document |= {"digest": signed.digest, "signed_by": signed.signed_by, "replaced": signed.replaced}
    text = f"signed {signed.manifest.name} {signed.manifest.version}: {out}\n"
    text += f"  digest     {signed.digest}\n  signed by  {signed.signed_by}\n"
    if signed.replaced:
        text += f"  replaced the signature of {signed.replaced}\n"
    return _print(options, document, text)


def handle_verify(options: argparse.Namespace) -> int:
    """Verify a bundle or an unpacked one."""
    from runtime.bundle.inspection import verify_any  # noqa: PLC0415 - the crypto library

    found = verify_any(options.bundle, options.keys)
    manifest = found.manifest
    document = {"bundle": str(options.bundle), "verified": True} | bundle_report.identity(found)
    text = f"verified {manifest.name} {manifest.version}: {options.bundle}\n"
    text += f"  digest     {found.digest}\n  signed by  {found.signed_by}\n"
    text += f"  content    {bundle_report.files(manifest)}\n"
    return _print(options, document, text)


def handle_inspect(options: argparse.Namespace) -> int:
    """Show a bundle; nothing is presented as trusted unless a given key has verified it."""
    from runtime.bundle.inspection import inspect_unverified, verify_any  # noqa: PLC0415 - the crypto library

    path = options.bundle
    found = verify_any(path, options.keys) if options.keys else inspect_unverified(path)
    return _print(options, bundle_report.document(found), bundle_report.text(found))


def handle_unpack(options: argparse.Namespace) -> int:
    """Verify and unpack."""
    from runtime.bundle.unpack import unpack  # noqa: PLC0415 - the crypto library, for this command only

    verified = unpack(options.bundle, options.keys, options.out)
    manifest = verified.manifest
    document = {"folder": str(options.out), "name": manifest.name, "version": manifest.version}
    document |= {"digest": verified.digest, "signed_by": verified.signed_by}
    text = (
        f"unpacked {manifest.name} {manifest.version} into {options.out}: {bundle_report.files(manifest)}\n"
    )
    return _print(options, document, text)
