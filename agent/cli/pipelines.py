"""``edgeward pipelines``: list, start, stop and restart the pipelines of the running agent."""

from __future__ import annotations

import argparse
import sys

from agent.cli import device, number, output
from agent.cli.paint import paint_for, width_of_screen

EXAMPLES = """\
examples:
  edgeward pipelines list
  edgeward pipelines restart line
  edgeward pipelines stop line --wait 0
  edgeward pipelines start line --wait 120 --json

Without --wait 0 the exit status says whether the pipeline got there: 17 when it did not.
A pipeline that was stopped stays so until it is started, or until the agent is started again. One that is
quarantined is tried anew by 'start'.
"""
_DONE = {
    "start": ("start a pipeline that was stopped, drained or quarantined", "until it runs"),
    "stop": ("stop a pipeline", "until its worker has ended"),
    "restart": ("stop a pipeline's worker and start it again", "until it runs"),
}
WAIT_S = 30.0


def add(subparsers: device.Actions) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "pipelines",
        help="list, start, stop and restart pipelines",
        description="List, start, stop and restart the pipelines of the running agent.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = device.command(actions, "list", "the pipelines, their streams and states", EXAMPLES)
    listing.set_defaults(handler=handle_list)
    for name, (text, until) in _DONE.items():
        action = device.command(actions, name, text, EXAMPLES)
        device.add_pipeline_argument(action)
        add_wait_option(action, until)
        action.set_defaults(handler=handle_action, action=name)


def add_wait_option(parser: argparse.ArgumentParser, until: str) -> None:
    """``--wait``."""
    parser.add_argument(
        "--wait",
        type=number.wait,
        default=WAIT_S,
        metavar="S",
        help=f"seconds to wait {until}; 0 does not wait (default {WAIT_S:g})",
    )


def handle_list(options: argparse.Namespace) -> int:
    """A table."""
    from agent.cli import pipeline_report  # noqa: PLC0415 - for this action only

    with device.connect(options) as agent:
        status = agent.run(lambda client: client.get_status())
    if options.json:
        output.print_document({"pipelines": [device.document(item) for item in status.pipelines]})
    else:
        lines = pipeline_report.pipelines(list(status.pipelines), paint_for(sys.stdout), width_of_screen())
        sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def handle_action(options: argparse.Namespace) -> int:
    """Do it, and tell what became of the pipeline."""
    with device.connect(options) as agent:
        pipeline = agent.run(
            lambda client: {
                "start": client.start_pipeline,
                "stop": client.stop_pipeline,
                "restart": client.restart_pipeline,
            }[options.action](options.pipeline, wait_s=options.wait)
        )
    device.print_pipeline(pipeline, as_json=options.json)
    output.flush()
    device.check_reached(pipeline, "stopped" if options.action == "stop" else "running", options.wait)
    return 0
