"""Reading back in the order of the sheet, and who may call."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from imagemill.core import keys
from imagemill.core.states import ImageState
from imagemill.db import Fate, Store
from imagemill.db import places as module
from tests.postgres_server import on_sqlite
from tests.seeds import NOON, Seeds, done, failed


def test_fates_follow_the_sheet(store: Store, seeds: Seeds, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [["http://a/1", "http://a/2"], [], ["http://a/1"], ["http://a/3", "http://a/2", "http://a/4"]]
    job = seeds.job(rows)
    claim = seeds.claim(job)
    first = done(claim, 1)
    store.record_images(claim, [first, failed(2), failed(4, next_attempt_at=NOON + 9)])
    name = keys.file_name(first.outputs[0].key, "jpeg")
    made, refused = Fate(name, None, ImageState.DONE), Fate(None, "not_an_image", ImageState.FAILED)
    later = Fate(None, "not_an_image", ImageState.PENDING)
    expected = [made, refused, made, later, refused, Fate(None, None, ImageState.RUNNING)]
    for page in (5_000, 6, 4, 1):
        monkeypatch.setattr(module, "_PAGE", page)
        assert list(store.fates(job.uid)) == expected


def test_images_come_in_pages_and_by_state(store: Store, seeds: Seeds) -> None:
    job = seeds.job([["http://a/1", "http://a/2"], ["http://a/1"], ["http://a/3"]])
    claim = seeds.claim(job)
    store.record_images(claim, [done(claim, 1), failed(2)], returned=[4])
    seen, cursor = [], None
    while True:
        page, cursor = store.images(job.uid, None, 3, cursor)
        seen += [(image.row, image.position, image.state.value) for image in page]
        if cursor is None:
            break
    assert seen == [(2, 1, "done"), (2, 2, "failed"), (3, 1, "done"), (4, 1, "pending")]
    only, cursor = store.images(job.uid, ImageState.DONE, 1, None)
    rest, end = store.images(job.uid, ImageState.DONE, 1, cursor)
    assert [image.row for image in only + rest] == [2, 3]
    assert (cursor is None, end) == (False, None)
    assert only[0].outputs == rest[0].outputs
    assert keys.split_image_id(rest[0].id) == (job.uid, 3)


@pytest.mark.parametrize("rare", [0, 5, 1000])
def test_pages_of_a_state_are_the_same_however_rare_it_is(
    store: Store, seeds: Seeds, monkeypatch: pytest.MonkeyPatch, rare: int
) -> None:
    monkeypatch.setattr(module, "RARE", rare)
    dice = random.Random(7)
    job = seeds.job([[f"http://a/{dice.randrange(8)}" for _ in range(3)] for _ in range(10)])
    claim = seeds.claim(job)
    numbers = [image.n for image in claim.images]
    store.record_images(claim, [done(claim, numbers[0]), failed(numbers[2]), failed(numbers[5])], returned=[numbers[1]])
    everything, _ = store.images(job.uid, None, 100, None)
    for state in ImageState:
        expected = [(image.row, image.position) for image in everything if image.state is state]
        for limit in (1, 2, 100):
            assert list(_pages(store, job.uid, state, limit)) == expected, (state, limit)


def _pages(store: Store, uid: str, state: ImageState, limit: int) -> Iterator[tuple[int, int]]:
    cursor = None
    while True:
        page, cursor = store.images(uid, state, limit, cursor)
        assert 0 < len(page) <= limit or cursor is None
        yield from ((image.row, image.position) for image in page)
        if cursor is None:
            return


@on_sqlite
def test_a_few_places_of_a_state_are_found_without_a_walk(store: Store) -> None:
    plan = " ".join(row[3] for row in store._rows(f"EXPLAIN QUERY PLAN {module._RARE}", (1, "failed", 0) * 2 + (9,)))
    assert "image_state (job_id=? AND state=? AND n>?)" in plan
    assert "place_again (job_id=? AND image_n=?)" in plan


def test_a_token_is_known_by_its_hash(store: Store) -> None:
    store.add_token("ci", "im_secret", scopes=frozenset({"submit", "read"}), owner="shop")
    store.add_token("boss", "im_boss", scopes=frozenset({"admin"}), owner="boss")
    caller, boss = store.caller("im_secret"), store.caller("im_boss")
    assert caller is not None
    assert boss is not None
    assert (caller.name, caller.owner, sorted(caller.scopes)) == ("ci", "shop", ["read", "submit"])
    assert (caller.sees_only, boss.sees_only) == ("shop", None)
    assert store.caller("im_Secret") is None
    assert b"im_secret" not in str(store._rows("SELECT * FROM token")).encode()


def test_a_token_of_the_same_name_is_replaced(store: Store) -> None:
    for token, scopes in (("im_1", {"read"}), ("im_2", {"submit"})):
        store.add_token("ci", token, scopes=frozenset(scopes), owner="shop")
    renewed = store.caller("im_2")
    assert store.caller("im_1") is None
    assert renewed is not None
    assert renewed.scopes == {"submit"}


def test_ping_reads(store: Store) -> None:
    store.ping()
