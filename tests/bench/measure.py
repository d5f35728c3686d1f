"""What a command costs: wall, CPU and resident memory of its whole process tree."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from tests.appliance_process import resident_bytes, session_pids

_PR_SET_CHILD_SUBREAPER: Final = 36  # prctl(2): orphans become ours, so that their CPU is counted too
_SAMPLE_S: Final = 0.1


class Cost(msgspec.Struct, frozen=True):
    wall_s: float
    cpu_s: float
    rss_mb: float
    printed: str = ""


class Resident(threading.Thread):
    """Watches the resident memory of a session until `done`."""

    def __init__(self, session: int) -> None:
        super().__init__(daemon=True)
        self.peak_bytes = 0
        self._session = session
        self._ended = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._ended.wait(_SAMPLE_S):
            self.peak_bytes = max(self.peak_bytes, resident_bytes(session_pids(self._session)))

    def done(self) -> float:
        """Return the peak in MB."""
        self._ended.set()
        self.join()
        return self.peak_bytes / 1e6


def cost(command: list[str], environment: Mapping[str, str] | None = None) -> Cost:
    """Run `command` to its end in a session of its own."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    before, started = _children_cpu_s(), time.perf_counter()
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        resident = Resident(process.pid)
        printed, _ = process.communicate()
    wall_s = time.perf_counter() - started
    _reap(session_pids(process.pid))
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{printed}")
    return Cost(wall_s, _children_cpu_s() - before, resident.done(), printed)


def _reap(orphans: Iterable[int]) -> None:
    for pid in orphans:
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            continue


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def tree_cpu_s(pids: Iterable[int]) -> float:
    """Return the CPU seconds that these processes, and those they waited for, have used so far."""
    ticks = 0
    for pid in pids:
        fields = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def folder_bytes(folder: Path) -> int:
    """Return the size of all pictures in a folder."""
    return sum(entry.stat().st_size for entry in folder.rglob("*.*") if entry.suffix in {".jpg", ".png", ".webp"})
