"""``edgeward preflight``: by hand what the agent does before it runs a bundle: every variant is tried."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from agent.cli import arguments, output
from agent.cli.bench_worker import Progress
from agent.cli.number import number
from agent.preflight.check import BundleCheck, Settings, Witness
from agent.preflight.report import Report
from agent.preflight.table import table
from agent.trust.ingest import ingest
from runtime import ipc
from runtime.preflight.messages import MIN_ROUNDS, Candidate, Examining

EPILOG = """\
examples:
  edgeward preflight belt.ewb --key release.pub
  edgeward preflight belt.ewb --key release.pub --variant int8 --rounds 300
  edgeward preflight belt.ewb --key release.pub --latency-ms 40 --memory-mb 300 --json

Each variant that fits this board is loaded in a process of its own, answers the golden frames of the bundle
and is measured. Refused is what answers otherwise than on its author's desk, is over a budget, crashes or
hangs. The agent does the same before it runs a bundle; see docs/guide/preflight.md.
"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "preflight",
        help="try every variant of a bundle on this device",
        description="Verify a bundle, try each of its variants on this device, and tell which one to run and "
        "why the others are refused.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("bundle", metavar="X.ewb", type=Path, help="the signed bundle")
    arguments.add_key_option(parser)
    parser.add_argument(
        "--variant",
        action="append",
        default=[],
        metavar="ID",
        help="try this variant only; may be given again",
    )
    arguments.add_engine_options(parser)
    parser.add_argument(
        "--max-batch",
        type=_batch,
        default=1,
        metavar="N",
        help="pictures at a time, at most: as many as a pipeline has streams (default 1)",
    )
    parser.add_argument(
        "--rounds", type=_rounds, default=100, metavar="N", help=f"frames to measure, {MIN_ROUNDS} or more"
    )
    parser.add_argument(
        "--deadline",
        type=arguments.seconds,
        default=60.0,
        metavar="S",
        help="seconds for each step of a variant (default 60)",
    )
    parser.add_argument(
        "--memory-mb",
        type=_megabytes,
        default=0.0,
        metavar="N",
        help="end a variant that takes more memory (default: three quarters of what is free)",
    )
    parser.add_argument(
        "--latency-ms",
        type=_milliseconds,
        metavar="MS",
        help="a budget for the 95th percentile of a frame, beside the bundle's own",
    )
    parser.add_argument(
        "--require-golden", action="store_true", help="refuse a bundle whose answers cannot be checked"
    )
    output.add_json_option(parser)
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """Check it; the status of the error when no variant passes."""
    with tempfile.TemporaryDirectory(prefix="edgeward-preflight-") as scratch:
        report = asyncio.run(_check(options, Path(scratch)))
    if options.json:
        output.print_document(document(report))
    else:
        sys.stdout.write(table(report))
        if report.chosen and not report.checked:
            output.warn("the bundle has no golden frames: nobody checked whether its answers are right here")
    refused = report.refused()
    if refused is not None:
        output.flush()
        raise refused
    return 0


def document(report: Report) -> dict[str, Any]:
    """The report as ``--json`` prints it."""
    found: dict[str, Any] = msgspec.to_builtins(report)
    return found


async def _check(options: argparse.Namespace, scratch: Path) -> Report:
    bundle = await ingest(options.bundle, options.key, scratch)
    progress = Progress(live=not options.json)
    progress.tell(f"bundle {bundle.name} {bundle.version}, signed by {bundle.signed_by[:16]}")

    def step(candidate: Candidate, message: Examining) -> None:
        so_far = f" {message.done} of {message.total}" if message.total else ""
        progress.step(f"{candidate.id}: {message.step}{so_far}")

    check = BundleCheck(
        bundle,
        ipc.EngineOptions(
            threads=options.threads, provider=options.provider, profile=arguments.board_profile(options)
        ),
        Settings(
            load_s=options.deadline,
            deadline_s=options.deadline,
            memory_mb=options.memory_mb,
            rounds=options.rounds,
            measure_s=options.deadline,  # whoever asks for many rounds by hand waits for them
            require_golden=options.require_golden,
            latency_ms=options.latency_ms,
        ),
        max_batch=options.max_batch,
        witness=Witness(on_step=step),
    )
    try:
        return await check.run(options.variant)
    finally:
        progress.clear()


def _batch(text: str) -> int:
    return int(number(text, int, 1, 64, "a number of pictures between 1 and 64"))


def _rounds(text: str) -> int:
    return int(number(text, int, MIN_ROUNDS, 100_000, f"a number of frames, {MIN_ROUNDS} or more"))


def _megabytes(text: str) -> float:
    return float(number(text, float, 1, 1e9, "a number of megabytes, 1 or more"))


def _milliseconds(text: str) -> float:
    return float(number(text, float, 0.001, 1e6, "a number of milliseconds over 0"))
