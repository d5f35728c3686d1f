"""How far a job is, as a bar in a terminal and as a line every few seconds elsewhere. Always on standard error."""

from __future__ import annotations

import sys
from collections import deque
from types import TracebackType
from typing import Final, Protocol, Self

import click
import msgspec

from imagemill.core.job import Job

WINDOW_S: Final = 30.0
"""Seconds over which images/s is measured: long enough to be calm, short enough to be true."""

LINE_EVERY_S: Final = 5.0
IDLE_S: Final = 5.0

LOOK_EVERY_S: Final = 0.2
FIRST_LOOK_S: Final = 0.01


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """How far a job is. `settled` counts done, failed and cancelled images."""

    settled: int
    total: int
    failed: int
    images_per_s: float
    left_s: float | None
    saved_bytes: int
    saved_percent: float
    trouble: str = ""


class Meter:
    """Turns a job, seen again and again, into a pace. Times come from the caller's monotonic clock."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()
        self._moved_s = 0.0

    def see(self, job: Job, now_s: float) -> Snapshot:
        """Take the job as it is now; what a former run had done is not this run's pace."""
        counts = job.counts
        settled = counts.done + counts.failed + counts.cancelled
        if not self._seen or self._seen[-1][1] != settled:
            self._moved_s = now_s
        self._seen.append((now_s, settled))
        while len(self._seen) > 2 and now_s - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()
        pace = self._pace()
        return Snapshot(
            settled=settled,
            total=counts.images,
            failed=counts.failed,
            images_per_s=pace,
            left_s=(counts.images - settled) / pace if pace else None,
            saved_bytes=job.bytes.source - job.bytes.output,
            saved_percent=job.bytes.saved_percent,
        )

    def is_idle(self, now_s: float) -> bool:
        """Say whether nothing has ended for so long that people ask why."""
        return now_s - self._moved_s >= IDLE_S

    def _pace(self) -> float:
        (then, before), (now, after) = self._seen[0], self._seen[-1]
        return (after - before) / (now - then) if now > then else 0.0


class Pauses:
    """Seconds between looks: longer and longer, and short again where the end is near, which is not waited for."""

    def __init__(self) -> None:
        self._pause_s = FIRST_LOOK_S / 2

    def next(self, left_s: float | None) -> float:
        """Return the next pause; `left_s` is how long the job is thought to go on."""
        self._pause_s = min(2 * self._pause_s, LOOK_EVERY_S)
        return self._pause_s if left_s is None else min(self._pause_s, max(left_s, FIRST_LOOK_S))


def line(snapshot: Snapshot) -> str:
    """Return a line: `1,200/3,408 images (35 %) · 142.3 images/s · 12.3 MB saved (61 %) · 0:16 left`."""
    share = 100 * snapshot.settled // snapshot.total if snapshot.total else 100
    return f"{snapshot.settled:,}/{snapshot.total:,} images ({share} %) · {note(snapshot)}"


def note(snapshot: Snapshot) -> str:
    """Return what stands beside the bar."""
    parts = [
        f"{snapshot.images_per_s:.1f} images/s",
        f"{size(snapshot.saved_bytes)} saved ({snapshot.saved_percent:.0f} %)",
    ]
    if snapshot.failed:
        parts.append(f"{snapshot.failed:,} failed")
    if snapshot.left_s is not None and snapshot.settled < snapshot.total:
        parts.append(f"{duration(snapshot.left_s)} left")
    if snapshot.trouble:
        parts.append(f"waiting: {snapshot.trouble}")
    return " · ".join(parts)


def size(count: int) -> str:
    """Return bytes as people read them, in thousands: `12.3 MB`."""
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if abs(value) < (1000 if unit == "B" else 999.95):
            break
        value, unit = value / 1000, larger
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"


def duration(seconds: float) -> str:
    """Return seconds as `0:16` or `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Display(Protocol):
    """Shows snapshots while it is entered."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, snapshot: Snapshot, now_s: float) -> None:
        """Show how far the job is."""


class Lines:
    """A line every few seconds, for a log or a pipe."""

    def __init__(self) -> None:
        self._last_s: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, snapshot: Snapshot, now_s: float) -> None:
        """Print the snapshot, if the last line is old enough or the job is through."""
        is_due = self._last_s is None or now_s - self._last_s >= LINE_EVERY_S
        if is_due or snapshot.settled == snapshot.total:
            self._last_s = now_s
            click.echo(line(snapshot), err=True)


class Bar:
    """A bar that moves, for a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._progress = Progress(
            MofNCompleteColumn(),
            TextColumn("images"),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task("", total=None, note="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, snapshot: Snapshot, now_s: float) -> None:  # noqa: ARG002 - rich has a clock of its own
        """Move the bar."""
        self._progress.update(self._task, completed=snapshot.settled, total=snapshot.total, note=note(snapshot))


def display() -> Display:
    """Return what suits standard error."""
    return Bar() if sys.stderr.isatty() else Lines()
