"""Every pair of state and move is either in the table or impossible; a job's state follows from its images'."""

from __future__ import annotations

from itertools import product

import pytest

from imagemill.core.states import (
    JOB_MOVES,
    OPEN,
    TRANSITIONS,
    ImageState,
    JobState,
    Move,
    Verb,
    allowed,
    job_state,
    origins,
    target,
)

LEGAL = {
    ("pending", "claim"): "running",
    ("pending", "cancel"): "cancelled",
    ("pending", "give_up"): "failed",
    ("running", "release"): "pending",
    ("running", "postpone"): "pending",
    ("running", "complete"): "done",
    ("running", "fail"): "failed",
    ("running", "cancel"): "cancelled",
    ("failed", "retry"): "pending",
    ("cancelled", "retry"): "pending",
    ("done", "lose"): "pending",
    ("done", "drop"): "cancelled",
    ("failed", "drop"): "cancelled",
}


@pytest.mark.parametrize(("state", "move"), list(product(ImageState, Move)))
def test_a_move_is_legal_or_missing(state: ImageState, move: Move) -> None:
    assert TRANSITIONS.get((state, move)) == LEGAL.get((state.value, move.value))


@pytest.mark.parametrize("move", Move)
def test_a_move_knows_its_origins_and_its_one_target(move: Move) -> None:
    assert {state.value for state in origins(move)} == {state for state, known in LEGAL if known == move}
    assert {target(move)} == {after for (_, known), after in LEGAL.items() if known == move}


def test_the_done_image_stays_done_while_its_output_is_there_and_wanted() -> None:
    assert [move for state, move in TRANSITIONS if state is ImageState.DONE] == [Move.LOSE, Move.DROP]
    assert {ImageState.PENDING, ImageState.RUNNING} == OPEN


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("pending", "cancel pause resume retry delete"),
        ("processing", "cancel pause resume retry delete"),
        ("paused", "cancel pause resume retry delete"),
        ("completed", "delete"),
        ("partial", "retry delete"),
        ("failed", "retry delete"),
        ("cancelled", "cancel retry delete"),
    ],
)
def test_a_job_s_state_allows_its_verbs(state: str, expected: str) -> None:
    assert " ".join(allowed(JobState(state))) == expected


@pytest.mark.parametrize(("state", "verb"), list(JOB_MOVES))
def test_a_verb_leads_where_it_may_be_said_again(state: JobState, verb: Verb) -> None:
    after = JOB_MOVES[state, verb]
    assert bool(after) == (verb is not Verb.DELETE)
    assert all(set(JOB_MOVES[reached, verb]) <= set(after) for reached in after)


@pytest.mark.parametrize(
    ("images", "facts", "expected"),
    [
        ("pending", "", "pending"),
        ("pending", "started", "processing"),
        ("running", "started", "processing"),
        ("pending done failed", "started", "processing"),
        ("pending done", "started paused", "paused"),
        ("pending", "paused", "paused"),
        ("running cancelled", "started cancelled", "processing"),
        ("cancelled", "cancelled", "cancelled"),
        ("done cancelled", "started cancelled", "cancelled"),
        ("failed", "started cancelled", "cancelled"),
        ("done", "started", "completed"),
        ("done", "started paused", "completed"),
        ("", "", "completed"),
        ("done failed", "started", "partial"),
        ("done cancelled", "started", "partial"),
        ("cancelled", "started", "failed"),
        ("failed", "started", "failed"),
        ("failed", "started paused", "failed"),
    ],
)
def test_a_job_s_state_is_derived(images: str, facts: str, expected: str) -> None:
    counts = dict.fromkeys(map(ImageState, images.split()), 2)
    known = {name: name in facts.split() for name in ("started", "paused", "cancelled")}
    assert job_state(counts, **known) is JobState(expected)
    assert job_state({state: counts.get(state, 0) for state in ImageState}, **known) is JobState(expected)
