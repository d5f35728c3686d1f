"""A small Debian with a systemd of its own, booted in a container, and the service in it, asked as any appliance is.

Needs root, mmdebstrap and systemd-nspawn. It shares this machine's network, so that origins and receivers of the tests
are reached; everything else is its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Self

import httpx

from tests.appliance_process import ApplianceProcess, until

PACKAGES = "systemd,systemd-sysv,dbus,adduser"
BOOT_S = 90.0


class Booted:
    """The machine, running as long as the block lasts; `root` is its root folder, in a folder of this machine."""

    def __init__(self, place: Path, tree: Path | None = None) -> None:
        """`tree` is a tarball that `mmdebstrap` has made before."""
        self.root = place / "root"
        self._log = place / "boot.log"
        self._tree = tree
        self._nspawn: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if self._tree is None:
            suite = ["--variant=minbase", f"--include={PACKAGES}", "bookworm"]
            subprocess.run(["mmdebstrap", "--quiet", *suite, self.root], check=True)
        else:
            self.root.mkdir()
            subprocess.run(["tar", "-xf", self._tree, "-C", self.root, "--exclude=./dev/*"], check=True)
        options = ["--register=no", "--keep-unit", "--boot", "--console=pipe", "--quiet"]
        with self._log.open("wb") as log:
            command = ["systemd-nspawn", f"--directory={self.root}", *options]
            self._nspawn = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        until(
            lambda: self.asks("systemctl", "is-system-running") in {"running", "degraded"}, BOOT_S, "it has booted", 0.5
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self._nspawn is None:
            return
        self._nspawn.terminate()  # which nspawn takes for: power off
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._nspawn.wait(60)
        self._nspawn.kill()
        self._nspawn.wait()
        shutil.rmtree(self.root, ignore_errors=True)

    @property
    def leader(self) -> int:
        """Its first process, by its number here; 0 while there is none."""
        assert self._nspawn is not None, "not entered"
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
        return int(children[0]) if children else 0

    def _ran(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        enter = ["nsenter", f"--target={self.leader}", "--all", "--root", "--wd"]
        return subprocess.run([*enter, *command], capture_output=True, text=True, check=False, timeout=120)

    def asks(self, *command: str) -> str:
        """Return what a command prints there, whatever its exit code."""
        return self._ran(*command).stdout.strip() if self.leader else ""

    def run(self, *command: str | Path) -> str:
        """Run a command there; it must succeed. Returns what it printed."""
        done = self._ran(*command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def installs(self, package: Path) -> str:
        """Install a package with dpkg."""
        shutil.copy(package, self.root / "root")
        return self.run("dpkg", "--install", f"/root/{package.name}")

    def write(self, name: str, text: str) -> None:
        """Write a file, as its administrator would."""
        place = self.root / name.removeprefix("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def shows(self, unit: str, *names: str) -> dict[str, str]:
        """Return properties of a unit."""
        lines = self.run("systemctl", "show", unit, f"--property={','.join(names)}").splitlines()
        return dict(line.split("=", 1) for line in lines)


class Unit(ApplianceProcess):
    """One unit of the machine, asked from here as any other appliance is; entering it starts it."""

    def __init__(self, machine: Booted, unit: str) -> None:
        self.machine, self.unit = machine, unit
        super().__init__(machine.root / "var/lib" / unit.removesuffix(".service"))

    def configure(self, toml: str) -> None:
        """Write its settings, with the port that is its own."""
        self.machine.write(f"/etc/imagemill/{self.data_dir.name}.toml", f"port = {self.port}\n{toml}")

    def launch(self) -> None:
        """Start it, and wait until systemd has heard that it is ready."""
        self.machine.run("systemctl", "start", self.unit)

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return self.get("/healthz").is_success
        return False

    def log_tail(self) -> str:
        """Return its journal."""
        return self.machine.asks("journalctl", "--no-pager", "--output=cat", f"--unit={self.unit}")

    def pids(self) -> list[int]:
        """Return its processes by their numbers here; the main one comes first."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and (entry / "cgroup").read_text().rstrip().endswith(f"/{self.unit}"):
                    found.append(int(entry.name))
        return sorted(found, key=lambda pid: parent_of(pid) in found)

    def kill(self) -> None:
        """Send SIGKILL to all of it."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self, deadline_s: float = 15) -> int:
        """Stop it; returns what systemd says of its end: 0 for success."""
        self.machine.run("systemctl", "stop", self.unit)
        until(lambda: not self.pids(), deadline_s, "nothing of it is left")
        return int(self.machine.shows(self.unit, "ExecMainStatus")["ExecMainStatus"])

    def restarts(self) -> int:
        """Return how often systemd has begun it anew."""
        return int(self.machine.shows(self.unit, "NRestarts")["NRestarts"])


def parent_of(pid: int) -> int:
    """Return the process that started another; 0 when that has gone. Numbers say nothing: they begin anew."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0
