"""The user schema, in Okta's shape (API.md, /meta/schemas/user/default).

`POST` changes the attributes it names and leaves the others; null takes a custom attribute away. Clients may send the whole schema back:
what the service says of itself (id, name, created, …) may come along, and what is the same is no change. Everything else that cannot be
honoured is refused by name (`mastering.rules.attribute_fields`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, Request, get, post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK
from msgspec import UNSET, Meta, Struct, UnsetType, field

from api.auth import actor_of
from mastering.catalog import user_schema
from mastering.clock import now
from mastering.errors import Invalid
from mastering.rules.attribute_fields import document
from mastering.rules.schema import MasterKind
from mastering.rules.schema_change import Said, Wish

_ID = "default"
_JSON_SCHEMA = "http://json-schema.org/draft-04/schema#"
_TITLE = "User"
_CREATED = "1970-01-01T00:00:00.000Z"
Length = Annotated[int, Meta(le=2**31 - 1)]


class AttributeType(StrEnum):
    """What an attribute holds."""

    STRING = "string"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    ARRAY = "array"


class Priority(Struct):
    """One master of an attribute's own list: an app, by id."""

    value: str
    type: str | None = None


class Master(Struct):
    """Who masters an attribute; an OVERRIDE has its masters as a list, the highest first."""

    type: MasterKind | None = None
    priority: list[Priority] | None = None


class AttributePermission(Struct):
    """What end users may do with the attribute. It is kept and shown; end users do not call this service."""

    principal: str
    action: str


class Choice(Struct):
    """A value of an enum and what people call it."""

    const: str | int | float
    title: str


class Items(Struct, rename="camel", forbid_unknown_fields=True):
    """What a list holds."""

    type: Literal["string", "integer", "number"] = "string"
    enum: list[Any] | None = None
    one_of: list[Choice] | None = None


class WantedAttribute(Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """What to change of an attribute; what is not said stays, and null goes back to the default."""

    title: str | UnsetType | None = UNSET
    description: str | UnsetType | None = UNSET
    type: AttributeType | UnsetType | None = UNSET
    required: bool | UnsetType | None = UNSET
    min_length: Length | UnsetType | None = UNSET
    max_length: Length | UnsetType | None = UNSET
    format: str | UnsetType | None = UNSET
    pattern: str | UnsetType | None = UNSET
    enum: list[Any] | UnsetType | None = UNSET
    one_of: list[Choice] | UnsetType | None = UNSET
    items: Items | UnsetType | None = UNSET
    scope: Literal["NONE", "SELF"] | UnsetType | None = UNSET
    permissions: list[AttributePermission] | UnsetType | None = UNSET
    master: Master | UnsetType | None = UNSET
    mutability: str | UnsetType | None = UNSET
    unique: bool | str | UnsetType | None = UNSET
    default: Any = UNSET
    external_name: str | UnsetType | None = UNSET
    external_namespace: str | UnsetType | None = UNSET


class WantedBase(Struct):
    """Changes of base attributes. `required` may be sent along; it is said in each attribute."""

    id: str | None = None
    type: str | None = None
    properties: dict[str, WantedAttribute] | None = None
    required: list[str] | None = None


class WantedCustom(Struct):
    """Custom attributes to add or change, or, with null, to take away. `required` may be sent along; it is said in each attribute."""

    id: str | None = None
    type: str | None = None
    properties: dict[str, WantedAttribute | None] | None = None
    required: list[str] | None = None


class WantedDefinitions(Struct, forbid_unknown_fields=True):
    """The attributes to change, by where they belong."""

    base: WantedBase | None = None
    custom: WantedCustom | None = None


class WantedSchema(Struct):
    """A change of the schema. A field beside these is what the service says of itself, and may be sent along."""

    definitions: WantedDefinitions | None = None
    title: str | None = None


class Subschema(Struct):
    """The base attributes, or the custom ones."""

    id: str
    type: str
    properties: dict[str, dict[str, Any]]
    required: list[str]


class SchemaView(Struct, rename="camel"):
    """The user schema in Okta's shape."""

    id: str
    schema: str = field(name="$schema")
    name: str
    title: str
    created: str
    last_updated: str
    definitions: dict[str, Subschema]
    type: str
    properties: dict[str, Any]
    links: dict[str, dict[str, str]] = field(name="_links")


class UserSchemaController(Controller):
    """`/meta/schemas/user/default`."""

    path = "/api/v1/meta/schemas/user/default"
    tags = ("User schema",)

    @get(summary="The user schema", sync_to_thread=True)
    def read_schema(self, request: Request[Any, Any, Any]) -> SchemaView:
        """Every attribute of the user profile, and who masters it."""
        return _view(request, user_schema.read(request.app.state.engine))

    @post(status_code=HTTP_200_OK, summary="Change the user schema", sync_to_thread=True)
    def update_schema(self, request: Request[Any, Any, Any], data: JSONBody[WantedSchema]) -> SchemaView:
        """Add, change or take away attributes. Where one is mastered otherwise, profiles are mapped again."""
        if data.title not in {None, _TITLE}:
            raise Invalid("Api validation failed: user schema", "title: the schema's title cannot be changed")
        return _view(request, user_schema.update(request.app.state.engine, actor_of(request), now(), _wish(data)))


def _wish(data: WantedSchema) -> Wish:
    definitions = data.definitions or WantedDefinitions()
    base, custom = definitions.base or WantedBase(), definitions.custom or WantedCustom()
    return Wish(
        base={name: _said(wanted) for name, wanted in (base.properties or {}).items()},
        custom={name: None if wanted is None else _said(wanted) for name, wanted in (custom.properties or {}).items()},
    )


def _said(wanted: WantedAttribute) -> Said:
    said: Said = msgspec.to_builtins(wanted)
    return said


def _view(request: Request[Any, Any, Any], seen: user_schema.Seen) -> SchemaView:
    address = f"{str(request.base_url).rstrip('/')}/api/v1/meta/schemas/user/{_ID}"
    return SchemaView(
        id=address,
        schema=_JSON_SCHEMA,
        name="user",
        title=_TITLE,
        created=_CREATED,
        last_updated=seen.last_updated,
        definitions={"base": _subschema(seen, base=True), "custom": _subschema(seen, base=False)},
        type="object",
        properties={"profile": {"allOf": [{"$ref": "#/definitions/base"}, {"$ref": "#/definitions/custom"}]}},
        links={"self": {"href": address, "method": "GET"}},
    )


def _subschema(seen: user_schema.Seen, *, base: bool) -> Subschema:
    attributes = [attribute for attribute in seen.schema.attributes.values() if attribute.base is base]
    return Subschema(
        id="#base" if base else "#custom",
        type="object",
        properties={attribute.name: document(attribute) for attribute in attributes},
        required=[attribute.name for attribute in attributes if attribute.required],
    )
