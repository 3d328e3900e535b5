"""The real agent, but for two things: its worker is the fake one, and its bundles need no signature.

With the setting ``real_ingest`` they do, and with ``real_worker`` it is the real one: only limits differ.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from agent import config_file, daemon, logs
from agent.link.session import Timing
from agent.redact import Redactor
from agent.state_lock import StateLock
from agent.trust.ingest import Stored
from agent.trust.ingest import ingest as verify_and_store
from agent.workers.pipeline import Limits
from agent.workers.process import COMMAND
from runtime.bundle.ingested import Ingested
from runtime.errors import Code, EdgewardError

FAKE = (sys.executable, str(Path(__file__).with_name("fake_worker.py")))


async def ingest(bundle: Path | Stored, keys: Sequence[Path], into: Path, **limits: object) -> Ingested:
    if isinstance(bundle, Stored):
        raise EdgewardError(Code.BUNDLE_MISSING, "nothing is kept here", where=str(bundle))
    behaviour = bundle.read_text() if bundle.is_file() else "missing"
    if "missing" in behaviour:
        raise EdgewardError(Code.BUNDLE_MISSING, "no such file", where=str(bundle), remedy="check the path")
    digest = hashlib.sha256(str(bundle).encode()).hexdigest()
    folder = into / digest
    folder.mkdir(parents=True, exist_ok=True)
    # A link, so that the test changes what the next worker does without a new bundle.
    link = folder / "behaviour"
    link.unlink(missing_ok=True)
    link.symlink_to(bundle)
    return Ingested(
        # Each its own: of two releases of one name the rollback floors let the newer one run alone.
        name=f"fake-{bundle.stem}",
        version="1.0.0",
        release_counter=1,
        digest=digest,
        manifest_sha256="0" * 64,
        signed_by="",
        folder=str(folder),
        size=0,
        new=True,
    )


def chosen(kind: type, settings: dict[str, float]) -> object:
    names = {field.name for field in fields(kind)}
    return kind(**{name: value for name, value in settings.items() if name in names})


async def run(path: Path, settings: dict[str, float]) -> int:
    redactor = Redactor()
    config = config_file.load(path)
    logs.set_up(redactor, config.log)
    limits = {"refused_retry": 5.0, "look_for_bundle": 0.05, "stop_grace": 1.0, **settings}
    timing = {"will_delay": 1, "first_retry": 0.1, "slowest_retry": 0.5, "slow_retry": 0.5, **settings}
    with StateLock(Path(config.device.state_dir)):
        agent = daemon.Daemon(
            config,
            redactor,
            path=path,
            ingest=verify_and_store if settings.get("real_ingest") else ingest,
            command=COMMAND if settings.get("real_worker") else FAKE,
            limits=chosen(Limits, limits),
            timing=chosen(Timing, timing),
        )
        return await agent.run()


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(run(Path(sys.argv[1]), json.loads(sys.argv[2]))))
    except EdgewardError as error:
        sys.stderr.write(f"edgeward: {error}\n")
        sys.exit(int(error.code.exit_status))
