"""Does systemd run edgeward, and will it after the next start of the device?"""

from __future__ import annotations

from agent.doctor.child import run
from agent.doctor.finding import Finding, Result, ok, skip
from agent.doctor.site import Site
from runtime.errors import Code

MEANING = (
    "the service edgeward is installed, active, starts with the device, and was not restarted by a fault"
)
UNIT = "edgeward.service"
_ASKED = ("LoadState", "ActiveState", "SubState", "Result", "ExecMainStatus", "NRestarts", "UnitFileState")


async def probe(site: Site) -> list[Finding]:
    """What systemd says of the unit."""
    if not site.at("/run/systemd/system").is_dir():
        return [skip("this machine is not run by systemd")]
    said = await run(["systemctl", "show", UNIT, *(f"--property={name}" for name in _ASKED)], seconds=10)
    if said.status != 0:
        return [skip(f"systemd does not answer: {said.err.strip()[:200]}")]
    state = dict(line.split("=", 1) for line in said.out.splitlines() if "=" in line)
    if state.get("LoadState") != "loaded":
        return [_not_loaded(state.get("LoadState", ""))]
    return [_active(state), *_enabled(state)]


def _not_loaded(how: str) -> Finding:
    result: Result = "fail"
    if how == "masked":
        text, remedy, command = "the service is masked", "unmask it", f"sudo systemctl unmask {UNIT}"
    elif how in {"", "not-found"}:
        result, text, remedy = "warn", "the service is not installed", "install it"
        command = "sudo script/install-service"
    else:
        text, remedy = f"systemd cannot use its unit file: {how}", "correct what this says"
        command = f"systemd-analyze verify {UNIT}; systemctl cat {UNIT}"
    return Finding(result=result, text=text, subject=UNIT, remedy=remedy, command=command)


def _active(state: dict[str, str]) -> Finding:
    active, result, restarts = (
        state.get("ActiveState", ""),
        state.get("Result", ""),
        state.get("NRestarts", "0"),
    )
    if active == "active":
        if restarts not in {"", "0"}:
            return Finding(
                result="warn",
                text=f"active, and restarted {restarts} times by systemd since it was started",
                subject=UNIT,
                remedy="see why it ended",
                command=f"journalctl -u {UNIT} -p warning --no-pager -n 50",
            )
        return ok(f"active ({state.get('SubState')})", subject=UNIT)
    if active == "failed" or state.get("SubState") == "auto-restart":
        status = state.get("ExecMainStatus", "?")
        how = "failed" if active == "failed" else "ends again and again"
        return Finding(
            result="fail",
            text=f"{how}: {result}, exit status {status}",
            subject=UNIT,
            code=Code.WORKER_DIED.text if result == "signal" else Code.CONTROL_UNAVAILABLE.text,
            remedy="see why, mend it, then start it again",
            command=f"journalctl -u {UNIT} -n 50 --no-pager; sudo systemctl reset-failed {UNIT}; "
            f"sudo systemctl start {UNIT}",
        )
    command = f"sudo systemctl start {UNIT}"
    return Finding(
        result="warn",
        text=f"{active} ({state.get('SubState')})",
        subject=UNIT,
        remedy="start it",
        command=command,
    )


def _enabled(state: dict[str, str]) -> list[Finding]:
    if state.get("UnitFileState") in {"enabled", "static", "enabled-runtime", ""}:
        return []
    text = "it does not start with the device"
    command = f"sudo systemctl enable {UNIT}"
    return [Finding(result="warn", text=text, subject="at start", remedy="enable it", command=command)]
