"""The sheet a client takes home, and the report."""

from __future__ import annotations

import csv
import io

import msgspec
import pytest

from imagemill.core import keys
from imagemill.core.errors import ImageCode, ImageError, ImagemillError, NotFinishedError, NotFoundError
from imagemill.core.job import Job, Submission
from imagemill.core.sheet import REPORT_COLUMNS
from imagemill.pipeline import sheets as module
from tests.pipeline.seams import Mill
from tests.postgres_server import on_sqlite

A, B, C, D = (f"http://a/{letter}.jpg" for letter in "abcd")
SHEET = f'ID;Name;Images\r\n1;Möbel "x";{A},{B}\r\n\r\n2;;\r\n3;=1+1;{C}|{A}|{D}\r\n'
BAD = ImageError(ImageCode.NOT_AN_IMAGE, "=cmd|' is not an image", cause="secret")


def made(mill: Mill, asked: Submission, *, turns: bool = True) -> Job:
    mill.origin.answers = {B: [BAD], D: [ImageError(ImageCode.HTTP_STATUS, "404")]}
    job = mill.accept(SHEET, asked)
    if turns:
        mill.work(job)
    return mill.job(job)


def link(mill: Mill, job: Job, url: str) -> str:
    image = next(image for image in mill.images(job) if image.source_url == url)
    return f"http://mill/images/{keys.file_name(image.outputs[0].key, 'jpeg')}"


def cells_of(text: str) -> list[list[str]]:
    return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=";") if row]


def output(mill: Mill, job: Job, *, partial: bool = False) -> str:
    return b"".join(mill.pipeline.output_sheet(job, partial=partial)).decode()


def test_failures_keep_their_url(mill: Mill) -> None:
    job = made(mill, Submission())
    a, c = link(mill, job, A), link(mill, job, C)
    lines = SHEET.split("\r\n")
    added = ["Output Image Urls", f"{a},{B}", None, "", f"{c}|{a}|{D}", None]
    cells = cells_of(output(mill, job))
    assert [row[-1] for row in cells] == [text for text in added if text is not None]
    got = output(mill, job).split("\r\n")
    assert len(got) == len(lines)
    assert all(line.startswith(before) for line, before in zip(got, lines, strict=True))


def test_failures_may_be_empty_and_told(mill: Mill) -> None:
    job = made(mill, Submission(on_failure="empty", errors_column=True))
    a, c = link(mill, job, A), link(mill, job, C)
    cells = cells_of(output(mill, job))
    assert [row[3:] for row in cells] == [
        ["Output Image Urls", "Image Errors"],
        [f"{a},", "2: not_an_image"],
        ["", ""],
        [f"{c}|{a}|", "3: http_status"],
    ]


def test_before_the_end_only_what_there_is(mill: Mill) -> None:
    job = made(mill, Submission(), turns=False)
    with pytest.raises(NotFinishedError, match="partial"):
        mill.pipeline.output_sheet(job)
    mill.turn(job)
    half = mill.job(job)
    assert not half.is_finished
    cells = cells_of(output(mill, half, partial=True))
    assert cells[1][3] == f"{link(mill, half, A)},{B}"
    assert cells[3][3] == f"{C}|{link(mill, half, A)}|{D}"


def test_a_long_sheet_comes_in_pieces(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WRITE_BYTES", 100)
    monkeypatch.setattr(module, "READ_BYTES", 7)
    monkeypatch.setattr(module, "_PAGE", 2)
    job = made(mill, Submission())
    pieces = list(mill.pipeline.output_sheet(job)), list(mill.pipeline.report(job))
    assert [len(part) > 1 for part in pieces] == [True, True]
    monkeypatch.undo()
    assert b"".join(pieces[0]).decode() == output(mill, job)
    assert b"".join(pieces[1]) == b"".join(mill.pipeline.report(job))


def test_the_report_tells_all_and_runs_nothing(mill: Mill) -> None:
    settings = mill.parts.settings
    mill.with_parts(msgspec.structs.replace(settings, image=msgspec.structs.replace(settings.image, ssim_every=1)))
    job = made(mill, Submission())
    text = b"".join(mill.pipeline.report(job)).decode()
    header, *rows = list(csv.reader(io.StringIO(text, newline="")))
    assert header == list(REPORT_COLUMNS)
    told = [dict(zip(header, row, strict=True)) for row in rows]
    assert [(row["row"], row["column position"], row["input URL"], row["state"]) for row in told] == [
        ("2", "1", A, "done"),
        ("2", "2", B, "failed"),
        ("5", "1", C, "done"),
        ("5", "2", A, "done"),
        ("5", "3", D, "failed"),
    ]
    first, second = told[0], told[1]
    assert first["output URL"] == link(mill, job, A)
    sizes = [first[name] for name in ("bytes before", "bytes after", "saved %", "width", "height")]
    assert sizes == [str(len(A) * 20), str(len(A) * 10), "50.0", "40", "30"]
    assert (first["format before"], first["format after"], first["error code"]) == ("jpeg", "jpeg", "")
    assert float(first["seconds"]) >= 0
    assert header[-1] == "ssim"
    assert [row["ssim"] for row in told] == ["0.75", "", "0.75", "0.75", ""]
    assert (second["error code"], second["error"]) == ("not_an_image", "'=cmd|' is not an image")
    assert [second[name] for name in ("output URL", "bytes before", "bytes after", "saved %", "width")] == [""] * 5
    assert "secret" not in text


@on_sqlite
def test_a_sheet_that_does_not_fit_any_more_is_said_to(mill: Mill) -> None:
    job = made(mill, Submission())
    (mill.folders.sheets / job.id).write_text(SHEET + "4;;http://a/e.jpg\r\n")
    with pytest.raises(ImagemillError, match="does not match"):
        output(mill, job)
    for text in ("Prices\n5\n", SHEET.split("3;", maxsplit=1)[0]):
        (mill.folders.sheets / job.id).write_text(text)
        with pytest.raises(ImagemillError, match="does not match"):
            output(mill, job)
    (mill.folders.sheets / job.id).unlink()
    with pytest.raises(NotFoundError):
        mill.pipeline.output_sheet(job)
