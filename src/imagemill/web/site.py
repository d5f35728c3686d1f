"""The page as the web application gets it: its routes, and errors as pages where a browser asks."""

from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from litestar import Request, Response, Router
from litestar.di import Provide

from imagemill.api.auth import NEEDS, NOBODY
from imagemill.api.jobs import GivenCaller
from imagemill.api.parts import Parts
from imagemill.api.problems import answer_problem, problem_of
from imagemill.core import keys
from imagemill.db import Caller
from imagemill.web.assets import Assets
from imagemill.web.pages import ROUTES
from imagemill.web.templates import Templates
from imagemill.web.view import View, local, see_other, sign_in_path

_NOT_PAGES: Final = (
    "/api/",
    "/compat/",
    "/images/",
    "/assets/",
    "/docs",
    "/openapi.json",
    "/metrics",
    "/healthz",
    "/readyz",
)


class Site:
    """The page. It owns its templates and files, and asks the same parts as the API."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._assets = Assets()
        self._assets.check()
        self._templates = Templates(self._assets.url)
        self._policy = policy(parts)

    def router(self) -> Router:
        """Return the routes; what needs no sign-in says so itself."""

        # Functions, since Litestar copies whatever else it is given, with all that hangs on it.
        def view(request: Request[Any, Any, Any], caller: GivenCaller) -> View:
            return self._view(request, caller)

        return Router(
            "/",
            route_handlers=ROUTES,
            dependencies={
                "view": Provide(view, sync_to_thread=False),
                "assets": Provide(lambda: self._assets, sync_to_thread=False),
            },
            opt={NEEDS: "read"},
            include_in_schema=False,
        )

    def answer_error(self, request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        """Answer an error: a page where a browser asks for one, else problem details."""
        if not _wants_page(request):
            return _with_sign_in(request, answer_problem(request, error))
        problem, headers = problem_of(error)
        if problem.status == HTTPStatus.UNAUTHORIZED:
            return self._sign_in(request)
        view = self._view(request, request.scope.get("user") or NOBODY)
        page = view.page("error.html", problem.status, problem=problem)
        page.headers.update(headers)
        return page

    def _view(self, request: Request[Any, Any, Any], caller: Caller) -> View:
        return View(self._parts, self._templates, request, caller, self._policy)

    def _sign_in(self, request: Request[Any, Any, Any]) -> Response[Any]:
        """Ask to sign in. The strict cookie is not sent from a link elsewhere: first let the browser ask by itself."""
        if request.headers.get("sec-fetch-site") == "cross-site" and request.method == "GET":
            return self._view(request, NOBODY).page("again.html", again=_here(request))
        url = request.url
        return see_other(sign_in_path(url.path, url.query) if request.method == "GET" else "/sign-in")


def policy(parts: Parts) -> str:
    """Return the content security policy: files of ours only, and pictures from where they are published."""
    published = urlsplit(parts.link(keys.file_name("0" * 64, "jpeg")))
    pictures = f" {published.scheme}://{published.netloc}" if published.netloc else ""
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:{pictures}; connect-src 'self';"
        " manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    )


def _here(request: Request[Any, Any, Any]) -> str:
    return local(f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path)


def _wants_page(request: Request[Any, Any, Any]) -> bool:
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(_NOT_PAGES)


def _with_sign_in(request: Request[Any, Any, Any], answer: Response[Any]) -> Response[Any]:
    """Send htmx to the sign-in page when a session has ended meanwhile."""
    if answer.status_code == HTTPStatus.UNAUTHORIZED and "hx-request" in request.headers:
        here = urlsplit(request.headers.get("hx-current-url", "/"))
        answer.headers["HX-Redirect"] = sign_in_path(here.path or "/", here.query)
    return answer
