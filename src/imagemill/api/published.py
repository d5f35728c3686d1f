"""Published images: public, immutable, and off the database's path; the name is all there is to know.

The key is 160 bits of a hash of content and recipe, so a link is a capability and its content never changes.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from litestar.di import NamedDependency
from litestar.exceptions import MethodNotAllowedException
from litestar.params import SkipValidation
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from imagemill.api.files import Face, RawHeaders, ServedFile
from imagemill.api.gate import IMAGES, SECURITY_HEADERS
from imagemill.api.problems import send_problem
from imagemill.api.stored import Stored, StoredFile
from imagemill.core.errors import NotFoundError, UnreadableError
from imagemill.core.keys import media_type
from imagemill.storage import Storage

_NAME: Final = re.compile(r"([0-9a-f]{40})\.(jpg|png|webp|gif|bmp|tif)", re.ASCII)

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

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._stored = Stored(storage)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET and HEAD."""
        if cast("HTTPScope", scope)["method"] not in {"GET", "HEAD"}:
            refusal = MethodNotAllowedException("Published images can only be read.", headers={"Allow": "GET, HEAD"})
            await send_problem(send, refusal, _REFUSAL_HEADERS)
            return
        await self.picture(scope["path"].removeprefix(IMAGES))(scope, receive, send)

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


GivenPublished = NamedDependency[SkipValidation[Published]]
