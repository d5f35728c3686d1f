"""What a client takes home: its sheet with one column more, and the report."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import msgspec

from imagemill.core import keys
from imagemill.core.addresses import web_url
from imagemill.core.errors import ImageError, ImagemillError, NotFinishedError, NotFoundError, RequestError
from imagemill.core.sheet import REPORT_COLUMNS, Row, Rules, SheetReader, SheetWriter, report_line
from imagemill.pipeline import sent
from imagemill.pipeline.reading import READ_BYTES
from imagemill.pipeline.rules import rules, with_column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from imagemill.core.job import Image, Job, Submission
    from imagemill.db import Fate
    from imagemill.pipeline.parts import Parts

_WRITE_BYTES: Final = 64 * 1024
_PAGE: Final = 2_000


def input_path(parts: Parts, job: Job) -> Path:
    """Return the upload, byte for byte."""
    path = sent.sheet(parts, job.id)
    if path is None:
        message = "this job has no sheet, or it is no longer kept"
        raise NotFoundError(message)
    return path


def output_sheet(parts: Parts, job: Job, *, partial: bool = False) -> Iterator[bytes]:
    """Return the output sheet in pieces; memory stays flat. NotFinishedError before the end, unless `partial`."""
    check_finished(job, partial=partial)
    return batched(_output_lines(parts, input_path(parts, job), job), _WRITE_BYTES)


def check_finished(job: Job, *, partial: bool) -> None:
    """Refuse what is complete at the job's end only (NotFinishedError), unless a part will do."""
    if not job.is_finished and not partial:
        message = "the job is not finished: ask again after Retry-After seconds, or add ?partial=1 for what there is"
        raise NotFinishedError(message)


def remote(parts: Parts, url: str) -> Iterator[bytes]:
    """Return a sheet from elsewhere in pieces, fetched as sources are; RequestError (field `sheet_url`) where not."""
    try:
        yield from parts.fetcher.pieces(web_url(url))
    except (ValueError, ImageError) as error:
        raise RequestError("The sheet could not be fetched.", [("sheet_url", str(error))]) from error


def report(parts: Parts, job: Job) -> Iterator[bytes]:
    """Return the report in pieces: one line per image and place, cells defused."""
    return batched(_report_lines(parts, job), _WRITE_BYTES)


def rows_of(parts: Parts, job: Job) -> Iterator[tuple[Row, list[Fate]]]:
    """Return the rows of a job's sheet, each with what has become of its addresses so far."""
    for _, rows in _read_again(parts, input_path(parts, job), job):
        yield from (pair for pair in rows if not pair[0].is_blank)


def _output_lines(parts: Parts, path: Path, job: Job) -> Iterator[bytes]:
    submission = parts.store.submission(job.id)
    is_begun = False
    for reader, rows in _read_again(parts, path, job):
        writer = _writer(reader, submission)  # anew: one late letter may tell that the sheet is Windows-1252
        if not is_begun:
            yield writer.head()
            is_begun = True
        for row, here in rows:
            links = [parts.link(fate.output) if fate.output else "" for fate in here]
            yield writer.row(row, links, [fate.error_code or "" for fate in here])
    if not is_begun:
        raise _mismatch(job)


def _read_again(parts: Parts, path: Path, job: Job) -> Iterator[tuple[SheetReader, list[tuple[Row, list[Fate]]]]]:
    """Read the kept sheet beside what became of each of its places."""
    fates = parts.store.fates(job.id)
    known = with_column(rules(parts.settings, job.kind), job.kind, parts.store.submission(job.id).image_column)
    reader = SheetReader(_without_limits(known))
    for rows in _chunks(path, reader):
        yield reader, [(row, [_next(fates, job) for _ in row.urls]) for row in rows]
    if next(fates, None) is not None:
        raise _mismatch(job)


def _writer(reader: SheetReader, submission: Submission) -> SheetWriter:
    if reader.header is None:
        message = "the kept sheet cannot be read any more: its rules were changed after it was accepted"
        raise ImagemillError(message)
    return SheetWriter(
        reader.header, reader.dialect, on_failure=submission.on_failure, errors_column=submission.errors_column
    )


def _without_limits(known: Rules) -> Rules:
    """Return the rules for reading a sheet again: what was accepted stays readable when limits are lowered."""
    return msgspec.structs.replace(
        known, required=("input",), max_rows=sys.maxsize, max_urls_per_cell=sys.maxsize, max_cell_chars=1 << 40
    )


def _chunks(path: Path, reader: SheetReader) -> Iterator[list[Row]]:
    with path.open("rb") as file:
        while data := file.read(READ_BYTES):
            if rows := reader.feed(data):
                yield rows
    if rows := reader.close():
        yield rows


def _next(fates: Iterator[Fate], job: Job) -> Fate:
    fate = next(fates, None)
    if fate is None:
        raise _mismatch(job)
    return fate


def _mismatch(job: Job) -> ImagemillError:
    message = "the kept sheet does not match the job: its rules were changed after it was accepted"
    return ImagemillError(message, cause=f"job {job.id} has other places than its sheet has URLs")


def _report_lines(parts: Parts, job: Job) -> Iterator[bytes]:
    yield report_line(REPORT_COLUMNS)
    cursor = None
    while True:
        images, cursor = parts.store.images(job.id, None, _PAGE, cursor)
        yield from (report_line(_report_cells(image, parts.link)) for image in images)
        if cursor is None:
            return


def _report_cells(image: Image, link: Callable[[str], str]) -> list[str | float | None]:
    source, error = image.source, image.error
    made = next((output for output in image.outputs if output.name == "image"), None)
    address = link(keys.file_name(made.key, made.format)) if made else ""
    where: list[str | float | None] = [image.row, image.position, image.source_url, address, image.state]
    wrong: list[str | float | None] = [error.code, error.message] if error else ["", ""]
    sizes: list[str | float | None] = [source.bytes if source else "", made.bytes if made else "", image.saved_percent]
    shape: list[str | float | None] = [made.width, made.height] if made else ["", ""]
    formats: list[str | float | None] = [source.format if source else "", made.format if made else ""]
    return [*where, *wrong, *sizes, *shape, *formats, image.seconds, image.ssim]


def batched(lines: Iterable[bytes], least_bytes: int) -> Iterator[bytes]:
    """Join small pieces to larger ones: a write per line would cost more than the line."""
    pending, size = [], 0
    for line in lines:
        pending.append(line)
        size += len(line)
        if size >= least_bytes:
            yield b"".join(pending)
            pending, size = [], 0
    if pending:
        yield b"".join(pending)
