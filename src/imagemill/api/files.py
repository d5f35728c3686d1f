"""Files over ASGI: whole ones are handed to the server by path, ranges go in chunks of our own.

Neither Litestar nor Granian answers conditional or range requests on files. A whole file is an
`http.response.pathsend`: the server reads and sends it outside Python.
"""

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, cast

from litestar.exceptions import HTTPException
from litestar.types import HTTPScope, Message, Receive, Scope, Send

from imagemill.api.problems import send_problem
from imagemill.api.ranges import UnsatisfiableRangeError, byte_range, is_unchanged

CHUNK_BYTES: Final = 256 * 1024
CONDITIONS: Final = frozenset({b"range", b"if-range", b"if-none-match"})

RawHeaders = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Face:
    """What a client sees of a file that does not change while it is there; `etag` is strong and quoted."""

    etag: str
    media_type: str
    headers: RawHeaders = ()

    def head(self, span: range | None, size: int) -> tuple[int, RawHeaders]:
        """Return status and headers of the whole (`span` is None) or of a part."""
        sent = range(size) if span is None else span
        headers = (*self._always(), (b"content-type", self.media_type.encode()), (b"content-length", b"%d" % len(sent)))
        if span is None:
            return 200, headers
        return 206, (*headers, (b"content-range", b"bytes %d-%d/%d" % (span.start, span.stop - 1, size)))

    async def has_refused(self, send: Send, asked: dict[str, str], size: int) -> bool:
        """Answer where no byte is to be sent: the client has it already, or asks for bytes that there are not."""
        if "if-none-match" in asked and is_unchanged(asked["if-none-match"], self.etag):
            await send_head(send, 304, self._always())
            return True
        try:
            self.span(asked, size)
        except UnsatisfiableRangeError:
            refusal = HTTPException(f"The file has {size} bytes; none of them is in the range.", status_code=416)
            own = [header for header in self.headers if header[0] != b"content-disposition"]
            await send_problem(send, refusal, (*own, (b"content-range", b"bytes */%d" % size)))
            return True
        return False

    def span(self, asked: dict[str, str], size: int) -> range | None:
        """Return the range to send; a failed If-Range means the whole (RFC 9110, 13.1.5)."""
        if "range" not in asked or asked.get("if-range", self.etag) != self.etag:
            return None
        return byte_range(asked["range"], size)

    def _always(self) -> RawHeaders:
        return ((b"etag", self.etag.encode()), (b"accept-ranges", b"bytes"), *self.headers)


@dataclass(frozen=True, slots=True)
class ServedFile:
    """A local file; the rest is its `Face`."""

    path: Path
    etag: str
    media_type: str
    headers: RawHeaders = ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the shape of ASGI
        """Send it, or a part, or the word that the client has it; FileNotFoundError before anything was sent."""
        size = self.path.stat().st_size
        asked, face = conditions(scope["headers"]), Face(self.etag, self.media_type, self.headers)
        if await face.has_refused(send, asked, size):
            return
        span = face.span(asked, size)
        status, headers = face.head(span, size)
        if cast("HTTPScope", scope)["method"] == "HEAD":
            await send_head(send, status, headers)
        elif span is None and "http.response.pathsend" in (scope.get("extensions") or ()):
            await send({"type": "http.response.start", "status": status, "headers": headers})
            # Litestar's types do not know this extension of ASGI.
            await send(cast("Message", {"type": "http.response.pathsend", "path": os.fspath(self.path)}))
        else:
            await _send_chunks(send, (status, headers), self.path, range(size) if span is None else span)


def conditions(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the few request headers that matter here; one pass, since most requests have none of them."""
    return {name.decode(): value.decode("latin-1") for name, value in headers if name in CONDITIONS}


async def send_head(send: Send, status: int, headers: RawHeaders) -> None:
    """Send an answer without a body."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send_chunks(send: Send, head: tuple[int, RawHeaders], path: Path, span: range) -> None:
    with await asyncio.to_thread(path.open, "rb") as file:
        await send({"type": "http.response.start", "status": head[0], "headers": head[1]})
        file.seek(span.start)
        left = len(span)
        while left:
            chunk = await asyncio.to_thread(_read, file, min(left, CHUNK_BYTES))
            left -= len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _read(file: BinaryIO, size: int) -> bytes:
    """Read some; a file that got shorter breaks the answer off: ended early, it would look whole."""
    chunk = file.read(size)
    if not chunk:
        message = "the file ended before its size"
        raise EOFError(message)
    return chunk
