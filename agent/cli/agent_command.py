"""``edgeward agent``: the daemon of a device."""

from __future__ import annotations

import argparse
from pathlib import Path

from agent.cli import config_command, output

EPILOG = """\
examples:
  edgeward agent --config /etc/edgeward/edgeward.toml --check
  edgeward agent --config /etc/edgeward/edgeward.toml

It runs until SIGTERM or SIGINT, then stops its workers in order; a second signal kills them. SIGHUP makes it
read its configuration again.
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

    if options.check:
        problems, _ = config_command.find(options.config)
        if problems and not options.json:
            return config_command.tell(problems)
    config = config_file.load(options.config)
    if options.check:
        return config_command.print_effective(config, as_json=options.json)
    from agent import daemon, logs  # noqa: PLC0415
    from agent.redact import Redactor  # noqa: PLC0415

    redactor = Redactor()
    logs.set_up(redactor, config.log)
    return daemon.run(config, redactor, path=options.config.absolute())
