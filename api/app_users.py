"""App users: who has an account in an app, in Okta's shape, with the own view of the account embedded (API.md, /apps/{id}/users)."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Controller, Request, Response, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK
from msgspec import Struct, field

from api.auth import actor_of
from api.paging import linked
from mastering import assignments
from mastering.clock import now
from mastering.provisioning import tasks
from mastering.provisioning.tasks import Sync, SyncState
from mastering.rules.people import Account
from mastering.rules.record import AccountState


class AccountView(Struct, rename="camel"):
    """The own view of an app user: the account's state as the app says it, its link, and its place in the review queue."""

    app_user_id: str
    app_id: str
    external_id: str
    user_id: str | None
    account: str
    released: bool
    ignored: bool
    situation: str | None
    last_run_id: str | None


class Provisioning(Struct, rename="camel"):
    """How the account stands in the app, of which anything has gone out: what still waits, the last error, and the app's id of it."""

    waiting: int
    error: str | None
    scim_id: str | None


class Embedded(Struct, omit_defaults=True):
    """The own views of an app user."""

    account: AccountView
    provisioning: Provisioning | None = None


class AppUser(Struct, rename="camel"):
    """An app user in Okta's shape. `id` is the user's; an account that nobody is linked to shows its own."""

    id: str
    external_id: str
    created: str
    last_updated: str
    scope: str
    status: str
    status_changed: str
    password_changed: None
    sync_state: str
    last_sync: str
    profile: dict[str, Any]
    links: dict[str, dict[str, str]] = field(name="_links")
    embedded: Embedded = field(name="_embedded")


class Assign(Struct, rename="camel"):
    """Whom to give an account, by id or login, and under which external id the app knows them."""

    id: str
    external_id: str | None = None
    profile: dict[str, Any] | None = None


class AppProfile(Struct):
    """What is corrected of an app user; credentials and scope mean nothing here and are left aside."""

    profile: dict[str, Any] = {}


def account_view(account: Account) -> AccountView:
    """An account as API.md shows it, in masters, changes and review."""
    return AccountView(
        account.id,
        account.app_id,
        account.external_id,
        account.user_id,
        account.account.value,
        account.released,
        account.ignored,
        account.situation,
        account.last_run_id,
    )


def app_user_view(request: Request[Any, Any, Any], account: Account, sync: Sync | None = None) -> AppUser:
    """An account as Okta shows it; `sync` is what has gone out about it, if anything has."""
    base = f"{str(request.base_url).rstrip('/')}/api/v1"
    links = {"app": {"href": f"{base}/apps/{account.app_id}"}}
    if account.user_id is not None:
        links["user"] = {"href": f"{base}/users/{account.user_id}"}
    provisioning = Provisioning(sync.waiting, sync.error, sync.scim_id) if sync else None
    return AppUser(
        id=account.user_id or account.id,
        external_id=account.external_id,
        created=account.created,
        last_updated=account.last_updated,
        scope="USER",
        status=_status(account),
        status_changed=account.last_updated,
        password_changed=None,
        sync_state=_sync_state(account, sync).value,
        last_sync=sync.synced or account.last_updated if sync else account.last_updated,
        profile=account.profile,
        links=links,
        embedded=Embedded(account_view(account), provisioning),
    )


def _status(account: Account) -> str:
    if account.user_id is None:
        return "MATCHED" if account.candidates else "IMPORTED"
    if account.released:
        return "UNASSIGNED"
    return "ACTIVE" if account.account is AccountState.ACTIVE else "INACTIVE"


def _sync_state(account: Account, sync: Sync | None) -> SyncState:
    """What is still to go out comes first. Without a remembered digest the last record's effect was not complete: the next import looks again."""
    if sync is not None and sync.state is not SyncState.SYNCHRONIZED:
        return sync.state
    if account.user_id is None or account.released:
        return SyncState.DISABLED
    return SyncState.OUT_OF_SYNC if account.digest is None else SyncState.SYNCHRONIZED


def _shown(request: Request[Any, Any, Any], account: Account) -> AppUser:
    return app_user_view(request, account, tasks.syncs(request.app.state.engine, [account.id]).get(account.id))


class AppUserController(Controller):
    """`/apps/{id}/users` and below."""

    path = "/api/v1/apps/{app_id:str}/users"
    tags = ("App users",)

    @get(summary="An app's users", sync_to_thread=True)
    def list_app_users(
        self,
        request: Request[Any, Any, Any],
        app_id: FromPath[str],
        after: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=500)] = 50,
    ) -> Response[list[AppUser]]:
        """Every account of the app: assigned, released and waiting."""
        found = assignments.page(request.app.state.engine, app_id, after or "", limit)
        syncs = tasks.syncs(request.app.state.engine, {account.id for account in found[:limit]})
        views = [app_user_view(request, account, syncs.get(account.id)) for account in found[:limit]]
        return linked(request, views, found[limit - 1].id if len(found) > limit else None)

    @post(status_code=HTTP_200_OK, summary="Assign a user to an app", sync_to_thread=True)
    def assign(self, request: Request[Any, Any, Any], app_id: FromPath[str], data: JSONBody[Assign]) -> AppUser:
        """Give a user an account; it has no say about the user until an import has shown it active."""
        engine, actor = request.app.state.engine, actor_of(request)
        account = assignments.assign(engine, actor, now(), app_id, data.id, external_id=data.external_id, profile=data.profile)
        return _shown(request, account)

    @get("/{user_id:str}", summary="An app user", sync_to_thread=True)
    def read_app_user(self, request: Request[Any, Any, Any], app_id: FromPath[str], user_id: FromPath[str]) -> AppUser:
        """A user's account in the app, or an account by its own id."""
        return _shown(request, assignments.read(request.app.state.engine, app_id, user_id))

    @post("/{user_id:str}", status_code=HTTP_200_OK, summary="Correct an app user", sync_to_thread=True)
    def update_app_user(
        self, request: Request[Any, Any, Any], app_id: FromPath[str], user_id: FromPath[str], data: JSONBody[AppProfile]
    ) -> AppUser:
        """Merge attributes into the app profile of an account; what imports supply is read-only."""
        engine, actor = request.app.state.engine, actor_of(request)
        return _shown(request, assignments.update(engine, actor, now(), app_id, user_id, data.profile))

    @delete("/{user_id:str}", summary="Unassign a user from an app", sync_to_thread=True)
    def unassign(self, request: Request[Any, Any, Any], app_id: FromPath[str], user_id: FromPath[str]) -> None:
        """Take the account's say away. The next master's profile counts at once; no status moves."""
        assignments.unassign(request.app.state.engine, actor_of(request), now(), app_id, user_id)
