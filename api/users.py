"""Users: the directory's own resource, in Okta's shape (API.md, /users).

`POST /users/{id}` merges and `PUT` replaces; the first `DELETE` deactivates and the second deletes. Fields that Okta's clients send along
and that mean nothing here, such as an identity provider, are left aside.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from litestar import Controller, Request, Response, delete, get, post, put
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK
from msgspec import UNSET, Meta, Struct, UnsetType, field

from api.auth import actor_of
from api.filters import Asked, Direction, cursor_from, cursor_text, statuses_by, wanted_by
from api.instants import Instant, zoned
from api.paging import linked
from api.preconditions import etag, expected
from mastering import asof, users
from mastering.clock import now, wire
from mastering.holds import Terms
from mastering.outgoing import Seal
from mastering.rules.expressions import Value
from mastering.rules.lifecycle import OKTA_STATUS, Status, Trigger, may
from mastering.rules.people import Hold
from mastering.rules.people import User as Person
from mastering.store.catalog import USER_TYPE_ID
from mastering.users import Act
from mastering.vault import Vault

_PAGE = 200
_PEOPLE_PICKER = 10
"""What Okta answers to `q` without a limit."""
_LONGEST_PASSWORD = 128


class HoldView(Struct, rename="camel"):
    """An admin hold: why, until when (null: until it is lifted), since when, and who set it."""

    reason: str
    until: str | None
    since: str
    by: str


class User(Struct, rename="camel"):
    """A user in Okta's shape."""

    id: str
    status: str
    created: str
    activated: str | None
    status_changed: str | None
    last_login: None
    last_updated: str
    password_changed: None
    type: dict[str, str]
    profile: dict[str, Any]
    credentials: dict[str, Any]
    links: dict[str, dict[str, str]] = field(name="_links")
    embedded: dict[str, HoldView] | UnsetType = field(name="_embedded", default=UNSET)


class Password(Struct):
    """A password that a user is given. It is pushed to the apps that are to get it, and kept nowhere."""

    value: Annotated[str, Meta(min_length=1, max_length=_LONGEST_PASSWORD)] | None = None

    def __repr__(self) -> str:
        return "Password(…)"


class Credentials(Struct):
    """Of credentials only a password in plain text means anything here."""

    password: Password | None = None


class NewProfile(Struct):
    """What a user is made or replaced from."""

    profile: dict[str, Any]
    credentials: Credentials | None = None


class ProfileChange(Struct):
    """What is changed of a user."""

    profile: dict[str, Any] = {}
    credentials: Credentials | None = None


class HoldTerms(Struct, forbid_unknown_fields=True):
    """Until when a hold lasts that is set together with a lifecycle call."""

    until: Instant | None = None


class Reasons(Struct, forbid_unknown_fields=True):
    """Why an admin moves a status, and the hold to set in the same breath."""

    reason: Annotated[str, Meta(max_length=1_000)] | None = None
    hold: HoldTerms | None = None


Told = JSONBody[Reasons | None]


def user_view(request: Request[Any, Any, Any], user: Person, at: str) -> User:
    """A user as Okta shows it; a hold in force is embedded."""
    base = f"{str(request.base_url).rstrip('/')}/api/v1/users/{user.id}"
    return User(
        id=user.id,
        status=OKTA_STATUS[user.status],
        created=user.created,
        activated=user.activated,
        status_changed=user.status_changed,
        last_login=None,
        last_updated=user.last_updated,
        password_changed=None,
        type={"id": USER_TYPE_ID},
        profile=_shown(user.profile),
        credentials={"provider": {"type": "OKTA", "name": "OKTA"}},
        links={"self": {"href": base}, **{act: {"href": f"{base}/lifecycle/{act}", "method": "POST"} for act in _open_to(user)}},
        embedded={"hold": hold_view(user.hold)} if user.hold is not None and user.hold.binds(at) else UNSET,
    )


def hold_view(hold: Hold) -> HoldView:
    """A hold as the wire shows it."""
    return HoldView(hold.reason, hold.until, hold.since, hold.by)


def hold_in_force(user: Person, at: str) -> HoldView | None:
    """The hold that binds masters at an instant, as lists of other things show it beside a person."""
    return hold_view(user.hold) if user.hold is not None and user.hold.binds(at) else None


def _shown(profile: dict[str, Value]) -> dict[str, Value]:
    """Okta's clients expect these two also where they say nothing."""
    return {"mobilePhone": None, "secondEmail": None, **profile}


def _open_to(user: Person) -> list[str]:
    acts = [act.value for act in Act if act is not Act.reactivate and may(user.status, Trigger(act.value))]
    return [*acts, Act.reactivate.value] if user.status is Status.PENDING_ACTIVATION else acts


class UserController(Controller):
    """`/users` and below."""

    path = "/api/v1/users"
    tags = ("Users",)

    @get(summary="Users", sync_to_thread=True)
    def list_users(
        self,
        request: Request[Any, Any, Any],
        *,
        q: FromQuery[str | None] = None,
        filter: FromQuery[str | None] = None,
        search: FromQuery[str | None] = None,
        sort_by: Annotated[str | None, QueryParameter(name="sortBy")] = None,
        sort_order: Annotated[Direction, QueryParameter(name="sortOrder")] = Direction.asc,
        after: FromQuery[str | None] = None,
        limit: Annotated[int | None, QueryParameter(ge=1, le=_PAGE)] = None,
        as_of: Annotated[datetime | None, QueryParameter(name="asOf")] = None,
    ) -> Response[list[User]]:
        """Users by the beginning of a name or e-mail address, by a filter or by a search; without one, those who are not deactivated.

        With `asOf`, those of that instant as they were then, by status, in the order of their ids; who is deleted by now is among them.
        """
        engine = request.app.state.engine
        at_that_time = zoned("asOf", as_of)
        if at_that_time is not None:
            statuses = statuses_by(Asked(q, filter, search, sort_by, sort_order))
            past = asof.page(engine, at_that_time, statuses, after or "", limit or _PAGE)
            return linked(request, [user_view(request, user, wire(at_that_time)) for user in past.users], past.after)
        schema = users.schema(engine)
        wanted = wanted_by(Asked(q, filter, search, sort_by, sort_order), schema)
        page = users.page(engine, wanted, cursor_from(after, wanted.sort, schema), limit or (_PEOPLE_PICKER if q else _PAGE))
        at = wire(now())
        following = cursor_text(page.after, wanted.sort) if page.after else None
        return linked(request, [user_view(request, user, at) for user in page.users], following)

    @post(status_code=HTTP_200_OK, summary="Create a user", sync_to_thread=True)
    def create_user(self, request: Request[Any, Any, Any], data: JSONBody[NewProfile], activate: FromQuery[bool] = True) -> Response[User]:
        """A new user, active unless `activate=false`."""
        password = _sealing(request, data.credentials)
        user = users.create(request.app.state.engine, actor_of(request), now(), data.profile, activate=activate, password=password)
        return _answer(request, user)

    @get("/{user_id:str}", summary="A user", sync_to_thread=True)
    def read_user(
        self,
        request: Request[Any, Any, Any],
        user_id: FromPath[str],
        as_of: Annotated[datetime | None, QueryParameter(name="asOf")] = None,
    ) -> Response[User]:
        """A user by id or login; with `asOf` as the history says the user was at that instant."""
        engine = request.app.state.engine
        as_of = zoned("asOf", as_of)
        if as_of is None:
            return _answer(request, users.read(engine, user_id))
        return Response(user_view(request, asof.read(engine, user_id, as_of), wire(as_of)))

    @post("/{user_id:str}", status_code=HTTP_200_OK, summary="Correct a user", sync_to_thread=True)
    def update_user(self, request: Request[Any, Any, Any], user_id: FromPath[str], data: JSONBody[ProfileChange]) -> Response[User]:
        """Merge attributes into the profile; null clears one. A password that is given goes to the apps that are to get it."""
        return _written(request, user_id, data, replace=False)

    @put("/{user_id:str}", summary="Replace a user", sync_to_thread=True)
    def replace_user(self, request: Request[Any, Any, Any], user_id: FromPath[str], data: JSONBody[NewProfile]) -> Response[User]:
        """Replace the profile; what is not named is cleared."""
        return _written(request, user_id, data, replace=True)

    @delete("/{user_id:str}", summary="Deactivate, then delete a user", sync_to_thread=True)
    def delete_user(self, request: Request[Any, Any, Any], user_id: FromPath[str]) -> None:
        """Deactivate the user; called again, delete the user for good. The history stays."""
        users.remove(request.app.state.engine, actor_of(request), now(), user_id, check=expected(request))

    @post("/{user_id:str}/lifecycle/activate", status_code=HTTP_200_OK, summary="Activate a user", sync_to_thread=True)
    def activate_user(self, request: Request[Any, Any, Any], user_id: FromPath[str], data: Told = None) -> dict[str, Any]:
        """Let a pending or deactivated user in."""
        return _moved(request, user_id, Act.activate, data)

    @post("/{user_id:str}/lifecycle/deactivate", status_code=HTTP_200_OK, summary="Deactivate a user", sync_to_thread=True)
    def deactivate_user(self, request: Request[Any, Any, Any], user_id: FromPath[str], data: Told = None) -> dict[str, Any]:
        """Shut a user out; deprovisioning follows."""
        return _moved(request, user_id, Act.deactivate, data)

    @post("/{user_id:str}/lifecycle/suspend", status_code=HTTP_200_OK, summary="Suspend a user", sync_to_thread=True)
    def suspend_user(self, request: Request[Any, Any, Any], user_id: FromPath[str], data: Told = None) -> dict[str, Any]:
        """Lock an active user out for a time."""
        return _moved(request, user_id, Act.suspend, data)

    @post("/{user_id:str}/lifecycle/unsuspend", status_code=HTTP_200_OK, summary="Unsuspend a user", sync_to_thread=True)
    def unsuspend_user(self, request: Request[Any, Any, Any], user_id: FromPath[str], data: Told = None) -> dict[str, Any]:
        """Let a suspended user in again."""
        return _moved(request, user_id, Act.unsuspend, data)

    @post("/{user_id:str}/lifecycle/reactivate", status_code=HTTP_200_OK, summary="Send the activation again", sync_to_thread=True)
    def reactivate_user(self, request: Request[Any, Any, Any], user_id: FromPath[str], data: Told = None) -> dict[str, Any]:
        """Send a pending user's activation again; nobody moves."""
        return _moved(request, user_id, Act.reactivate, data)


def _moved(request: Request[Any, Any, Any], user_id: str, wanted: Act, data: Reasons | None) -> dict[str, Any]:
    told = data or Reasons()
    hold = Terms(told.reason, told.hold.until) if told.hold else None
    engine, check = request.app.state.engine, expected(request)
    users.act(engine, actor_of(request), now(), user_id, wanted, reason=told.reason, hold=hold, check=check)
    return {}


def _written(request: Request[Any, Any, Any], user_id: str, data: NewProfile | ProfileChange, *, replace: bool) -> Response[User]:
    engine, check, password = request.app.state.engine, expected(request), _sealing(request, data.credentials)
    user = users.update(engine, actor_of(request), now(), user_id, data.profile, replace=replace, check=check, password=password)
    return _answer(request, user)


def _sealing(request: Request[Any, Any, Any], credentials: Credentials | None) -> Seal | None:
    """What seals the password that was given, if one was, for whatever it is sealed for."""
    value = credentials.password.value if credentials is not None and credentials.password is not None else None
    vault: Vault = request.app.state.vault
    return None if value is None else lambda purpose: vault.seal(value, purpose)


def _answer(request: Request[Any, Any, Any], user: Person) -> Response[User]:
    return Response(user_view(request, user, wire(now())), headers={"ETag": etag(user.version)})
