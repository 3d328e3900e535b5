"""``edgeward bundles``: which bundles this device holds, a new one in the place of one, and the way back."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli import device, output, pipelines
from agent.cli.paint import aligned, megabytes
from runtime.errors import Code, EdgewardError

if TYPE_CHECKING:
    from agent.control import control_pb2 as pb

EXAMPLES = """\
examples:
  edgeward bundles list
  edgeward bundles install belt-1.3.ewb --pipeline line
  edgeward bundles install plates.ewb --pipeline line --stage plate --wait 120
  edgeward bundles rollback line

The agent copies the file, verifies it, tries it on this device and only then puts it in the place of the one
that runs. That one stays as the way back if it ran well: gave results for a minute, or as long as
supervision.calm_after_s says. To make, sign and inspect bundle files: 'edgeward bundle'.
"""


def add(subparsers: device.Actions) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "bundles",
        help="list, install and roll back the bundles of this device",
        description="List the bundles that this device holds, install one, or go back to the one before.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = device.command(
        actions, "list", "the bundles that this device holds, and who runs them", EXAMPLES
    )
    listing.set_defaults(handler=handle_list)
    install = device.command(
        actions, "install", "verify a bundle on this device and run it in the place of a pipeline's", EXAMPLES
    )
    install.add_argument(
        "bundle", metavar="X.ewb", type=Path, help="the signed bundle, a file on this device"
    )
    install.add_argument(
        "--pipeline", required=True, metavar="PIPELINE", help="the pipeline that is to run it"
    )
    _add_stage_option(install)
    pipelines.add_wait_option(install, "until it runs")
    install.set_defaults(handler=handle_install)
    rollback = device.command(actions, "rollback", "go back to the bundle that ran well before", EXAMPLES)
    device.add_pipeline_argument(rollback)
    _add_stage_option(rollback)
    pipelines.add_wait_option(rollback, "until it runs")
    rollback.set_defaults(handler=handle_rollback)


def _add_stage_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--stage", default="", metavar="NAME", help="of a cascade; without it the first model is meant"
    )


def handle_list(options: argparse.Namespace) -> int:
    """A table."""
    with device.connect(options) as agent:
        reply = agent.run(lambda client: client.list_bundles())
    if options.json:
        output.print_document(device.document(reply))
    else:
        sys.stdout.write(table(reply.bundles))
    return 0


def table(bundles: Sequence[pb.StoredBundle]) -> str:
    """A line each; below one that is quarantined, why."""
    if not bundles:
        return "this device holds no bundle yet\n"
    rows: list[tuple[str, ...]] = [
        ("BUNDLE", "VERSION", "RELEASE", "SIZE", "DIGEST", "RUNS IN", "WAY BACK OF")
    ]
    rows += [_row(bundle) for bundle in bundles]
    lines = [output.plain(line) for line in aligned(rows).splitlines()]
    shown = [lines[0]]
    for line, bundle in zip(lines[1:], bundles, strict=True):
        shown.append(line)
        if bundle.HasField("quarantined"):
            why = bundle.quarantined
            remedy = f"; {why.remedy}" if why.remedy else ""
            shown.append(output.plain(f"  quarantined: {why.text}{remedy} [{why.code}]"))
    return "".join(f"{line}\n" for line in shown)


def _row(bundle: pb.StoredBundle) -> tuple[str, ...]:
    return (
        bundle.name,
        bundle.version,
        str(bundle.release_counter),
        megabytes(bundle.bytes / (1 << 20)) if bundle.bytes >= 1 << 20 else f"{bundle.bytes >> 10} kB",
        bundle.digest[:12],
        ",".join(bundle.current) or "-",
        ",".join(bundle.previous) or "-",
    )


def handle_install(options: argparse.Namespace) -> int:
    """Tell each step on stderr, then what became of the pipeline."""
    with device.connect(options) as agent:
        for progress in agent.each(
            lambda client: client.install_bundle(
                options.bundle, options.pipeline, stage=options.stage, wait_s=options.wait
            )
        ):
            if progress.done:
                return _told(progress.pipeline, options)
            if not options.json:
                text = f": {progress.text}" if progress.text else ""
                output.progress(f"{progress.step}{text}")
    raise EdgewardError(
        Code.CONTROL_UNAVAILABLE,
        "the agent ended before it said what became of the bundle",
        where=str(options.bundle),
        remedy=f"see 'edgeward status {options.pipeline}'",
    )


def handle_rollback(options: argparse.Namespace) -> int:
    """Do it, and tell what became of the pipeline."""
    with device.connect(options) as agent:
        pipeline = agent.run(
            lambda client: client.rollback_bundle(options.pipeline, stage=options.stage, wait_s=options.wait)
        )
    return _told(pipeline, options)


def _told(pipeline: pb.Pipeline, options: argparse.Namespace) -> int:
    device.print_pipeline(pipeline, as_json=options.json)
    output.flush()
    device.check_reached(pipeline, "running", options.wait)
    return 0
