"""All pictures of a job in one ZIP file, written while it is sent: memory holds one picture, whatever the job."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from imagemill.core import keys
from imagemill.core.archive import Zip, entry_name
from imagemill.core.errors import PICTURE_UNREADABLE, UnreadableError
from imagemill.pipeline.sheets import check_finished

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imagemill.core.job import Job
    from imagemill.pipeline.parts import Parts

_COPY_BYTES: Final = 256 * 1024


def archive(parts: Parts, job: Job, *, partial: bool = False) -> Iterator[bytes]:
    """Return the file in pieces. NotFinishedError before the end, unless `partial`.

    A picture that stands at several places is there once, named for the first. One that is gone from the storage is
    left out: the next start makes it again. UnreadableError where the storage cannot say.
    """
    check_finished(job, partial=partial)
    return _pieces(parts, job)


def _pieces(parts: Parts, job: Job) -> Iterator[bytes]:
    moment = job.finished_at or datetime.fromtimestamp(parts.clock(), UTC)
    made = Zip()
    with tempfile.TemporaryFile(dir=parts.folders.spool) as records:
        for row, position, url, output in parts.store.made_outputs(job.id):
            name = keys.file_name(output.key, output.format)
            try:
                data = b"".join(parts.storage.open(name).chunks)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise UnreadableError(PICTURE_UNREADABLE, cause=str(error)) from error
            title = entry_name(row, position, url, output.name, keys.EXTENSIONS[output.format])
            head, record = made.entry(title, data, moment)
            records.write(record)
            yield head
            yield data
        records.seek(0)
        while piece := records.read(_COPY_BYTES):
            yield piece
    yield made.close()
