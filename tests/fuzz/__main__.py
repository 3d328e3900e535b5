"""Runs one fuzzer: ``python -m tests.fuzz NAME``, with the options that ``--help`` tells.

Without atheris the changes come from a generator that starts anew with each execution, so that a failure is
told with the number that repeats it, on every machine. With atheris, which is guided by what the code has
reached, a failure is told with the file that repeats it.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

NAMES = ("container", "signature", "manifest", "inference")
HANG_S = 20
MEMORY = 2 << 30


def main() -> int:
    """The command line; see the module."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--driver", choices=("random", "atheris"), default="random")
    parser.add_argument(
        "--only", type=int, metavar="NUMBER", help="repeat that execution of the random driver"
    )
    parser.add_argument("files", nargs="*", type=Path, help="run on these files only")
    options = parser.parse_args()
    if options.driver == "atheris":
        return with_atheris(options.name, int(options.seconds), options.seed)
    target = importlib.import_module(f"tests.fuzz.{options.name}")
    if options.files:
        for path in options.files:
            print(path, "accepted" if target.one(path.read_bytes()) else "refused")
        return 0
    if options.only is not None:
        print("accepted" if target.one(changed(target, options.seed, options.only)) else "refused")
        return 0
    return at_random(target, options)


def changed(target: Any, seed: int, number: int) -> bytes:
    """The bytes of one execution: those of a seed, changed once or a few times."""
    random = Random(f"{seed}:{number}")
    data: bytes = random.choice(target.SEEDS)
    for _ in range(random.choice((1, 1, 2, 3, 8))):
        data = target.mutate(data, random)
    return data


def at_random(target: Any, options: argparse.Namespace) -> int:
    """Execute until the time is over; the numbers as one line of JSON."""
    soft = min(MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1] % (1 << 63))
    resource.setrlimit(resource.RLIMIT_AS, (soft, soft))
    assert all(target.one(seed) for seed in target.SEEDS), "a seed is refused"
    until, number, accepted = time.monotonic() + options.seconds, 0, 0
    slowest = 0.0
    while time.monotonic() < until:
        data = changed(target, options.seed, number)
        faulthandler.dump_traceback_later(HANG_S, exit=True)
        began = time.monotonic()
        try:
            accepted += target.one(data)
        except BaseException:
            print(f"\nrepeat with: {options.name} --seed {options.seed} --only {number}", file=sys.stderr)
            raise
        faulthandler.cancel_dump_traceback_later()
        slowest = max(slowest, time.monotonic() - began)
        number += 1
    figures = {"target": options.name, "executions": number, "accepted": accepted}
    print(json.dumps(figures | {"slowest_ms": round(slowest * 1e3, 1)}))
    return 0


def with_atheris(name: str, seconds: int, seed: int) -> int:
    """Guided by coverage; ends the process. What it found new stays in a folder that is named."""
    import atheris  # noqa: PLC0415 - only here, and it may be missing

    # Modules that an editable installation's own finder loads would not be instrumented: the folder's are.
    sys.meta_path[:] = [finder for finder in sys.meta_path if isinstance(finder, type)]
    with atheris.instrument_imports(include=["runtime.bundle", "runtime.serve"]):
        target = importlib.import_module(f"tests.fuzz.{name}")
    found = Path(tempfile.mkdtemp(prefix=f"edgeward-fuzz-{name}-"))
    print(f"inputs that reached something new are kept in {found}", file=sys.stderr)

    def mutator(data: bytes, max_size: int, number: int) -> bytes:
        if number % 4 == 0:
            return bytes(atheris.Mutate(data, max_size))
        return bytes(target.mutate(data, Random(number))[:max_size])

    seeds = Path(target.corpus.FOLDER) / name
    arguments = [sys.argv[0], f"-max_total_time={seconds}", f"-seed={seed}", f"-timeout={HANG_S}"]
    arguments += [
        "-rss_limit_mb=2048",
        "-max_len=16384",
        "-print_final_stats=1",
        f"-artifact_prefix={found}/",
    ]
    atheris.Setup(
        [*arguments, str(found), str(seeds)], lambda data: target.one(data) and None, custom_mutator=mutator
    )
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
