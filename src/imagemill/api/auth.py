"""Who calls: a bearer token or the page's session becomes a caller, and the route says which scope it needs.

A browser sends the session's cookie along with whatever another site makes it send (CSRF). The cookie is
SameSite=Strict, and what changes something must come from a page of ours: the gate has refused a foreign Origin, and
without any the browser must say so itself. Programs have a token.
"""

import asyncio
import base64
import zlib
from typing import Any, Final

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from imagemill.api.rates import Rates, address_of
from imagemill.core.errors import ForbiddenError, UnauthorizedError
from imagemill.db import Caller, Store
from imagemill.settings import Settings

NEEDS: Final = "needs"
"""The route option that names the scope; routes under /api/v1 have `read` unless they say otherwise."""

NOTHING: Final = "nothing"
"""What a route needs that anybody may call, without a token."""

SESSION: Final = "imagemill_session"
"""What the name of the page's cookie begins with."""

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})

TAKES_BASIC: Final = "takes_basic"
"""The route option that lets a token come as the password of `Basic`, which a base URL can carry."""

_CONTAINED_IN: Final = {
    "read": frozenset({"read", "submit", "admin"}),
    "submit": frozenset({"submit", "admin"}),
    "admin": frozenset({"admin"}),
}

ANYBODY: Final = Caller(name="anybody", owner="admin", scopes=frozenset({"admin"}))
"""Who calls when `auth = "none"`, which the start refuses but on loopback."""

BY_SESSION: Final = "session"
"""By what a caller was recognised, in `scope["auth"]`: the page's cookie; None for a token."""

NOBODY: Final = Caller(name="nobody", owner="", scopes=frozenset())
"""Who calls a route that needs nothing."""


class Authentication:
    """Middleware of /api/v1: puts the caller into the scope, or answers 401; 429 for who asks too often.

    Unknown tokens of an address are counted more strictly, but its known ones are not refused for them: behind a
    reverse proxy everybody has one address. Guessing 256 random bits is hopeless in any case.
    """

    def __init__(self, app: ASGIApp, store: Store | None, rates: Rates, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._store = store
        self._rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Look the token up in a thread; the database compares hashes only."""
        scope["auth"] = None
        if scope["route_handler"].opt.get(NEEDS) == NOTHING:
            scope["user"] = NOBODY
        else:
            caller = scope["user"] = await self._caller(scope) if self._store else ANYBODY
            self._rates.of_tokens.count(caller.name, "with this token")
        await self._app(scope, receive, send)

    async def _caller(self, scope: Scope) -> Caller:
        takes_basic = bool(scope["route_handler"].opt.get(TAKES_BASIC))
        token = _token([value for name, value in scope["headers"] if name == b"authorization"], takes_basic=takes_basic)
        if token is None and (session := session_of(scope, self._settings)):
            return await self._signed_in(scope, session)
        caller = await asyncio.to_thread(self._store.caller, token) if self._store and token else None
        if caller is None:
            self._rates.of_failures.count(address_of(scope), "without a known token")
        if token is None:
            raise UnauthorizedError("Send the header `Authorization: Bearer <token>`.")
        if caller is None:
            raise UnauthorizedError("This token is not known here: `imagemill token create` makes one that is.")
        return caller

    async def _signed_in(self, scope: Scope, session: str) -> Caller:
        """Return whose session it is. One that has ended is no guess, and is not counted as one."""
        caller = await asyncio.to_thread(self._store.signed_in, session) if self._store else None
        if caller is None:
            raise UnauthorizedError("You are not signed in any more: sign in again.")
        if scope.get("method") not in SAFE and not _comes_from_us(scope):
            raise ForbiddenError("This does not come from the page. Programs send a token, not the page's cookie.")
        scope["auth"] = BY_SESSION
        return caller


def demand_scope(connection: ASGIConnection[BaseRouteHandler, Caller, None, State], handler: BaseRouteHandler) -> None:
    """Guard: refuse a caller whose token lacks the scope the route needs."""
    needed = str(handler.opt.get(NEEDS, "admin"))
    if needed != NOTHING and not connection.user.scopes & _CONTAINED_IN[needed]:
        message = f"This needs a token with the scope `{needed}`."
        raise ForbiddenError(message)


def provide_caller(request: Request[Caller, None, State]) -> Caller:
    """Give a route its caller."""
    return request.user


def session_name(settings: Settings) -> str:
    """Return the name of the page's cookie. Cookies do not tell ports apart, and a machine may have several of us.

    Servers behind one public name share their sessions, whatever the port of each.
    """
    if settings.database.url is None or settings.public_url is None:
        return f"{SESSION}_{settings.port}"
    return f"{SESSION}_{zlib.crc32(settings.public_url.encode()):08x}"


def session_of(scope: Scope, settings: Settings) -> str | None:
    """Return the session that the page's cookie carries."""
    return Request[Any, Any, Any](scope).cookies.get(session_name(settings)) or None


def _comes_from_us(scope: Scope) -> bool:
    """Say whether a page of ours sends this. Whether an Origin is ours was the gate's question."""
    headers = dict(scope["headers"])
    return b"origin" in headers or headers.get(b"sec-fetch-site") == b"same-origin"


def _token(headers: list[bytes], *, takes_basic: bool) -> str | None:
    if len(headers) != 1:
        return None
    scheme, _, token = headers[0].decode("latin-1").partition(" ")
    if takes_basic and scheme.lower() == "basic":
        return _password(token) or None
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def _password(credentials: str) -> str:
    """Return the password of `Basic` (RFC 7617), nothing where it cannot be read."""
    try:
        return base64.b64decode(credentials.strip(), validate=True).decode().partition(":")[2]
    except ValueError:
        return ""
