"""A sheet is tried, not accepted: what is fetched for it is thrown away."""

from __future__ import annotations

import threading

import msgspec
import pytest

from imagemill.core.errors import ImageCode, ImageError, NoRoomError, RequestError
from imagemill.core.estimate import Estimate
from imagemill.core.job import Submission
from imagemill.core.recipe import Recipe, Thumbnail
from imagemill.core.sheet import SheetError
from imagemill.pipeline import Intake
from imagemill.pool import PoolClosed
from imagemill.settings import EstimateSettings, FetchSettings
from tests.appliance_process import until
from tests.pipeline.seams import Mill
from tests.pipeline.test_intake import FAULTY, URL, nothing_is_left


def begun(mill: Mill, sheet: str) -> Intake:
    survey = mill.pipeline.survey()
    survey.feed(sheet.encode())
    return survey


def estimated(mill: Mill, sheet: str, asked: Submission | None = None) -> Estimate:
    return begun(mill, sheet).estimate(asked or Submission())


def with_settings(mill: Mill, **estimate: float) -> None:
    section = msgspec.convert(estimate, EstimateSettings)
    mill.with_parts(msgspec.structs.replace(mill.parts.settings, estimate=section))


def test_some_of_many_are_tried_and_nothing_is_left(mill: Mill) -> None:
    with_settings(mill, samples=5)
    urls = mill.urls(40)
    found = estimated(mill, mill.sheet(*urls, *urls))
    assert (found.images, found.unique_images, found.sampled, found.already_done) == (80, 40, 5, 0)
    assert len(set(mill.origin.fetched)) == 5
    size = sum(len(url) * 20 for url in mill.origin.fetched) * 40 / 5
    assert (found.bytes_in_estimate, found.bytes_out_estimate) == (size, size / 2)
    assert found.seconds_estimate is not None
    assert nothing_is_left(mill)


def test_thumbnails_are_outputs_too(mill: Mill) -> None:
    asked = Submission(recipe=Recipe(thumbnails=(Thumbnail(9, 9),)))
    found = estimated(mill, mill.sheet(*mill.urls(1)), asked)
    assert found.bytes_in_estimate == found.bytes_out_estimate


def test_what_an_earlier_job_made_is_done_already(mill: Mill) -> None:
    sheet = mill.sheet(*mill.urls(3))
    mill.work(mill.accept(sheet))
    pressed = len(mill.press.pressed)
    found = estimated(mill, sheet)
    assert (found.already_done, found.sampled, len(mill.press.pressed)) == (3, 3, pressed)
    assert found.bytes_out_estimate
    assert estimated(mill, sheet, Submission(recipe=Recipe(quality=9))).already_done == 0
    assert mill.files() == []


def test_what_fails_is_told(mill: Mill) -> None:
    one, two, three = mill.urls(3)
    mill.origin.answers[one] = [ImageError(ImageCode.TIMEOUT, "too slow")]
    mill.press.trouble = lambda data: _refuse(data, two)
    found = estimated(mill, mill.sheet(one, two, three))
    assert {(fault.source_url, fault.code) for fault in found.errors} == {(one, "timeout"), (two, "decode_failed")}
    assert found.bytes_in_estimate == len(three) * 20
    assert nothing_is_left(mill)


def _refuse(data: bytes, url: str) -> None:
    if data.startswith(url.encode()):
        raise ImageError(ImageCode.DECODE_FAILED, "broken")


def test_a_sheet_is_refused_as_for_a_job(mill: Mill) -> None:
    with pytest.raises(SheetError):
        estimated(mill, FAULTY)
    mill.receiver.refused = {URL}
    with pytest.raises(RequestError):
        estimated(mill, mill.sheet(*mill.urls(1)), Submission(callback_url=URL))
    assert (mill.origin.fetched, nothing_is_left(mill)) == ([], True)


@pytest.mark.parametrize("is_given_up", [False, True])
def test_it_ends_in_time_though_a_host_does_not_answer(mill: Mill, *, is_given_up: bool) -> None:
    """And keeps its place until the download has ended, so that hosts are asked by no more than it says."""
    with_settings(mill, at_once=1, timeout_s=60 if is_given_up else 0.2)
    answers = threading.Event()
    mill.origin.before = lambda _: answers.wait(60)
    survey = begun(mill, mill.sheet(*mill.urls(9)))
    assert survey.estimate(Submission(), lambda: is_given_up).seconds_estimate is None
    with pytest.raises(NoRoomError, match=r"1 estimates .* estimate\.at_once"):
        mill.pipeline.survey()
    answers.set()
    until(lambda: _is_open(mill), 20, "the place is free")
    assert len(mill.origin.fetched) <= 4  # what was under way; the rest is not begun
    assert nothing_is_left(mill)


def _is_open(mill: Mill) -> bool:
    try:
        mill.pipeline.survey().discard()
    except NoRoomError:
        return False
    return True


def test_when_imagemill_stops_no_more_is_tried(mill: Mill) -> None:
    def stop(_: bytes) -> None:
        mill.parts.stopping.set()
        raise PoolClosed("the pool is closed")

    mill.press.trouble = stop
    found = estimated(mill, mill.sheet(*mill.urls(8)))
    assert (found.sampled, len(mill.origin.fetched) <= 4, mill.files()) == (0, True, [])


def test_the_pace_is_that_of_the_settings(mill: Mill) -> None:
    settings = msgspec.structs.replace(mill.parts.settings, fetch=FetchSettings(per_host_rate=2.0))
    mill.with_parts(settings)
    found = estimated(mill, mill.sheet(*mill.urls(20)))
    assert found.seconds_estimate == 10.0
