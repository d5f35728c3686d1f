"""Start: drop a sheet, see what is in it and what would become of its pictures, and make it a job."""

from typing import Final

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from imagemill.core.recipe import Recipe
from imagemill.web.view import GivenView


@get("/", sync_to_thread=True)
def show_start(view: GivenView) -> Response[str]:
    """Show the page; its script asks the API for all that follows."""
    settings = view.parts.settings
    recipe = Recipe(**settings.image.recipe_defaults())
    return view.page("start.html", settings=settings, recipe=recipe)


ROUTES: Final[list[HTTPRouteHandler]] = [show_start]
