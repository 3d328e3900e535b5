"""What can be wrong with a device: each fault planted for real, and what the doctor must say of it."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.cli.main import main
from tests.cameras import Cameras
from tests.integration.agent_peers import free_port
from tests.integration.doctor_authority import Authority
from tests.integration.doctor_means import mount_state, systemctl_says, tls_broker
from tests.integration.doctor_site import Place


@dataclass(frozen=True)
class Fault:
    """``plant`` does it; the finding of ``probe`` then has ``says`` in its text or code, and ``command``."""

    plant: Callable[[Place], None]
    probe: str
    says: str
    command: str
    result: str = "fail"

    @property
    def name(self) -> str:
        return self.plant.__name__


def misspelt_section(place: Place) -> None:
    place.more = "[supervisoin]\nbad_ends = 2\n"


def syntax_error(place: Place) -> None:
    place.more = "[health\n"


def unknown_profile(place: Place) -> None:
    place.config["device"]["profile"] = "toaster"


def unknown_board(place: Place) -> None:
    place.root.rename(place.folder / "gone")
    place.put("proc/meminfo", "MemTotal: 8 kB\nMemAvailable: 6 kB\n")
    place.put("proc/device-tree/compatible", "acme,anvil\0acme,soc\0")


def world_readable_password(place: Place) -> None:
    secret = place.folder / "secret"
    secret.write_text("hunter2!")
    secret.chmod(0o644)
    place.config["mqtt"] |= {"username": "dev", "password_file": "secret"}


def writable_configuration(place: Place) -> None:
    place.write()
    place.file.chmod(0o666)


def missing_key(place: Place) -> None:
    place.key.unlink()


def key_that_is_none(place: Place) -> None:
    place.key.write_text("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")


def writable_trust_folder(place: Place) -> None:
    folder = place.folder / "trust.d"
    folder.mkdir()
    assert main(["trust", "add", str(place.key), "--role", "release", "--folder", str(folder), "--yes"]) == 0
    folder.chmod(0o777)
    place.config["trust"]["folder"] = "trust.d"


def bundle_missing(place: Place) -> None:
    place.bundle.unlink()


def bundle_truncated(place: Place) -> None:
    data = place.bundle.read_bytes()
    place.bundle.write_bytes(data[: len(data) * 2 // 3])


def bundle_changed(place: Place) -> None:
    data = bytearray(place.bundle.read_bytes())
    data[len(data) * 2 // 3] ^= 1
    place.bundle.write_bytes(data)


def bundle_of_another_key(place: Place) -> None:
    assert main(["keys", "generate", "--out", str(place.folder / "other"), "--json"]) == 0
    sign = ["bundle", "sign", str(place.bundle), "--key", str(place.folder / "other.key"), "--json"]
    assert main(sign) == 0


def bundle_unsigned(place: Place) -> None:
    author, new = _author(place, b"whatever"), place.folder / "new.ewb"
    assert main(["bundle", "pack", str(author), "--out", str(new), "--json"]) == 0
    new.replace(place.bundle)


def model_that_does_not_load(place: Place) -> None:
    assert main(["keys", "generate", "--out", str(place.folder / "mine"), "--json"]) == 0
    bundle_unsigned(place)
    sign = ["bundle", "sign", str(place.bundle), "--key", str(place.folder / "mine.key"), "--json"]
    assert main(sign) == 0
    place.config["trust"]["release_keys"] = ["mine.pub"]


def engine_broken(place: Place) -> None:
    place.block_import("onnxruntime")


def native_core_broken(place: Place) -> None:
    place.block_import("native")


def decoder_broken(place: Place) -> None:
    place.block_import("av")


def film_missing(place: Place) -> None:
    place.stream["url"] = "film.mp4"


def not_a_film(place: Place) -> None:
    (place.folder / "film.mp4").write_bytes(b"no film at all " * 4096)
    place.stream["url"] = "film.mp4"


def camera_off(place: Place) -> None:
    place.cameras.stop(signal.SIGKILL)


def camera_without_such_a_stream(place: Place) -> None:
    place.stream["url"] = place.cameras.url("other")


def camera_wants_a_login(place: Place) -> None:
    secret = place.folder / "camera-password"
    secret.write_text("right")
    mounts = place.cameras._mounts
    guarded = Cameras(mounts, "--user", "viewer", "--password-file", str(secret))
    place.stack.enter_context(guarded)
    place.stream["url"] = guarded.url("cam")


def camera_refuses_the_password(place: Place) -> None:
    camera_wants_a_login(place)
    wrong = place.folder / "wrong-password"
    wrong.write_text("nobody-knows")
    wrong.chmod(0o600)
    place.stream |= {"username": "viewer", "password_file": "wrong-password"}


def camera_host_unknown(place: Place) -> None:
    place.stream["url"] = "rtsp://camera.invalid/stream"


def only_sound(place: Place) -> None:
    sound = Cameras({}, "--audio-only", "cam")
    place.stack.enter_context(sound)
    place.stream["url"] = sound.url("cam")


def camera_file_missing(place: Place) -> None:
    place.stream["url"] = "/dev/video77"


def broker_down(place: Place) -> None:
    place.config["mqtt"]["url"] = f"mqtt://127.0.0.1:{free_port()}"


def broker_name_unknown(place: Place) -> None:
    place.config["mqtt"]["url"] = "mqtt://broker.invalid"


def broker_of_an_unknown_authority(place: Place) -> None:
    authority = Authority(place.folder, "theirs")
    authority.issue("server", days=30)
    Authority(place.folder, "ours")
    tls_broker(place, "server", "ours.crt")


def broker_certificate_ended(place: Place) -> None:
    Authority(place.folder, "ca").issue("server", days=-1)
    tls_broker(place, "server", "ca.crt")


def broker_has_another_name(place: Place) -> None:
    Authority(place.folder, "ca").issue("server", days=30, host="broker.example")
    tls_broker(place, "server", "ca.crt")


def broker_speaks_no_tls(place: Place) -> None:
    Authority(place.folder, "ca")
    place.config["mqtt"] = {"url": place.broker.url.replace("mqtt:", "mqtts:"), "ca_file": "ca.crt"}


def own_certificate_ended(place: Place) -> None:
    authority = Authority(place.folder, "ca")
    authority.issue("server", days=30)
    authority.issue("device", days=-1)
    tls_broker(place, "server", "ca.crt")
    place.config["mqtt"] |= {"cert_file": "device.crt", "key_file": "device.key"}


def broker_refuses_the_login(place: Place) -> None:
    passwords, secret = place.folder / "passwords", place.folder / "secret"
    passwords.touch(0o600)
    subprocess.run(["mosquitto_passwd", "-b", passwords, "dev", "right-secret"], check=True)
    secret.write_text("wrong-secret")
    secret.chmod(0o600)
    broker = place.make_broker(f"password_file {passwords}", anonymous=False).start()
    place.config["mqtt"] = {"url": broker.url, "username": "dev", "password_file": "secret"}


def broker_refuses_messages(place: Place) -> None:
    acl = place.folder / "acl"
    acl.write_text("topic read #\n")
    acl.chmod(0o600)
    place.config["mqtt"]["url"] = place.make_broker(f"acl_file {acl}").start().url


def disk_full(place: Place) -> None:
    mount_state(place, "size=256k")
    fill = ["dd", "if=/dev/zero", f"of={place.state}/film", "bs=4k"]
    assert b"No space" in subprocess.run(fill, check=False, capture_output=True).stderr


def disk_read_only(place: Place) -> None:
    mount_state(place, "size=1m")
    subprocess.run(["mount", "-o", "remount,ro", str(place.state)], check=True)


def no_inodes(place: Place) -> None:
    mount_state(place, "size=8m,nr_inodes=40")
    fill = ["touch", *(f"{place.state}/{number}" for number in range(100))]
    assert b"No space" in subprocess.run(fill, check=False, capture_output=True).stderr


def state_is_a_file(place: Place) -> None:
    place.state.write_text("")


def state_open_to_all(place: Place) -> None:
    place.state.mkdir()
    place.state.chmod(0o777)


def stored_bundle_damaged(place: Place) -> None:
    place.write()
    agent = place.start_agent()
    agent.wait_line("is verified", 60)
    agent.end()
    model = next(path for path in (place.state / "bundles").glob("*/*.onnx"))
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.chmod(0o600)
    model.write_bytes(data)


def second_agent(place: Place) -> None:
    """The lock is held by a process that does not answer: this one."""
    place.state.mkdir()
    file = place.stack.enter_context((place.state / "agent.lock").open("w"))
    fcntl.flock(file, fcntl.LOCK_EX)
    file.write(f"{os.getpid()}\n")
    file.flush()


def stale_socket(place: Place) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(place.socket))


def clock_not_set(place: Place) -> None:
    (place.root / "run/systemd/timesync/synchronized").unlink()


def memory_low(place: Place) -> None:
    place.put("proc/meminfo", "MemTotal: 8000000 kB\nMemFree: 90000 kB\nMemAvailable: 200000 kB\n")


def programs_wait_for_memory(place: Place) -> None:
    place.put(
        "proc/pressure/memory",
        "some avg10=60.00 avg60=9 avg300=9 total=9\nfull avg10=40.00 avg60=30.00 avg300=9 total=9\n",
    )


def too_hot(place: Place) -> None:
    place.put("sys/class/hwmon/hwmon0/temp1_input", "99000\n")
    place.config["governor"] = {"limit_c": 90.0, "warn_c": 80.0}


def service_failed(place: Place) -> None:
    systemctl_says(
        place, "LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=exit-code\nExecMainStatus=3\n"
    )


def service_not_enabled(place: Place) -> None:
    systemctl_says(
        place, "LoadState=loaded\nActiveState=active\nSubState=running\nNRestarts=0\nUnitFileState=disabled\n"
    )


def no_pressure_figures(place: Place) -> None:
    (place.root / "proc/pressure/memory").unlink()


def _author(place: Place, model: bytes) -> Path:
    from bench.models import YOLOX  # noqa: PLC0415 - for these faults only

    folder = place.folder / "author"
    folder.mkdir()
    (folder / "bundle.toml").write_text(YOLOX)
    (folder / "model.onnx").write_bytes(model)
    (folder / "coco.names").write_text("".join(f"thing {number}\n" for number in range(80)))
    return folder


FAULTS = (
    Fault(misspelt_section, "configuration", "config.unknown-key", "sudo editor +"),
    Fault(syntax_error, "configuration", "config.syntax", "sudo editor "),
    Fault(unknown_profile, "configuration", "toaster", "sudo editor +"),
    Fault(unknown_board, "board", "generic", "edgeward profile list", "warn"),
    Fault(world_readable_password, "configuration", "everybody", "chmod o-rwx,g-w {folder}/secret"),
    Fault(writable_configuration, "secrets", "everybody", "sudo chmod o-w {folder}/edgeward.toml"),
    Fault(missing_key, "trust", "key.missing", "sudo install -D -m 0644 release.pub {folder}/release.pub"),
    Fault(
        key_that_is_none, "trust", "key.invalid", "sudo install -D -m 0644 release.pub {folder}/release.pub"
    ),
    Fault(writable_trust_folder, "trust", "trust.writable", "sudo chmod go-w {folder}/trust.d"),
    Fault(bundle_missing, "bundles", "bundle.missing", "sudo install -D -m 0644 belt.ewb {folder}/belt.ewb"),
    Fault(
        bundle_truncated, "bundles", "bundle.truncated", "sudo install -D -m 0644 belt.ewb {folder}/belt.ewb"
    ),
    Fault(bundle_changed, "bundles", "bundle.digest", "sudo install -D -m 0644 belt.ewb {folder}/belt.ewb"),
    Fault(bundle_of_another_key, "bundles", "bundle.untrusted-key", "sudo editor +"),
    Fault(bundle_unsigned, "bundles", "bundle.unsigned", "edgeward bundle sign {folder}/belt.ewb"),
    Fault(model_that_does_not_load, "models", "model.load", "edgeward doctor --config"),
    Fault(
        engine_broken, "engines", "engine.unavailable", "pip install --force-reinstall --no-deps onnxruntime"
    ),
    Fault(native_core_broken, "native", "libnative.so", "pip install --force-reinstall --no-deps edgeward"),
    Fault(decoder_broken, "decoders", "libav.so", "pip install --force-reinstall --no-deps av"),
    Fault(film_missing, "streams", "source.missing", "ls -l {folder}/film.mp4"),
    Fault(not_a_film, "streams", "source.data", "sudo editor +"),
    Fault(camera_off, "streams", "source.refused", "nc -vz -w 5 127.0.0.1 "),
    Fault(camera_without_such_a_stream, "streams", "source.missing", "sudo editor +"),
    Fault(camera_wants_a_login, "streams", "source.unauthorized", "sudo editor +"),
    Fault(
        camera_refuses_the_password, "streams", "source.unauthorized", "sudo editor {folder}/wrong-password"
    ),
    Fault(camera_host_unknown, "streams", "source.", "getent ahosts camera.invalid"),
    Fault(only_sound, "streams", "source.no-video", "sudo editor +"),
    Fault(camera_file_missing, "devices", "source.missing", "ls -l /dev/video*"),
    Fault(broker_down, "broker", "link.refused", "nc -vz -w 5 127.0.0.1 "),
    Fault(broker_name_unknown, "broker", "link.unreachable", "getent hosts broker.invalid"),
    Fault(broker_of_an_unknown_authority, "broker", "link.tls", "sudo editor +"),
    Fault(broker_certificate_ended, "broker", "expired", "openssl s_client -connect 127.0.0.1:"),
    Fault(broker_has_another_name, "broker", "link.tls", "sudo editor +"),
    Fault(broker_speaks_no_tls, "broker", "link.", "sudo editor +"),
    Fault(
        own_certificate_ended,
        "device",
        "has ended",
        "openssl x509 -noout -dates -subject -in {folder}/device.crt",
    ),
    Fault(broker_refuses_the_login, "broker", "link.unauthorized", "sudo editor {folder}/secret"),
    Fault(broker_refuses_messages, "broker", "link.refused-topic", "topic write %s"),
    Fault(disk_full, "state", "system.disk-full", "sudo du -xh {folder}/state"),
    Fault(disk_read_only, "state", "read-only", "sudo mount -o remount,rw {folder}/state"),
    Fault(no_inodes, "device", "inodes", "sudo du --inodes -x {folder}/state"),
    Fault(state_is_a_file, "state", "no folder", "sudo mv {folder}/state {folder}/state.old"),
    Fault(state_open_to_all, "state", "everybody", "sudo chmod o-rwx {folder}/state"),
    Fault(stored_bundle_damaged, "store", "bundle.digest", "sudo rm -r {folder}/state/bundles/"),
    Fault(second_agent, "state", "system.busy", f"sudo kill {os.getpid()}"),
    Fault(stale_socket, "agent", "nobody listens", "sudo systemctl start edgeward"),
    Fault(clock_not_set, "device", "device.clock", "sudo timedatectl set-ntp true", "warn"),
    Fault(memory_low, "device", "system.memory", "ps -eo pid,rss,args"),
    Fault(programs_wait_for_memory, "device", "system.memory-wait", "ps -eo pid,rss,args"),
    Fault(too_hot, "device", "device.hot", "/sys/class/thermal/thermal_zone"),
    Fault(service_failed, "service", "failed", "journalctl -u edgeward.service"),
    Fault(service_not_enabled, "service", "does not start", "sudo systemctl enable edgeward.service", "warn"),
    Fault(no_pressure_figures, "kernel", "no PSI", "cat /proc/cmdline", "warn"),
)
