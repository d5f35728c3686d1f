"""The page's own files: styles, scripts, icons. Read once, served under a folder named by their content.

So a browser may keep them for ever, and modules may import each other by relative names. Nothing is built: what lies in
`static/` is what is sent. `static/vendor` is filled by the set-up script and is not committed.
"""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, SkipValidation

from imagemill.api.auth import NEEDS, NOTHING
from imagemill.core.errors import UnfitError

STATIC: Final = Path(__file__).parent / "static"

MEDIA_TYPES: Final = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}
_VENDORED: Final = "vendor/htmx.min.js"
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_DIGEST_CHARS: Final = 12


@dataclass(frozen=True)
class Asset:
    """One file as it is sent."""

    body: bytes
    packed: bytes
    media_type: str


class Assets:
    """All of them, by their path below `static/`."""

    def __init__(self, folder: Path = STATIC) -> None:
        files = sorted(path for path in folder.rglob("*") if path.suffix in MEDIA_TYPES)
        self._assets = {path.relative_to(folder).as_posix(): _asset(path) for path in files}
        digest = hashlib.sha256()
        for name, asset in self._assets.items():
            digest.update(f"{name} {len(asset.body)} ".encode() + asset.body)
        self.digest = digest.hexdigest()[:_DIGEST_CHARS]

    def check(self) -> None:
        """Refuse to serve without what the set-up script fetches: every page would be an error (UnfitError)."""
        if _VENDORED not in self._assets:
            message = (
                f"the page lacks {_VENDORED}, which is not in the source: run `make setup` in the checkout,"
                " and install from there, or take a package"
            )
            raise UnfitError(message)

    def url(self, name: str) -> str:
        """Return where a file is served; KeyError where there is none, so that no template names one in vain."""
        if name not in self._assets:
            raise KeyError(name)
        return f"/assets/{self.digest}/{name}"

    def answer(self, digest: str, name: str, *, takes_gzip: bool) -> Response[bytes]:
        """Return a file. Of another version's folder the file of today is given, and not kept."""
        asset = self._assets.get(name)
        if asset is None:
            raise NotFoundException("There is no such file.")
        headers = {
            "Cache-Control": _FOR_EVER if digest == self.digest else "no-store",
            "ETag": f'"{self.digest}"',
            "Vary": "Accept-Encoding",
        }
        is_packed = takes_gzip and len(asset.packed) < len(asset.body)
        if is_packed:
            headers["Content-Encoding"] = "gzip"
        return Response(asset.packed if is_packed else asset.body, media_type=asset.media_type, headers=headers)


GivenAssets = NamedDependency[SkipValidation[Assets]]


@get("/assets/{digest:str}/{name:path}", opt={NEEDS: NOTHING}, include_in_schema=False, sync_to_thread=False)
def show_asset(
    request: Request[Any, Any, Any], assets: GivenAssets, digest: FromPath[str], name: FromPath[str]
) -> Response[bytes]:
    """Give one file."""
    takes_gzip = "gzip" in request.headers.get("accept-encoding", "")
    return assets.answer(digest, str(name).lstrip("/"), takes_gzip=takes_gzip)


def _asset(path: Path) -> Asset:
    body = path.read_bytes()
    return Asset(body, gzip.compress(body, mtime=0), MEDIA_TYPES[path.suffix])
