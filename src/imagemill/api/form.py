"""A multipart upload as it arrives: sheet bytes are handed on, fields are kept, both within limits. No I/O."""

import re
from typing import Final

from multipart import MultipartError, MultipartSegment, PushMultipartParser  # type: ignore[import-untyped]

from imagemill.core.errors import RequestError, TooLargeError

SHEET_FIELDS: Final = frozenset({"file", "csv", "csvFile", "csv_file", "sheet"})
MAX_PARTS: Final = 64
MAX_FIELD_BYTES: Final = 64 * 1024
MAX_FILENAME_CHARS: Final = 200
OVERHEAD_BYTES: Final = 1024 * 1024
"""How much longer than its sheet a body may be: the fields and what is between them."""

_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class UploadForm:
    """Feed it the body; it answers with the sheet's bytes and has the rest when it is closed."""

    def __init__(self, boundary: str, max_sheet_bytes: int) -> None:
        self.fields: list[tuple[str, str]] = []
        self.errors: list[tuple[str, str]] = []
        self.filename: str | None = None
        self._left = max_sheet_bytes
        self._max_sheet_bytes = max_sheet_bytes
        self._part: MultipartSegment | None = None
        self._value = bytearray()
        try:
            self._parser = PushMultipartParser(boundary, max_segment_count=MAX_PARTS, strict=False)
        except MultipartError as error:
            raise _malformed(error) from error

    def feed(self, chunk: bytes) -> bytes:
        """Take some of the body, return what of it belongs to the sheet."""
        try:
            return b"".join([self._take(event) for event in self._parser.parse(chunk)])
        except MultipartError as error:
            raise _malformed(error) from error

    def close(self) -> None:
        """Say that the body has ended; RequestError when it is not whole. A missing sheet joins the `errors`."""
        try:
            self._parser.close()
        except MultipartError as error:
            raise _malformed(error) from error
        if self.filename is None:
            self.errors.append(("file", "No sheet was sent: send it as the multipart file `file`."))

    def _take(self, event: MultipartSegment | bytes | None) -> bytes:
        if isinstance(event, MultipartSegment):
            self._begin(event)
        elif event is None:
            self._end()
        elif self._is_sheet():
            return self._sheet_bytes(event)
        elif len(self._value) <= MAX_FIELD_BYTES:
            self._value += event
        return b""

    def _begin(self, part: MultipartSegment) -> None:
        self._part = part
        self._value.clear()
        if self._is_sheet():
            if self.filename is not None:
                raise RequestError("Send one sheet.", [(_name(part), "A sheet was sent already in this form.")])
            self.filename = clean_filename(part.filename or "")
        elif part.filename is not None:
            self.errors.append(
                (_name(part), "Files are not expected here: send the sheet as the multipart file `file`.")
            )

    def _end(self) -> None:
        part = self._part
        if part is None or self._is_sheet() or part.filename is not None:
            return
        if len(self._value) > MAX_FIELD_BYTES:
            self.errors.append((_name(part), f"Is longer than {MAX_FIELD_BYTES} bytes."))
            return
        try:
            self.fields.append((_name(part), self._value.decode()))
        except UnicodeDecodeError:
            self.errors.append((_name(part), "Is not UTF-8 text."))

    def _is_sheet(self) -> bool:
        return self._part is not None and self._part.name in SHEET_FIELDS

    def _sheet_bytes(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            raise too_large(self._max_sheet_bytes)
        return data


def too_large(limit: int) -> TooLargeError:
    """Return the error for an upload over the limit."""
    return TooLargeError(f"The sheet is larger than {limit} bytes. Split it, or raise `max_upload_bytes`.")


def json_too_large(limit: int) -> TooLargeError:
    """Return the error for a JSON object over the limit."""
    return TooLargeError(f"The JSON is larger than {limit} bytes. Send a sheet, or raise `max_json_bytes`.")


def clean_filename(name: str) -> str:
    """Return a client's filename for showing: no folders, nothing unprintable; it never becomes a path."""
    return _UNFIT.sub("", name.replace("\\", "/").rpartition("/")[2]).strip()[:MAX_FILENAME_CHARS]


def _name(part: MultipartSegment) -> str:
    return _UNFIT.sub("", part.name or "")[:100]


def _malformed(error: MultipartError) -> RequestError:
    return RequestError("The body cannot be read as multipart/form-data.", [("body", f"{error}.")])
