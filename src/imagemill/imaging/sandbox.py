"""What a pool child may still do: decode, and nothing else. Entered once, after the imports, before the first source.

Every limit is best effort: a system that lacks one still has the parent's time limit and the child's own process.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final

from imagemill.imaging import confine

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_CLONE_NEWNET: Final = 0x40000000
_CLONE_NEWUSER: Final = 0x10000000
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
_MIB: Final = 1 << 20
_FILE_BYTES: Final = 1 << 30
_DESCRIPTORS: Final = 64
_TRIM_PIXELS: Final = 8_000_000
_CPU_MARGIN_S: Final = 2.0
_NICE: Final = 10
_LIBC: Final = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def enter(memory_mb: int, parent: int, spool: str = "") -> None:
    """Give up what decoding does not need. `parent` is the process to die with; it may be dead already.

    `spool` is the one folder that stays open; empty, files are not closed.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group: the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.platform == "win32":
        return
    _leave_network()
    _die_with(parent)
    _limit(memory_mb)
    _silence()
    if _LIBC is not None:
        if spool:
            confine.close_files(_LIBC, Path(spool))
        confine.refuse_calls(_LIBC)


def allow_cpu(timeout_s: float) -> None:
    """Give the next image its own CPU seconds: a limit on the process's life would punish the image that comes last.

    It comes into play only when the parent hangs, whose limit on wall time is shorter.
    """
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 — not on Windows

    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime + timeout_s + _CPU_MARGIN_S) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))


def tune_memory() -> None:
    """Keep freed picture memory instead of giving it back each time: its page faults took 5 of 20 ms on 1.7 megapixels.

    The thresholds are glibc's largest for mapped blocks, and 64 MiB that the heap may keep free.
    """
    if _LIBC is not None and hasattr(_LIBC, "mallopt"):
        _LIBC.mallopt(_M_MMAP_THRESHOLD, 32 * _MIB)
        _LIBC.mallopt(_M_TRIM_THRESHOLD, 64 * _MIB)


def share_arenas() -> None:
    """Give the parent's threads two heaps to share; glibc would make eight for each core, and each keeps its peak.

    66 photographs, 16 threads: 84 MB resident instead of 93, at the same speed.
    """
    if _LIBC is not None and hasattr(_LIBC, "mallopt"):
        _LIBC.mallopt(_M_ARENA_MAX, 2)


def forgo_tracker() -> None:
    """Start no process that watches over shared memory and named semaphores, for the pool has none: 17 MB and a start.

    multiprocessing asks whether its tracker is alive by writing to it, and what it writes to here takes everything.
    """
    if sys.platform == "win32":
        return
    from multiprocessing import resource_tracker  # noqa: PLC0415 — not on Windows

    tracker: Any = resource_tracker._resource_tracker  # noqa: SLF001  there is no other door
    if tracker._fd is None:  # noqa: SLF001
        tracker._fd = os.open(os.devnull, os.O_WRONLY)  # noqa: SLF001


def give_way() -> None:
    """Let the parent, which answers requests and feeds the children, go first where the cores are short.

    A system that forbids it (a filter of system calls, Windows) has the images made no less.
    """
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.nice(_NICE)


def tidy(pixels: int) -> None:
    """Give memory back after a large image, where that costs next to nothing beside decoding it."""
    if pixels > _TRIM_PIXELS and _LIBC is not None and hasattr(_LIBC, "malloc_trim"):
        _LIBC.malloc_trim(0)


def allow_descriptors(wanted: int) -> None:
    """Raise the parent's own limit on open files, as far as the system lets us: each connection is one."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 — not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class Resident:
    """How much memory this process occupies, asked once an image: a descriptor kept open makes that 2 µs."""

    def __init__(self) -> None:
        self._page = os.sysconf("SC_PAGE_SIZE") if sys.platform == "linux" else 0
        self._statm = os.open("/proc/self/statm", os.O_RDONLY) if sys.platform == "linux" else -1

    def bytes(self) -> int:
        """Return resident bytes; 0 where the system does not say."""
        return int(os.pread(self._statm, 100, 0).split()[1]) * self._page if self._statm >= 0 else 0


def _leave_network() -> None:
    """An empty network of its own; without privilege that takes a user namespace, which some systems forbid."""
    if _LIBC is not None and _LIBC.unshare(_CLONE_NEWNET) != 0:
        _LIBC.unshare(_CLONE_NEWNET | _CLONE_NEWUSER)


def _die_with(parent: int) -> None:
    """Last, for a change of credentials clears the signal (prctl(2)). The parent may have died before it was set."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit(1)


def _limit(memory_mb: int) -> None:
    import resource  # noqa: PLC0415 — not on Windows

    wanted = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: _FILE_BYTES, resource.RLIMIT_NOFILE: _DESCRIPTORS}
    if sys.platform == "linux":
        with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 — one line, no path to speak of
            wanted[resource.RLIMIT_AS] = int(statm.read().split()[0]) * resource.getpagesize() + memory_mb * _MIB
    for name, limit in wanted.items():
        with contextlib.suppress(ValueError, OSError):  # already lower
            resource.setrlimit(name, (limit, limit))


def _silence() -> None:
    """Codecs write to stderr what strangers put into files; a log is no place for it."""
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.close(null)
