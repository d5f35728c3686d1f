"""What a page's route works with: who asks, the parts to ask, and how an answer is made."""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from litestar import MediaType, Request, Response
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from imagemill.api.health import spoken
from imagemill.api.parts import Parts
from imagemill.db import Caller, StoreError
from imagemill.web.templates import Templates

NAVIGATION: Final = (("/", "Start"), ("/jobs", "Jobs"), ("/system", "System"))


@dataclass(frozen=True)
class State:
    """How the appliance is: `word` is working, idle, paused or problem; `label` and `detail` are for people."""

    word: str
    label: str
    detail: str


@dataclass(frozen=True)
class View:
    """One request to the page. Templates get it as `view`."""

    parts: Parts
    templates: Templates
    request: Request[Any, Any, Any]
    caller: Caller
    policy: str

    def page(self, template: str, status: int = 200, **context: object) -> Response[str]:
        """Answer with a template: a page, or a part of one."""
        body = self.templates.render(template, view=self, **context)
        headers = {
            "Content-Security-Policy": self.policy,
            "Cache-Control": "no-store",
            # With `no-referrer` browsers send a form's Origin as `null`, and nothing would say that it is ours.
            "Referrer-Policy": "same-origin",
        }
        return Response(body, status_code=status, media_type=MediaType.HTML, headers=headers)

    @property
    def is_admin(self) -> bool:
        """Whether the caller may do everything."""
        return "admin" in self.caller.scopes

    @property
    def may_submit(self) -> bool:
        """Whether the caller may make jobs, and pause, cancel and delete them."""
        return self.is_admin or "submit" in self.caller.scopes

    @property
    def is_signed_in(self) -> bool:
        """Whether there is something to sign out of."""
        return self.parts.settings.auth == "token" and bool(self.caller.scopes)

    @property
    def navigation(self) -> list[tuple[str, str, bool]]:
        """The pages: address, name, and whether this is (below) it."""
        path = self.request.url.path
        return [(url, name, path == url or (url != "/" and path.startswith(f"{url}/"))) for url, name in NAVIGATION]

    @property
    def state(self) -> State:
        """How the appliance is now. Never fails: the page of an error shows it too."""
        try:
            words = spoken(self.parts.readiness())
            paused_at = self.parts.store.paused_at()
            jobs, waiting, running = self.parts.store.unfinished()
        except StoreError as error:
            return State("problem", "Problem", error.detail)
        wrong = {name: word for name, word in words.items() if word != "ok"}
        if wrong:
            return State("problem", "Problem", "; ".join(f"{name}: {word}" for name, word in wrong.items()))
        if paused_at:
            return State("paused", "Paused", "No further image is begun until work is resumed.")
        if jobs:
            return State("working", "Working", f"{waiting + running:,} images to go, {jobs:,} jobs")
        return State("idle", "Ready", "Nothing waits.")


GivenView = NamedDependency[SkipValidation[View]]


def see_other(path: str) -> Response[str]:
    """Send the browser on with a GET, so that a reload does not send a form again."""
    return Response("", status_code=303, media_type=MediaType.TEXT, headers={"Location": path})


def local(path: str) -> str:
    """Return a path of this page; whatever might lead elsewhere leads to the start."""
    is_ours = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if is_ours else "/"


def sign_in_path(path: str, query: str = "") -> str:
    """Return the sign-in page that leads back here."""
    here = local(f"{path}?{query}" if query else path)
    return "/sign-in" if here == "/" else f"/sign-in?next={quote(here, safe='')}"
