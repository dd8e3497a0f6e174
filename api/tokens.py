"""Access tokens (API.md, /tokens). A token is shown once, in the answer to its making."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Controller, Request, Response, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.status_codes import HTTP_201_CREATED
from msgspec import Struct, field

from api.auth import actor_of
from api.paging import linked
from mastering import tokens
from mastering.clock import now
from mastering.store.documents import load
from mastering.store.tables import Role, Token

_PAGE = 200


class NewToken(Struct, forbid_unknown_fields=True):
    """A token to be made. `apps`, by id, are what an importer may import, and belong to no other role."""

    name: str
    role: Role
    apps: list[str] = field(default_factory=list)


class TokenView(Struct, rename="camel"):
    """A token without what it is. Its last use is known to ten minutes."""

    id: str
    name: str
    role: Role
    apps: list[str]
    created: str
    last_used: str | None
    revoked: str | None


class IssuedToken(TokenView, kw_only=True):
    """A token just made: keep what it is, it is not shown again."""

    token: str


class TokenController(Controller):
    """`/tokens`."""

    path = "/api/v1/tokens"
    tags = ("Tokens",)

    @get(summary="Tokens", sync_to_thread=True)
    def list_tokens(
        self,
        request: Request[Any, Any, Any],
        after: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=_PAGE)] = _PAGE,
    ) -> Response[list[TokenView]]:
        """All tokens, revoked ones included."""
        found = tokens.page(request.app.state.engine, after or "", limit)
        views = [TokenView(*_fields(token)) for token in found[:limit]]
        return linked(request, views, views[-1].id if len(found) > limit else None)

    @post(status_code=HTTP_201_CREATED, summary="Make a token", sync_to_thread=True)
    def create_token(self, request: Request[Any, Any, Any], data: JSONBody[NewToken]) -> IssuedToken:
        """A new token. This answer is the only place where it is shown."""
        issued = tokens.create(request.app.state.engine, actor_of(request), now(), data.name, data.role, apps=data.apps)
        return IssuedToken(*_fields(issued.token), token=issued.secret)

    @delete("/{token_id:str}", summary="Revoke a token", sync_to_thread=True)
    def revoke_token(self, request: Request[Any, Any, Any], token_id: FromPath[str]) -> None:
        """Make a token worthless at once."""
        tokens.revoke(request.app.state.engine, actor_of(request), now(), token_id)


def _fields(token: Token) -> tuple[str, str, Role, list[str], str, str | None, str | None]:
    return token.id, token.name, token.role, load(token.apps), token.created, token.last_used, token.revoked
