"""Published images: public, immutable, and off the database's path; the name is all there is to know.

The key is 160 bits of a hash of content and recipe, so a link is a capability and its content never changes.
"""

import asyncio
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from litestar.di import NamedDependency
from litestar.exceptions import MethodNotAllowedException
from litestar.params import SkipValidation
from litestar.types import ASGIApp, HTTPResponseBodyEvent, HTTPResponseStartEvent, HTTPScope, Receive, Scope, Send

from imagemill.api.files import CONDITIONS, Face, RawHeaders, ServedFile
from imagemill.api.hot import MOST_BYTES, Hot, Ready, read
from imagemill.api.problems import send_problem
from imagemill.api.stored import Stored, StoredFile
from imagemill.core.errors import NotFoundError, UnreadableError
from imagemill.core.keys import media_type
from imagemill.storage import Storage

_NAME: Final = re.compile(r"([0-9a-f]{40})\.(jpg|png|webp|gif|bmp|tif)", re.ASCII)

IMAGES: Final = "/images/"

SECURITY_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
)
_HEADERS: Final = ((b"cache-control", b"public, max-age=31536000, immutable"), *SECURITY_HEADERS)
_REFUSAL_HEADERS: Final = ((b"cache-control", b"no-store"), *SECURITY_HEADERS)


@dataclass(frozen=True, slots=True)
class Picture:
    """One image, or the word that there is none, as an ASGI application."""

    file: Callable[[str, RawHeaders], ASGIApp]
    name: str
    headers: RawHeaders
    media_type = "image/*"
    """Litestar asks for it; what is sent has its own."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await self.file(self.name, self.headers)(scope, receive, send)
        except FileNotFoundError:
            await send_problem(send, NotFoundError("There is no image of this name."), _REFUSAL_HEADERS)
        except UnreadableError as error:
            await send_problem(send, error, _REFUSAL_HEADERS)


class Published:
    """`/images/{key}.{ext}` as an ASGI application."""

    def __init__(self, storage: Storage, cache_bytes: int) -> None:
        self._storage = storage
        self._stored = Stored(storage)
        self._hot = Hot(cache_bytes)
        self._most_bytes = min(MOST_BYTES, cache_bytes // 2)

    def ready(self, scope: HTTPScope) -> Ready | None:
        """Return the answer to who asks for the whole of an image that is in memory. Never waits."""
        return self._hot.find(scope["path"]) if _wants_whole(scope) else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET and HEAD."""
        asked = cast("HTTPScope", scope)
        if asked["method"] not in {"GET", "HEAD"}:
            refusal = MethodNotAllowedException("Published images can only be read.", headers={"Allow": "GET, HEAD"})
            await send_problem(send, refusal, _REFUSAL_HEADERS)
            return
        is_kept = self._most_bytes and _wants_whole(asked)
        ready = await self._warmed(asked["path"]) if is_kept else None
        if ready:
            await ready.sent(send)
        else:
            await self.picture(asked["path"].removeprefix(IMAGES))(scope, receive, send)

    async def _warmed(self, address: str) -> Ready | None:
        """Take an image into memory, if it is one and small; what cannot be read now is told by who reads it next."""
        match = _NAME.fullmatch(address.removeprefix(IMAGES))
        path = self._storage.path(match[0]) if match else None
        found = await asyncio.to_thread(read, path, self._most_bytes) if path else None
        if match is None or path is None or found is None:
            return None
        body, stamp = found
        status, headers = Face(f'"{match[1]}"', media_type(match[0]), _HEADERS).head(None, len(body))
        head = HTTPResponseStartEvent(type="http.response.start", status=status, headers=list(headers))
        whole = HTTPResponseBodyEvent(type="http.response.body", body=body, more_body=False)
        ready = Ready(head, whole, os.fspath(path), stamp)
        self._hot.keep(address, ready)
        return ready

    def picture(self, name: str, headers: RawHeaders = _HEADERS) -> Picture:
        """Return what answers with an image by its name, wherever it is asked for."""
        return Picture(self._file, name, headers)

    def _file(self, name: str, headers: RawHeaders) -> ASGIApp:
        match = _NAME.fullmatch(name)
        if match is None:
            raise FileNotFoundError(name)
        etag, path = f'"{match[1]}"', self._storage.path(name)
        if path is not None:
            return ServedFile(path, etag, media_type(name), headers)
        return StoredFile(self._stored, name, Face(etag, media_type(name), headers))


def _wants_whole(scope: HTTPScope) -> bool:
    return scope["method"] == "GET" and not any(name in CONDITIONS for name, _ in scope["headers"])


GivenPublished = NamedDependency[SkipValidation[Published]]
