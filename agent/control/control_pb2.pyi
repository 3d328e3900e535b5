from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WatchStatusRequest(_message.Message):
    __slots__ = ("interval_ms",)
    INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    interval_ms: int
    def __init__(self, interval_ms: _Optional[int] = ...) -> None: ...

class Status(_message.Message):
    __slots__ = ("device", "link", "pipelines", "health", "governor", "version", "pid", "uptime_s", "draining", "config_file", "config_loaded_ms", "config_problem", "agent_pss_mb")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    PIPELINES_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    GOVERNOR_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    UPTIME_S_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FILE_FIELD_NUMBER: _ClassVar[int]
    CONFIG_LOADED_MS_FIELD_NUMBER: _ClassVar[int]
    CONFIG_PROBLEM_FIELD_NUMBER: _ClassVar[int]
    AGENT_PSS_MB_FIELD_NUMBER: _ClassVar[int]
    device: Device
    link: Link
    pipelines: _containers.RepeatedCompositeFieldContainer[Pipeline]
    health: Health
    governor: Governor
    version: str
    pid: int
    uptime_s: float
    draining: bool
    config_file: str
    config_loaded_ms: int
    config_problem: Problem
    agent_pss_mb: float
    def __init__(self, device: _Optional[_Union[Device, _Mapping]] = ..., link: _Optional[_Union[Link, _Mapping]] = ..., pipelines: _Optional[_Iterable[_Union[Pipeline, _Mapping]]] = ..., health: _Optional[_Union[Health, _Mapping]] = ..., governor: _Optional[_Union[Governor, _Mapping]] = ..., version: _Optional[str] = ..., pid: _Optional[int] = ..., uptime_s: _Optional[float] = ..., draining: _Optional[bool] = ..., config_file: _Optional[str] = ..., config_loaded_ms: _Optional[int] = ..., config_problem: _Optional[_Union[Problem, _Mapping]] = ..., agent_pss_mb: _Optional[float] = ...) -> None: ...

class Device(_message.Message):
    __slots__ = ("id", "profile", "profile_title", "profile_source", "os", "kernel", "machine", "cpu", "cpu_count", "memory_mb", "cpu_percent", "memory_percent", "disk_free_mb", "temperature_c", "clock_synchronised")
    ID_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    PROFILE_TITLE_FIELD_NUMBER: _ClassVar[int]
    PROFILE_SOURCE_FIELD_NUMBER: _ClassVar[int]
    OS_FIELD_NUMBER: _ClassVar[int]
    KERNEL_FIELD_NUMBER: _ClassVar[int]
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    CPU_FIELD_NUMBER: _ClassVar[int]
    CPU_COUNT_FIELD_NUMBER: _ClassVar[int]
    MEMORY_MB_FIELD_NUMBER: _ClassVar[int]
    CPU_PERCENT_FIELD_NUMBER: _ClassVar[int]
    MEMORY_PERCENT_FIELD_NUMBER: _ClassVar[int]
    DISK_FREE_MB_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_C_FIELD_NUMBER: _ClassVar[int]
    CLOCK_SYNCHRONISED_FIELD_NUMBER: _ClassVar[int]
    id: str
    profile: str
    profile_title: str
    profile_source: str
    os: str
    kernel: str
    machine: str
    cpu: str
    cpu_count: int
    memory_mb: int
    cpu_percent: float
    memory_percent: float
    disk_free_mb: int
    temperature_c: float
    clock_synchronised: bool
    def __init__(self, id: _Optional[str] = ..., profile: _Optional[str] = ..., profile_title: _Optional[str] = ..., profile_source: _Optional[str] = ..., os: _Optional[str] = ..., kernel: _Optional[str] = ..., machine: _Optional[str] = ..., cpu: _Optional[str] = ..., cpu_count: _Optional[int] = ..., memory_mb: _Optional[int] = ..., cpu_percent: _Optional[float] = ..., memory_percent: _Optional[float] = ..., disk_free_mb: _Optional[int] = ..., temperature_c: _Optional[float] = ..., clock_synchronised: _Optional[bool] = ...) -> None: ...

class Link(_message.Message):
    __slots__ = ("connected", "address", "for_s", "problem", "queued_bytes", "connects", "dropped")
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    FOR_S_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    QUEUED_BYTES_FIELD_NUMBER: _ClassVar[int]
    CONNECTS_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    connected: bool
    address: str
    for_s: float
    problem: Problem
    queued_bytes: int
    connects: int
    dropped: int
    def __init__(self, connected: _Optional[bool] = ..., address: _Optional[str] = ..., for_s: _Optional[float] = ..., problem: _Optional[_Union[Problem, _Mapping]] = ..., queued_bytes: _Optional[int] = ..., connects: _Optional[int] = ..., dropped: _Optional[int] = ...) -> None: ...

class Problem(_message.Message):
    __slots__ = ("code", "text", "remedy")
    CODE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    code: str
    text: str
    remedy: str
    def __init__(self, code: _Optional[str] = ..., text: _Optional[str] = ..., remedy: _Optional[str] = ...) -> None: ...

class Pipeline(_message.Message):
    __slots__ = ("name", "state", "for_s", "problem", "pid", "restarts", "last_end", "bundles", "streams", "memory_mb", "memory_limit_mb", "cpu_percent", "last_lines", "inference_api")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FOR_S_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    RESTARTS_FIELD_NUMBER: _ClassVar[int]
    LAST_END_FIELD_NUMBER: _ClassVar[int]
    BUNDLES_FIELD_NUMBER: _ClassVar[int]
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_MB_FIELD_NUMBER: _ClassVar[int]
    MEMORY_LIMIT_MB_FIELD_NUMBER: _ClassVar[int]
    CPU_PERCENT_FIELD_NUMBER: _ClassVar[int]
    LAST_LINES_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_API_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: str
    for_s: float
    problem: Problem
    pid: int
    restarts: int
    last_end: str
    bundles: _containers.RepeatedCompositeFieldContainer[BundleRun]
    streams: _containers.RepeatedCompositeFieldContainer[Stream]
    memory_mb: float
    memory_limit_mb: float
    cpu_percent: float
    last_lines: _containers.RepeatedScalarFieldContainer[str]
    inference_api: str
    def __init__(self, name: _Optional[str] = ..., state: _Optional[str] = ..., for_s: _Optional[float] = ..., problem: _Optional[_Union[Problem, _Mapping]] = ..., pid: _Optional[int] = ..., restarts: _Optional[int] = ..., last_end: _Optional[str] = ..., bundles: _Optional[_Iterable[_Union[BundleRun, _Mapping]]] = ..., streams: _Optional[_Iterable[_Union[Stream, _Mapping]]] = ..., memory_mb: _Optional[float] = ..., memory_limit_mb: _Optional[float] = ..., cpu_percent: _Optional[float] = ..., last_lines: _Optional[_Iterable[str]] = ..., inference_api: _Optional[str] = ...) -> None: ...

class BundleRun(_message.Message):
    __slots__ = ("stage", "name", "version", "release_counter", "digest", "variant", "engine", "provider", "quarantined")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    RELEASE_COUNTER_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    VARIANT_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    stage: str
    name: str
    version: str
    release_counter: int
    digest: str
    variant: str
    engine: str
    provider: str
    quarantined: Problem
    def __init__(self, stage: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[str] = ..., release_counter: _Optional[int] = ..., digest: _Optional[str] = ..., variant: _Optional[str] = ..., engine: _Optional[str] = ..., provider: _Optional[str] = ..., quarantined: _Optional[_Union[Problem, _Mapping]] = ...) -> None: ...

class Stream(_message.Message):
    __slots__ = ("name", "state", "for_s", "problem", "url", "codec", "width", "height", "fps", "max_fps", "latency_p50_ms", "latency_p95_ms", "latency_p99_ms", "results", "failed", "dropped", "reconnects", "last_result_age_s")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FOR_S_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    CODEC_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    FPS_FIELD_NUMBER: _ClassVar[int]
    MAX_FPS_FIELD_NUMBER: _ClassVar[int]
    LATENCY_P50_MS_FIELD_NUMBER: _ClassVar[int]
    LATENCY_P95_MS_FIELD_NUMBER: _ClassVar[int]
    LATENCY_P99_MS_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    RECONNECTS_FIELD_NUMBER: _ClassVar[int]
    LAST_RESULT_AGE_S_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: str
    for_s: float
    problem: Problem
    url: str
    codec: str
    width: int
    height: int
    fps: float
    max_fps: float
    latency_p50_ms: float
    latency_p95_ms: float
    latency_p99_ms: float
    results: int
    failed: int
    dropped: int
    reconnects: int
    last_result_age_s: float
    def __init__(self, name: _Optional[str] = ..., state: _Optional[str] = ..., for_s: _Optional[float] = ..., problem: _Optional[_Union[Problem, _Mapping]] = ..., url: _Optional[str] = ..., codec: _Optional[str] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., fps: _Optional[float] = ..., max_fps: _Optional[float] = ..., latency_p50_ms: _Optional[float] = ..., latency_p95_ms: _Optional[float] = ..., latency_p99_ms: _Optional[float] = ..., results: _Optional[int] = ..., failed: _Optional[int] = ..., dropped: _Optional[int] = ..., reconnects: _Optional[int] = ..., last_result_age_s: _Optional[float] = ...) -> None: ...

class Governor(_message.Message):
    __slots__ = ("active", "level", "rate", "reasons")
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    active: bool
    level: int
    rate: float
    reasons: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, active: _Optional[bool] = ..., level: _Optional[int] = ..., rate: _Optional[float] = ..., reasons: _Optional[_Iterable[str]] = ...) -> None: ...

class GetHealthRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Health(_message.Message):
    __slots__ = ("state", "summary", "checks")
    STATE_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    state: str
    summary: str
    checks: _containers.RepeatedCompositeFieldContainer[Check]
    def __init__(self, state: _Optional[str] = ..., summary: _Optional[str] = ..., checks: _Optional[_Iterable[_Union[Check, _Mapping]]] = ...) -> None: ...

class Check(_message.Message):
    __slots__ = ("id", "subject", "severity", "code", "text", "remedy", "since_ms", "docs")
    ID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    DOCS_FIELD_NUMBER: _ClassVar[int]
    id: str
    subject: str
    severity: str
    code: str
    text: str
    remedy: str
    since_ms: int
    docs: str
    def __init__(self, id: _Optional[str] = ..., subject: _Optional[str] = ..., severity: _Optional[str] = ..., code: _Optional[str] = ..., text: _Optional[str] = ..., remedy: _Optional[str] = ..., since_ms: _Optional[int] = ..., docs: _Optional[str] = ...) -> None: ...

class GetMetricsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class MetricsText(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...

class GetEventsRequest(_message.Message):
    __slots__ = ("recent", "follow", "detections", "pipeline")
    RECENT_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    DETECTIONS_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    recent: int
    follow: bool
    detections: bool
    pipeline: str
    def __init__(self, recent: _Optional[int] = ..., follow: _Optional[bool] = ..., detections: _Optional[bool] = ..., pipeline: _Optional[str] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("seq", "time_ms", "time_ok", "kind", "subject", "severity", "code", "text", "remedy", "json", "lost")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    TIME_OK_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    seq: int
    time_ms: int
    time_ok: bool
    kind: str
    subject: str
    severity: str
    code: str
    text: str
    remedy: str
    json: str
    lost: int
    def __init__(self, seq: _Optional[int] = ..., time_ms: _Optional[int] = ..., time_ok: _Optional[bool] = ..., kind: _Optional[str] = ..., subject: _Optional[str] = ..., severity: _Optional[str] = ..., code: _Optional[str] = ..., text: _Optional[str] = ..., remedy: _Optional[str] = ..., json: _Optional[str] = ..., lost: _Optional[int] = ...) -> None: ...

class GetLogsRequest(_message.Message):
    __slots__ = ("recent", "follow", "pipeline", "level")
    RECENT_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    recent: int
    follow: bool
    pipeline: str
    level: str
    def __init__(self, recent: _Optional[int] = ..., follow: _Optional[bool] = ..., pipeline: _Optional[str] = ..., level: _Optional[str] = ...) -> None: ...

class LogLine(_message.Message):
    __slots__ = ("time_ms", "level", "part", "pipeline", "text", "lost")
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    time_ms: int
    level: str
    part: str
    pipeline: str
    text: str
    lost: int
    def __init__(self, time_ms: _Optional[int] = ..., level: _Optional[str] = ..., part: _Optional[str] = ..., pipeline: _Optional[str] = ..., text: _Optional[str] = ..., lost: _Optional[int] = ...) -> None: ...

class PipelineRequest(_message.Message):
    __slots__ = ("name", "wait_s")
    NAME_FIELD_NUMBER: _ClassVar[int]
    WAIT_S_FIELD_NUMBER: _ClassVar[int]
    name: str
    wait_s: float
    def __init__(self, name: _Optional[str] = ..., wait_s: _Optional[float] = ...) -> None: ...

class PipelineReply(_message.Message):
    __slots__ = ("pipeline",)
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    pipeline: Pipeline
    def __init__(self, pipeline: _Optional[_Union[Pipeline, _Mapping]] = ...) -> None: ...

class SnapshotRequest(_message.Message):
    __slots__ = ("pipeline", "stream", "annotate", "max_width")
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    ANNOTATE_FIELD_NUMBER: _ClassVar[int]
    MAX_WIDTH_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    stream: str
    annotate: bool
    max_width: int
    def __init__(self, pipeline: _Optional[str] = ..., stream: _Optional[str] = ..., annotate: _Optional[bool] = ..., max_width: _Optional[int] = ...) -> None: ...

class SnapshotReply(_message.Message):
    __slots__ = ("jpeg", "stream", "width", "height", "time_ms", "time_ok", "json")
    JPEG_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    TIME_OK_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    jpeg: bytes
    stream: str
    width: int
    height: int
    time_ms: int
    time_ok: bool
    json: str
    def __init__(self, jpeg: _Optional[bytes] = ..., stream: _Optional[str] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., time_ms: _Optional[int] = ..., time_ok: _Optional[bool] = ..., json: _Optional[str] = ...) -> None: ...

class ReloadRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReloadReply(_message.Message):
    __slots__ = ("started", "stopped", "restarted", "unchanged", "needs_restart", "warnings")
    STARTED_FIELD_NUMBER: _ClassVar[int]
    STOPPED_FIELD_NUMBER: _ClassVar[int]
    RESTARTED_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    NEEDS_RESTART_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    started: _containers.RepeatedScalarFieldContainer[str]
    stopped: _containers.RepeatedScalarFieldContainer[str]
    restarted: _containers.RepeatedScalarFieldContainer[str]
    unchanged: _containers.RepeatedScalarFieldContainer[str]
    needs_restart: _containers.RepeatedScalarFieldContainer[str]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, started: _Optional[_Iterable[str]] = ..., stopped: _Optional[_Iterable[str]] = ..., restarted: _Optional[_Iterable[str]] = ..., unchanged: _Optional[_Iterable[str]] = ..., needs_restart: _Optional[_Iterable[str]] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...

class GetConfigRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Config(_message.Message):
    __slots__ = ("toml", "json", "file")
    TOML_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    toml: str
    json: str
    file: str
    def __init__(self, toml: _Optional[str] = ..., json: _Optional[str] = ..., file: _Optional[str] = ...) -> None: ...

class DrainRequest(_message.Message):
    __slots__ = ("wait_s",)
    WAIT_S_FIELD_NUMBER: _ClassVar[int]
    wait_s: float
    def __init__(self, wait_s: _Optional[float] = ...) -> None: ...

class DrainReply(_message.Message):
    __slots__ = ("stopped",)
    STOPPED_FIELD_NUMBER: _ClassVar[int]
    stopped: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, stopped: _Optional[_Iterable[str]] = ...) -> None: ...

class ListBundlesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListBundlesReply(_message.Message):
    __slots__ = ("bundles",)
    BUNDLES_FIELD_NUMBER: _ClassVar[int]
    bundles: _containers.RepeatedCompositeFieldContainer[StoredBundle]
    def __init__(self, bundles: _Optional[_Iterable[_Union[StoredBundle, _Mapping]]] = ...) -> None: ...

class StoredBundle(_message.Message):
    __slots__ = ("name", "version", "release_counter", "digest", "bytes", "current", "previous", "quarantined")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    RELEASE_COUNTER_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    release_counter: int
    digest: str
    bytes: int
    current: _containers.RepeatedScalarFieldContainer[str]
    previous: _containers.RepeatedScalarFieldContainer[str]
    quarantined: Problem
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., release_counter: _Optional[int] = ..., digest: _Optional[str] = ..., bytes: _Optional[int] = ..., current: _Optional[_Iterable[str]] = ..., previous: _Optional[_Iterable[str]] = ..., quarantined: _Optional[_Union[Problem, _Mapping]] = ...) -> None: ...

class InstallBundleRequest(_message.Message):
    __slots__ = ("file", "pipeline", "stage", "wait_s")
    FILE_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    WAIT_S_FIELD_NUMBER: _ClassVar[int]
    file: str
    pipeline: str
    stage: str
    wait_s: float
    def __init__(self, file: _Optional[str] = ..., pipeline: _Optional[str] = ..., stage: _Optional[str] = ..., wait_s: _Optional[float] = ...) -> None: ...

class InstallProgress(_message.Message):
    __slots__ = ("step", "text", "done", "pipeline")
    STEP_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    step: str
    text: str
    done: bool
    pipeline: Pipeline
    def __init__(self, step: _Optional[str] = ..., text: _Optional[str] = ..., done: _Optional[bool] = ..., pipeline: _Optional[_Union[Pipeline, _Mapping]] = ...) -> None: ...

class RollbackBundleRequest(_message.Message):
    __slots__ = ("pipeline", "stage", "wait_s")
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    WAIT_S_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    stage: str
    wait_s: float
    def __init__(self, pipeline: _Optional[str] = ..., stage: _Optional[str] = ..., wait_s: _Optional[float] = ...) -> None: ...
