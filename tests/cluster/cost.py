"""What a cluster's parts cost in CPU time, whoever else is on the same cores: from /proc."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Final

_PARTS: Final = {
    "postgres": "PostgreSQL",
    "redis-server": "Redis",
    "radosgw": "S3",
    "ceph-osd": "S3",
    "ceph-mon": "S3",
    "nginx": "the origin",
}
"""By the name of the program; what else this process has begun are workers."""


def spent_ms() -> Counter[str]:
    """Return the milliseconds of CPU that each part has taken so far, with those of its processes that have ended."""
    stats = {int(entry.name): _stat(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    spent: Counter[str] = Counter()
    for pid, (name, fields) in stats.items():
        if fields and pid != os.getpid() and _is_ours(pid, stats):
            ticks = sum(map(int, fields[11:15]))  # proc(5): utime, stime, and those of children that are gone
            spent[_PARTS.get(name, "workers")] += ticks * 1000 // os.sysconf("SC_CLK_TCK")
    return spent


def _is_ours(pid: int, stats: dict[int, tuple[str, list[str]]]) -> bool:
    while pid > 1:
        if pid == os.getpid():
            return True
        fields = stats.get(pid, ("", []))[1]
        pid = int(fields[1]) if fields else 0
    return False


def _stat(entry: Path) -> tuple[str, list[str]]:
    """Return a process's name and the fields of /proc/PID/stat behind it."""
    try:
        head, _, tail = (entry / "stat").read_text().rpartition(")")
    except (FileNotFoundError, ProcessLookupError):
        return "", []
    return head.partition("(")[2], tail.split()
