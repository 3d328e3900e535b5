"""A machine with the service on it, installed by the script from wheels that were made here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest

from examples.conveyor.render import Scene
from tests.conftest import make_signed
from tests.system.machine import CACHE, ROOT, Machine, Service, image, missing, needless

WHEELS = CACHE / "wheels"
CHECKOUT = "/root/edgeward"
# Each stream at the pace of its film, for ever; the broker is not there, and must not be needed.
CONFIG = """\
[device]
id = "box"

[mqtt]
url = "mqtt://127.0.0.1:1883"
username = "box"
password_file = "credential:broker"

[[pipeline]]
name = "belt"
bundle = "belt.ewb"
stream = [
  { name = "h264", url = "films/belt-h264.mp4", loop = true },
  { name = "h265", url = "films/belt-h265.mp4", loop = true },
]
"""
SECOND = """
[[pipeline]]
name = "second"
bundle = "belt.ewb"
stream = [{ name = "h264", url = "films/belt-h264.mp4", loop = true }]
"""
SETTINGS = "/etc/edgeward/edgeward.toml"


def make_film(path: Path, codec: str, frames: int = 30, fps: int = 15) -> None:
    """Two seconds of the conveyor belt."""
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    with av.open(str(path), "w") as container:
        track = container.add_stream(codec, rate=Fraction(fps), options=options)
        track.width, track.height, track.pix_fmt = 640, 360, "yuv420p"
        scene = Scene(9001, 640, 360, fps=fps)
        for index in range(frames):
            picture, _ = scene.frame(index)
            container.mux(track.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(track.encode(None))


@pytest.fixture(scope="session")
def possible() -> None:
    """Leave the tests out for whoever cannot boot a container. Root can: that it fails then is said aloud."""
    if why := needless():
        pytest.skip(why)
    if why := missing():
        pytest.fail(why)


@pytest.fixture(scope="session")
def wheels(possible: None) -> Path:
    """edgeward's wheel, built from this checkout, and those of all that it needs on a device."""
    WHEELS.mkdir(parents=True, exist_ok=True)
    for old in WHEELS.glob("edgeward-*.whl"):
        old.unlink()
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = ["wheel", "--no-deps", "--no-build-isolation", f"--config-settings=build-dir={CACHE / 'native'}"]
    subprocess.run([*pip, *build, "--wheel-dir", str(WHEELS), str(ROOT)], check=True, cwd=ROOT)
    locked = ["download", "--no-deps", "--require-hashes", "-r", "requirements/app.txt"]
    subprocess.run([*pip, *locked, "--dest", str(WHEELS)], check=True, cwd=ROOT)
    return WHEELS


def repack(wheel: Path, to: Path, change: Callable[[zipfile.ZipInfo, bytes], bytes]) -> None:
    """A copy of a wheel in which ``change`` may alter each file."""
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as target:
        for item in source.infolist():
            content = change(item, source.read(item))
            target.writestr(item, content)


def _strict(item: zipfile.ZipInfo, content: bytes) -> bytes:
    """As if somebody with the umask 077 had made it: nobody else may read the file."""
    item.external_attr = 0o100600 << 16
    return content


@pytest.fixture(scope="session")
def machine(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A booted machine with a checkout and wheels on it, and nothing installed yet."""
    folder = tmp_path_factory.mktemp("system") / "root"
    subprocess.run(["cp", "-a", "--reflink=auto", str(image()), str(folder)], check=True)
    checkout = folder / CHECKOUT.lstrip("/")
    checkout.mkdir(parents=True)
    for name in ("script", "packaging", "requirements"):
        shutil.copytree(ROOT / name, checkout / name)
    shutil.copytree(wheels, checkout / "wheels", ignore=shutil.ignore_patterns("edgeward-*"))
    for wheel in wheels.glob("edgeward-*.whl"):
        repack(wheel, checkout / "wheels" / wheel.name, _strict)
    made = Machine(folder, f"edgeward-{os.getpid()}")
    try:
        made.boot()
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def site(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """The machine with what a site brings along: a configuration, a key, a bundle, films, a password."""
    work = tmp_path_factory.mktemp("site")
    author = ROOT / "examples" / "conveyor" / "model"
    signed = make_signed(work, author, author / "conveyor.onnx")
    settings = machine.root / "etc" / "edgeward"
    (settings / "films").mkdir(parents=True)
    for codec, library in (("h264", "libx264"), ("h265", "libx265")):
        make_film(settings / "films" / f"belt-{codec}.mp4", library)
    shutil.copy(signed.bundle, settings / "belt.ewb")
    shutil.copy(signed.key, machine.root / "root" / "release.pub")
    machine.write("/root/site.toml", CONFIG)
    machine.write("/etc/edgeward/credentials/broker", "a-real-password\n", 0o600)
    return machine


def install(machine: Machine, *options: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """Run script/install-service there, without a network."""
    script = f"{CHECKOUT}/script/install-service"
    return machine.run(script, "--wheels", f"{CHECKOUT}/wheels", *options, check=False, seconds=seconds)


@pytest.fixture(scope="session")
def installed(site: Machine) -> Service:
    """The service, installed by the script with the site's configuration, its key trusted."""
    done = install(site, "--config", "/root/site.toml", "--no-start")
    assert done.returncode == 0, done.stdout + done.stderr
    site.run(
        "edgeward", "trust", "add", "/root/release.pub", "--config", SETTINGS, "--role", "release", "--yes"
    )
    return Service(site)


@pytest.fixture
def service(installed: Service) -> Service:
    """The service as the site configured it, active, with results on all streams."""
    installed.machine.write(SETTINGS, CONFIG, 0o640)
    if installed.state != "active":
        installed("reset-failed", check=False)
        installed("restart")
    installed.wait_results()
    return installed
