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
_CONDITIONS: Final = frozenset({b"range", b"if-range", b"if-none-match"})

RawHeaders = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class ServedFile:
    """A file that does not change while it is there; `etag` is strong and quoted."""

    path: Path
    etag: str
    media_type: str
    headers: RawHeaders = ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the shape of ASGI
        """Send it, or a part, or the word that the client has it; FileNotFoundError before anything was sent."""
        size = self.path.stat().st_size
        asked = _conditions(scope["headers"])
        if "if-none-match" in asked and is_unchanged(asked["if-none-match"], self.etag):
            await send_head(send, 304, self._common())
            return
        try:
            span = self._span(asked, size)
        except UnsatisfiableRangeError:
            refusal = HTTPException(f"The file has {size} bytes; none of them is in the range.", status_code=416)
            await send_problem(send, refusal, (*self.headers, (b"content-range", b"bytes */%d" % size)))
            return
        await self._send(scope, send, span, size)

    def _span(self, asked: dict[str, str], size: int) -> range | None:
        """Return the range to send; a failed If-Range means the whole (RFC 9110, 13.1.5)."""
        if "range" not in asked or asked.get("if-range", self.etag) != self.etag:
            return None
        return byte_range(asked["range"], size)

    async def _send(self, scope: Scope, send: Send, span: range | None, size: int) -> None:
        sent = range(size) if span is None else span
        status = 200 if span is None else 206
        headers = (*self._common(), (b"content-type", self.media_type.encode()), (b"content-length", b"%d" % len(sent)))
        if span is not None:
            headers = (*headers, (b"content-range", b"bytes %d-%d/%d" % (span.start, span.stop - 1, size)))
        if cast("HTTPScope", scope)["method"] == "HEAD":
            await send_head(send, status, headers)
        elif span is None and "http.response.pathsend" in (scope.get("extensions") or ()):
            await send({"type": "http.response.start", "status": status, "headers": headers})
            # Litestar's types do not know this extension of ASGI.
            await send(cast("Message", {"type": "http.response.pathsend", "path": os.fspath(self.path)}))
        else:
            await _send_chunks(send, (status, headers), self.path, sent)

    def _common(self) -> RawHeaders:
        return ((b"etag", self.etag.encode()), (b"accept-ranges", b"bytes"), *self.headers)


def _conditions(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the few request headers that matter here; one pass, since most requests have none of them."""
    return {name.decode(): value.decode("latin-1") for name, value in headers if name in _CONDITIONS}


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
