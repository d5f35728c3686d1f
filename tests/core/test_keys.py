"""Ids are UUIDv7 and find their way back; a key changes with everything that changes bytes, and with nothing else."""

from __future__ import annotations

import hashlib
import math
import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.core import keys
from imagemill.core.recipe import Recipe, Thumbnail
from imagemill.settings import ImageSettings

RANDOM_BITS = st.integers(0, (1 << 42) - 1)
UNIX_MS = st.integers(0, (1 << 48) - 1)
ORDINALS = st.integers(1, (1 << 32) - 1)


@given(UNIX_MS, RANDOM_BITS)
def test_a_job_id_is_a_uuid_of_version_7(unix_ms: int, random_bits: int) -> None:
    value = uuid.UUID(keys.job_id(unix_ms, random_bits))
    assert (value.version, value.variant) == (7, uuid.RFC_4122)
    assert value.int >> 80 == unix_ms
    assert value.int & 0xFFFFFFFF == 0


@given(UNIX_MS, RANDOM_BITS, RANDOM_BITS)
def test_every_random_bit_counts(unix_ms: int, one: int, other: int) -> None:
    assert (keys.job_id(unix_ms, one) == keys.job_id(unix_ms, other)) == (one == other)


def test_ids_sort_by_time() -> None:
    ids = [keys.job_id(ms, (1 << 42) - 1 - ms) for ms in range(1, 10_000, 77)]
    assert ids == sorted(ids)


@given(UNIX_MS, RANDOM_BITS, ORDINALS)
def test_an_image_id_is_its_job_and_ordinal(unix_ms: int, random_bits: int, n: int) -> None:
    job = keys.job_id(unix_ms, random_bits)
    image = keys.image_id(job, n)
    assert uuid.UUID(image).version == 7
    assert keys.split_image_id(image) == (job, n)


@pytest.mark.parametrize("text", ["", "image", keys.job_id(1, 1), "00000000-0000-7000-8000-00000000000g"])
def test_what_is_no_image_id_is_none(text: str) -> None:
    assert keys.split_image_id(text) is None


OTHERS = [
    Recipe(quality=51),
    Recipe(format="keep"),
    Recipe(max_width=100),
    Recipe(max_height=100),
    Recipe(thumbnails=(Thumbnail(10, 10),)),
    Recipe(thumbnails=(Thumbnail(10, 10, "contain"),)),
    Recipe(metadata="keep"),
    Recipe(background="#000000"),
    Recipe(progressive="yes"),
    Recipe(accept_truncated=True),
]


def test_a_fingerprint_changes_with_every_field() -> None:
    prints = {keys.fingerprint(recipe) for recipe in [Recipe(), *OTHERS]}
    assert len(prints) == len(OTHERS) + 1
    assert {field for recipe in OTHERS for field in Recipe.__struct_fields__ if _differs(recipe, field)} == set(
        Recipe.__struct_fields__
    )
    assert all(re.fullmatch("[0-9a-f]{32}", text) for text in prints)


def _differs(recipe: Recipe, field: str) -> bool:
    return bool(getattr(recipe, field) != getattr(Recipe(), field))


def test_a_fingerprint_changes_with_the_codec(monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys.fingerprint(Recipe())
    assert keys.fingerprint(Recipe(quality=50)) == before
    monkeypatch.setattr(keys, "CODEC_VERSION", "next")
    assert keys.fingerprint(Recipe()) != before


def test_an_output_key_is_made_of_source_recipe_and_name() -> None:
    made = {keys.output_key(*parts) for parts in [("a", "f", "image"), ("b", "f", "image"), ("a", "g", "image")]}
    made.add(keys.output_key("a", "f", "thumb-1x1"))
    assert len(made) == 4
    assert all(re.fullmatch("[0-9a-f]{40}", key) for key in made)
    assert keys.output_key("a", "f", "image") in made


def test_a_file_is_named_by_key_and_format() -> None:
    assert keys.file_name("ab", "jpeg") == "ab.jpg"
    assert set(keys.EXTENSIONS) == set(ImageSettings().formats)


def test_a_message_id_belongs_to_one_end_of_one_job() -> None:
    first = keys.message_id(1, "job.completed", 5.0)
    assert re.fullmatch("msg_[0-9a-f]{32}", first)
    others = [(2, "job.completed", 5.0), (1, "job.failed", 5.0), (1, "job.completed", 5.001)]
    assert len({first, *(keys.message_id(*other) for other in others)}) == 4
    assert keys.message_id(1, "job.completed", 5.0) == first


def test_a_host_is_what_stands_in_the_address() -> None:
    assert keys.host_of("http://shop.example/a.jpg?b=//c/d") == "shop.example"
    assert keys.host_of("https://[::1]:8443/") == "[::1]:8443"
    assert keys.host_of("upload/1.jpg") == ""


def test_a_host_s_number_fits_into_a_column_and_stays() -> None:
    numbers = {keys.host_number(host) for host in ("a", "b", "a:8080")}
    assert len(numbers) == 3
    assert all(0 <= number < 1 << keys.HOST_BITS for number in numbers)
    assert keys.host_number("a") == 73912390445837


def test_one_source_in_so_many_is_sampled_always_the_same() -> None:
    sources = [hashlib.sha256(b"%d" % n).hexdigest() for n in range(20_000)]
    for every, expected in ((20, 1000), (3, 6667), (1, 20_000), (0, 0)):
        found = [source for source in sources if keys.is_sampled(source, every)]
        assert found == [source for source in sources if keys.is_sampled(source, every)]
        assert abs(len(found) - expected) <= 4 * math.sqrt(expected) * (every > 1)


def test_an_uploaded_image_has_an_address_that_no_host_can_have() -> None:
    url = keys.upload_url("ab" * 32, "red, really?.jpg")
    assert url == f"https://uploads.invalid/{'ab' * 32}/red%2C%20really%3F.jpg"
    assert keys.uploaded(url) == "ab" * 32
    for other in (url.replace("https", "http"), url.replace("ab", "zz", 1), "https://uploads.invalid/ab/x"):
        assert keys.uploaded(other) is None
