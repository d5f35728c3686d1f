"""Signing in to the page, by a link that works once or by a token; and out."""

from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter, SkipValidation, URLEncodedBody

from imagemill.api.auth import NEEDS, NOTHING, session_name, session_of
from imagemill.api.rates import Rates, address_of
from imagemill.api.sign_in import origin_of
from imagemill.db import new_secret
from imagemill.web.view import GivenView, View, local, see_other

GivenRates = NamedDependency[SkipValidation[Rates]]
Next = Annotated[str, QueryParameter(name="next", max_length=2000)]

_ELSEWHERE: Final = frozenset({"cross-site", "same-site"})
"""Pages of others may lead here, also to who does not want to be signed in as somebody else: they are asked."""

_USED: Final = "This link does not work: it was used already, or is too old. Ask for a new one."
_UNKNOWN: Final = "This token is not known here. Look whether all of it was copied."


class SignIn(msgspec.Struct, frozen=True):
    """The forms: by a token, or by the code of a link."""

    token: str = ""
    code: str = ""
    next: str = "/"


@get("/sign-in", opt={NEEDS: NOTHING}, sync_to_thread=True)
def show_sign_in(
    view: GivenView, rates: GivenRates, code: FromQuery[str | None] = None, after: Next = "/"
) -> Response[str]:
    """Sign in by a link, or ask for a token."""
    if view.parts.settings.auth == "none":
        return see_other("/")
    if code is None:
        return view.page("sign_in.html", after=local(after), fault="")
    if view.request.headers.get("sec-fetch-site") in _ELSEWHERE:
        return view.page("sign_in_link.html", code=code, after=local(after))
    return _by_link(view, rates, code, local(after))


@post("/sign-in", opt={NEEDS: NOTHING}, request_max_body_size=16 * 1024, sync_to_thread=True)
def sign_in(view: GivenView, rates: GivenRates, data: URLEncodedBody[SignIn]) -> Response[str]:
    """Sign in by a token, or by a link's code."""
    if data.code:
        return _by_link(view, rates, data.code, local(data.next))
    session = new_secret()
    if view.parts.store.begin_session(data.token.strip(), session, view.parts.settings.session_s):
        return _signed_in(view, session, local(data.next))
    rates.of_failures.count(address_of(view.request.scope), "without a known token")
    return view.page("sign_in.html", 401, after=local(data.next), fault=_UNKNOWN)


@post("/sign-out", opt={NEEDS: NOTHING}, sync_to_thread=True)
def sign_out(view: GivenView) -> Response[str]:
    """End the session, whoever's it is: who has it may end it."""
    if session := session_of(view.request.scope, view.parts.settings):
        view.parts.store.end_session(session)
    answer = see_other("/sign-in")
    answer.delete_cookie(session_name(view.parts.settings), path="/")
    return answer


def _by_link(view: View, rates: Rates, code: str, path: str) -> Response[str]:
    session = new_secret()
    if view.parts.store.use_code(code, session, view.parts.settings.session_s):
        return _signed_in(view, session, path)
    rates.of_failures.count(address_of(view.request.scope), "with a link that does not work")
    return view.page("sign_in.html", 401, after="/", fault=_USED)


def _signed_in(view: View, session: str, path: str) -> Response[str]:
    answer = see_other(path)
    answer.set_cookie(_cookie(view.request, view, session))
    return answer


def _cookie(request: Request[Any, Any, Any], view: View, session: str) -> Cookie:
    return Cookie(
        key=session_name(view.parts.settings),
        value=session,
        path="/",
        max_age=view.parts.settings.session_s,
        httponly=True,
        samesite="strict",
        secure=origin_of(request, view.parts).startswith("https:"),
    )
