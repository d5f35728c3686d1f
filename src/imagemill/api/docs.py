"""/docs and /openapi.json, complete without a network: Swagger UI's files are served from here.

They are put under static/swagger by the set-up script and are not committed.
"""

from pathlib import Path
from typing import Any, Final

import msgspec
from litestar import MediaType, Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.params import FromPath
from litestar.types import ASGIApp

from imagemill import __version__
from imagemill.api.contract import contract
from imagemill.api.files import ServedFile

STATIC: Final = Path(__file__).parent / "static"

_ASSETS: Final = {
    "docs.js": ("docs.js", "text/javascript"),
    "docs.css": ("docs.css", "text/css"),
    "swagger-ui.css": ("swagger/swagger-ui.css", "text/css"),
    "swagger-ui-bundle.js": ("swagger/swagger-ui-bundle.js", "text/javascript"),
    "favicon-32x32.png": ("swagger/favicon-32x32.png", "image/png"),
}

# Swagger UI writes style attributes and has its icons as data: addresses; scripts come from files only.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self';"
    " frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)


class DocsPage(OpenAPIRenderPlugin):
    """The page at /docs. Litestar's own would load scripts from a CDN."""

    def __init__(self) -> None:
        super().__init__(path="/")

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002 - it fetches the schema
        """Return the page."""
        return (STATIC / "docs.html").read_bytes()


@get("/openapi.json", include_in_schema=False, sync_to_thread=True)
def openapi_json(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Give the OpenAPI 3.1 document."""
    return Response(msgspec.json.encode(contract(request.app)), media_type="application/json")


@get("/docs/assets/{name:str}", include_in_schema=False, sync_to_thread=True)
def docs_asset(name: FromPath[str]) -> ASGIApp:
    """Give one file of the page."""
    if name not in _ASSETS:
        raise NotFoundException("There is no such file.")
    file, media_type = _ASSETS[name]
    path = STATIC / file
    if not path.is_file():
        raise NotFoundException("Swagger UI is not installed: run `make setup`.")
    return ServedFile(path, f'"{__version__}-{path.stat().st_size}"', media_type, ((b"cache-control", b"no-cache"),))


def page_policy(response: Response[Any]) -> Response[Any]:
    """Let the page load its own files: everything else is forbidden to load anything."""
    if "Content-Security-Policy" in response.headers:
        return response  # a page of ours has its own
    if response.media_type == MediaType.HTML and response.status_code == 404:
        # Litestar answers unknown paths under /docs with a page of its own.
        raise NotFoundException("There is no such page.")
    if response.media_type == MediaType.HTML:
        response.set_header("Content-Security-Policy", _POLICY)
    return response
