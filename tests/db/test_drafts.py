"""Drafts in the database: each is its owner's, and is known until it was not used for long enough."""

from __future__ import annotations

from imagemill.db import Store
from tests.seeds import Clock


def begun(store: Store, clock: Clock, owner: str, *uids: str) -> None:
    for uid in uids:
        clock.now += 1
        store.add_draft(uid, owner, f"about {uid}")


def test_a_draft_is_its_owners_and_tells_what_was_noted_last(store: Store, clock: Clock) -> None:
    begun(store, clock, "shop", "a")
    store.describe_draft("a", "more")
    assert [store.use_draft("a", owner) for owner in ("shop", None, "rival")] == ["more", "more", None]
    store.forget_draft("a")
    store.describe_draft("a", "late")
    assert (store.use_draft("a"), store.known_drafts()) == (None, set())


def test_those_that_nobody_uses_end_and_go_first(store: Store, clock: Clock) -> None:
    begun(store, clock, "shop", "a", "b", "c")
    begun(store, clock, "rival", "d")
    clock.now += 10
    store.use_draft("a", "rival")
    store.use_draft("b", "shop")
    assert store.surplus_drafts("shop", 1) == ["c", "a"]
    assert sorted(store.ended_drafts(clock.now - 5)) == ["a", "c", "d"]
    assert store.known_drafts() == {"a", "b", "c", "d"}
