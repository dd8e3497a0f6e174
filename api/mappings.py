"""Profile mappings, in Okta's shape (API.md, /mappings). `POST` sets the attributes it names and leaves the others as they are."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from litestar import Controller, Request, Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK
from msgspec import Struct, field

from api.auth import actor_of
from api.paging import linked
from mastering.catalog import mappings
from mastering.catalog.mappings import Seen
from mastering.clock import now
from mastering.errors import Invalid
from mastering.rules.mapping import MappingRule
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
    """The same to be set; with neither, as with null in its place, the attribute is taken out of the mapping."""

    expression: str | None = None
    push_status: PushStatus | None = None


class WantedMapping(Struct):
    """The attributes to set; `null` takes one out."""

    properties: dict[str, WantedProperty | None]


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
        rules = {target: _rule(target, wanted) for target, wanted in data.properties.items()}
        return _whole(request, mappings.update(request.app.state.engine, actor_of(request), now(), mapping_id, rules))


def _rule(target: str, wanted: WantedProperty | None) -> MappingRule | None:
    if wanted is None or wanted == WantedProperty():
        return None
    if wanted.expression is None:
        raise Invalid("The mapping cannot be saved.", f"{target}.expression: is required beside a pushStatus")
    return MappingRule(target, wanted.expression, create_only=wanted.push_status is PushStatus.DONT_PUSH)


def _whole(request: Request[Any, Any, Any], seen: Seen) -> WholeMapping:
    properties = {target: Property(told["expression"], PushStatus(told["pushStatus"])) for target, told in seen.properties.items()}
    return WholeMapping(*_sides(request, seen), properties=properties)


def _sides(request: Request[Any, Any, Any], seen: Seen) -> tuple[str, Side, Side, dict[str, dict[str, str]]]:
    base = f"{str(request.base_url).rstrip('/')}/api/v1"
    source = Side(seen.app.id, seen.app.name, "appuser", {"self": {"href": f"{base}/apps/{seen.app.id}"}})
    target = Side(USER_TYPE_ID, "user", "user", {"self": {"href": f"{base}/meta/types/user/{USER_TYPE_ID}"}})
    return seen.id, source, target, {"self": {"href": f"{base}/mappings/{seen.id}"}}
