"""A machine with systemd and no network: Debian in a container of systemd-nspawn, booted and rebooted."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "build" / "system"
# The Debian whose Python is of the kind that the wheels here are made for.
SUITES = {(3, 11): "bookworm", (3, 13): "trixie"}
PACKAGES = ("systemd", "systemd-sysv", "dbus", "python3", "python3-venv", "udev", "libstdc++6")
TOOLS = ("mmdebstrap", "systemd-nspawn", "nsenter", "setpriv")
LEFT_OUT = ("doc", "man", "locale")
# What a real machine allows and a container by default does not: workers confine themselves with it.
LANDLOCK = "landlock_create_ruleset landlock_add_rule landlock_restrict_self"
# How systemd-nspawn ends when its machine restarts and nobody but us is there to start it again.
REBOOTED = 133


REFUSED = "no container boots here, though this is root: "


def needless() -> str:
    """Why nobody expects a machine here; empty when one is to be had."""
    if os.geteuid() != 0:
        return "only root can boot a container: run the tests as root to have the service installed in one"
    if sys.version_info[:2] not in SUITES:
        return f"no Debian has Python {sys.version_info.major}.{sys.version_info.minor}"
    return ""


def missing() -> str:
    """What keeps root from making one; empty when nothing does."""
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    return f"{REFUSED}apt-get install mmdebstrap systemd-container ({', '.join(absent)})" if absent else ""


def image() -> Path:
    """The folder of a fresh system; made once, then kept."""
    suite = SUITES[sys.version_info[:2]]
    stamp = hashlib.sha256(repr((suite, PACKAGES, LEFT_OUT)).encode()).hexdigest()[:12]
    folder = CACHE / f"{suite}-{stamp}"
    if not folder.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        for old in CACHE.glob(f"{suite}-*"):
            shutil.rmtree(old)
        half = CACHE / f"making-{os.getpid()}"
        excludes = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT]
        # Made with this machine's sources: where a mirror is set up it is used.
        command = ["mmdebstrap", "--quiet", "--variant=essential", f"--include={','.join(PACKAGES)}"]
        try:
            subprocess.run([*command, *excludes, suite, str(half)], check=True, timeout=280)
            half.rename(folder)
        finally:
            shutil.rmtree(half, ignore_errors=True)
    return folder


class Machine:
    """One such machine. ``close`` it: it ends with the test run in any case, its folder does not."""

    def __init__(self, folder: Path, name: str) -> None:
        self.root = folder
        self._name = name
        self._console = folder.with_suffix(".console")
        self._nspawn: subprocess.Popen[bytes] | None = None

    def boot(self) -> None:
        """Switch it on; returns when systemd has started everything."""
        options = ["--register=no", "--keep-unit", "--boot", "--private-network", "--console=pipe", "--quiet"]
        options.append(f"--system-call-filter={LANDLOCK}")
        with self._console.open("ab") as console:
            self._nspawn = subprocess.Popen(
                # It must not outlive the tests, however they end. Killed hard, it would leave its init;
                # with SIGTERM it shuts that down.
                [
                    *("setpriv", "--pdeathsig", "TERM", "--"),
                    *("systemd-nspawn", f"--directory={self.root}", f"--machine={self._name}", *options),
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        self._wait_booted()

    def reboot(self) -> None:
        """Restart it from within; returns when systemd has started everything again."""
        assert self._nspawn is not None
        self.run("systemctl", "reboot", check=False)
        assert self._nspawn.wait(60) == REBOOTED, self.console()
        self.boot()

    def close(self) -> None:
        """Switch it off hard."""
        if self._nspawn is not None and self._nspawn.poll() is None:
            if init := self._init():
                os.kill(init, signal.SIGKILL)  # and with it the kernel ends all of its namespace
            else:
                self._nspawn.kill()
            self._nspawn.wait(30)

    def run(self, *command: str, check: bool = True, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as root, with nothing of this machine's environment."""
        environment = ["env", "-i", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"]
        done = subprocess.run(
            ["nsenter", "--target", str(self._init()), "--all", *environment, *command],
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert not check or done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}\n{done.stderr}"
        return done

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """A file in it, made from outside."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def _init(self) -> int:
        assert self._nspawn is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            # setpriv became systemd-nspawn; its one child is the init of the container.
            for child in psutil.Process(self._nspawn.pid).children():
                if Path(f"/proc/{child.pid}/ns/pid").readlink() != Path("/proc/self/ns/pid").readlink():
                    return child.pid
        return 0

    def _wait_booted(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self._nspawn is not None
            assert self._nspawn.poll() is None, f"{REFUSED}systemd-nspawn says\n{self.console()}"
            if self._init():
                done = self.run("systemctl", "is-system-running", "--wait", check=False)
                if done.stdout.strip() in {"running", "degraded"}:
                    return
            time.sleep(0.1)
        raise AssertionError(f"it does not boot:\n{self.console()}")

    def console(self) -> str:
        """The end of what it wrote to its console."""
        return self._console.read_text(errors="replace")[-3000:]


class Service:
    """The service ``edgeward`` of a machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def __call__(self, verb: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """``systemctl VERB edgeward``."""
        done = self.machine.run("systemctl", verb, "edgeward", check=False)
        assert not check or done.returncode == 0, f"{verb}: {done.stderr}\n{self.journal()[-3000:]}"
        return done

    def show(self, *names: str) -> dict[str, str]:
        """Some of its properties."""
        done = self.machine.run("systemctl", "show", f"--property={','.join(names)}", "edgeward")
        return dict(line.split("=", 1) for line in done.stdout.splitlines())

    @property
    def pid(self) -> int:
        """Of its main process, as the machine counts; 0 when there is none."""
        return int(self.show("MainPID")["MainPID"])

    def signal(self, name: str) -> None:
        """Send a signal to its main process alone."""
        self.machine.run("systemctl", "kill", f"--signal={name}", "--kill-whom=main", "edgeward")

    def lives(self, pid: int) -> bool:
        """Whether a process is there, by its id in the machine."""
        return self.machine.run("test", "-d", f"/proc/{pid}", check=False).returncode == 0

    @property
    def restarts(self) -> int:
        """How often systemd has restarted it by itself."""
        return int(self.show("NRestarts")["NRestarts"])

    @property
    def state(self) -> str:
        """``active``, ``failed``, ``activating``, ..."""
        return self.show("ActiveState")["ActiveState"]

    def journal(self, since: str = "") -> str:
        """What it and systemd logged about it, of this boot; all, or after a cursor of ``mark``."""
        after = [f"--after-cursor={since}"] if since else []
        return self.machine.run(
            "journalctl", "--boot", "--unit=edgeward", "--no-pager", "--output=cat", *after
        ).stdout

    def mark(self) -> str:
        """For ``journal``: what comes after now."""
        self.machine.run("journalctl", "--sync")
        shown = self.machine.run("journalctl", "--lines=0", "--show-cursor", "--no-pager").stdout
        return shown.split("cursor: ", 1)[1].strip()

    def status(self) -> dict[str, Any]:
        """What ``edgeward status --json`` says; empty while nobody answers."""
        done = self.machine.run("edgeward", "status", "--json", check=False)
        found: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
        return found

    def results(self) -> dict[str, int]:
        """How many results each ``pipeline/stream`` has given since its worker started."""
        return {
            f"{pipeline['name']}/{stream['name']}": int(stream["results"])
            for pipeline in self.status().get("pipelines", ())
            for stream in pipeline["streams"]
        }

    def workers(self) -> dict[str, int]:
        """Process id of each pipeline's worker, as the machine counts."""
        return {item["name"]: item["pid"] for item in self.status().get("pipelines", ()) if item.get("pid")}

    def wait(self, what: str, fits: Any, seconds: float) -> float:
        """Wait until ``fits()`` is true; how many seconds that took."""
        began = time.monotonic()
        while not fits():
            waited = time.monotonic() - began
            assert waited < seconds, f"not {what} within {seconds} s: {self.state}\n{self.journal()[-3000:]}"
            time.sleep(0.1)
        return time.monotonic() - began

    def wait_results(self, seconds: float = 60, *streams: str) -> float:
        """Wait until each of ``streams``, by default those that are there, has given more than one result."""

        def flows() -> bool:
            found = self.results()
            return bool(found) and all(found.get(name, 0) > 1 for name in streams or found)

        return self.wait("giving results", flows, seconds)

    @contextlib.contextmanager
    def drop_in(self, text: str) -> Iterator[None]:
        """With a site's own lines for the unit."""
        path = "/etc/systemd/system/edgeward.service.d/test.conf"
        self.machine.write(path, text)
        self.machine.run("systemctl", "daemon-reload")
        try:
            yield
        finally:
            (self.machine.root / path.lstrip("/")).unlink()
            self.machine.run("systemctl", "daemon-reload")
