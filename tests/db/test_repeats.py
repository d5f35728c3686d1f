"""An idempotency key and its job are one fact: both are kept, or neither."""

from __future__ import annotations

import msgspec
import pytest

from imagemill.core.errors import KeyReusedError
from imagemill.core.job import Submission
from imagemill.db import Key, KeyTaken, Store
from tests.seeds import NOON, Clock, Seeds

KEY = Key(owner="shop", name="monday", content="a sheet", expires_at=NOON + 60)


def accept(store: Store, seeds: Seeds, key: Key) -> str:
    new = seeds.new(asked=Submission())
    store.accept_job(new, seeds.staged([["http://a/1"]]), key)
    return new.uid


def test_a_key_names_its_job_until_it_expires(store: Store, seeds: Seeds, clock: Clock) -> None:
    assert store.job_of_key(KEY) is None
    uid = accept(store, seeds, KEY)
    assert store.job_of_key(KEY) == uid
    assert store.job_of_key(msgspec.structs.replace(KEY, owner="garden", content="other")) is None
    clock.now += 60
    assert store.job_of_key(msgspec.structs.replace(KEY, content="other")) is None
    assert (store.forget_keys(), store.forget_keys()) == (1, 0)


def test_a_key_of_other_content_is_refused(store: Store, seeds: Seeds) -> None:
    accept(store, seeds, KEY)
    with pytest.raises(KeyReusedError, match="new key"):
        store.job_of_key(msgspec.structs.replace(KEY, content="other"))


def test_a_taken_key_writes_no_job(store: Store, seeds: Seeds) -> None:
    uid = accept(store, seeds, KEY)
    with pytest.raises(KeyTaken):
        accept(store, seeds, KEY)
    assert store.known_uids() == {uid}


def test_a_key_goes_to_a_new_job_when_its_own_is_over_or_gone(store: Store, seeds: Seeds, clock: Clock) -> None:
    first = accept(store, seeds, KEY)
    for table in ("job", "image", "place"):
        store._touched(f"DELETE FROM {table}")
    second = accept(store, seeds, KEY)
    clock.now += 61
    later = msgspec.structs.replace(KEY, expires_at=clock.now + 60)
    assert len({first, second, accept(store, seeds, later)}) == 3


def test_a_job_that_cannot_be_written_leaves_its_key_free(
    store: Store, seeds: Seeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*new: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(store, "_insert_job", fail)
    with pytest.raises(RuntimeError):
        accept(store, seeds, KEY)
    assert store.job_of_key(KEY) is None
