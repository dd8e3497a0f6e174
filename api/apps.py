"""Apps, in Okta's shape (API.md, /apps). Of an app's fields the generic ones are kept; what is an app type's own stays in its settings.

Okta's clients send whole app objects. What means nothing here (visibility, credentials, …) is left aside; what the service decides
itself (status, features) is shown and not taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from litestar import Controller, Request, Response, delete, get, post, put
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK
from msgspec import UNSET, Struct, UnsetType, field

from api.auth import actor_of, importable_apps, require_app
from api.filters import filtered
from api.paging import linked
from mastering.catalog import apps
from mastering.clock import now
from mastering.rules.filters import Property, Vocabulary
from mastering.store.catalog import WantedApps, policy_of, provisioning_of
from mastering.store.documents import load
from mastering.store.tables import App, AppStatus

_PAGE = 200
_EQ = frozenset({"eq"})
_FILTERED: Mapping[str, Property] = {
    "id": Property("exact", _EQ),
    "name": Property("exact", _EQ),
    "status": Property("exact", _EQ, frozenset(AppStatus.__members__)),
}
_VOCABULARY = Vocabulary(_FILTERED.get, f"{', '.join(_FILTERED)} can be", denies=False)


class SignOnMode(StrEnum):
    """Okta's sign-on modes. Nobody signs on here; clients tell kinds of apps apart by it."""

    AUTO_LOGIN = "AUTO_LOGIN"
    BASIC_AUTH = "BASIC_AUTH"
    BOOKMARK = "BOOKMARK"
    BROWSER_PLUGIN = "BROWSER_PLUGIN"
    OPENID_CONNECT = "OPENID_CONNECT"
    SAML_1_1 = "SAML_1_1"
    SAML_2_0 = "SAML_2_0"
    SECURE_PASSWORD_STORE = "SECURE_PASSWORD_STORE"  # noqa: S105 - a mode's name
    WS_FEDERATION = "WS_FEDERATION"


_NAMES: Mapping[SignOnMode, str] = {
    SignOnMode.BASIC_AUTH: "template_basic_auth",
    SignOnMode.BROWSER_PLUGIN: "template_swa",
    SignOnMode.OPENID_CONNECT: "oidc_client",
    SignOnMode.SECURE_PASSWORD_STORE: "template_sps",
    SignOnMode.WS_FEDERATION: "template_wsfed",
}
"""What Okta calls the kinds of apps that clients know by name, where nobody has named one; the others are bookmarks."""


class AppForm(Struct, rename="camel"):
    """What is taken of an app: its label, and, if they are given, its kind and its settings."""

    label: str
    name: str | None = None
    sign_on_mode: SignOnMode = SignOnMode.BOOKMARK
    settings: dict[str, Any] = {}


class AppView(Struct, rename="camel"):
    """An app in Okta's shape. Clients insist on an OpenID Connect app's client id; there is no secret to it here."""

    id: str
    name: str
    label: str
    status: AppStatus
    created: str
    last_updated: str
    sign_on_mode: str
    features: list[str]
    accessibility: dict[str, Any]
    visibility: dict[str, Any]
    settings: dict[str, Any]
    links: dict[str, dict[str, str]] = field(name="_links")
    credentials: dict[str, Any] | UnsetType = UNSET


class AppController(Controller):
    """`/apps` and an app's lifecycle."""

    path = "/api/v1/apps"
    tags = ("Apps",)

    @get(summary="Apps", sync_to_thread=True)
    def list_apps(
        self,
        request: Request[Any, Any, Any],
        *,
        q: FromQuery[str | None] = None,
        filter: FromQuery[str | None] = None,
        after: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=_PAGE)] = _PAGE,
    ) -> Response[list[AppView]]:
        """Apps by the beginning of name or label, or by a filter of `id`, `status` and `name`; an importer sees those it may import."""
        found = apps.page(request.app.state.engine, _wanted(request, q, filter), after or "", limit)
        views = [app_view(request, app) for app in found[:limit]]
        return linked(request, views, views[-1].id if len(found) > limit else None)

    @post(status_code=HTTP_200_OK, summary="Create an app", sync_to_thread=True)
    def create_app(self, request: Request[Any, Any, Any], data: JSONBody[AppForm], activate: FromQuery[bool] = True) -> AppView:
        """A new app, active unless `activate=false`, with the default import policy and a mapping of like-named attributes."""
        return app_view(request, apps.create(request.app.state.engine, actor_of(request), now(), _form(data), activate=activate))

    @get("/{app_id:str}", summary="An app", sync_to_thread=True)
    def read_app(self, request: Request[Any, Any, Any], app_id: FromPath[str]) -> AppView:
        """One app."""
        require_app(request, app_id)
        return app_view(request, apps.read(request.app.state.engine, app_id))

    @put("/{app_id:str}", summary="Replace an app", sync_to_thread=True)
    def replace_app(self, request: Request[Any, Any, Any], app_id: FromPath[str], data: JSONBody[AppForm]) -> AppView:
        """Replace name, label, sign-on mode and settings."""
        return app_view(request, apps.update(request.app.state.engine, actor_of(request), now(), app_id, _form(data)))

    @delete("/{app_id:str}", summary="Delete an app", sync_to_thread=True)
    def delete_app(self, request: Request[Any, Any, Any], app_id: FromPath[str]) -> None:
        """Delete an inactive app with its accounts and runs. The history stays."""
        apps.delete(request.app.state.engine, actor_of(request), now(), app_id)

    @post("/{app_id:str}/lifecycle/activate", status_code=HTTP_200_OK, summary="Activate an app", sync_to_thread=True)
    def activate(self, request: Request[Any, Any, Any], app_id: FromPath[str]) -> dict[str, Any]:
        """Switch an app on. An enabled master ranks last."""
        apps.set_status(request.app.state.engine, actor_of(request), now(), app_id, AppStatus.ACTIVE)
        return {}

    @post("/{app_id:str}/lifecycle/deactivate", status_code=HTTP_200_OK, summary="Deactivate an app", sync_to_thread=True)
    def deactivate(self, request: Request[Any, Any, Any], app_id: FromPath[str]) -> dict[str, Any]:
        """Switch an app off: it is not imported and ranks nowhere. No user's status moves."""
        apps.set_status(request.app.state.engine, actor_of(request), now(), app_id, AppStatus.INACTIVE)
        return {}


def app_view(request: Request[Any, Any, Any], app: App) -> AppView:
    """An app as Okta shows it."""
    base = f"{str(request.base_url).rstrip('/')}/api/v1/apps/{app.id}"
    act = "deactivate" if app.status is AppStatus.ACTIVE else "activate"
    return AppView(
        id=app.id,
        name=app.name,
        label=app.label,
        status=app.status,
        created=app.created,
        last_updated=app.last_updated,
        sign_on_mode=app.sign_on_mode,
        features=_features(app),
        accessibility={"selfService": False, "errorRedirectUrl": None, "loginRedirectUrl": None},
        visibility={"autoSubmitToolbar": False, "hide": {"iOS": True, "web": True}},
        settings=load(app.settings),
        credentials={"oauthClient": {"client_id": app.id}} if app.sign_on_mode == SignOnMode.OPENID_CONNECT else UNSET,
        links={
            "self": {"href": base},
            "users": {"href": f"{base}/users"},
            act: {"href": f"{base}/lifecycle/{act}"},
        },
    )


def _features(app: App) -> list[str]:
    mastering = policy_of(app).mastering
    found = ["IMPORT_NEW_USERS", "IMPORT_PROFILE_UPDATES"]
    if mastering.enabled:
        found.append("PROFILE_MASTERING")
    if mastering.reactivate_suspended or mastering.reactivate_deactivated:
        found.append("REACTIVATE_USERS")
    outbound = provisioning_of(app)
    pushed = {
        "PUSH_NEW_USERS": outbound.create_users,
        "PUSH_PROFILE_UPDATES": outbound.update_attributes,
        "PUSH_USER_DEACTIVATION": outbound.deactivate_users,
        "PUSH_PASSWORD_UPDATES": outbound.password.enabled,
    }
    return found + [name for name, on in pushed.items() if on]


def _form(data: AppForm) -> apps.Form:
    return apps.Form(data.label, data.name or _NAMES.get(data.sign_on_mode, "bookmark"), data.sign_on_mode.value, data.settings)


def _wanted(request: Request[Any, Any, Any], q: str | None, expression: str | None) -> WantedApps:
    allowed = importable_apps(request)
    among = None if allowed is None else frozenset(allowed)
    node = None if expression is None else filtered("filter", expression, _VOCABULARY)
    return WantedApps(starts_with=q, filter=node, among=among)
