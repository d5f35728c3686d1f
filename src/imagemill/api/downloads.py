"""What a client takes home of a job: its sheet, byte for byte, and sheets and pictures written while they are sent."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import quote
from uuid import UUID

from litestar import get
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream
from litestar.types import ASGIApp

from imagemill.api.files import ServedFile
from imagemill.api.jobs import GivenCaller, GivenParts
from imagemill.api.openapi import ArchiveOperation, DownloadOperation, FileOperation, refusals
from imagemill.api.parts import Parts
from imagemill.core.job import Job
from imagemill.core.sheet.encoding import Decoder

BATCH_BYTES: Final = 64 * 1024
READ_BYTES: Final = 1024 * 1024

_CHARSETS: Final = {"cp1252": "windows-1252", "utf-16-le": "utf-16", "utf-16-be": "utf-16"}

Partial = Annotated[bool, QueryParameter(description="Give what there is, also before the end.")]


@get(
    "/jobs/{job_id:uuid}/input",
    summary="Download the sheet that came in",
    description="Byte for byte as it was sent. Answers `Range` and `If-None-Match`.",
    operation_class=FileOperation,
    responses=refusals(401, 403, 404, 416),
    sync_to_thread=True,
)
def download_input(parts: GivenParts, caller: GivenCaller, job_id: FromPath[UUID]) -> ASGIApp:
    """Give the original back."""
    job = parts.store.job(str(job_id), caller.sees_only)
    name = parts.store.sheet_filename(job.id) or f"{job.id}.csv"
    headers = ((b"content-disposition", content_disposition(name).encode()), (b"cache-control", b"private, no-cache"))
    return ServedFile(parts.pipeline.input_path(job), f'"{job.id}"', "text/csv", headers)


@get(
    "/jobs/{job_id:uuid}/output.csv",
    summary="Download the sheet with its new column",
    description="In the dialect and encoding of the sheet that came in. Before the end: 409, or `?partial=1`.",
    operation_class=DownloadOperation,
    responses=refusals(401, 403, 404, 409, 422),
    sync_to_thread=True,
)
def download_output(
    parts: GivenParts, caller: GivenCaller, job_id: FromPath[UUID], *, partial: Partial = False
) -> Stream:
    """Write the output sheet."""
    return output_sheet(parts, parts.store.job(str(job_id), caller.sees_only), partial=partial)


def output_sheet(parts: Parts, job: Job, *, partial: bool = False) -> Stream:
    """Answer with a job's output sheet, as an attachment."""
    name = f"{_stem(parts.store.sheet_filename(job.id), job)}-output.csv"
    return _stream(parts.pipeline.output_sheet(job, partial=partial), name, charset_of(parts.pipeline.input_path(job)))


@get(
    "/jobs/{job_id:uuid}/report.csv",
    summary="Download the report",
    description="One line for each image: what became of it, and why where it failed.",
    operation_class=DownloadOperation,
    responses=refusals(401, 403, 404),
    sync_to_thread=True,
)
def download_report(parts: GivenParts, caller: GivenCaller, job_id: FromPath[UUID]) -> Stream:
    """Write the report."""
    job = parts.store.job(str(job_id), caller.sees_only)
    name = f"{_stem(parts.store.sheet_filename(job.id), job)}-report.csv"
    return _stream(parts.pipeline.report(job), name, "utf-8")


@get(
    "/jobs/{job_id:uuid}/images.zip",
    summary="Download all pictures",
    description="The compressed pictures and thumbnails in one ZIP file, each once, named by row and place. Before the"
    " end: 409, or `?partial=1`.",
    operation_class=ArchiveOperation,
    responses=refusals(401, 403, 404, 409, 422),
    sync_to_thread=True,
)
def download_archive(
    parts: GivenParts, caller: GivenCaller, job_id: FromPath[UUID], *, partial: Partial = False
) -> Stream:
    """Write the ZIP file."""
    job = parts.store.job(str(job_id), caller.sees_only)
    name = f"{_stem(parts.store.sheet_filename(job.id), job)}-images.zip"
    return _stream(parts.pipeline.archive(job, partial=partial), name, media_type="application/zip")


def content_disposition(filename: str) -> str:
    """Return the header that names a download (RFC 6266), for old clients in ASCII."""
    plain = "".join(char if char.isascii() and char.isprintable() and char not in '"\\%' else "_" for char in filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


def charset_of(sheet: Path) -> str:
    """Return the charset of a kept sheet, and so of its output, as HTTP names it.

    The whole sheet is read: one letter in its last row may be what tells Windows-1252 from UTF-8.
    """
    decoder = Decoder()
    with sheet.open("rb") as file:
        while data := file.read(READ_BYTES):
            decoder.feed(data)
    decoder.close()
    return _CHARSETS.get(decoder.encoding, decoder.encoding)


def _stem(filename: str, job: Job) -> str:
    return filename.rpartition(".")[0] or filename or job.id


def _stream(pieces: Iterator[bytes], filename: str, charset: str = "utf-8", media_type: str = "text/csv") -> Stream:
    headers = {"Content-Disposition": content_disposition(filename)}
    return Stream(streamed(pieces), media_type=media_type, encoding=charset, headers=headers)


def streamed(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield what an iterator gives, from threads; its first piece is made before, so that it can still refuse."""
    return _batches(_batch(pieces), pieces)


async def _batches(first: bytes, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    batch = first
    while batch:
        yield batch
        batch = await asyncio.to_thread(_batch, pieces)


def _batch(pieces: Iterator[bytes]) -> bytes:
    """Return the next pieces, together so large that a hop to a thread is worth it; nothing at the end."""
    batch = bytearray()
    for piece in pieces:
        batch += piece
        if len(batch) >= BATCH_BYTES:
            break
    return bytes(batch)
