"""API integration, in Okta's shape (API.md, /apps/{id}/connections/default).

Okta publishes the connections of a few of its own apps: a token, or an OAuth 2.0 client without its secret. What a SCIM server of anybody's
needs besides is ours: `method`, the fields of each method, `caCertificate`, `allowHttp`, `secretReplaced`, and the test.

=====================  ============  =====================================================================
`method`               authScheme    fields of `profile`
=====================  ============  =====================================================================
HEADER (default)       TOKEN         `token`; `header` (Authorization) and `prefix` (Bearer)
BASIC                  TOKEN         `username`, `password`
CLIENT_CREDENTIALS     OAUTH2        `clientId`, `clientSecret`, `tokenUrl`; `scope`, `clientAuthentication`
=====================  ============  =====================================================================

`token`, `password` and `clientSecret` are taken and never shown. What a request leaves out stays as it is.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from litestar import Controller, Request, get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK, HTTP_204_NO_CONTENT
from msgspec import UNSET, Struct, UnsetType, field

from api.auth import actor_of
from mastering import connections, trial
from mastering.clock import now
from mastering.errors import Invalid
from mastering.provisioning import tasks
from mastering.store.connections import Connection, Method, terms_of
from mastering.trial import State, Step


class AuthScheme(StrEnum):
    """Okta's ways of authentication; UNKNOWN while there is no connection."""

    TOKEN = "TOKEN"  # noqa: S105 - a scheme's name
    OAUTH2 = "OAUTH2"
    UNKNOWN = "UNKNOWN"


class ConnectionStatus(StrEnum):
    """Whether the connection is used; UNKNOWN while there is none."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"
    UNKNOWN = "UNKNOWN"


class ClientAuthentication(StrEnum):
    """How a client shows its secret to the token server: in a Basic header, or in the form."""

    BASIC = "BASIC"
    POST = "POST"


class _Form(Struct, rename="camel", forbid_unknown_fields=True):
    """A part of a request. What is left out stays as it is; null takes it away."""


class ConnectionProfileForm(_Form):
    """How the service is to prove who it is."""

    auth_scheme: AuthScheme | UnsetType = UNSET
    method: Method | UnsetType = UNSET
    token: str | None = None
    header: str | UnsetType = UNSET
    prefix: str | UnsetType = UNSET
    username: str | UnsetType = UNSET
    password: str | None = None
    client_id: str | UnsetType = UNSET
    client_secret: str | None = None
    token_url: str | UnsetType = UNSET
    scope: str | UnsetType | None = UNSET
    client_authentication: ClientAuthentication | UnsetType = UNSET


class ConnectionForm(_Form):
    """What is taken of a connection."""

    profile: ConnectionProfileForm
    base_url: str | None = None
    ca_certificate: str | UnsetType | None = UNSET
    allow_http: bool | UnsetType = UNSET


class ConnectionProfile(Struct, rename="camel", omit_defaults=True):
    """How the service proves who it is, without the secret."""

    auth_scheme: AuthScheme
    method: Method | None = None
    header: str | None = None
    prefix: str | None = None
    username: str | None = None
    client_id: str | None = None
    token_url: str | None = None
    scope: str | None = None
    client_authentication: ClientAuthentication | None = None


class ConnectionView(Struct, rename="camel", omit_defaults=True):
    """A connection in Okta's shape, and what is ours."""

    profile: ConnectionProfile
    status: ConnectionStatus
    links: dict[str, dict[str, Any]] = field(name="_links")
    auth_scheme: AuthScheme | None = None
    base_url: str | None = None
    ca_certificate: str | None = None
    allow_http: bool = False
    secret_replaced: str | None = None
    created: str | None = None
    last_updated: str | None = None


class TestStep(Struct):
    """What came of one step, and what to do about it."""

    step: Step
    state: State
    detail: str
    remedy: str | None


class TestReport(Struct):
    """What works and what does not. `ok`: the app can be imported and pushed to."""

    ok: bool
    steps: list[TestStep]


class ConnectionController(Controller):
    """`/apps/{id}/connections/default`, its lifecycle, and its test."""

    path = "/api/v1/apps/{app_id:str}/connections/default"
    tags = ("App connections",)

    @get(summary="An app's connection", sync_to_thread=True)
    def read_connection(self, request: Request[Any, Any, Any], app_id: FromPath[str]) -> ConnectionView:
        """Where the app's own server is and how it is spoken to. While there is none, its status is UNKNOWN."""
        return _view(request, app_id, connections.read(request.app.state.engine, app_id))

    @post(status_code=HTTP_200_OK, summary="Set or change an app's connection", sync_to_thread=True)
    def save_connection(
        self,
        request: Request[Any, Any, Any],
        app_id: FromPath[str],
        data: JSONBody[ConnectionForm],
        activate: Annotated[bool, QueryParameter()] = False,
    ) -> ConnectionView:
        """Keep what is said. A secret that is not said stays, where it goes to the same place; replacing it loses nothing that waits."""
        state = request.app.state
        known = connections.read(state.engine, app_id)
        form = _form(data, known)
        row = connections.save(state.engine, state.vault, actor_of(request), now(), app_id, form, activate=activate)
        return _view(request, app_id, row)

    @post("/lifecycle/activate", status_code=HTTP_204_NO_CONTENT, summary="Activate an app's connection", sync_to_thread=True)
    def activate(self, request: Request[Any, Any, Any], app_id: FromPath[str]) -> None:
        """Let imports and pushes use the connection."""
        connections.set_enabled(request.app.state.engine, actor_of(request), now(), app_id, enabled=True)

    @post("/lifecycle/deactivate", status_code=HTTP_204_NO_CONTENT, summary="Deactivate an app's connection", sync_to_thread=True)
    def deactivate(self, request: Request[Any, Any, Any], app_id: FromPath[str]) -> None:
        """Do not call the app's server. What waits for it goes on waiting."""
        connections.set_enabled(request.app.state.engine, actor_of(request), now(), app_id, enabled=False)

    @post("/test", status_code=HTTP_200_OK, summary="Try an app's connection", sync_to_thread=True)
    def test(self, request: Request[Any, Any, Any], app_id: FromPath[str]) -> TestReport:
        """Say step by step what works: the way there, TLS, the credentials, reading users, and what the server can do. Nothing is changed;
        where it works, what waits for the app goes on.
        """
        found = trial.try_connection(request.app.state.peers, app_id)
        if trial.works(found):
            tasks.resume(request.app.state.engine, actor_of(request), now(), app_id)
        return TestReport(trial.works(found), [TestStep(one.step, one.state, one.detail, one.remedy) for one in found])


def _view(request: Request[Any, Any, Any], app_id: str, row: Connection | None) -> ConnectionView:
    base = f"{str(request.base_url).rstrip('/')}/api/v1/apps/{app_id}/connections/default"
    links: dict[str, dict[str, Any]] = {"self": {"href": base, "hints": {"allow": ["GET", "POST"]}}}
    if row is None:
        return ConnectionView(ConnectionProfile(AuthScheme.UNKNOWN), ConnectionStatus.UNKNOWN, links)
    act = "deactivate" if row.enabled else "activate"
    links[act] = {"href": f"{base}/lifecycle/{act}", "hints": {"allow": ["POST"]}}
    profile, terms = _profile_view(row), terms_of(row)
    return ConnectionView(
        profile=profile,
        status=ConnectionStatus.ENABLED if row.enabled else ConnectionStatus.DISABLED,
        links=links,
        auth_scheme=AuthScheme.TOKEN if profile.auth_scheme is AuthScheme.TOKEN else None,
        base_url=row.base_url,
        ca_certificate=terms.authority,
        allow_http=terms.allow_http,
        secret_replaced=row.secret_at,
        created=row.created,
        last_updated=row.last_updated,
    )


def _profile_view(row: Connection) -> ConnectionProfile:
    terms = terms_of(row)
    if row.method is Method.HEADER:
        return ConnectionProfile(AuthScheme.TOKEN, row.method, header=terms.header, prefix=terms.prefix)
    if row.method is Method.BASIC:
        return ConnectionProfile(AuthScheme.TOKEN, row.method, username=terms.username)
    shown = ClientAuthentication.POST if terms.secret_in_body else ClientAuthentication.BASIC
    return ConnectionProfile(
        AuthScheme.OAUTH2,
        row.method,
        client_id=terms.client_id,
        token_url=terms.token_url,
        scope=terms.scope,
        client_authentication=shown,
    )


# -- what is said ---------------------------------------------------------------------------------------------------------

_SCHEMES = {Method.HEADER: AuthScheme.TOKEN, Method.BASIC: AuthScheme.TOKEN, Method.CLIENT_CREDENTIALS: AuthScheme.OAUTH2}
_MARKS: dict[Method, tuple[str, ...]] = {
    Method.HEADER: ("token", "header", "prefix"),
    Method.BASIC: ("username", "password"),
    Method.CLIENT_CREDENTIALS: ("client_id", "client_secret", "token_url", "scope", "client_authentication"),
}
_SECRETS = {Method.HEADER: "token", Method.BASIC: "password", Method.CLIENT_CREDENTIALS: "client_secret"}


def _form(data: ConnectionForm, known: Connection | None) -> connections.Form:
    """What the body says; raises `Invalid` where it does not fit together."""
    said = data.profile
    method = _method(said, known)
    secrets = {name for name in _SECRETS.values() if getattr(said, name) is not None}
    strange = secrets - {_SECRETS[method]}
    if strange:
        told = [f"profile.{_camel(name)}: does not go with the method {method}" for name in sorted(strange)]
        raise Invalid("Api validation failed: provisioningConnection", *told)
    terms: dict[str, Any] = {
        name: getattr(said, name)
        for name in ("header", "prefix", "username", "client_id", "token_url", "scope")
        if getattr(said, name) is not UNSET
    }
    if said.client_authentication is not UNSET:
        terms["secret_in_body"] = said.client_authentication is ClientAuthentication.POST
    if data.ca_certificate is not UNSET:
        terms["authority"] = data.ca_certificate
    if data.allow_http is not UNSET:
        terms["allow_http"] = data.allow_http
    return connections.Form(data.base_url, method, terms, getattr(said, _SECRETS[method]))


def _method(said: ConnectionProfileForm, known: Connection | None) -> Method:
    """The method that is meant: named, or told by Okta's scheme and by the fields that only one of them has."""
    if said.auth_scheme is AuthScheme.UNKNOWN:
        raise Invalid("Api validation failed: provisioningConnection", "profile.authScheme: must be TOKEN or OAUTH2")
    meant = said.method
    if isinstance(meant, UnsetType):
        fitting = [method for method in Method if said.auth_scheme in {UNSET, _SCHEMES[method]}]
        marked = [method for method in fitting if any(getattr(said, name) not in {UNSET, None} for name in _MARKS[method])]
        stays = [known.method] if known is not None and known.method in fitting else []
        meant = (marked or stays or fitting)[0]
    if said.auth_scheme not in {UNSET, _SCHEMES[meant]}:
        raise Invalid(
            "Api validation failed: provisioningConnection", f"profile.authScheme: must be {_SCHEMES[meant]} for the method {meant}"
        )
    return meant


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)
