"""``edgeward bundle extract``: single files out of a verified bundle."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from agent.cli import bundle_report, output

EPILOG = """\
examples:
  edgeward bundle extract belt.ewb labels.txt --key keys/release.pub
  edgeward bundle extract belt.ewb manifest.json model.onnx --key keys/release.pub --out taken/

Names are those of 'edgeward bundle inspect'. The whole bundle is verified, whatever is taken out of it.
"""


def add(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the action."""
    parser = actions.add_parser(
        "extract",
        help="verify a bundle and take single files out of it",
        allow_abbrev=False,
        description="Verify a bundle and take single files out of it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bundle", metavar="X.ewb", type=Path, help="the bundle")
    parser.add_argument("names", metavar="NAME", nargs="+", help="a file of the bundle")
    parser.add_argument(
        "--key",
        dest="keys",
        required=True,
        action="append",
        default=[],
        type=Path,
        metavar="PUB",
        help="public key file of whoever may sign; repeat it to trust several",
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=Path(), help="where they go (default: this folder)"
    )
    output.add_json_option(parser)
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """Verify and extract."""
    from runtime.bundle.extract import extract  # noqa: PLC0415 - the crypto library, for this command only

    verified = extract(options.bundle, options.keys, options.names, options.out)
    manifest = verified.manifest
    sizes = {name: (options.out / name).stat().st_size for name in dict.fromkeys(options.names)}
    document: dict[str, Any] = {"bundle": str(options.bundle), "folder": str(options.out), "files": sizes}
    document |= {"name": manifest.name, "version": manifest.version, "digest": verified.digest}
    if options.json:
        output.print_document(document | {"signed_by": verified.signed_by})
        return 0
    for name, count in sizes.items():
        sys.stdout.write(f"{bundle_report.size(count):>9}  {options.out / name}\n")
    return 0
