"""``edgeward agent``: the daemon of a device."""

from __future__ import annotations

import argparse
from pathlib import Path

from agent.cli import output

EPILOG = """\
examples:
  edgeward agent --config /etc/edgeward/edgeward.toml --check
  edgeward agent --config /etc/edgeward/edgeward.toml

It runs until SIGTERM, SIGINT or SIGHUP, then stops its workers in order; a second signal kills them.
"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "agent",
        help="run the daemon: pipelines, health, MQTT",
        description="Run the pipelines of a configuration and report over MQTT.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--config", required=True, type=Path, metavar="FILE", help="edgeward.toml")
    parser.add_argument(
        "--check", action="store_true", help="check the configuration, print what it means, and end"
    )
    output.add_json_option(parser)
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """Check the configuration, then run the daemon with it."""
    # Imported here: the other commands are spared paho, asyncio and what else the daemon loads.
    from agent import config_file  # noqa: PLC0415

    config = config_file.load(options.config)
    if options.check:
        return _print_effective(config_file.effective(config), config.warnings(), as_json=options.json)
    from agent import daemon, logs  # noqa: PLC0415
    from agent.redact import Redactor  # noqa: PLC0415

    redactor = Redactor()
    logs.set_up(redactor)
    return daemon.run(config, redactor)


def _print_effective(document: dict[str, object], warnings: list[str], *, as_json: bool) -> int:
    if as_json:
        output.print_document({"config": document, "warnings": warnings})
        return 0
    from agent import config_text  # noqa: PLC0415

    for warning in warnings:
        output.progress(f"edgeward: warning: {warning}")
    print(config_text.to_toml(document), end="")  # noqa: T201
    return 0
