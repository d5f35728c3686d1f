"""A multipart upload as it arrives: bytes of files are handed on, fields are kept, both within limits. No I/O."""

import re
from collections.abc import Iterator
from typing import Final

from multipart import MultipartError, MultipartSegment, PushMultipartParser  # type: ignore[import-untyped]

from imagemill.core.errors import RequestError, TooLargeError

SHEET_FIELDS: Final = frozenset({"file", "csv", "csvFile", "csv_file", "sheet"})
IMAGE_FIELDS: Final = frozenset({"image", "images", "file"})
MAX_PARTS: Final = 64
MAX_FIELD_BYTES: Final = 64 * 1024
MAX_FILENAME_CHARS: Final = 200
OVERHEAD_BYTES: Final = 1024 * 1024
"""How much longer than its sheet a body may be: the fields and what is between them."""

_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class _Form:
    """What the two kinds of form share: fields are kept, the bytes of files are passed on, both within limits."""

    names: frozenset[str]
    """Of the fields that carry files."""

    advice: str
    most_parts = MAX_PARTS

    def __init__(self, boundary: str) -> None:
        self.fields: list[tuple[str, str]] = []
        self.errors: list[tuple[str, str]] = []
        self._part: MultipartSegment | None = None
        self._value = bytearray()
        try:
            self._parser = PushMultipartParser(boundary, max_segment_count=self.most_parts, strict=False)
        except MultipartError as error:
            raise _malformed(error) from error

    def close(self) -> None:
        """Say that the body has ended; RequestError when it is not whole."""
        try:
            self._parser.close()
        except MultipartError as error:
            raise _malformed(error) from error

    def _events(self, chunk: bytes) -> Iterator[MultipartSegment | bytes | None]:
        """Yield what the body says of files: one begins, bytes of it, it ends."""
        try:
            for event in self._parser.parse(chunk):
                if isinstance(event, MultipartSegment):
                    self._part = event
                    self._value.clear()
                if self._is_file():
                    yield event
                else:
                    self._take_field(event)
        except MultipartError as error:
            raise _malformed(error) from error

    def _is_file(self) -> bool:
        return self._part is not None and self._part.name in self.names

    def _take_field(self, event: MultipartSegment | bytes | None) -> None:
        part = self._part
        if isinstance(event, MultipartSegment):
            if event.filename is not None:
                self.errors.append((_name(event), f"Files are not expected here: {self.advice}."))
        elif event is None:
            if part is not None and part.filename is None:
                self._end_field(_name(part))
        elif len(self._value) <= MAX_FIELD_BYTES:
            self._value += event

    def _end_field(self, name: str) -> None:
        if len(self._value) > MAX_FIELD_BYTES:
            self.errors.append((name, f"Is longer than {MAX_FIELD_BYTES} bytes."))
            return
        try:
            self.fields.append((name, self._value.decode()))
        except UnicodeDecodeError:
            self.errors.append((name, "Is not UTF-8 text."))


class UploadForm(_Form):
    """A form with a sheet. Feed it the body; it answers with the sheet's bytes and has the rest when it is closed."""

    names = SHEET_FIELDS
    advice = "send the sheet as the multipart file `file`"

    def __init__(self, boundary: str, max_sheet_bytes: int) -> None:
        super().__init__(boundary)
        self.filename: str | None = None
        self._left = max_sheet_bytes
        self._max_sheet_bytes = max_sheet_bytes

    def feed(self, chunk: bytes) -> bytes:
        """Take some of the body, return what of it belongs to the sheet."""
        return b"".join([self._take(event) for event in self._events(chunk)])

    def close(self) -> None:
        """Say that the body has ended. A missing sheet joins the `errors`."""
        super().close()
        if self.filename is None:
            self.errors.append(("file", f"No sheet was sent: {self.advice}."))

    def _take(self, event: MultipartSegment | bytes | None) -> bytes:
        if isinstance(event, MultipartSegment):
            if self.filename is not None:
                raise RequestError("Send one sheet.", [(_name(event), "A sheet was sent already in this form.")])
            self.filename = clean_filename(event.filename or "")
            return b""
        data = event or b""
        self._left -= len(data)
        if self._left < 0:
            raise too_large(self._max_sheet_bytes)
        return data


class ImagesForm(_Form):
    """A form with images. Feed it the body; it answers with an image's name, bytes of it, and None at its end."""

    names = IMAGE_FIELDS
    advice = "send images as the multipart files `image`"
    filename = ""
    limit = "fetch.max_bytes"
    """The setting that bounds an image."""

    def __init__(self, boundary: str, *, most_images: int, most_bytes: int) -> None:
        self.most_parts = most_images + MAX_PARTS
        super().__init__(boundary)
        self._most_images, self._most_bytes = most_images, most_bytes
        self._images = self._image_bytes = 0

    def feed(self, chunk: bytes) -> list[str | bytes | None]:
        """Take some of the body, return what of it belongs to images."""
        return [self._take(event) for event in self._events(chunk)]

    def _take(self, event: MultipartSegment | bytes | None) -> str | bytes | None:
        if isinstance(event, MultipartSegment):
            self._images += 1
            self._image_bytes = 0
            if self._images > self._most_images:
                raise TooLargeError(f"More than {self._most_images} images at a time: send several requests.")
            return clean_filename(event.filename or "")
        self._image_bytes += len(event or b"")
        if self._image_bytes > self._most_bytes:
            raise TooLargeError(f"Image {self._images} is larger than {self._most_bytes} bytes (`{self.limit}`).")
        return event


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
