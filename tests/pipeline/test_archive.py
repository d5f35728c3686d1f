"""A job's pictures in one ZIP file."""

from __future__ import annotations

import io
import tracemalloc
import zipfile

import pytest

from imagemill.core import keys
from imagemill.core.errors import ImageCode, ImageError, NotFinishedError
from imagemill.core.job import Submission
from imagemill.core.recipe import Recipe, Thumbnail
from tests.pipeline.seams import Mill

A, B, C = (f"http://a/{name}.jpg" for name in ("red apple", "b", "c"))
SHEET = f"ID,Images\n1,{A}|{B}\n2,{A}\n3,{C}\n"


def names(pieces: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(pieces)) as file:
        assert file.testzip() is None
        return file.namelist()


def test_each_picture_is_there_once_named_for_its_first_place(mill: Mill) -> None:
    mill.origin.answers = {"http://a/c.jpg": [ImageError(ImageCode.HTTP_STATUS, "404")]}
    asked = Submission(recipe=Recipe(thumbnails=(Thumbnail(80, 80),)))
    job = mill.accept(SHEET, asked)
    mill.work(job)
    pieces = b"".join(mill.pipeline.archive(mill.job(job)))
    assert names(pieces) == [
        "00002-1-red_20apple.jpg",
        "00002-1-red_20apple-thumb-80x80.jpg",
        "00002-2-b.jpg",
        "00002-2-b-thumb-80x80.jpg",
    ]
    with zipfile.ZipFile(io.BytesIO(pieces)) as file:
        assert file.read("00002-2-b.jpg") == (B.encode() * 20)[: 10 * len(B)]
    assert mill.files() == []


def test_it_waits_for_the_end_unless_a_part_will_do(mill: Mill) -> None:
    job = mill.accept(SHEET)
    with pytest.raises(NotFinishedError):
        mill.pipeline.archive(job)
    assert names(b"".join(mill.pipeline.archive(job, partial=True))) == []


def test_a_picture_that_is_gone_is_left_out(mill: Mill) -> None:
    job = mill.accept(SHEET)
    mill.work(job)
    gone = mill.images(job)[0].outputs[0]
    mill.storage.delete(keys.file_name(gone.key, gone.format))
    assert names(b"".join(mill.pipeline.archive(mill.job(job)))) == ["00002-2-b.jpg", "00004-1-c.jpg"]


def test_memory_does_not_grow_with_the_job(mill: Mill) -> None:
    job = mill.accept(mill.sheet(*mill.urls(1_500)))
    mill.work(job)
    assert mill.job(job).state == "completed"
    tracemalloc.start()
    sizes = []
    pieces = mill.pipeline.archive(mill.job(job))
    for number, _ in enumerate(pieces):
        if number in {500, 2_900}:
            sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert len(sizes) == 2
    assert sizes[1] - sizes[0] < 300_000
