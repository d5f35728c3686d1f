"""What was sent is found by every machine until its job is gone, and no longer."""

from __future__ import annotations

from imagemill.db import Store
from imagemill.db.sent import PIECE_BYTES
from tests.seeds import Clock, Seeds


def test_a_file_comes_back_in_its_pieces(store: Store) -> None:
    pieces = [bytes([n]) * PIECE_BYTES for n in range(3)]
    store.keep_sent("a", "", pieces)
    store.keep_sent("a", "f" * 64, [b"picture"])
    assert list(store.sent("a", "")) == pieces
    assert list(store.sent("a", "f" * 64)) == [b"picture"]
    store.keep_sent("a", "", [b"shorter"])
    assert list(store.sent("a", "")) == [b"shorter"]
    store.forget_sent("a", "f" * 64)
    assert (list(store.sent("a", "f" * 64)), list(store.sent("a", ""))) == ([], [b"shorter"])
    store.forget_sent("a")
    assert list(store.sent("a", "")) == []


def test_it_goes_with_its_job_and_without_one_after_an_hour(store: Store, seeds: Seeds, clock: Clock) -> None:
    kept, gone = seeds.images(1), seeds.images(1)
    for uid in (kept.uid, gone.uid, "nobody's"):
        store.keep_sent(uid, "", [b"sheet"])
    store.delete_job(gone.uid)
    while store.remove_rows():
        pass
    assert (list(store.sent(gone.uid, "")), list(store.sent("nobody's", ""))) == ([], [b"sheet"])
    assert store.forget_unclaimed() == 0
    clock.now += 3601
    assert store.forget_unclaimed() == 1
    assert list(store.sent(kept.uid, "")) == [b"sheet"]


def test_jobs_that_nobody_knows(store: Store, seeds: Seeds) -> None:
    known, deleted = seeds.images(1), seeds.images(1)
    store.delete_job(deleted.uid)
    assert store.unknown_jobs([known.uid, deleted.uid, "nobody's"]) == {deleted.uid, "nobody's"}


def test_one_machine_has_its_turn_until_it_has_not_asked_for_so_long(store: Store, clock: Clock) -> None:
    assert store.take_turn("sweep", "a-", 10)
    assert store.take_turn("sweep", "a-", 10)
    assert not store.take_turn("sweep", "b-", 10)
    assert store.take_turn("other", "b-", 10)
    clock.now += 11
    assert store.take_turn("sweep", "b-", 10)
    assert not store.take_turn("sweep", "a-", 10)
