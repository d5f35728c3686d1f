"""Files that lie elsewhere (S3), streamed through us: never whole in memory, and never in the API's own threads.

Asking the storage takes a thread while it lasts. These are others than the routes' threads: a storage that hangs must
not take the API along.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, ParamSpec, TypeVar, cast

from litestar.types import HTTPScope, Receive, Scope, Send

from imagemill.api.files import Face, conditions, send_head
from imagemill.core.errors import PICTURE_UNREADABLE, UnreadableError
from imagemill.storage import Opened, Storage

THREADS: Final = 32

P = ParamSpec("P")
T = TypeVar("T")


class Stored:
    """A storage, asked in threads of its own."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="stored")

    async def size(self, name: str) -> int:
        """Return the size; FileNotFoundError, UnreadableError."""
        return await self._asked(self._storage.size, name)

    async def open(self, name: str, span: range | None) -> Opened:
        """Begin to read; FileNotFoundError, UnreadableError."""
        return await self._asked(self._storage.open, name, span)

    async def chunk(self, opened: Opened) -> bytes:
        """Return the next chunk, nothing at the end; an OSError breaks the answer off, or it would look whole."""
        return await self._call(next, opened.chunks, b"")

    async def _asked(self, question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await self._call(question, *args, **kwargs)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise UnreadableError(PICTURE_UNREADABLE, cause=str(error)) from error

    async def _call(self, question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(question, *args, **kwargs))


class StoredFile:
    """One file of a storage, as an ASGI application."""

    def __init__(self, stored: Stored, name: str, face: Face) -> None:
        self._stored, self._name, self._face = stored, name, face

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the shape of ASGI
        """Send it, or a part, or the word that the client has it; what is asked for plainly is one request to S3."""
        asked = conditions(scope["headers"])
        is_head = cast("HTTPScope", scope)["method"] == "HEAD"
        span = None
        if is_head or asked:
            size = await self._stored.size(self._name)
            if await self._face.has_refused(send, asked, size):
                return
            span = self._face.span(asked, size)
            if is_head:
                await send_head(send, *self._face.head(span, size))
                return
        await self._send(send, span)

    async def _send(self, send: Send, span: range | None) -> None:
        opened = await self._stored.open(self._name, span)
        status, headers = self._face.head(span, opened.size)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        while chunk := await self._stored.chunk(opened):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
