"""System: how the appliance is, what is set, who may call, and the pause of everything."""

from typing import Final

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from imagemill.web.view import GivenView


@get("/system", sync_to_thread=True)
def show_system_page(view: GivenView) -> Response[str]:
    """Show it."""
    return view.page("system.html")


@get("/system/state", sync_to_thread=True)
def show_state(view: GivenView) -> Response[str]:
    """Show how it is, for the head of every page."""
    return view.page("state.html")


ROUTES: Final[list[HTTPRouteHandler]] = [show_system_page, show_state]
