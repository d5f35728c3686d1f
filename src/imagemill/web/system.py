"""System: how the appliance is, what is set, who may call, whom it calls back, and the pause of everything."""

from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, URLEncodedBody

from imagemill.api.auth import NEEDS
from imagemill.api.system import system_of
from imagemill.core.errors import ImagemillError
from imagemill.db import FIRST, checked_name, new_token
from imagemill.settings import Described, Loaded, describe
from imagemill.web.view import GivenView, View, see_other

DELIVERIES: Final = 20
PARTS: Final = {
    "database": "Database",
    "storage": "Storage",
    "workers": "Workers",
    "disk": "Disk space",
    "pressure": "Queue",
}
"""What people call what /readyz names."""

SCOPES: Final = {
    "read": "Look: see jobs and pictures",
    "submit": "Submit: make jobs, pause, cancel, delete",
    "admin": "Everything, of all owners",
}


class TokenOrder(msgspec.Struct, frozen=True):
    """The form that makes a token."""

    name: str
    scope: Literal["read", "submit", "admin"] = "submit"
    owner: str = ""


class TrialForm(msgspec.Struct, frozen=True):
    """The form that tries a callback."""

    url: Annotated[str, msgspec.Meta(max_length=2048)]


@get("/system", sync_to_thread=True)
def show_system_page(view: GivenView) -> Response[str]:
    """Show it."""
    admin = {"sections": _sections(view), **_tokens(view)} if view.is_admin else {}
    return view.page("system.html", **_now(view), **_deliveries(view), **admin)


@get("/system/state", sync_to_thread=True)
def show_state(view: GivenView) -> Response[str]:
    """Show how it is, for the head of every page."""
    return view.page("state.html")


@get("/system/now", sync_to_thread=True)
def show_now(view: GivenView) -> Response[str]:
    """Show the numbers of this moment."""
    return view.page("system_now.html", **_now(view))


@get("/system/deliveries", sync_to_thread=True)
def show_deliveries(view: GivenView) -> Response[str]:
    """Show the newest callbacks."""
    return view.page("system_deliveries.html", **_deliveries(view))


@post("/system/pause", opt={NEEDS: "admin"}, sync_to_thread=True)
def pause_everything(view: GivenView) -> Response[str]:
    """Pause."""
    view.parts.pipeline.verbs.pause_all()
    return see_other("/system")


@post("/system/resume", opt={NEEDS: "admin"}, sync_to_thread=True)
def resume_everything(view: GivenView) -> Response[str]:
    """Go on."""
    view.parts.pipeline.verbs.resume_all()
    return see_other("/system")


@post("/system/tokens", status_code=200, opt={NEEDS: "admin"}, sync_to_thread=True)
def make_token(view: GivenView, data: URLEncodedBody[TokenOrder]) -> Response[str]:
    """Make a token, and show it this once."""
    token = new_token()
    try:
        name, owner = checked_name(data.name.strip()), checked_name(data.owner.strip() or data.name.strip())
        view.parts.store.create_token(name, token, scopes=frozenset({data.scope}), owner=owner)
    except ImagemillError as error:
        return view.page("system_tokens.html", **_tokens(view, order=data, fault=_words(error)))
    return view.page("system_tokens.html", **_tokens(view, made=token, made_name=name))


@post("/system/tokens/{name:str}/revoke", status_code=200, opt={NEEDS: "admin"}, sync_to_thread=True)
def forget_token(view: GivenView, name: FromPath[str]) -> Response[str]:
    """Revoke one."""
    view.parts.store.revoke_token(name)
    return view.page("system_tokens.html", **_tokens(view, gone=name))


@post("/system/callback", status_code=200, opt={NEEDS: "submit"}, sync_to_thread=True)
def call_for_trial(view: GivenView, data: URLEncodedBody[TrialForm]) -> Response[str]:
    """Try a callback, and show what was sent and what came back."""
    try:
        trial = view.parts.pipeline.try_callback(data.url.strip(), None)
    except ImagemillError as error:
        return view.page("system_trial.html", trial=None, fault=_words(error))
    return view.page("system_trial.html", trial=trial, fault="")


def _now(view: View) -> dict[str, Any]:
    return {"system": system_of(view.parts), "part_names": PARTS}


def _deliveries(view: View) -> dict[str, Any]:
    return {"deliveries": view.parts.store.recent_deliveries(DELIVERIES, view.caller.sees_only)}


def _tokens(view: View, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - what the template shows
    shown = {"order": TokenOrder(""), "fault": "", "made": "", "made_name": "", "gone": ""}
    return {"tokens": view.parts.store.tokens(), "first": FIRST, "scopes": SCOPES, **shown, **more}


def _sections(view: View) -> dict[str, list[Described]]:
    """Return the settings in force by section: first, once more, what was changed, then those without a section."""
    rows = describe(Loaded(view.parts.settings, dict(view.parts.origins)))
    changed = [row for row in rows if row.origin != "default"]
    found = {"changed": changed} if changed else {}
    for row in rows:
        found.setdefault(row.name.rpartition(".")[0] or "general", []).append(row)
    return found


def _words(error: ImagemillError) -> str:
    messages = [message.rstrip(".") for _, message in getattr(error, "errors", None) or []]
    sentence = ": ".join([error.detail.rstrip("."), *messages[:1]])
    return f"{sentence[:1].upper()}{sentence[1:]}."


ROUTES: Final[list[HTTPRouteHandler]] = [
    show_system_page,
    show_state,
    show_now,
    show_deliveries,
    pause_everything,
    resume_everything,
    make_token,
    forget_token,
    call_for_trial,
]
