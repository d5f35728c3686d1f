"""A job of images: its sheet is ours, so that order, output and report are the same story."""

from __future__ import annotations

import csv
import io

import pytest

from imagemill.core.job import Job, Submission
from imagemill.core.sheet import SheetError
from imagemill.pipeline.intake import images_sheet
from tests.pipeline.seams import Mill

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
