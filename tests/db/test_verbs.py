"""Verbs on jobs: what the table allows happens, what it does not is refused, and of two at once both are right."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from imagemill.core import keys
from imagemill.core.errors import IllegalTransitionError, NotFoundError, RequestError
from imagemill.core.job import Submission
from imagemill.core.states import JOB_MOVES, JobState, Verb, allowed
from imagemill.db import JobFilter, Store, verbs
from imagemill.db.lanes import Due
from tests.db.test_images import image, states, together
from tests.seeds import Clock, Seeded, Seeds, done, failed

CALL_ME = Submission(callback_url="http://caller/end")
EVENTS = "SELECT event FROM delivery WHERE job_id = ? ORDER BY id"


def say(store: Store, verb: Verb, uid: str, owner: str | None = None) -> object:
    calls: dict[Verb, Callable[[str, str | None], object]] = {
        Verb.CANCEL: store.cancel_job,
        Verb.PAUSE: store.pause_job,
        Verb.RESUME: store.resume_job,
        Verb.RETRY: store.retry_job,
        Verb.DELETE: store.delete_job,
    }
    return calls[verb](uid, owner)


def job_in(state: JobState, store: Store, seeds: Seeds) -> Seeded:
    """Return a job of two images that has come to a state as jobs do."""
    job = seeds.images(2, CALL_ME)
    match state:
        case JobState.PAUSED:
            store.pause_job(job.uid)
        case JobState.CANCELLED:
            store.cancel_job(job.uid)
        case JobState.PROCESSING:
            seeds.claim(job, 1)
        case JobState.COMPLETED | JobState.PARTIAL | JobState.FAILED:
            claim = seeds.claim(job)
            first = failed(1) if state is JobState.FAILED else done(claim, 1)
            store.record_images(claim, [first, done(claim, 2) if state is JobState.COMPLETED else failed(2)])
    assert store.job(job.uid).state is state
    return job


@pytest.mark.parametrize(("state", "verb"), list(product(JobState, Verb)))
def test_the_table_is_what_happens(store: Store, seeds: Seeds, state: JobState, verb: Verb) -> None:
    job = job_in(state, store, seeds)
    before = states(store, job)
    if (state, verb) not in JOB_MOVES:
        with pytest.raises(IllegalTransitionError) as caught:
            say(store, verb, job.uid)
        assert all(word in caught.value.detail for word in (state, verb, *allowed(state)))
        assert (store.job(job.uid).state, states(store, job)) == (state, before)
        return
    for _ in range(2 if verb is not Verb.DELETE else 1):
        say(store, verb, job.uid)
        if verb is not Verb.DELETE:
            assert store.job(job.uid).state in JOB_MOVES[state, verb]
    if verb is Verb.DELETE:
        with pytest.raises(NotFoundError):
            store.job(job.uid)


@pytest.mark.parametrize("verb", Verb)
def test_nobody_moves_another_owner_s_job(store: Store, seeds: Seeds, verb: Verb) -> None:
    job = job_in(JobState.PROCESSING, store, seeds)
    for uid, owner in ((job.uid, "another"), ("018f0000-0000-7000-8000-000000000000", None)):
        with pytest.raises(NotFoundError):
            say(store, verb, uid, owner)
    assert store.job(job.uid).state is JobState.PROCESSING
    say(store, verb, job.uid, "shop")


def test_cancelling_ends_everything_and_tells_it_once(store: Store, seeds: Seeds) -> None:
    job = seeds.images(4, CALL_ME)
    claim = seeds.claim(job, 3)
    store.record_images(claim, [done(claim, 1)])
    delivery = store.cancel_job(job.uid)
    assert delivery is not None
    assert store.cancel_job(job.uid) is None
    assert states(store, job) == ["done", "cancelled", "cancelled", "cancelled"]
    assert store.record_images(claim, [done(claim, 2), failed(3)], returned=[3]) is None
    assert states(store, job) == ["done", "cancelled", "cancelled", "cancelled"]
    told = image(store, job, 2).error
    assert told is not None
    assert told.code == "cancelled"
    read = store.job(job.uid)
    assert (read.state, read.finished_at is not None, read.callback.state) == (JobState.CANCELLED, True, "pending")
    assert store._rows(EVENTS, (job.id,)) == [("job.cancelled",)]
    assert store.open_jobs() == []
    assert store.due_images(job.id, 5) == Due(0)


def test_cancelling_against_the_last_record_ends_once_as_one_of_them_says(store: Store, seeds: Seeds) -> None:
    seen = set()
    for _ in range(20):
        job = seeds.images(1, CALL_ME)
        claim = seeds.claim(job)

        def cancel(job: Seeded = job) -> object:
            try:
                return store.cancel_job(job.uid)
            except IllegalTransitionError:
                return None

        ended = together(cancel, lambda claim=claim: store.record_images(claim, [done(claim, 1)]))  # type: ignore[misc]
        assert sum(delivery is not None for delivery in ended) == 1
        state = store.job(job.uid).state
        assert store._rows(EVENTS, (job.id,)) == [(f"job.{state}",)]
        assert states(store, job) == ["done" if state is JobState.COMPLETED else "cancelled"]
        seen.add(state)
    assert seen <= {JobState.COMPLETED, JobState.CANCELLED}


def test_many_images_are_cancelled_in_steps_that_a_crash_may_part(
    store: Store, seeds: Seeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verbs, "STEP", 2)
    job = seeds.images(7, CALL_ME)
    claim = seeds.claim(job, 1)
    store._touched("UPDATE job SET cancelled_at = 1 WHERE id = ?", (job.id,))  # and here the power went
    assert store.claim_images(job.id, most=1, shares=1, token="t", lease_s=1) is None
    assert store.open_jobs() == []
    assert store.record_images(claim, [done(claim, 1)]) is None
    assert len(store.finish_cancelling()) == 1
    assert store.finish_cancelling() == []
    assert states(store, job) == ["done"] + ["cancelled"] * 6
    other = seeds.images(7)
    assert store.cancel_job(other.uid) is None
    assert set(states(store, other)) == {"cancelled"}


def test_paused_begins_nothing_and_what_is_in_hand_may_end(store: Store, seeds: Seeds) -> None:
    job = seeds.images(2)
    claim = seeds.claim(job, 1)
    store.pause_job(job.uid)
    assert store.claim_images(job.id, most=1, shares=1, token="t", lease_s=1) is None
    assert store.open_jobs() == []
    store.record_images(claim, [done(claim, 1)])
    assert (states(store, job), store.job(job.uid).state) == (["done", "pending"], JobState.PAUSED)
    assert store.resume_job(job.uid).id == job.id
    assert [found.id for found in store.open_jobs()] == [job.id]
    assert seeds.claim(job).images[0].n == 2


def test_a_paused_job_may_end_and_is_not_paused_when_it_is_tried_again(store: Store, seeds: Seeds) -> None:
    job = seeds.images(1)
    claim = seeds.claim(job)
    store.pause_job(job.uid)
    store.record_images(claim, [failed(1)])
    assert store.job(job.uid).state is JobState.FAILED
    store.retry_job(job.uid)
    assert store.job(job.uid).state is JobState.PROCESSING


def test_retry_begins_anew_and_its_end_is_told_anew(store: Store, seeds: Seeds, clock: Clock) -> None:
    job = job_in(JobState.PARTIAL, store, seeds)
    store._touched("UPDATE image SET crashes = 2, attempts = 5 WHERE state = 'failed'")
    assert store.retry_job(job.uid).images == 2
    assert states(store, job) == ["done", "pending"]
    assert store._rows(EVENTS, (job.id,)) == []  # it was not told yet, and is not true any more
    claim = seeds.claim(job)
    assert [(i.n, i.attempts, i.crashes) for i in claim.images] == [(2, 0, 0)]
    assert store.record_images(claim, [failed(2)]) is not None
    store._touched("UPDATE delivery SET state = 'delivered'")
    clock.now += 1
    store.retry_job(job.uid)
    again = seeds.claim(job)
    assert store.record_images(again, [done(again, 2)]) is not None
    assert store._rows(EVENTS, (job.id,)) == [("job.partial",), ("job.completed",)]
    assert len({uid for (uid,) in store._rows("SELECT uid FROM delivery")}) == 2


def test_some_are_tried_again_by_their_places_ids(store: Store, seeds: Seeds) -> None:
    job = seeds.job([["http://a/1", "http://a/2"], ["http://a/1", "http://a/3", "http://a/4"]], CALL_ME)
    claim = seeds.claim(job)
    store.record_images(claim, [failed(1), failed(2), failed(4), done(claim, 5)])
    ids = [keys.image_id(job.uid, place) for place in (3, 5, 5)]  # the second place of image 1, and a done one
    store.retry_job(job.uid, images=ids)
    assert states(store, job) == ["pending", "failed", "pending", "failed", "done"]
    store.retry_job(job.uid, images=[])
    for foreign in ("nonsense", keys.image_id(job.uid, 6), keys.image_id(keys.job_id(1, 1), 1), job.uid):
        with pytest.raises(RequestError) as caught:
            store.retry_job(job.uid, images=[ids[0], foreign])
        assert [field for field, _ in caught.value.errors] == ["images"]
    claim = seeds.claim(job)
    store.record_images(claim, [done(claim, 1)])
    assert store.job(job.uid).state is JobState.PARTIAL


def test_asking_again_for_what_is_done_opens_nothing(store: Store, seeds: Seeds) -> None:
    job = job_in(JobState.PARTIAL, store, seeds)
    ended_at = store.job(job.uid).finished_at
    store.retry_job(job.uid, images=[keys.image_id(job.uid, 1)])
    read = store.job(job.uid)
    assert (read.state, read.finished_at) == (JobState.PARTIAL, ended_at)
    assert store._rows(EVENTS, (job.id,)) == [("job.partial",)]


def test_some_of_a_cancelled_job_are_tried_again_and_the_others_stay(store: Store, seeds: Seeds) -> None:
    job = job_in(JobState.CANCELLED, store, seeds)
    store.retry_job(job.uid, images=[keys.image_id(job.uid, 2)])
    claim = seeds.claim(job)
    store.record_images(claim, [done(claim, 2)])
    assert (states(store, job), store.job(job.uid).state) == (["cancelled", "done"], JobState.PARTIAL)
    assert store.jobs(JobFilter(state=JobState.PARTIAL), 5, None)[0][0].id == job.uid


def test_many_images_are_retried_in_steps(store: Store, seeds: Seeds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verbs, "STEP", 3)
    monkeypatch.setattr(verbs, "_MARKS", 2)
    job = seeds.images(10)
    store.cancel_job(job.uid)
    store.retry_job(job.uid)
    assert states(store, job) == ["pending"] * 10
    store.cancel_job(job.uid)
    store.retry_job(job.uid, images=[keys.image_id(job.uid, place) for place in range(1, 9)])
    assert states(store, job) == ["pending"] * 8 + ["cancelled"] * 2


@pytest.mark.parametrize(("first", "second"), list(product(Verb, Verb)))
def test_two_verbs_at_once_leave_a_job_that_is_whole(store: Store, seeds: Seeds, first: Verb, second: Verb) -> None:
    job = job_in(JobState.PROCESSING, store, seeds)

    def spoken(verb: Verb) -> object:
        try:
            return say(store, verb, job.uid)
        except (IllegalTransitionError, NotFoundError) as error:
            return error

    together(lambda: spoken(first), lambda: spoken(second))
    row = store._rows("SELECT finished_at, cancelled_at, deleted_at FROM job WHERE id = ?", (job.id,))[0]
    leased = store._rows("SELECT count(*) FROM image WHERE state != 'running' AND lease IS NOT NULL")
    assert leased == [(0,)]
    assert len(store._rows(EVENTS, (job.id,))) == (1 if row[0] and not row[2] else 0)
    if Verb.DELETE in {first, second}:
        assert None not in row


def test_a_deleted_job_is_unknown_everywhere(store: Store, seeds: Seeds) -> None:
    job = seeds.images(3, CALL_ME)
    claim = seeds.claim(job, 2)
    store.record_images(claim, [done(claim, 1)])
    store.delete_job(job.uid)
    assert store.record_images(claim, [done(claim, 2)]) is None
    assert store.claim_images(job.id, most=1, shares=1, token="t", lease_s=1) is None
    assert (store.jobs(JobFilter(), 5, None), store.open_jobs()) == (([], None), [])
    assert (store.known_uids(), store.sheet_filename(job.uid), store.finish_idle_jobs()) == (set(), "", [])
    assert store.same_job(seeds.new(asked=CALL_ME).sheet_sha256, CALL_ME, "shop") is None
    for ask in (
        lambda: store.job(job.uid),
        lambda: store.submission(job.uid),
        lambda: store.images(job.uid, None, 5, None),
        lambda: list(store.fates(job.uid)),
        lambda: store.delete_job(job.uid),
    ):
        with pytest.raises(NotFoundError):
            ask()


def test_a_deleted_job_calls_nobody_and_a_lost_picture_does_not_wake_it(store: Store, seeds: Seeds) -> None:
    job = job_in(JobState.COMPLETED, store, seeds)
    (delivery,) = store.due_deliveries(9)
    name = next(store.done_outputs(job.uid))
    store.delete_job(job.uid)
    assert store.claim_delivery(delivery[0], 9) is None
    assert store.due_deliveries(9) == []
    store.lose_outputs([name])
    assert store.open_jobs() == []
