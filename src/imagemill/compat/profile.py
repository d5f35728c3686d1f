"""What the profiles share: a router whose refusals are in the profile's own shape, and answers as plain text."""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, Final

from litestar import MediaType, Request, Response, Router
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect

from imagemill.api.auth import NEEDS, NOTHING, TAKES_BASIC
from imagemill.api.problems import Problem, problem_of
from imagemill.core.job import Profile

OPEN: Final = {NEEDS: NOTHING}
"""The option of routes that anybody may call."""

SUBMITS: Final = {NEEDS: "submit"}

Refusal = tuple[int, object]
"""A status, and what becomes the body in JSON."""


class Refused(Exception):
    """A refusal that a profile's table words itself."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def router(name: Profile, routes: Sequence[HTTPRouteHandler], word: Callable[[Exception, Problem], Refusal]) -> Router:
    """Return a profile's routes; `word` says in its words what went wrong, from the error and what we would say."""

    def answer(_: Request[Any, Any, Any], error: Exception) -> Response[object]:
        if isinstance(error, Refused):
            return Response(error.body, status_code=error.status)
        problem, headers = problem_of(error)
        status, body = word(error, problem)
        return Response(body, status_code=status, headers=headers)

    return Router(
        f"/compat/{name}",
        route_handlers=routes,
        exception_handlers={Exception: answer},
        opt={TAKES_BASIC: True},
        include_in_schema=False,
    )


def text(words: str, status: int = 200) -> Response[str]:
    """Return an answer in plain text."""
    return Response(words, status_code=status, media_type=MediaType.TEXT)


def phrase(status: int) -> str:
    """Return what HTTP calls a status."""
    return HTTPStatus(status).phrase


def documentation() -> Redirect:
    """Lead to the page that documents the API."""
    return Redirect("/docs", status_code=302)
