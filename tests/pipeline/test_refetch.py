"""Next month's sheet: what has not changed is neither sent nor compressed again."""

from __future__ import annotations

import msgspec
import pytest

from imagemill.core import keys
from imagemill.core.errors import ImageCode, ImageError
from imagemill.core.job import Job, Submission
from imagemill.core.recipe import Recipe
from imagemill.settings import FetchSettings
from tests.pipeline.seams import Mill
from tests.seeds import NOON

URL = "http://a/1.jpg"
AGAIN = Submission(name="next month")


@pytest.fixture
def first(mill: Mill) -> Job:
    mill.origin.validators[URL] = '"one"'
    job = mill.accept(mill.sheet(URL))
    mill.work(job)
    assert mill.states(job) == ["done"]
    mill.origin.fetched.clear()
    return job


def test_unchanged_is_not_fetched_again(mill: Mill, first: Job) -> None:
    again = mill.accept(mill.sheet(URL, "http://a/2.jpg"), AGAIN)
    mill.work(again)
    assert mill.states(again) == ["done", "done"]
    assert mill.origin.refetched == [(URL, '"one"')]
    assert mill.origin.fetched == ["http://a/2.jpg"]
    one, another = mill.images(first)[0], mill.images(again)[0]
    assert (another.source, another.outputs) == (one.source, one.outputs)
    assert mill.store.remembered([URL])[URL][0] == '"one"'


def test_changed_replaces_what_was_known(mill: Mill, first: Job) -> None:
    mill.origin.validators[URL] = '"two"'
    mill.origin.answers[URL] = [b"other bytes"]
    again = mill.accept(mill.sheet(URL), AGAIN)
    mill.work(again)
    assert mill.origin.fetched == [URL]
    assert mill.images(again)[0].source != mill.images(first)[0].source
    assert mill.store.remembered([URL])[URL][0] == '"two"'


def test_another_recipe_needs_the_bytes(mill: Mill, first: Job) -> None:
    again = mill.accept(mill.sheet(URL), Submission(recipe=Recipe(quality=30)))
    mill.work(again)
    assert (mill.origin.refetched, mill.origin.fetched) == ([], [URL])


def test_without_its_output_it_is_fetched(mill: Mill, first: Job) -> None:
    (output,) = mill.images(first)[0].outputs
    mill.storage.path(keys.file_name(output.key, output.format)).unlink()  # type: ignore[union-attr]
    again = mill.accept(mill.sheet(URL), AGAIN)
    mill.work(again)
    assert (mill.origin.refetched, mill.origin.fetched) == ([], [URL])
    assert mill.storage.has(keys.file_name(output.key, output.format))


def test_an_output_that_goes_meanwhile_is_made_again(mill: Mill, first: Job) -> None:
    (output,) = mill.images(first)[0].outputs
    path = mill.storage.path(keys.file_name(output.key, output.format))
    assert path is not None
    refetch = mill.origin.refetch

    def slow(url: str, validator: str, _breaker: object = None) -> object:
        path.unlink(missing_ok=True)
        return refetch(url, validator)

    mill.origin.refetch = slow  # type: ignore[method-assign, assignment]
    again = mill.accept(mill.sheet(URL), AGAIN)
    mill.work(again)
    assert (mill.states(again), mill.origin.fetched, path.is_file()) == (["done"], [URL], True)
    assert mill.images(again)[0].attempts == 1


def test_a_failure_is_one_as_ever(mill: Mill, first: Job) -> None:
    mill.origin.validators[URL] = '"two"'
    mill.origin.answers[URL] = [ImageError(ImageCode.TIMEOUT, "too slow"), b"other"]
    again = mill.accept(mill.sheet(URL), AGAIN)
    mill.work(again)
    (image,) = mill.images(again)
    assert (image.state, image.attempts) == ("pending", 1)
    mill.clock.now = NOON + 60
    mill.work(again)
    assert mill.states(again) == ["done"]


def test_nothing_is_remembered_where_that_is_set(mill: Mill, first: Job) -> None:
    settings = msgspec.structs.replace(mill.parts.settings, fetch=FetchSettings(remember_urls=0))
    mill.with_parts(settings)
    mill.pipeline.recover()
    assert mill.store.remembered([URL]) == {}
    again = mill.accept(mill.sheet(URL), AGAIN)
    mill.work(again)
    assert (mill.origin.refetched, mill.origin.fetched) == ([], [URL])


def test_a_job_that_keeps_its_sources_has_them_sent_again(mill: Mill) -> None:
    mill.origin.validators[URL] = '"one"'
    for asked, fetched in ((Submission(), 1), (Submission(keep_original=True), 2), (Submission(keep_original=True), 2)):
        job = mill.accept(mill.sheet(URL), asked)
        mill.work(job)
        assert mill.states(job) == ["done"]
        assert len(mill.origin.fetched) == fetched
    assert len(mill.origin.refetched) == 1
    assert len([*mill.originals.names()]) == 1


def test_a_kept_original_is_enough_for_another_recipe(mill: Mill) -> None:
    mill.origin.validators[URL] = '"one"'
    first = mill.accept(mill.sheet(URL), Submission(keep_original=True))
    mill.work(first)
    mill.origin.fetched.clear()
    again = mill.accept(mill.sheet(URL), Submission(recipe=Recipe(quality=30)))
    mill.work(again)
    assert (mill.states(again), mill.origin.refetched, mill.origin.fetched) == (["done"], [(URL, '"one"')], [])
    assert mill.images(again)[0].source == mill.images(first)[0].source
    assert len(mill.press.pressed) == 2
    assert mill.store.remembered([URL])[URL][0] == '"one"'
    assert mill.files() == []


def test_an_original_that_goes_meanwhile_is_fetched(mill: Mill) -> None:
    mill.origin.validators[URL] = '"one"'
    mill.work(mill.accept(mill.sheet(URL), Submission(keep_original=True)))
    mill.origin.fetched.clear()
    refetch = mill.origin.refetch

    def slow(url: str, validator: str, _breaker: object = None) -> object:
        for name in list(mill.parts.originals.names()):
            mill.parts.originals.delete(name)
        return refetch(url, validator)

    mill.origin.refetch = slow  # type: ignore[method-assign, assignment]
    again = mill.accept(mill.sheet(URL), Submission(recipe=Recipe(quality=30)))
    mill.work(again)
    assert (mill.states(again), mill.origin.fetched) == (["done"], [URL])
