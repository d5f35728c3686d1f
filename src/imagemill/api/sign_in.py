"""Links that sign a browser in to the page: asked for with a token, used once, and soon."""

from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec
from litestar import Request, Response, post
from litestar.datastructures import State

from imagemill.api.auth import BY_SESSION, NEEDS
from imagemill.api.jobs import GivenCaller, GivenParts
from imagemill.api.openapi import refusals
from imagemill.api.parts import Parts
from imagemill.core.errors import ForbiddenError
from imagemill.db import Caller, new_secret


class SignInLink(msgspec.Struct, frozen=True):
    """Where to go to be signed in, once. `expires_at` is null where nobody has to be (`auth = "none"`)."""

    url: str
    expires_at: datetime | None


@post(
    "/sign-in-links",
    status_code=201,
    summary="Ask for a link to the page",
    description="Whoever opens it is signed in to the page as the bearer of this token. It works once, and soon ends"
    " (`sign_in_link_s`). A browser that is signed in cannot ask for one: only a token can.",
    response_description="The link: keep it as secret as the token.",
    responses=refusals(401, 403),
    opt={NEEDS: "read"},
    tags=["tokens"],
    sync_to_thread=True,
)
def create_sign_in_link(
    request: Request[Caller, None, State], parts: GivenParts, caller: GivenCaller
) -> Response[SignInLink]:
    """Make one."""
    if request.scope["auth"] == BY_SESSION:
        raise ForbiddenError("Only a token can ask for a link, the page cannot.")
    link = sign_in_link(parts, caller.name, origin_of(request, parts))
    return Response(link, status_code=201, headers={"Cache-Control": "no-store"})


def sign_in_link(parts: Parts, token_name: str, origin: str) -> SignInLink:
    """Return a link that signs in as the bearer of the token of this name."""
    if parts.settings.auth == "none":
        return SignInLink(f"{origin}/", None)
    code = new_secret()
    ends_at = parts.store.add_code(token_name, code, parts.settings.sign_in_link_s)
    return SignInLink(f"{origin}/sign-in?code={code}", ends_at)


def origin_of(request: Request[Any, Any, Any], parts: Parts) -> str:
    """Return where the client reaches us: as it called us, by https where `public_url` says so of that name."""
    host = request.headers.get("host", "")
    public = urlsplit(parts.public_url())
    scheme = public.scheme if public.netloc.lower() == host.lower() else str(request.scope["scheme"])
    return f"{scheme}://{host}"
