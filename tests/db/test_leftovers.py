"""What deleted jobs leave: their rows go in steps, their files when nobody has them or is about to."""

from __future__ import annotations

import pytest

from imagemill.core import keys
from imagemill.core.errors import NotFoundError
from imagemill.core.job import Submission
from imagemill.core.recipe import Recipe
from imagemill.db import JobFilter, Leftover, Store, leftovers
from tests.db.test_losses import with_thumbnail
from tests.postgres_server import on_sqlite
from tests.seeds import Clock, Seeded, Seeds, done, failed, source_of

KEEP = Submission(keep_original=True)
TABLES = ("job", "image", "place", "source", "output", "delivery", "attempt", "leftover", "stray", "request_key")


def made(store: Store, seeds: Seeds, sources: str, asked: Submission | None = None) -> Seeded:
    """Return a finished job with an image of each source, named by a letter."""
    job = seeds.images(len(sources), asked)
    claim = seeds.claim(job)
    store.record_images(claim, [done(claim, n, made_of=letter) for n, letter in enumerate(sources, 1)])
    return job


def remove_all_rows(store: Store) -> list[str]:
    """Return the jobs that are removed, in their order."""
    gone = []
    while removal := store.remove_rows():
        gone += [removal.uid] if removal.is_whole else []
    return gone


def output(letter: str, asked: Submission | None = None) -> Leftover:
    key = keys.output_key(source_of(letter).sha256, keys.fingerprint((asked or Submission()).recipe), "image")
    return Leftover("outputs", f"{key}.jpg")


def original(letter: str) -> Leftover:
    return Leftover("originals", keys.source_name(source_of(letter).sha256, "jpeg"))


def counts(store: Store) -> dict[str, int]:
    found = {table: store._rows(f"SELECT count(*) FROM {table}")[0][0] for table in TABLES}
    return {table: count for table, count in found.items() if count}


@pytest.mark.parametrize("step", [1, 2, 100])
def test_a_deleted_job_leaves_no_row(store: Store, seeds: Seeds, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    monkeypatch.setattr(leftovers, "STEP", step)
    jobs = [made(store, seeds, "abc", Submission(callback_url="http://caller/end")), seeds.images(3)]
    assert store.remove_rows() is None
    for job in jobs:
        store.delete_job(job.uid)
    assert remove_all_rows(store) == [job.uid for job in jobs]
    assert counts(store) == {"source": 3, "output": 3, "leftover": 3}
    doomed = store.doom_leftovers(10)
    assert doomed is not None
    assert sorted(doomed, key=lambda leftover: leftover.name) == sorted(
        map(output, "abc"), key=lambda leftover: leftover.name
    )
    assert store.going_leftovers() == sorted(doomed, key=lambda leftover: leftover.name)
    store.forget_leftovers(doomed)
    assert counts(store) == {}
    assert store.doom_leftovers(10) is None


def test_what_another_job_uses_stays(store: Store, seeds: Seeds) -> None:
    other = Submission(recipe=Recipe(quality=30))
    job, _, _ = made(store, seeds, "abc"), made(store, seeds, "b"), made(store, seeds, "c", other)
    store.delete_job(job.uid)
    remove_all_rows(store)
    doomed = store.doom_leftovers(10)
    assert doomed is not None
    assert {*doomed} == {output("a"), output("c")}
    assert counts(store) == {"job": 2, "image": 2, "place": 2, "source": 2, "output": 2, "leftover": 2}


def test_nothing_goes_while_somebody_may_be_about_to_use_it(store: Store, seeds: Seeds) -> None:
    job, user, stranger = made(store, seeds, "a"), seeds.images(1), seeds.images(1, Submission(recipe=Recipe(30)))
    claim = seeds.claim(user)
    source = source_of("a")
    known = store.known_outputs([source.sha256], claim.fingerprint)
    store.delete_job(job.uid)
    remove_all_rows(store)
    assert store.doom_leftovers(10) is None
    store.record_images(claim, [done(claim, 1, made_of="a")])
    assert [*known] == [source.sha256]
    assert store.doom_leftovers(10) == []  # it is used now, and so no leftover any more
    assert counts(store)["output"] == 1
    store.delete_job(user.uid)
    remove_all_rows(store)
    seeds.claim(stranger)  # another recipe's images do not matter
    assert store.doom_leftovers(10) == [output("a")]
    assert store.known_outputs([source.sha256], claim.fingerprint) == {}


def test_who_comes_later_waits_for_the_end_of_the_removal(store: Store, seeds: Seeds) -> None:
    job = made(store, seeds, "a")
    store.delete_job(job.uid)
    remove_all_rows(store)
    assert not store.is_going("outputs", output("a").name)
    doomed = store.doom_leftovers(10)
    assert doomed is not None
    assert store.is_going("outputs", output("a").name)
    assert seeds.claim(seeds.images(1)).is_clearing
    assert not store.is_going("originals", output("a").name)
    store.forget_leftovers(doomed)
    assert not store.is_going("outputs", output("a").name)
    assert not seeds.claim(seeds.images(1)).is_clearing
    made(store, seeds, "a")
    assert counts(store)["output"] == 1


def test_outputs_of_one_source_go_together(store: Store, seeds: Seeds) -> None:
    job = seeds.images(1)
    claim = seeds.claim(job)
    store.record_images(claim, [with_thumbnail(done(claim, 1, made_of="a"))])
    store.delete_job(job.uid)
    remove_all_rows(store)
    doomed = store.doom_leftovers(1)
    assert doomed is not None
    assert {*doomed} == {output("a"), Leftover("outputs", f"{'0' * 40}.webp")}
    assert counts(store) == {"leftover": 2}
    assert store.doom_leftovers(1) is None


def test_originals_stay_while_a_job_that_keeps_them_has_their_image(store: Store, seeds: Seeds) -> None:
    first, second, _ = made(store, seeds, "ab", KEEP), made(store, seeds, "b", KEEP), made(store, seeds, "a")
    store.delete_job(first.uid)
    remove_all_rows(store)
    assert store.doom_leftovers(10) == [original("a")]
    running = seeds.images(1, Submission(recipe=Recipe(quality=9)))
    seeds.claim(running)
    store.delete_job(second.uid)
    remove_all_rows(store)
    assert store.doom_leftovers(10) == [output("b")]  # any job may be keeping this very source now
    store.release_leases()
    assert store.doom_leftovers(10) == [original("b")]
    assert store._rows("SELECT sha256 FROM source") == [(source_of("a").sha256,)]


def test_a_stray_is_what_no_row_speaks_of_for_an_hour(store: Store, seeds: Seeds, clock: Clock) -> None:
    made(store, seeds, "ab", KEEP)
    ours, twin, stray = output("a").name, output("a").name.replace("jpg", "png"), f"{'f' * 40}.jpg"
    assert store.note_strays("outputs", [ours, twin, stray]) == 2
    assert store.note_strays("originals", [original("b").name, f"{'e' * 64}.png"]) == 1
    assert store.note_strays("outputs", [stray, ours]) == 0
    assert store.let_strays_go(3600) == 0
    clock.now += 3601
    assert store.let_strays_go(3600) == 3
    claim = seeds.claim(seeds.images(1, Submission(recipe=Recipe(quality=9))))
    assert store.doom_leftovers(10) is None  # whoever it belongs to may be at work
    store.record_images(claim, [failed(1)])
    doomed = store.doom_leftovers(10)
    assert doomed is not None
    assert {leftover.name for leftover in doomed} == {stray, twin, f"{'e' * 64}.png"}
    assert counts(store)["output"] == 2


def test_a_stray_that_is_recorded_meanwhile_stays(store: Store, seeds: Seeds, clock: Clock) -> None:
    store.note_strays("outputs", [output("a").name])
    clock.now += 3601
    store.let_strays_go(3600)
    made(store, seeds, "a")
    assert store.doom_leftovers(10) == []
    assert counts(store)["output"] == 1


def test_a_clock_that_is_put_back_does_not_keep_strays_young(store: Store, clock: Clock) -> None:
    stray = f"{'f' * 40}.jpg"
    store.note_strays("outputs", [stray])
    clock.now -= 1_000_000
    assert store.let_strays_go(3600) == 0
    store.note_strays("outputs", [stray])
    clock.now += 3601
    assert store.let_strays_go(3600) == 1


def test_jobs_expire_after_their_end(store: Store, seeds: Seeds, clock: Clock) -> None:
    hour = Submission(expires_in_s=3600)
    short, open_job, told = made(store, seeds, "a", hour), seeds.images(1, hour), seeds.images(1)
    kept = made(store, seeds, "b")
    waiting = made(store, seeds, "c", Submission(expires_in_s=3600, callback_url="http://caller/end"))
    clock.now += 3599
    assert store.delete_expired(0) == 0
    clock.now += 1
    assert store.delete_expired(0) == 1
    with pytest.raises(NotFoundError):
        store.job(short.uid)
    clock.now += 10 * 86_400
    assert store.delete_expired(0) == 0  # the others: not ended, for ever, and its end not told yet
    store._touched("UPDATE delivery SET state = 'delivered'")
    assert store.delete_expired(20 * 86_400) == 1
    assert store.delete_expired(9 * 86_400) == 1
    left = {job.id for job in store.jobs(JobFilter(), 9, None)[0]}
    assert left == {open_job.uid, told.uid}
    assert {kept.uid, waiting.uid} & left == set()


@on_sqlite
def test_who_uses_a_source_is_found_by_an_index(store: Store) -> None:
    plan = store._rows(f"EXPLAIN QUERY PLAN {leftovers._USERS.format('j.fingerprint = ?')}", ("a", "a", "f"))
    assert "image_source" in plan[0][3], plan
    assert all(row[3].startswith("SEARCH") for row in plan), plan
