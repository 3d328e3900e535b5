"""How faults are planted for the doctor: a small file system, systemd, a broker with TLS."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.integration.doctor_site import Place


def systemctl_says(place: Place, said: str) -> None:
    """The machine has systemd, and its command prints this."""
    (place.root / "run/systemd/system").mkdir(parents=True)
    folder = place.folder / "bin"
    folder.mkdir()
    (folder / "systemctl").write_text(f"#!/bin/sh\nprintf '{said}'\n".replace("\n'", "'"))
    (folder / "systemctl").chmod(0o755)
    place.env["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"


def mount_state(place: Place, options: str) -> None:
    """The state folder is a file system of its own, in memory, until the test ends."""
    if os.geteuid() != 0:
        pytest.skip("to mount a small file system takes root")
    place.state.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place.state)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a file system")
    place.stack.callback(subprocess.run, ["umount", str(place.state)], check=True)


def tls_broker(place: Place, name: str, trusted: str) -> None:
    """The device's broker shows the certificate ``name``; the device trusts ``trusted``."""
    folder = place.folder
    broker = place.make_broker(f"certfile {folder}/{name}.crt\nkeyfile {folder}/{name}.key").start()
    place.config["mqtt"] = {"url": broker.url.replace("mqtt:", "mqtts:"), "ca_file": trusted}
