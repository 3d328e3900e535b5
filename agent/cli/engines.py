"""``edgeward engines``: which inference engines this device has, and why it has not the others."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

from agent.cli import output
from agent.workers.process import worker_environment
from runtime.errors import Code, EdgewardError

COMMAND = (sys.executable, "-P", "-m", "runtime.engine.listing")
TIMEOUT_S = 120.0

EPILOG = """\
examples:
  edgeward engines
  edgeward engines --json

A variant of a bundle names its engine; a provider is what the engine runs it on. Adding an engine:
docs/guide/engines.md.
"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "engines",
        help="the inference engines of this device",
        description="Tell which inference engines are installed here, their versions and providers, and why "
        "the others cannot be used.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    output.add_json_option(parser)
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """Print them."""
    engines = _ask()
    if options.json:
        output.print_document({"engines": engines})
        return 0
    for name, engine in engines.items():
        if engine["available"]:
            providers = ", ".join(engine["providers"])
            text = f"{engine['version']}, runs on {providers}" if providers else engine["version"]
        else:
            text = f"not available: {engine['reason']}"
        package = engine["package"]
        added = f" (added by {package})" if package not in {"", "edgeward"} else ""
        sys.stdout.write(f"{name:<12} {text}{added}\n")
    return 0


def _ask() -> dict[str, dict[str, Any]]:
    """Engines are looked at in a process of their own: this one loads none, and lives when one crashes."""
    remedy = "run it again with the last package that was installed removed"
    try:
        done = subprocess.run(
            COMMAND,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
            env=worker_environment(1),
        )
    except subprocess.TimeoutExpired as error:
        what = f"asking the engines took more than {TIMEOUT_S:g} s"
        raise EdgewardError(Code.ENGINE_UNAVAILABLE, what, remedy=remedy) from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        what = f"asking the engines ended with status {done.returncode}: {last}"
        raise EdgewardError(Code.ENGINE_UNAVAILABLE, what, remedy=remedy)
    # An engine's package may print on its way; the answer is the last line.
    answer: dict[str, dict[str, Any]] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer
