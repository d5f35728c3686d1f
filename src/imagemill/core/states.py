"""An image's states as a table, and a job's state derived from them: an illegal move is a missing key."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class ImageState(StrEnum):
    """Where an image stands."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobState(StrEnum):
    """Where a job stands: derived, never stored."""

    PENDING = "pending"
    PROCESSING = "processing"
    PAUSED = "paused"
    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Move(StrEnum):
    """What can happen to an image; each is one named conditional update in `db`."""

    CLAIM = "claim"
    RELEASE = "release"
    POSTPONE = "postpone"
    COMPLETE = "complete"
    FAIL = "fail"
    GIVE_UP = "give_up"
    CANCEL = "cancel"
    RETRY = "retry"
    LOSE = "lose"


TRANSITIONS: Final[dict[tuple[ImageState, Move], ImageState]] = {
    (ImageState.PENDING, Move.CLAIM): ImageState.RUNNING,
    (ImageState.PENDING, Move.CANCEL): ImageState.CANCELLED,
    (ImageState.PENDING, Move.GIVE_UP): ImageState.FAILED,
    (ImageState.RUNNING, Move.RELEASE): ImageState.PENDING,
    (ImageState.RUNNING, Move.POSTPONE): ImageState.PENDING,
    (ImageState.RUNNING, Move.COMPLETE): ImageState.DONE,
    (ImageState.RUNNING, Move.FAIL): ImageState.FAILED,
    (ImageState.RUNNING, Move.CANCEL): ImageState.CANCELLED,
    (ImageState.FAILED, Move.RETRY): ImageState.PENDING,
    (ImageState.CANCELLED, Move.RETRY): ImageState.PENDING,
    (ImageState.DONE, Move.LOSE): ImageState.PENDING,
}

OPEN: Final = frozenset({ImageState.PENDING, ImageState.RUNNING})


def origins(move: Move) -> tuple[ImageState, ...]:
    """Return the states from which `move` is legal: the WHERE of its conditional update."""
    return tuple(state for state, known in TRANSITIONS if known is move)


def target(move: Move) -> ImageState:
    """Return the one state `move` leads to."""
    return next(after for (_, known), after in TRANSITIONS.items() if known is move)


def job_state(counts: dict[ImageState, int], *, started: bool, paused: bool, cancelled: bool) -> JobState:
    """Derive a job's state from its images' states and three facts (API.md, **state**)."""
    if any(counts.get(state, 0) for state in OPEN):
        return _open_state(started=started, paused=paused)
    if cancelled:
        return JobState.CANCELLED
    if not counts.get(ImageState.FAILED, 0):
        return JobState.COMPLETED
    return JobState.PARTIAL if counts.get(ImageState.DONE, 0) else JobState.FAILED


def _open_state(*, started: bool, paused: bool) -> JobState:
    if paused:
        return JobState.PAUSED
    return JobState.PROCESSING if started else JobState.PENDING
