"""Start: drop a sheet."""

from typing import Final

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from imagemill.web.view import GivenView


@get("/", sync_to_thread=True)
def show_start(view: GivenView) -> Response[str]:
    """Show it."""
    return view.page("start.html")


ROUTES: Final[list[HTTPRouteHandler]] = [show_start]
