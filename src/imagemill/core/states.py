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


class Verb(StrEnum):
    """What a client may do to a whole job."""

    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    RETRY = "retry"
    DELETE = "delete"


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
    DROP = "drop"


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
    (ImageState.DONE, Move.DROP): ImageState.CANCELLED,
    (ImageState.FAILED, Move.DROP): ImageState.CANCELLED,
}

OPEN: Final = frozenset({ImageState.PENDING, ImageState.RUNNING})
MISSING: Final = frozenset({ImageState.FAILED, ImageState.CANCELLED})
"""Ended without an output: `retry` asks for these again."""

_WAITS: Final = (JobState.PENDING,)
_WORKS: Final = (JobState.PROCESSING,)
_EITHER: Final = (JobState.PENDING, JobState.PROCESSING)
_STANDS: Final = (JobState.PAUSED,)
_IS_OVER: Final = (JobState.CANCELLED,)
_IS_GONE: Final[tuple[JobState, ...]] = ()

# Said twice, a verb finds what it wanted, and changes nothing: so a client that lost an answer may ask again.
JOB_MOVES: Final[dict[tuple[JobState, Verb], tuple[JobState, ...]]] = {
    (JobState.PENDING, Verb.CANCEL): _IS_OVER,
    (JobState.PENDING, Verb.PAUSE): _STANDS,
    (JobState.PENDING, Verb.RESUME): _WAITS,
    (JobState.PENDING, Verb.RETRY): _WAITS,
    (JobState.PROCESSING, Verb.CANCEL): _IS_OVER,
    (JobState.PROCESSING, Verb.PAUSE): _STANDS,
    (JobState.PROCESSING, Verb.RESUME): _WORKS,
    (JobState.PROCESSING, Verb.RETRY): _WORKS,
    (JobState.PAUSED, Verb.CANCEL): _IS_OVER,
    (JobState.PAUSED, Verb.PAUSE): _STANDS,
    (JobState.PAUSED, Verb.RESUME): _EITHER,
    (JobState.PAUSED, Verb.RETRY): _STANDS,
    (JobState.PARTIAL, Verb.RETRY): _WORKS,
    (JobState.FAILED, Verb.RETRY): _WORKS,
    (JobState.CANCELLED, Verb.CANCEL): _IS_OVER,
    (JobState.CANCELLED, Verb.RETRY): _EITHER,
    **{(state, Verb.DELETE): _IS_GONE for state in JobState},
}
"""Which verbs a job's state allows, and the states each may lead to at once; none where the job is gone."""


def allowed(state: JobState) -> tuple[Verb, ...]:
    """Return the verbs that a job in this state allows."""
    return tuple(verb for verb in Verb if (state, verb) in JOB_MOVES)


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
    if not any(counts.get(state, 0) for state in MISSING):
        return JobState.COMPLETED
    return JobState.PARTIAL if counts.get(ImageState.DONE, 0) else JobState.FAILED


def _open_state(*, started: bool, paused: bool) -> JobState:
    if paused:
        return JobState.PAUSED
    return JobState.PROCESSING if started else JobState.PENDING
