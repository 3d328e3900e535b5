"""Does every model load on this device, answer right, and fast enough?"""

from __future__ import annotations

import sys
from pathlib import Path

from agent.config import Pipeline
from agent.doctor.finding import Finding, ok, quoted, skip
from agent.doctor.mend import finding_of
from agent.doctor.probes.engines import EXTRAS
from agent.doctor.site import Site
from agent.preflight.check import BundleCheck, Settings
from agent.workers.start_message import engine_options
from runtime.bundle.ingested import Ingested
from runtime.errors import Code, EdgewardError

MEANING = (
    "a variant of every bundle loads on this device, answers its golden frames right and keeps its budgets"
)
NEEDS = ("configuration", "bundles")
AFTER = ("agent",)
TIMEOUT_S = 900.0
HEAVY = True
ROUNDS = 30
MEASURE_S = 3.0


async def probe(site: Site) -> list[Finding]:
    """As the agent does before it runs a bundle, only shorter; what runs already is not loaded again."""
    if site.unknown_agent:
        return [skip(site.unknown_agent)]
    found = []
    tried: set[tuple[str, str]] = set()
    for pipeline in site.known.pipeline:
        options = engine_options(pipeline, site.known.engine, site.known.device.profile)
        for stage, file in _files(pipeline).items():
            label = f"{pipeline.name}/{stage}" if stage else pipeline.name
            bundle = site.bundles.get(file)
            if bundle is None:
                found.append(skip("its bundle was not verified", subject=label))
            elif (running := _running(site, pipeline.name, stage, bundle)) is not None:
                found.append(ok(running, subject=label))
            elif (key := (bundle.digest, repr(options[stage]))) not in tried:
                tried.add(key)
                found.append(
                    await _one(site, label, bundle, BundleCheck(bundle, options[stage], _asked(site)))
                )
    return found or [skip("no pipeline is configured")]


def _files(pipeline: Pipeline) -> dict[str, Path]:
    return {"": Path(pipeline.bundle)} | {stage.name: Path(stage.bundle) for stage in pipeline.stage}


def _running(site: Site, pipeline: str, stage: str, bundle: Ingested) -> str | None:
    for item in site.status.pipelines if site.status else ():
        if item.name != pipeline or item.state != "running":
            continue
        for run in item.bundles:
            if run.stage == stage and run.digest == bundle.digest:
                return f"runs: {run.name} {run.version}, variant {run.variant} on {run.engine} {run.provider}"
    return None


def _asked(site: Site) -> Settings:
    preflight = site.known.preflight
    return Settings(
        deadline_s=preflight.deadline_s,
        memory_mb=preflight.memory_mb,
        rounds=ROUNDS,
        measure_s=MEASURE_S,
        require_golden=preflight.require_golden,
    )


async def _one(site: Site, label: str, bundle: Ingested, check: BundleCheck) -> Finding:
    report = await check.run()
    refused = report.refused()
    if refused is not None:
        engines = sorted({variant.engine for variant in report.variants})
        return finding_of(
            refused, site, subject=label, command=_command(refused, engines, site), blocks=False
        )
    chosen = next(variant for variant in report.variants if variant.id == report.chosen)
    latency = f", {chosen.latency.p95_ms:.1f} ms for 95 % of the frames" if chosen.latency else ""
    unchecked = "" if report.checked else "; it has no golden frames, so its answers were not compared"
    text = f"{bundle.name} {bundle.version}: variant {chosen.id} passed{latency}{unchecked}"
    return ok(text, subject=label)


def _command(error: EdgewardError, engines: list[str], site: Site) -> str:
    if error.code is Code.ENGINE_UNAVAILABLE:
        extras = [EXTRAS[name] for name in engines if name in EXTRAS]
        if extras:
            return quoted(sys.executable, "-m", "pip", "install", f"edgeward[{','.join(extras)}]")
        return "edgeward engines"
    return quoted("edgeward", "doctor", "--config", site.file.absolute(), "--only", "models", "--json")
