"""Pipelines and their streams as text: a table of all, and the details of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from agent.cli.paint import Paint, duration, fit, megabytes, wrapped

if TYPE_CHECKING:
    from agent.control import control_pb2 as pb

_STATE, _FOR, _FPS, _LATENCY, _DROPPED = 11, 10, 11, 12, 8
# Of the name's column: what the others and the spaces between them leave.
_OTHERS = _STATE + _FOR + _FPS + _LATENCY + _DROPPED + 5


def pipelines(items: Sequence[pb.Pipeline], paint: Paint, width: int) -> list[str]:
    """A table: a line each pipeline and each of its streams."""
    if not items:
        return ["no pipeline is configured"]
    name = width - _OTHERS
    head = f"{'PIPELINE, STREAM':<{name}} {'STATE':<{_STATE}} {'FOR':<{_FOR}} {'FPS':>{_FPS}}"
    lines = [paint(f"{head} {'P50/P95 MS':>{_LATENCY}} {'DROPPED':>{_DROPPED}}", "bold")]
    for item in items:
        lines += _pipeline(item, name, paint, width)
    return lines


def _pipeline(item: pb.Pipeline, name: int, paint: Paint, width: int) -> Iterator[str]:
    state = f"{paint.state(fit(item.state, _STATE), _STATE)} {fit(duration(item.for_s), _FOR):<{_FOR}}"
    resources = fit(_resources(item), width - name - _STATE - _FOR - 3)
    yield f"{paint(fit(item.name, name).ljust(name), 'bold')} {state} {resources}".rstrip()
    told = set()  # one cause may be that of the pipeline, of its bundle and of each stream: once is enough
    if item.HasField("problem"):
        yield from problem(item.problem, paint, width, indent=2)
        told.add(_cause(item.problem))
    for bundle in item.bundles:
        yield fit(f"  {_bundle(bundle)}", width)
        if bundle.HasField("quarantined") and _cause(bundle.quarantined) not in told:
            yield from problem(bundle.quarantined, paint, width, indent=4, before="quarantined: ")
            told.add(_cause(bundle.quarantined))
    for stream in item.streams:
        yield _stream(stream, name, paint)
        if stream.HasField("problem") and _cause(stream.problem) not in told:
            yield from problem(stream.problem, paint, width, indent=4)


def _cause(what: pb.Problem) -> str:
    return what.code or what.text


def _resources(item: pb.Pipeline) -> str:
    if not item.pid:
        return f"{item.restarts} restarts" if item.restarts else ""
    memory = megabytes(item.memory_mb) if item.HasField("memory_mb") else ""
    restarts = f"{item.restarts}x restarted" if item.restarts else ""
    return ", ".join(part for part in (f"{item.cpu_percent:.0f} % CPU", memory, restarts) if part)


def _bundle(bundle: pb.BundleRun) -> str:
    stage = f"{bundle.stage}: " if bundle.stage else ""
    runs = ", ".join(part for part in (bundle.engine, bundle.provider, bundle.variant) if part)
    return f"{stage}{bundle.name} {bundle.version}" + (f" on {runs}" if runs else "")


def _stream(stream: pb.Stream, name: int, paint: Paint) -> str:
    limit = f"/{stream.max_fps:.3g}" if stream.max_fps else ""
    latency = (
        f"{stream.latency_p50_ms:.0f}/{stream.latency_p95_ms:.0f}"
        if stream.HasField("latency_p50_ms") and stream.HasField("latency_p95_ms")
        else "-"
    )
    label = fit(f"  {stream.name}", name).ljust(name)
    state = f"{paint.state(fit(stream.state, _STATE), _STATE)} {fit(duration(stream.for_s), _FOR):<{_FOR}}"
    fps = fit(f"{stream.fps:.1f}{limit}", _FPS)
    latency, dropped = fit(latency, _LATENCY), fit(str(stream.dropped), _DROPPED)
    return f"{label} {state} {fps:>{_FPS}} {latency:>{_LATENCY}} {dropped:>{_DROPPED}}"


def problem(what: pb.Problem, paint: Paint, width: int, *, indent: int, before: str = "") -> Iterator[str]:
    """Why something is not as it should be, and below it what to do."""
    space = " " * indent
    code = f" [{what.code}]" if what.code else ""
    for line in wrapped(f"{before}{what.text}{code}", width, f"{space}! ", f"{space}  "):
        yield paint(line, "bad")
    if what.remedy:
        yield from wrapped(what.remedy, width, f"{space}  -> ", f"{space}     ")


def details(item: pb.Pipeline, paint: Paint, width: int) -> str:
    """Everything about one pipeline."""
    lines = pipelines([item], paint, width)
    lines += ["", *_worker(item, width)]
    for bundle in item.bundles:
        lines += _row("bundle", f"{_bundle(bundle)}, release {bundle.release_counter}", width)
        lines += _row("digest", bundle.digest or "unknown", width)
    for stream in item.streams:
        lines += _source(stream, width)
    if item.last_lines:
        lines += ["", paint("what the last worker that ended badly had printed:", "bold")]
        lines += [fit(f"  {line}", width) for line in item.last_lines]
    return "".join(f"{line}\n" for line in lines)


def _worker(item: pb.Pipeline, width: int) -> Iterator[str]:
    if item.pid:
        limit = f" of {megabytes(item.memory_limit_mb)} allowed" if item.memory_limit_mb else ""
        memory = f", {megabytes(item.memory_mb)}{limit}" if item.HasField("memory_mb") else ""
        yield from _row("worker", f"pid {item.pid}, {item.cpu_percent:.0f} % of a CPU{memory}", width)
    ended = f", the last one: {item.last_end}" if item.last_end else ""
    yield from _row("restarts", f"{item.restarts}{ended}", width)
    if item.inference_api:
        yield from _row("inference", item.inference_api, width)


def _source(stream: pb.Stream, width: int) -> Iterator[str]:
    picture = f"{stream.codec} {stream.width}x{stream.height}" if stream.codec else ""
    yield from _row("stream", ", ".join(part for part in (stream.name, stream.url, picture) if part), width)
    counts = f"{stream.results} results, {stream.failed} failed, {stream.dropped} dropped"
    yield from _row("", f"{counts}, {stream.reconnects} reconnects", width)
    if stream.HasField("latency_p99_ms"):
        figures = ((50, stream.latency_p50_ms), (95, stream.latency_p95_ms), (99, stream.latency_p99_ms))
        told = ", ".join(f"p{share} {value:.1f} ms" for share, value in figures)
        yield from _row("", f"latency {told}", width)
    if stream.HasField("last_result_age_s"):
        yield from _row("", f"last result {duration(stream.last_result_age_s)} ago", width)


def _row(label: str, text: str, width: int) -> Iterator[str]:
    yield from wrapped(text, width, f"  {label:<10}", " " * 12)
