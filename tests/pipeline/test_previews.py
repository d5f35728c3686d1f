"""One of a draft's own pictures before and after: fetched once, compressed as often as the recipe changes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from imagemill.core.errors import (
    ImageCode,
    ImageError,
    NoRoomError,
    NotFoundError,
    PictureError,
    RequestError,
    TooManyRequestsError,
)
from imagemill.core.recipe import Recipe, Thumbnail
from imagemill.pipeline import Preview, Room
from imagemill.pool import PoolClosed
from tests.appliance_process import until
from tests.pipeline.seams import Mill
from tests.pipeline.test_drafts import checked, with_settings

JPEG = b"\xff\xd8\xff" + b"x" * 997
PNG = b"\x89PNG\r\n\x1a\n" + b"y" * 1992


def drafted(mill: Mill, *answers: bytes | Path | Exception) -> str:
    """A draft of as many pictures."""
    urls = mill.urls(len(answers))
    mill.origin.answers = {url: [answer] for url, answer in zip(urls, answers, strict=True)}
    draft = checked(mill, mill.sheet(*urls))
    assert sorted(draft.pictures) == sorted(urls)
    return draft.id


def shown(mill: Mill, uid: str, recipe: Recipe | None = None, number: int = 0) -> tuple[Preview, bytes]:
    return mill.pipeline.previews.output(uid, number, recipe or Recipe(), "shop")


def sources(mill: Mill, uid: str) -> int:
    return len(list((mill.folders.drafts / uid).glob("source-*")))


def test_a_picture_is_fetched_once_for_many_recipes(mill: Mill) -> None:
    uid = drafted(mill, JPEG)
    for quality in (50, 40, 50):
        preview, data = shown(mill, uid, Recipe(quality=quality, thumbnails=(Thumbnail(9, 9),)))
        assert (preview.source.bytes, preview.output.bytes, preview.saved_percent) == (1000, 500, 50.0)
        assert (preview.ssim, preview.source.format, preview.output.width, len(data)) == (0.75, "jpeg", 40, 500)
    assert (len(mill.origin.fetched), len(mill.press.pressed)) == (1, 3)
    path, kind = mill.pipeline.previews.source(uid, 0, "shop")
    assert (path.read_bytes(), kind, len(mill.origin.fetched)) == (JPEG, "jpeg", 1)
    assert mill.files() == []


def test_a_source_may_be_shown_first_and_may_be_a_file(mill: Mill) -> None:
    file = mill.folders.spool / "source"
    file.write_bytes(PNG)
    uid = drafted(mill, file)
    path, kind = mill.pipeline.previews.source(uid, 0, "shop")
    assert (path.read_bytes(), kind) == (PNG, "png")
    assert shown(mill, uid)[0].source.bytes == len(PNG)
    assert (len(mill.origin.fetched), mill.files()) == (1, [])


def test_few_sources_are_kept(mill: Mill) -> None:
    uid = drafted(mill, *[JPEG] * 6)
    for number in range(6):
        shown(mill, uid, number=number)
    assert sources(mill, uid) == 4


def test_what_cannot_be_had_is_named_as_an_image_is(mill: Mill) -> None:
    uid = drafted(mill, ImageError(ImageCode.HTTP_STATUS, "a answered 404 Not Found: check the address"))
    with pytest.raises(PictureError, match="404") as caught:
        shown(mill, uid)
    assert caught.value.code == "http_status"
    broken = drafted(mill, b"<svg>")
    with pytest.raises(PictureError, match="SVG") as caught:
        mill.pipeline.previews.source(broken, 0, "shop")
    assert caught.value.code == "unsupported_format"
    mill.press.trouble = _refuse
    with pytest.raises(PictureError) as caught:
        shown(mill, drafted(mill, JPEG))
    assert (caught.value.code, mill.files()) == ("decode_failed", [])


def _refuse(_: bytes) -> None:
    raise ImageError(ImageCode.DECODE_FAILED, "broken")


def test_a_picture_may_be_too_large_to_be_shown(mill: Mill) -> None:
    with_settings(mill, max_picture_bytes=999)
    uid = drafted(mill, JPEG)
    with pytest.raises(PictureError, match="choose another one") as caught:
        shown(mill, uid)
    assert (caught.value.code, sources(mill, uid)) == ("too_large", 0)


def test_no_picture_is_fetched_without_room(mill: Mill) -> None:
    uid = drafted(mill, JPEG)
    mill.with_parts(room=Room((mill.folders.root,), 1 << 40))
    with pytest.raises(NoRoomError):
        shown(mill, uid)
    assert mill.origin.fetched == []


def test_there_are_as_many_as_the_draft_says_and_for_its_owner(mill: Mill) -> None:
    uid = drafted(mill, JPEG)
    for look in (lambda: shown(mill, uid, number=1), lambda: mill.pipeline.previews.source(uid, 0, "rival")):
        with pytest.raises(NotFoundError):
            look()


def test_one_at_a_time_of_a_draft_and_so_many_in_all(mill: Mill) -> None:
    with_settings(mill, previews_at_once=1)
    answers = threading.Event()
    uid, other = drafted(mill, JPEG), drafted(mill, JPEG)
    mill.origin.before = lambda _: answers.wait(60)
    with ThreadPoolExecutor() as threads:
        first = threads.submit(shown, mill, uid)
        until(lambda: mill.pipeline.previews._busy, 10, "the first is being made")
        for refused in (uid, other):
            with pytest.raises(TooManyRequestsError):
                shown(mill, refused)
        answers.set()
        assert first.result(60)[0].output.bytes == 500
    assert shown(mill, other)[0].output.bytes == 500


def test_when_imagemill_stops_it_says_so(mill: Mill) -> None:
    def stop(_: bytes) -> None:
        raise PoolClosed("the pool is closed")

    mill.press.trouble = stop
    with pytest.raises(PictureError, match="stopping"):
        shown(mill, drafted(mill, JPEG))


def test_a_draft_that_goes_meanwhile_is_gone(mill: Mill) -> None:
    uid = drafted(mill, JPEG)
    mill.origin.before = lambda _: mill.pipeline.drafts.delete(uid, "shop")
    with pytest.raises(NotFoundError, match="send the sheet again"):
        shown(mill, uid)


def test_a_picture_of_the_clients_own_is_tried_and_not_kept(mill: Mill) -> None:
    intake = mill.pipeline.picture_intake()
    intake.begin("a.jpg")
    for start in range(0, 1000, 400):
        intake.write(JPEG[start : start + 400])
    intake.end()
    preview, data = intake.output(Recipe())
    assert (preview.source.bytes, len(data), mill.origin.fetched) == (1000, 500, [])
    intake.discard()
    assert mill.files() == []


def test_no_picture_was_sent(mill: Mill) -> None:
    mill.with_parts(msgspec.structs.replace(mill.parts.settings, max_uploads=1))
    intake = mill.pipeline.picture_intake()
    with pytest.raises(NoRoomError):
        mill.pipeline.picture_intake()
    with pytest.raises(RequestError, match="`image`"):
        intake.output(Recipe())
    intake.discard()
    mill.pipeline.picture_intake().discard()
    assert mill.files() == []
