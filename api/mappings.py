"""Profile mappings, in Okta's shape (API.md, /mappings). `POST` sets the attributes it names and leaves the others as they are.

Each app has two, one for each direction. `/preview`, which is ours, says what a mapping would come to for one user before it is saved.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from litestar import Controller, Request, Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK
from msgspec import UNSET, Struct, UnsetType, field

from api.auth import actor_of
from api.paging import linked
from mastering.catalog import mappings
from mastering.catalog.mappings import Edit, Outcome, Seen
from mastering.clock import now
from mastering.rules.mapping import Direction, MappingRule
from mastering.store.catalog import USER_TYPE_ID

_PAGE = 200
_DEFAULT_PAGE = 10


class PushStatus(StrEnum):
    """When a rule is applied: to every record, or only when a user is created."""

    PUSH = "PUSH"
    DONT_PUSH = "DONT_PUSH"


class Property(Struct, rename="camel"):
    """Where an attribute's value comes from."""

    expression: str
    push_status: PushStatus


class WantedProperty(Struct, rename="camel", forbid_unknown_fields=True):
    """What to change of an attribute's rule: what is not said stays. A null expression takes the attribute out, as null itself does."""

    expression: str | UnsetType | None = UNSET
    push_status: PushStatus | None = None


class WantedMapping(Struct):
    """The attributes to set; `null` takes one out."""

    properties: dict[str, WantedProperty | None]


class WantedPreview(Struct, rename="camel", forbid_unknown_fields=True):
    """The user to try a mapping on, by id or login, and what of the mapping would be changed, as in saving it."""

    user_id: str
    properties: dict[str, WantedProperty | None] = {}


class TriedProperty(Property, rename="camel", kw_only=True):
    """An attribute's rule tried out: MAPPED to a value, NOT_CARRIED by the profile it reads, or FAILED and why."""

    outcome: Outcome
    value: Any
    reason: str | None


class OldAndNew(Struct):
    """A value that would change."""

    old: Any
    new: Any


class PreviewView(Struct, rename="camel"):
    """What a mapping says of a user. `changes` is what would change in the user's profile, or, outbound, what the app would be told.

    With `faults`, which name their attributes, nothing would change at all.
    """

    user_id: str
    app_user_id: str | None
    properties: dict[str, TriedProperty]
    changes: dict[str, OldAndNew]
    faults: list[str]


class Side(Struct):
    """What is mapped from, and what is mapped to."""

    id: str
    name: str
    type: str
    links: dict[str, dict[str, str]] = field(name="_links")


class MappingView(Struct):
    """A mapping. In a list it comes without its properties, as Okta's does."""

    id: str
    source: Side
    target: Side
    links: dict[str, dict[str, str]] = field(name="_links")


class WholeMapping(MappingView, kw_only=True):
    """A mapping with its properties."""

    properties: dict[str, Property]


class MappingController(Controller):
    """`/mappings`."""

    path = "/api/v1/mappings"
    tags = ("Mappings",)

    @get(summary="Mappings", sync_to_thread=True)
    def list_mappings(
        self,
        request: Request[Any, Any, Any],
        *,
        source_id: Annotated[str | None, QueryParameter(name="sourceId")] = None,
        target_id: Annotated[str | None, QueryParameter(name="targetId")] = None,
        after: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=_PAGE)] = _DEFAULT_PAGE,
    ) -> Response[list[MappingView]]:
        """Mappings, of one source or to one target if asked for."""
        found = mappings.page(request.app.state.engine, source_id, target_id, after or "", limit)
        views = [MappingView(*_sides(request, seen)) for seen in found[:limit]]
        return linked(request, views, views[-1].id if len(found) > limit else None)

    @get("/{mapping_id:str}", summary="A mapping", sync_to_thread=True)
    def read_mapping(self, request: Request[Any, Any, Any], mapping_id: FromPath[str]) -> WholeMapping:
        """One mapping with its properties."""
        return _whole(request, mappings.read(request.app.state.engine, mapping_id))

    @post("/{mapping_id:str}", status_code=HTTP_200_OK, summary="Change a mapping", sync_to_thread=True)
    def update_mapping(self, request: Request[Any, Any, Any], mapping_id: FromPath[str], data: JSONBody[WantedMapping]) -> WholeMapping:
        """Set attributes' expressions. One that does not parse is refused with its position; profiles are mapped again by the new ones."""
        edits = {target: edit(wanted) for target, wanted in data.properties.items()}
        return _whole(request, mappings.update(request.app.state.engine, actor_of(request), now(), mapping_id, edits))

    @post("/{mapping_id:str}/preview", status_code=HTTP_200_OK, summary="Try a mapping out", sync_to_thread=True)
    def preview_mapping(self, request: Request[Any, Any, Any], mapping_id: FromPath[str], data: JSONBody[WantedPreview]) -> PreviewView:
        """What the mapping, changed so, would say of one user. Nothing is saved."""
        edits = {target: edit(wanted) for target, wanted in data.properties.items()}
        return _previewed(mappings.preview(request.app.state.engine, now(), mapping_id, data.user_id, edits))


def _previewed(found: mappings.Preview) -> PreviewView:
    return PreviewView(
        user_id=found.user.id,
        app_user_id=found.account.id if found.account else None,
        properties={
            each.rule.target: TriedProperty(
                each.rule.expression_text, _push_status(each.rule), outcome=each.outcome, value=each.value, reason=each.reason
            )
            for each in found.tried
        },
        changes={name: OldAndNew(old, new) for name, (old, new) in found.changes.items()},
        faults=list(found.faults),
    )


def _push_status(rule: MappingRule) -> PushStatus:
    return PushStatus.DONT_PUSH if rule.create_only else PushStatus.PUSH


def edit(wanted: WantedProperty | None) -> Edit | None:
    """What becomes different about one attribute's rule; `None` takes it out."""
    if wanted is None or wanted.expression is None:
        return None
    create_only = None if wanted.push_status is None else wanted.push_status is PushStatus.DONT_PUSH
    return Edit(None if wanted.expression is UNSET else wanted.expression, create_only)


def _whole(request: Request[Any, Any, Any], seen: Seen) -> WholeMapping:
    properties = {target: Property(told["expression"], PushStatus(told["pushStatus"])) for target, told in seen.properties.items()}
    return WholeMapping(*_sides(request, seen), properties=properties)


def _sides(request: Request[Any, Any, Any], seen: Seen) -> tuple[str, Side, Side, dict[str, dict[str, str]]]:
    base = f"{str(request.base_url).rstrip('/')}/api/v1"
    app = Side(seen.app.id, seen.app.name, "appuser", {"self": {"href": f"{base}/apps/{seen.app.id}"}})
    schema = f"{base}/meta/schemas/user/default"
    user = Side(USER_TYPE_ID, "user", "user", {"self": {"href": schema}, "schema": {"href": schema}})
    source, target = (app, user) if seen.direction is Direction.INBOUND else (user, app)
    return seen.id, source, target, {"self": {"href": f"{base}/mappings/{seen.id}"}}
