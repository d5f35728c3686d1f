"""What is remembered of origins' answers: the last of each, the newest of all, and nothing by its name."""

from __future__ import annotations

import msgspec

from imagemill.db import Store
from tests.seeds import Seeds, done, failed, source_of

URL = "http://a/1.jpg?token=secret"


def recorded(store: Store, seeds: Seeds, url: str, validator: str, made_of: str = "x") -> None:
    claim = seeds.claim(seeds.job([[url]]))
    store.record_images(claim, [msgspec.structs.replace(done(claim, 1, made_of=made_of), validator=validator)])


def test_the_last_answer_of_an_address_counts(store: Store, seeds: Seeds) -> None:
    assert store.remembered([URL]) == {}
    recorded(store, seeds, URL, '"one"', "one")
    recorded(store, seeds, "http://a/2.jpg", "", "two")
    assert store.remembered([URL, "http://a/2.jpg", URL]) == {URL: ('"one"', source_of("one").sha256)}
    recorded(store, seeds, URL, '"two"', "two")
    assert store.remembered([URL]) == {URL: ('"two"', source_of("two").sha256)}
    recorded(store, seeds, URL, "")
    assert store.remembered([URL]) == {}


def test_only_what_is_done_is_remembered(store: Store, seeds: Seeds) -> None:
    claim = seeds.claim(seeds.job([[URL]]))
    store.record_images(claim, [msgspec.structs.replace(failed(1), validator='"one"')])
    assert store.remembered([URL]) == {}


def test_an_address_is_not_written_down(store: Store, seeds: Seeds) -> None:
    recorded(store, seeds, URL, '"one"')
    assert b"secret" not in b"".join(key for (key,) in store._rows("SELECT url FROM fetched"))


def test_what_was_used_last_is_kept(store: Store, seeds: Seeds) -> None:
    urls = [f"http://a/{n}.jpg" for n in range(6)]
    for url in (*urls, urls[0]):
        recorded(store, seeds, url, '"one"')
    store.forget_fetched(6)
    assert len(store.remembered(urls)) == 6
    store.forget_fetched(3)
    assert set(store.remembered(urls)) == {urls[0], urls[4], urls[5]}
    store.forget_fetched(0)
    assert store.remembered(urls) == {}
    store.forget_fetched(0)
