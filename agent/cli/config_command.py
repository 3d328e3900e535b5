"""``edgeward config``: is a configuration right, what does it mean, what may stand in it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cli import device, output
from agent.cli.device import DEFAULT_CONFIG
from runtime.errors import EdgewardError

if TYPE_CHECKING:
    from agent.config import Config


EXAMPLES = """\
examples:
  edgeward config check
  edgeward config check new.toml --json
  edgeward config show --effective
  edgeward config show --running --json
  edgeward config schema > edgeward.schema.json

Nothing here starts or changes anything; 'edgeward reload' makes a running agent read its file again.
"""


def add(subparsers: device.Actions) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "config",
        help="check and show the configuration",
        description="Check a configuration, show what it means, or tell what may stand in one.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_check(actions)
    _add_show(actions)
    schema = _action(actions, "schema", "print the JSON Schema of edgeward.toml, for editors and programs")
    schema.set_defaults(handler=handle_schema)


def _add_check(actions: device.Actions) -> None:
    parser = _action(actions, "check", "tell everything that is wrong with a configuration")
    parser.add_argument(
        "file",
        nargs="?",
        type=Path,
        default=DEFAULT_CONFIG,
        metavar="FILE",
        help=f"edgeward.toml (default {DEFAULT_CONFIG})",
    )
    output.add_json_option(parser)
    parser.set_defaults(handler=handle_check)


def _add_show(actions: device.Actions) -> None:
    parser = _action(actions, "show", "print a configuration as TOML, without secrets")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--effective", action="store_true", help="fill in every default, and make every path absolute"
    )
    what.add_argument(
        "--running", action="store_true", help="what the running agent works with, whatever its file says now"
    )
    parser.add_argument(
        "--config",
        type=Path,
        default=DEFAULT_CONFIG,
        metavar="FILE",
        help=f"edgeward.toml (default {DEFAULT_CONFIG})",
    )
    device.add_socket_option(parser)
    output.add_json_option(parser)
    parser.set_defaults(handler=handle_show)


def _action(actions: device.Actions, name: str, text: str) -> argparse.ArgumentParser:
    return actions.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def handle_check(options: argparse.Namespace) -> int:
    """All problems, then the warnings."""
    problems, warnings = find(options.file)
    if options.json:
        output.print_document(
            {
                "file": str(options.file),
                "ok": not problems,
                "problems": [problem.as_dict() for problem in problems],
                "warnings": warnings,
            }
        )
        return int(problems[0].code.exit_status) if problems else 0
    for warning in warnings:
        output.warn(output.plain(warning))
    if problems:
        return tell(problems)
    sys.stdout.write(f"{output.plain(str(options.file))}: good\n")
    return 0


def find(path: Path) -> tuple[list[EdgewardError], list[str]]:
    """What keeps an agent from running with the file; without such, what is probably not meant."""
    # Imported here: --help is spared msgspec and the structs.
    from agent import config_check, config_file, config_problems  # noqa: PLC0415

    problems = config_problems.problems(path)
    if problems:
        return problems, []
    config = config_file.load(path)
    return [], [*config.warnings(), *config_check.missing_files(config)]


def tell(problems: list[EdgewardError]) -> int:
    """A line for each of one or more on stderr; returns the exit status."""
    for problem in problems:
        output.print_error(problem, as_json=False)
    if len(problems) > 1:
        output.progress(f"edgeward: {len(problems)} errors")
    return int(problems[0].code.exit_status)


def handle_show(options: argparse.Namespace) -> int:
    """As text or JSON."""
    if options.running:
        return _show_running(options)
    from agent import config_file, config_text  # noqa: PLC0415 - as above

    path = options.config
    config = config_file.load(path, to_run=False)
    if options.effective:
        document = config_file.effective(config)
    else:
        document = without_secrets(config_file.tables(config_file.read(path), str(path)))
    if options.json:
        output.print_document(document)
    else:
        sys.stdout.write(config_text.to_toml(document))
    return 0


def _show_running(options: argparse.Namespace) -> int:
    with device.connect(options) as agent:
        running = agent.run(lambda client: client.get_config())
    if options.json:
        output.print_document(json.loads(running.json))
    else:
        sys.stdout.write(running.toml)
    return 0


def print_effective(config: Config, *, as_json: bool) -> int:
    """What a configuration means, and its warnings: for ``edgeward agent --check``."""
    from agent import config_file, config_text  # noqa: PLC0415 - as above

    document, warnings = config_file.effective(config), config.warnings()
    if as_json:
        output.print_document({"config": document, "warnings": warnings})
        return 0
    for warning in warnings:
        output.warn(output.plain(warning))
    sys.stdout.write(config_text.to_toml(document))
    return 0


def without_secrets(part: Any) -> Any:
    """The same plain data, its URLs without what may be a password."""
    from runtime.redact import redact  # noqa: PLC0415 - as above

    if isinstance(part, dict):
        return {name: without_secrets(value) for name, value in part.items()}
    if isinstance(part, list):
        return [without_secrets(value) for value in part]
    return redact(part) if isinstance(part, str) else part


def handle_schema(_options: argparse.Namespace) -> int:
    """One JSON document."""
    from agent import config_schema  # noqa: PLC0415 - as above

    output.print_document(config_schema.schema())
    return 0
