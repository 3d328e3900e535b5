"""``edgeward version``: what is installed here."""

from __future__ import annotations

import argparse
import importlib.metadata
import platform

from agent.cli import output

ENGINES = ("onnxruntime", "ai-edge-litert", "openvino", "ncnn")
PARTS = (*ENGINES, "av", "numpy", "paho-mqtt", "cryptography", "msgspec", "psutil")


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    text = "versions of edgeward and of what it runs on"
    parser = subparsers.add_parser("version", help=text, description=text.capitalize() + ".")
    output.add_json_option(parser)
    parser.set_defaults(handler=handle)


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def handle(options: argparse.Namespace) -> int:
    """Print the versions."""
    parts = {name: _installed(name) for name in PARTS}
    own = _installed("edgeward") or "not installed"
    python = platform.python_version()
    if options.json:
        output.print_document(
            {"edgeward": own, "python": python, "machine": platform.machine(), "parts": parts}
        )
        return 0
    print(f"edgeward {own}, Python {python}, {platform.machine()}")  # noqa: T201
    for name, found in parts.items():
        print(f"  {name} {found or 'not installed'}")  # noqa: T201
    return 0
