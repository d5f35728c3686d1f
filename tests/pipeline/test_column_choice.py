"""The column of links is chosen by who submits: before, behind or without the sheet's own names."""

from __future__ import annotations

import msgspec
import pytest

from imagemill.core.errors import RequestError
from imagemill.core.job import Submission
from imagemill.core.sheet import SheetError
from tests.pipeline.seams import Mill
from tests.pipeline.test_intake import nothing_is_left

SHEET = "Nr;Bild\n1;http://a/1.jpg\n2;http://a/2.jpg\n"
CHOSEN = Submission(image_column="Bild")


def test_a_chosen_column_is_read_and_written_behind(mill: Mill) -> None:
    job = mill.accept(SHEET, CHOSEN)
    assert (job.counts.rows, job.counts.images) == (2, 2)
    mill.work(job)
    lines = b"".join(mill.pipeline.output_sheet(mill.job(job))).decode().splitlines()
    assert lines[0] == "Nr;Bild;Output Image Urls"
    assert lines[1].startswith("1;http://a/1.jpg;http://mill/images/")
    assert mill.files() == []


def test_another_choice_is_another_job(mill: Mill) -> None:
    sheet = "Nr,Bild,Foto\n1,http://a/1.jpg,http://a/2.jpg\n"
    first = mill.accept(sheet, CHOSEN, again=True)
    other = msgspec.structs.replace(CHOSEN, image_column="Foto")
    assert mill.accept(sheet, other, again=True).id != first.id
    assert mill.accept(sheet, CHOSEN, again=True).id == first.id


def test_a_column_that_is_not_there_refuses_the_sheet(mill: Mill) -> None:
    with pytest.raises(SheetError, match="1 fault"):
        mill.accept(SHEET, Submission(image_column="Foto"))
    assert nothing_is_left(mill)


def test_what_is_no_sheet_has_no_columns(mill: Mill) -> None:
    intake = mill.pipeline.intake("images")
    intake.feed(b'Input Image Urls\r\n"http://a/1.jpg"\r\n')
    with pytest.raises(RequestError) as caught:
        intake.accept(CHOSEN, owner="shop", filename="")
    assert caught.value.errors == [("image_column", "Only a sheet has columns.")]
    assert nothing_is_left(mill)
