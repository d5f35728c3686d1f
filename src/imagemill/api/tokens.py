"""Tokens over HTTP: who may call. A token is shown once, when it is made; what is kept is its hash."""

from typing import Annotated, Literal

import msgspec
from litestar import Response, delete, get, post
from litestar.params import FromPath, JSONBody

from imagemill.api.auth import NEEDS
from imagemill.api.jobs import GivenParts
from imagemill.api.openapi import refusals
from imagemill.db import Name, TokenInfo, new_token

Scope = Literal["admin", "submit", "read"]


class NewToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token that is wanted. `owner` is whose jobs it makes and sees: by default the token's own name."""

    name: Name
    scopes: Annotated[tuple[Scope, ...], msgspec.Meta(min_length=1)] = ("submit",)
    owner: Name | None = None


class CreatedToken(TokenInfo, frozen=True, kw_only=True):
    """A new token. `token` is shown here and never again."""

    token: str


class TokenList(msgspec.Struct, frozen=True):
    """All tokens, by name."""

    tokens: list[TokenInfo]


@get(
    "/tokens",
    summary="List tokens",
    description="Names, scopes and owners; never the tokens themselves.",
    responses=refusals(401, 403),
    opt={NEEDS: "admin"},
    tags=["tokens"],
    sync_to_thread=True,
)
def list_tokens(parts: GivenParts) -> TokenList:
    """List them."""
    return TokenList(parts.store.tokens())


@post(
    "/tokens",
    status_code=201,
    summary="Make a token",
    description="`admin` may do everything and sees all jobs; `submit` makes jobs of its owner, `read` only looks.",
    response_description="The token, shown this once.",
    responses=refusals(400, 401, 403, 422, name_taken=(409, "There is a token of this name.")),
    opt={NEEDS: "admin"},
    tags=["tokens"],
    sync_to_thread=True,
)
def create_token(parts: GivenParts, data: JSONBody[NewToken]) -> Response[CreatedToken]:
    """Make one."""
    token = new_token()
    made = parts.store.create_token(data.name, token, scopes=frozenset(data.scopes), owner=data.owner or data.name)
    shown = CreatedToken(made.name, made.scopes, made.owner, made.created_at, token=token)
    return Response(shown, status_code=201, headers={"Cache-Control": "no-store"})


@delete(
    "/tokens/{name:str}",
    summary="Revoke a token",
    description="It is refused from the next request on. The appliance's own, `first`, cannot be revoked.",
    responses=refusals(401, 403, not_found=(404, "There is no such token, or it is the appliance's own.")),
    opt={NEEDS: "admin"},
    tags=["tokens"],
    sync_to_thread=True,
)
def revoke_token(parts: GivenParts, name: FromPath[str]) -> None:
    """Forget one."""
    parts.store.revoke_token(name)
