"""`python -m tests.installer PACKAGE [--tree TARBALL]`: a machine with a real systemd, from install to purge.

What the quick test cannot see: readiness, the watchdog, the hardening at work, secrets as credentials, restarts,
instances, an upgrade under load. Scene after scene, each with its seconds; the first that fails ends it.
"""

from __future__ import annotations

import argparse
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from tests.appliance_process import resident_bytes, until
from tests.installer.booted import Booted, Unit
from tests.installer.test_deb import built
from tests.origin_nginx import Nginx
from tests.story.hostile import all_end_by_name, assert_opens
from tests.story.ledger import PRODUCTS, sheet
from tests.story.receiver import SECRET, Receiver, assert_signed

SETTINGS: Final = """
[fetch]
allow = ["127.0.0.0/8"]
[callback]
allow = ["127.0.0.0/8"]
[image]
timeout_s = 5
"""
WATCHDOG_S: Final = 6
RESTART_S: Final = 45.0
UNIT: Final = "imagemill.service"


class Stage:
    """The machine, its service, and what earlier scenes leave to later ones."""

    def __init__(self, machine: Booted, package: Path, folder: Path) -> None:
        self.machine, self.package, self.folder = machine, package, folder
        self.jobs: list[str] = []
        self.main = Unit(machine, UNIT)
        self.shop = Unit(machine, "imagemill@shop.service")

    def products(self, origin: Nginx, times: int = 1) -> bytes:
        """Return a sheet of the product photographs, under addresses that differ each time."""
        names = [path.name for path in sorted(PRODUCTS.glob("*.jpg"))]
        return sheet(f"{origin.url}/{name}?{time.monotonic_ns()}" for _ in range(times) for name in names)


def install(stage: Stage) -> None:
    """The previous version is installed, and nothing runs that nobody asked for."""
    said = stage.machine.installs(built(stage.folder, "deb", "0.0.9"))
    assert "systemctl enable --now imagemill" in said, said
    assert stage.machine.asks("systemctl", "is-active", UNIT) == "inactive"
    assert stage.machine.asks("systemctl", "is-enabled", UNIT) == "disabled"


def start(stage: Stage) -> None:
    """It starts with a secret that only root can read, is ready when systemd says so, and tells its address."""
    stage.main.configure(SETTINGS)
    stage.machine.write("/etc/imagemill/imagemill.credentials/callback.secret", f"{SECRET}\n")
    (stage.machine.root / "etc/imagemill/imagemill.credentials/callback.secret").chmod(0o600)
    stage.machine.write(f"/etc/systemd/system/{UNIT}.d/test.conf", f"[Service]\nWatchdogSec={WATCHDOG_S}\n")
    stage.machine.run("systemctl", "daemon-reload")
    stage.machine.run("systemctl", "enable", "--now", UNIT)
    assert stage.main.get("/healthz").is_success
    assert stage.machine.shows(UNIT, "StatusText")["StatusText"] == f"ready at {stage.main.url}"
    stage.main.ready()
    token = stage.machine.run("imagemill", "token", "show", "--data-dir", "/var/lib/imagemill")
    assert token == (stage.main.data_dir / "token").read_text().strip()
    assert token not in stage.main.log_tail()


def work(stage: Stage) -> None:
    """The hostile corpus ends by name, photographs are compressed, and the callback is signed with the credential."""
    stage.jobs.append(all_end_by_name(stage.main))
    with Nginx(PRODUCTS) as origin, Receiver() as receiver:
        job = stage.main.submit(stage.products(origin), callback_url=receiver.url)
        assert stage.main.finished(job, 60)["state"] == "completed"
        until(lambda: receiver.calls, 20, "the callback comes")
        assert_signed(*receiver.calls[0])
    stage.jobs.append(job)


def hardening(stage: Stage) -> None:
    """What the unit takes away is away, and the children's own sandbox still holds inside it."""
    main, *others = (Path("/proc", str(pid)) for pid in stage.main.pids())
    for each in (main, *others):
        status = dict(line.split(":\t", 1) for line in (each / "status").read_text().splitlines() if ":\t" in line)
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2"), status
        assert int(status["Uid"].split()[0]) != 0
        # A child has all rights in a user namespace of its own: over its empty network, and nothing else.
        assert each != main or int(status["CapEff"], 16) == 0, status
    networks = [(each / "ns/net").readlink() for each in others]
    assert sum(place != (main / "ns/net").readlink() for place in networks) >= 2, networks
    exposed = stage.machine.run("systemd-analyze", "security", "--no-pager", "--threshold=20", UNIT)
    print(f"      {exposed.splitlines()[-1].strip()}")
    told = stage.machine.run(
        "runuser", "-u", "imagemill", "--", "imagemill", "doctor", "--data-dir", "/var/lib/imagemill"
    )
    assert "native codec with libjpeg" in told


def memory(stage: Stage) -> None:
    """Idle, after work: how much the whole tree occupies."""
    print(f"      {resident_bytes(stage.main.pids()) / 1e6:.0f} MB resident, {len(stage.main.pids())} processes")


def killed(stage: Stage) -> None:
    """Killed at work, it is begun anew by systemd, and the job ends as if nothing had been."""
    with Nginx(PRODUCTS) as origin:
        job = stage.main.submit(stage.products(origin, 5))
        until(lambda: stage.main.job(job)["counts"]["done"] > 0, 30, "work has begun")
        anew(stage, stage.main.kill)
        assert stage.main.finished(job, 90)["state"] == "completed"
    stage.jobs.append(job)


def anew(stage: Stage, fault: Callable[[], None]) -> None:
    """Cause a fault, after which systemd must begin it anew."""
    before = stage.main.restarts()
    fault()
    until(lambda: stage.main.restarts() > before, RESTART_S, "systemd begins it anew", 0.2)
    stage.main.ready()


def frozen(stage: Stage) -> None:
    """Stopped in its tracks, it pings no more: the watchdog ends it."""
    anew(stage, lambda: os.kill(stage.main.pids()[0], signal.SIGSTOP))
    assert "Watchdog timeout" in stage.main.log_tail()


def locked_out(stage: Stage) -> None:
    """A database that somebody keeps locked is a hang too."""
    with closing(sqlite3.connect(stage.main.data_dir / "imagemill.db", isolation_level=None)) as other:
        before = stage.main.restarts()
        other.execute("BEGIN IMMEDIATE")
        until(lambda: stage.main.restarts() > before, RESTART_S, "the watchdog ends it", 0.2)
        other.execute("ROLLBACK")
    stage.main.ready()


def instance(stage: Stage) -> None:
    """A second appliance, of the template: its own port, settings and data."""
    stage.shop.configure(SETTINGS)
    stage.shop.launch()
    stage.shop.ready()
    assert all(stage.shop.get(f"/api/v1/jobs/{job}").status_code == 404 for job in stage.jobs)
    with Nginx(PRODUCTS) as origin:
        assert stage.shop.finished(stage.shop.submit(stage.products(origin)), 60)["state"] == "completed"


def upgrade(stage: Stage) -> None:
    """In the middle of a job, both are stopped, replaced and started again; the job goes on, settings stay."""
    with Nginx(PRODUCTS) as origin:
        job = stage.main.submit(stage.products(origin, 5))
        until(lambda: stage.main.job(job)["counts"]["done"] > 0, 30, "work has begun")
        stage.machine.installs(stage.package)
        assert stage.machine.asks("systemctl", "is-active", UNIT, "imagemill@shop.service").split() == ["active"] * 2
        stage.main.ready()
        assert stage.main.finished(job, 90)["state"] == "completed"
    for each in (*stage.jobs, job):
        assert_opens(stage.main, each)
    assert "timeout_s = 5" in (stage.machine.root / "etc/imagemill/imagemill.toml").read_text()
    stage.shop.stop()


def stopped(stage: Stage) -> None:
    """A stop in the middle of work is over within ten seconds, and is no failure."""
    with Nginx(PRODUCTS) as origin:
        stage.main.submit(stage.products(origin, 5))
        until(lambda: stage.main.ask("/system"), 10, "it answers")
        began = time.monotonic()
        assert stage.main.stop() == 0
        took = time.monotonic() - began
    print(f"      stopped in {took:.1f} s")
    assert took < 11
    assert stage.machine.shows(UNIT, "Result")["Result"] == "success"


def refused(stage: Stage) -> None:
    """A setting that is wrong is told, and not tried again and again."""
    stage.machine.write(f"/etc/systemd/system/{UNIT}.d/wrong.conf", "[Service]\nEnvironment=IMAGEMILL_PORT=many\n")
    stage.machine.run("systemctl", "daemon-reload")
    stage.machine.asks("systemctl", "start", UNIT)
    assert stage.machine.shows(UNIT, "ActiveState", "NRestarts") == {"ActiveState": "failed", "NRestarts": "0"}
    assert "IMAGEMILL_PORT" in stage.main.log_tail()
    (stage.machine.root / f"etc/systemd/system/{UNIT}.d/wrong.conf").unlink()
    stage.machine.run("systemctl", "daemon-reload")
    stage.main.launch()


def remove(stage: Stage) -> None:
    """Removed, it is stopped and its data is there; purged, nothing is."""
    stage.machine.run("dpkg", "--remove", "imagemill")
    assert not stage.main.pids()
    assert (stage.main.data_dir / "imagemill.db").exists()
    stage.machine.run("dpkg", "--purge", "imagemill")
    root = stage.machine.root
    left = [path for folder in ("etc/imagemill", "var/lib", "usr/lib/imagemill") for path in root.glob(f"{folder}*")]
    assert not [path for path in left if "imagemill" in path.name], left
    assert stage.machine.asks("systemctl", "list-unit-files", "--no-legend", "imagemill*") == ""


SCENES: Final = (
    *(install, start, work, hardening, memory, killed, frozen, locked_out),
    *(instance, upgrade, stopped, refused, remove),
)


def checked(package: Path) -> None:
    """Have lintian read the package; it must say nothing."""
    said = subprocess.run(["lintian", "--allow-root", package], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (0, ""), said.stdout


def main() -> int:
    """Play all scenes; returns the exit code."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("package", type=Path)
    asked.add_argument("--tree", type=Path)
    given = asked.parse_args()
    checked(given.package)
    with tempfile.TemporaryDirectory(prefix="imagemill-booted-") as name:
        folder = Path(name)
        with Booted(folder, given.tree) as machine:
            stage = Stage(machine, given.package.resolve(), folder)
            for scene in SCENES:
                began = time.monotonic()
                scene(stage)
                print(f"{time.monotonic() - began:6.1f} s  {scene.__name__}: {scene.__doc__}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
