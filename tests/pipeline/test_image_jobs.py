"""A job of images: its sheet is ours, so that order, output and report are the same story."""

from __future__ import annotations

import csv
import io

import pytest

from imagemill.core.job import Job, Submission
from imagemill.core.sheet import SheetError
from imagemill.pipeline.intake import images_sheet
from tests.pipeline.seams import Mill
from tests.postgres_server import on_sqlite

AWKWARD = [
    "http://a/x,y.jpg",
    "http://a/fit;w=80|h=90.jpg",
    'http://a/"quoted".jpg',
    "http://a/x,y.jpg",
    "http://a/b.jpg,http://a/c.jpg",
]


def accepted(mill: Mill, urls: list[str]) -> Job:
    intake = mill.pipeline.intake("images")
    for line in images_sheet(urls):
        intake.feed(line)
    return intake.accept(Submission(), owner="shop", filename="").job


def test_an_address_is_taken_whole(mill: Mill) -> None:
    job = accepted(mill, AWKWARD)
    assert (job.kind, job.counts.rows, job.counts.images, job.counts.unique) == ("images", 5, 5, 4)
    mill.work(job)
    assert [image.row - 2 for image in mill.images(job)] == [0, 1, 2, 3, 4]
    assert mill.job(job).state == "completed"
    table = list(csv.reader(io.StringIO(b"".join(mill.pipeline.output_sheet(mill.job(job))).decode())))
    assert [cells[0] for cells in table[1:]] == AWKWARD
    assert [cells[1].startswith("http://mill/images/") for cells in table[1:]] == [True] * 5
    assert table[1][1] == table[4][1]


def test_what_cannot_be_fetched_is_told_by_its_row(mill: Mill) -> None:
    with pytest.raises(SheetError) as refused:
        accepted(mill, ["http://a/1.jpg", "ftp://a/2.jpg", "http://u:p@a/3.jpg"])
    assert [(fault.row, fault.code) for fault in refused.value.faults] == [(3, "bad_url"), (4, "bad_url")]


def test_no_image_at_all_is_no_job(mill: Mill) -> None:
    with pytest.raises(SheetError) as refused:
        accepted(mill, [])
    assert refused.value.total == 1


def uploaded(mill: Mill, *images: bytes) -> Job:
    intake = mill.pipeline.image_intake()
    for number, data in enumerate(images):
        intake.begin(f"{number}.jpg")
        intake.write(data)
        intake.end()
    return intake.accept(Submission(), owner="shop", filename="").job


def test_uploaded_images_are_compressed_from_where_they_are_kept(mill: Mill) -> None:
    large = b"large" * 300_000  # more than is held in memory
    job = uploaded(mill, b"small" * 50, large)
    mill.work(job)
    assert mill.states(job) == ["done", "done"]
    assert mill.origin.fetched == []
    assert mill.press.pressed == [b"small" * 50, large]
    assert [file.stat().st_nlink for file in (mill.folders.uploads / job.id).iterdir()] == [1, 1]
    assert mill.files() == []


@on_sqlite
def test_an_upload_that_is_gone_is_told_so(mill: Mill) -> None:
    job = uploaded(mill, b"small" * 50)
    for file in (mill.folders.uploads / job.id).iterdir():
        file.unlink()
    mill.work(job)
    (image,) = mill.images(job)
    assert image.error is not None
    assert (image.state, image.error.code) == ("failed", "storage_failed")
    assert "send it again" in image.error.message


def test_a_sheet_cannot_name_what_others_sent(mill: Mill) -> None:
    theirs = uploaded(mill, b"secret" * 50)
    (url,) = [image.source_url for image in mill.images(theirs)]
    mine = mill.accept(mill.sheet(url), owner="spy")
    mill.work(mine)
    assert mill.states(mine) == ["failed"]


def test_a_start_forgets_uploads_without_a_job(mill: Mill) -> None:
    job = uploaded(mill, b"kept" * 50)
    stray = mill.folders.uploads / "0192f6a0-0000-7000-8000-000000000000"
    stray.mkdir()
    (stray / "part").write_bytes(b"half")
    mill.pipeline.recover(at_start=True)
    assert [folder.name for folder in mill.folders.uploads.iterdir()] == [job.id]
