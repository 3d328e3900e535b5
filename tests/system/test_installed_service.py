"""The service as a site has it: installed, killed, stopped, broken, reloaded, rebooted.

docs/ref/systemd.md promises what is tested here. One machine for all, so the tests run in the order of this
file.
"""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import pytest

from tests.system.conftest import CHECKOUT, CONFIG, SECOND, SETTINGS, install, repack
from tests.system.machine import Machine, Service

pytestmark = pytest.mark.system


def test_without_systemd_or_with_bad_options_the_script_says_so(site: Machine) -> None:
    script = f"{CHECKOUT}/script/install-service"
    for options, said in (
        (["--prefix"], "--prefix needs a value"),
        (["--purge"], "--purge goes with --uninstall"),
        (["--wheel", "/none.whl"], "no such file: /none.whl"),
        (["--wheels", "/none"], "no such folder: /none"),
        (["--rollback"], "no version before"),
        (["--prefix", "/usr/bin", "--no-start"], "was not made by this script"),
        (["--uninstall", "--prefix", "/bin"], "was not made by this script"),
    ):
        done = site.run(script, *options, check=False)
        assert done.returncode != 0
        assert said in done.stderr
    done = site.run(script, "--dry-run", "--wheels", f"{CHECKOUT}/wheels")
    assert "systemctl restart --no-block edgeward" in done.stdout
    assert not (site.root / "opt" / "edgeward.releases").exists()


@pytest.mark.parametrize(
    ("before", "run_as", "said"),
    [
        ("true", "setpriv --reuid=65534 --regid=65534 --clear-groups", "only root may install a service"),
        ("mount --bind /bin/false $(readlink -f /usr/bin/python3)", "", "found no Python 3.11, 3.12 or 3.13"),
        ("mount -t tmpfs none /run", "", "systemd does not run here"),
    ],
)
def test_a_host_that_cannot_have_the_service_is_told_why(
    site: Machine, before: str, run_as: str, said: str
) -> None:
    # A copy that others can read too; what is mounted is seen by this command alone.
    site.run("cp", "-r", CHECKOUT, "/srv/")
    script = "/srv/edgeward/script/install-service --wheels /srv/edgeward/wheels"
    done = site.run("unshare", "--mount", "bash", "-c", f"{before} && exec {run_as} {script}", check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert not (site.root / "opt" / "edgeward").exists()


def test_an_installation_that_breaks_off_leaves_nothing_behind(site: Machine) -> None:
    read_only = "mount --bind /usr/local /usr/local && mount -o remount,ro,bind /usr/local"
    script = f"{CHECKOUT}/script/install-service --wheels {CHECKOUT}/wheels --no-start"
    done = site.run("unshare", "--mount", "bash", "-c", f"{read_only} && {script}", check=False, seconds=120)
    assert done.returncode == 1
    assert "/usr/local/lib/sysusers.d" in done.stderr
    assert not list((site.root / "opt" / "edgeward.releases").iterdir())


def test_the_unit_is_clean_and_its_exposure_at_most_2_5(installed: Service) -> None:
    verify = installed.machine.run("systemd-analyze", "verify", "edgeward.service")
    assert (verify.stdout, verify.stderr) == ("", "")
    security = installed.machine.run("systemd-analyze", "security", "--no-pager", "edgeward.service").stdout
    found = re.search(r"Overall exposure level for edgeward.service: ([0-9.]+)", security)
    assert found is not None
    print(f"\nsystemd-analyze verify: clean; security: {found[1]}")  # noqa: T201 - the figure of the note
    assert float(found[1]) <= 2.5


def test_it_is_active_within_30_s_and_both_codecs_give_results(installed: Service) -> None:
    began = time.monotonic()
    installed("start")
    active_s = time.monotonic() - began
    flows_s = installed.wait_results(60, "belt/h264", "belt/h265")
    print(f"\nactive after {active_s:.2f} s, results {flows_s:.1f} s later")  # noqa: T201 - figures of the note
    assert installed.state == "active"
    assert active_s < 30
    installed.wait(
        "saying so", lambda: "1 of 1 pipelines run" in installed.show("StatusText")["StatusText"], 10
    )


def test_it_runs_with_few_rights_and_workers_see_no_credentials(service: Service) -> None:
    worker = service.workers()["belt"]
    for pid in (service.pid, worker):
        status = service.machine.run("cat", f"/proc/{pid}/status").stdout
        assert "NoNewPrivs:\t1" in status
        assert "CapEff:\t0000000000000000" in status
        assert "Seccomp:\t2" in status
        user = service.machine.run("stat", "--format=%U:%G", f"/proc/{pid}").stdout.strip()
        assert user == "edgeward:edgeward"
    environment = service.machine.run("cat", f"/proc/{worker}/environ").stdout
    assert "CREDENTIALS_DIRECTORY" not in environment
    assert "NOTIFY_SOCKET" not in environment
    assert "a-real-password" not in service.journal()
    # Nothing was given up: Landlock is there, and takes what workers need not have.
    assert "no Landlock" not in service.journal()
    plain = service.machine.run("ls", "-ld", "/etc/edgeward/credentials", "/run/edgeward/control.sock").stdout
    assert plain.splitlines()[0].startswith("drwx------")
    assert re.search(r"^srw-rw---- .* edgeward edgeward ", plain, re.MULTILINE)


def test_a_killed_agent_is_back_and_leaves_no_worker_behind(service: Service) -> None:
    agent, worker, restarts = service.pid, service.workers()["belt"], service.restarts
    service.signal("KILL")
    back_s = service.wait("back", lambda: service.pid not in {0, agent} and service.state == "active", 30)
    flows_s = service.wait_results(60)
    print(f"\nkilled: active again after {back_s:.1f} s, results {flows_s:.1f} s later")  # noqa: T201
    assert service.restarts == restarts + 1
    assert not service.lives(worker)


def test_a_stopped_main_process_is_found_by_the_watchdog(service: Service) -> None:
    with service.drop_in("[Service]\nWatchdogSec=5\n"):
        service("restart")
        service.wait_results()
        agent, mark = service.pid, service.mark()
        service.signal("STOP")
        back_s = service.wait("back", lambda: service.pid not in {0, agent} and service.state == "active", 60)
        service.wait_results()
    journal = service.journal(mark)
    print(f"\nstopped, WatchdogSec=5: active again after {back_s:.1f} s")  # noqa: T201
    assert "Watchdog timeout" in journal
    # Where it was when the watchdog ended it.
    assert "Fatal Python error: Aborted" in journal
    assert back_s < 5 + 20


def test_whoever_ends_it_by_hand_leaves_no_dead_box(service: Service) -> None:
    agent = service.pid
    service.signal("TERM")
    service.wait("back", lambda: service.pid not in {0, agent} and service.state == "active", 30)


def test_a_stop_in_the_middle_of_a_start_is_in_order(service: Service) -> None:
    for pause_s in (0.05, 0.15, 0.25, 0.4):
        service("stop")
        service.machine.run("systemctl", "start", "--no-block", "edgeward")
        time.sleep(pause_s)  # wherever it is by then
        service("stop")
        assert service.show("ActiveState", "Result") == {"ActiveState": "inactive", "Result": "success"}


def test_a_crash_loop_is_tried_for_ever_and_ends_when_its_cause_is_mended(service: Service) -> None:
    service("stop")
    lock = "/var/lib/edgeward/agent.lock"
    service.machine.run("rm", lock)
    service.machine.run("mkdir", lock)
    mark = service.mark()
    service("start", check=False)
    restarts = service.restarts
    service.wait("tried again and again", lambda: service.restarts >= restarts + 3, 60)
    assert service.state == "activating"
    journal = service.journal(mark)
    assert f"edgeward: {lock}: is a directory" in journal
    assert "Traceback" not in journal
    service.machine.run("rmdir", lock)
    service.wait("active", lambda: service.state == "active", 30)
    service.wait_results()


def test_a_bad_configuration_is_named_and_not_tried_again(service: Service) -> None:
    service("stop")
    service.machine.write(SETTINGS, CONFIG.replace("username", "user_name"), 0o640)
    mark = service.mark()
    assert service("start", check=False).returncode != 0
    shown = service.show("ActiveState", "ExecMainStatus", "NRestarts")
    assert (shown["ActiveState"], shown["ExecMainStatus"]) == ("failed", "3")
    assert "mqtt.user_name: unknown key; did you mean 'username'?" in service.journal(mark)
    service.machine.write(SETTINGS, CONFIG, 0o640)
    service("start")
    service.wait_results()


def test_a_reload_keeps_the_streams_that_did_not_change(service: Service) -> None:
    agent, workers = service.pid, service.workers()
    before = service.results()
    service.machine.write(SETTINGS, CONFIG + SECOND, 0o640)
    service("reload")
    service.wait_results(60, "belt/h264", "belt/h265", "second/h264")
    after = service.results()
    # Of the same worker: had it been restarted, it would count from the beginning.
    assert service.workers()["belt"] == workers["belt"]
    assert all(after[name] > before[name] for name in before)
    assert service.pid == agent
    service.machine.write(SETTINGS, CONFIG, 0o640)
    service("reload")
    service.wait("of one pipeline again", lambda: set(service.workers()) == {"belt"}, 20)
    assert service.workers() == workers
    assert service.state == "active"


def test_a_reload_of_a_bad_file_fails_and_changes_nothing(service: Service) -> None:
    agent, workers, mark = service.pid, service.workers(), service.mark()
    service.machine.write(SETTINGS, CONFIG.replace("bundle", "bundel"), 0o640)
    assert service("reload", check=False).returncode != 0
    assert "unknown key; did you mean 'bundle'?" in service.journal(mark)
    assert (service.state, service.pid, service.workers()) == ("active", agent, workers)
    service.machine.write(SETTINGS, CONFIG, 0o640)
    # By hand, and to the agent itself: a signal reloads and ends nothing.
    service.signal("HUP")
    service.wait("reloaded", lambda: "was read again: nothing changed" in service.journal(mark), 20)
    assert (service.state, service.pid, service.workers()) == ("active", agent, workers)


def test_a_stop_ends_in_order_and_in_time(service: Service) -> None:
    worker, mark = service.workers()["belt"], service.mark()
    began = time.monotonic()
    service("stop")
    stop_s = time.monotonic() - began
    shown = service.show("ActiveState", "Result", "ExecMainStatus")
    print(f"\nstopped after {stop_s:.1f} s")  # noqa: T201 - the figure of the note
    assert shown == {"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0"}
    assert stop_s < 20
    assert '"text":"stopped after ' in service.journal(mark)
    assert not service.lives(worker)
    assert not (service.machine.root / "run" / "edgeward" / "control.sock").exists()


def test_a_reboot_brings_it_back(service: Service) -> None:
    service.machine.reboot()
    active_s = service.wait("active", lambda: service.state == "active", 30)
    flows_s = service.wait_results()
    print(f"\nrebooted: active {active_s:.1f} s after, results {flows_s:.1f} s later")  # noqa: T201


def test_an_upgrade_keeps_the_version_before_and_rolls_back(service: Service) -> None:
    root = service.machine.root
    # As on systems whose /opt lies elsewhere.
    (root / "opt").rename(root / "srv" / "opt")
    (root / "opt").symlink_to("srv/opt")
    unit = root / CHECKOUT.lstrip("/") / "packaging/systemd/edgeward.service"
    unit.write_text(unit.read_text().replace("WatchdogSec=30", "WatchdogSec=31"))
    before = (root / "opt" / "edgeward").readlink()
    sample = (root / SETTINGS.lstrip("/")).read_text()
    done = install(service.machine)
    assert done.returncode == 0, done.stderr
    after = (root / "opt" / "edgeward").readlink()
    assert after != before
    assert (root / "opt" / "edgeward.previous").readlink().name == before.name
    kept = {folder.name for folder in (root / "opt" / "edgeward.releases").iterdir()}
    assert kept == {before.name, after.name}
    assert service.show("WatchdogUSec") == {"WatchdogUSec": "31s"}
    assert (root / SETTINGS.lstrip("/")).read_text() == sample
    service.wait_results()
    assert str(after) in service.machine.run("cat", f"/proc/{service.pid}/cmdline").stdout
    done = install(service.machine, "--rollback")
    assert done.returncode == 0, done.stderr
    assert (root / "opt" / "edgeward").readlink().name == before.name
    assert service.show("WatchdogUSec") == {"WatchdogUSec": "30s"}
    service.wait_results()


def test_a_version_that_does_not_start_gives_way_to_the_one_before(service: Service, wheels: Path) -> None:
    root = service.machine.root
    before, previous = ((root / "opt" / name).readlink() for name in ("edgeward", "edgeward.previous"))
    wheel = next(wheels.glob("edgeward-*.whl"))
    ends = b"raise SystemExit(1)\n"
    repack(
        wheel,
        root / "root" / wheel.name,
        lambda item, content: ends if item.filename == "agent/daemon.py" else content,
    )
    done = install(service.machine, "--wheel", f"/root/{wheel.name}", seconds=200)
    assert done.returncode != 0
    assert "the new version did not become active; the one before is back" in done.stderr
    assert (root / "opt" / "edgeward").readlink().name == before.name
    assert (root / "opt" / "edgeward.previous").readlink().name == previous.name
    assert service.state == "active"
    service.wait_results()


def test_uninstalling_leaves_what_is_the_site_s_and_purging_does_not(service: Service) -> None:
    root = service.machine.root
    done = install(service.machine, "--uninstall")
    assert done.returncode == 0, done.stderr
    assert service.machine.run("systemctl", "cat", "edgeward", check=False).returncode != 0
    assert not list((root / "opt").iterdir())
    assert (root / SETTINGS.lstrip("/")).read_text() == CONFIG
    assert (root / "var" / "lib" / "edgeward").is_dir()
    done = install(service.machine, "--uninstall", "--purge")
    assert done.returncode == 0, done.stderr
    assert not (root / "etc" / "edgeward").exists()
    assert not (root / "var" / "lib" / "edgeward").exists()
    assert service.machine.run("getent", "passwd", "edgeward", check=False).returncode != 0
    assert shutil.which("edgeward", path=str(root / "usr/local/bin")) is None
