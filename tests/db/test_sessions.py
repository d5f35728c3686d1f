"""Codes work once and soon; sessions end, and with their token."""

from __future__ import annotations

import pytest

from imagemill.db import Store, new_secret
from tests.seeds import Clock

TOKEN = "im_clerk"


@pytest.fixture(autouse=True)
def clerk(store: Store) -> None:
    store.add_token("clerk", TOKEN, scopes=frozenset({"read"}), owner="shop")


def test_a_code_works_once(store: Store) -> None:
    store.add_code("clerk", "code", 60)
    assert store.use_code("code", "session", 60)
    assert not store.use_code("code", "another", 60)
    caller = store.signed_in("session")
    assert caller is not None
    assert (caller.name, caller.owner, caller.scopes) == ("clerk", "shop", frozenset({"read"}))
    assert store.signed_in("another") is None


def test_a_code_ends(store: Store, clock: Clock) -> None:
    ends_at = store.add_code("clerk", "code", 60)
    assert ends_at.timestamp() == clock.now + 60
    clock.now += 60
    assert not store.use_code("code", "session", 60)


def test_a_session_ends(store: Store, clock: Clock) -> None:
    assert store.begin_session(TOKEN, "session", 60)
    clock.now += 59
    assert store.signed_in("session")
    clock.now += 1
    assert store.signed_in("session") is None


def test_a_session_ends_with_its_token(store: Store) -> None:
    store.begin_session(TOKEN, "session", 60)
    store.add_code("clerk", "code", 60)
    store.revoke_token("clerk")
    store.add_token("clerk", "im_another", scopes=frozenset({"admin"}), owner="shop")
    assert store.signed_in("session") is None
    assert not store.use_code("code", "session", 60)


def test_nobody_s_token_begins_nothing(store: Store) -> None:
    assert not store.begin_session("im_nobody", "session", 60)
    store.add_code("nobody", "code", 60)
    assert not store.use_code("code", "session", 60)


def test_what_has_ended_is_forgotten(store: Store, clock: Clock) -> None:
    for number in range(3):
        store.add_code("clerk", f"code {number}", 60)
        store.begin_session(TOKEN, f"session {number}", 60)
        clock.now += 61
    kept = [store._rows(f"SELECT count(*) FROM {table}")[0][0] for table in ("sign_in", "session")]
    assert kept == [1, 1]


def test_the_appliance_s_own_sessions_outlive_a_restart(store: Store) -> None:
    store.begin_session(TOKEN, "session", 60)
    store.add_token("clerk", TOKEN, scopes=frozenset({"read"}), owner="shop")
    assert store.signed_in("session")


def test_secrets_are_long_and_differ() -> None:
    assert len({new_secret() for _ in range(100)}) == 100
    assert len(new_secret()) >= 43


def test_a_token_that_is_remembered_again_is_as_old_as_it_was(store: Store, clock: Clock) -> None:
    """The appliance's own is, at each start."""
    (made,) = store.tokens()
    clock.now += 60
    store.add_token("clerk", TOKEN, scopes=frozenset({"read"}), owner="shop")
    assert store.tokens() == [made]
    store.add_token("clerk", "im_another", scopes=frozenset({"read"}), owner="shop")
    assert store.tokens()[0].created_at.timestamp() == clock.now
