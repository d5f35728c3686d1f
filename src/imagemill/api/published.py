"""Published images: public, immutable, and off the database's path; the name is all there is to know.

The key is 160 bits of a hash of content and recipe, so a link is a capability and its content never changes.
"""

import re
from pathlib import Path
from typing import Final, cast

from litestar.exceptions import MethodNotAllowedException
from litestar.types import HTTPScope, Receive, Scope, Send

from imagemill.api.files import ServedFile
from imagemill.api.gate import IMAGES, SECURITY_HEADERS
from imagemill.api.problems import send_problem
from imagemill.core.errors import NotFoundError
from imagemill.storage import Storage

_NAME: Final = re.compile(r"([0-9a-f]{40})\.(jpg|png|webp|gif|bmp|tif)", re.ASCII)

_MEDIA_TYPES: Final = {
    "jpg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "gif": "image/gif",
    "bmp": "image/bmp",
    "tif": "image/tiff",
}

_HEADERS: Final = ((b"cache-control", b"public, max-age=31536000, immutable"), *SECURITY_HEADERS)
_REFUSAL_HEADERS: Final = ((b"cache-control", b"no-store"), *SECURITY_HEADERS)


class Published:
    """`/images/{key}.{ext}` as an ASGI application."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET and HEAD."""
        if cast("HTTPScope", scope)["method"] not in {"GET", "HEAD"}:
            refusal = MethodNotAllowedException("Published images can only be read.", headers={"Allow": "GET, HEAD"})
            await send_problem(send, refusal, _REFUSAL_HEADERS)
            return
        try:
            await self._file(scope["path"].removeprefix(IMAGES))(scope, receive, send)
        except FileNotFoundError:
            await send_problem(send, NotFoundError("There is no image of this name."), _REFUSAL_HEADERS)

    def _file(self, name: str) -> ServedFile:
        match = _NAME.fullmatch(name)
        path: Path | None = self._storage.path(name) if match else None
        if match is None or path is None:
            raise FileNotFoundError(name)
        return ServedFile(path, f'"{match[1]}"', _MEDIA_TYPES[match[2]], _HEADERS)
