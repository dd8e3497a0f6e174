"""Changing the user schema as Okta's schema API does: attributes added, changed and taken away, and who masters which (SPEC §4).

A change says, attribute by attribute, only what becomes different; what it leaves out stays. Of a custom attribute everything may change
but the type; of a base attribute only who masters it, the permission, whether the first and last name are required, and which characters a
login may have. Clients send whole attributes back, so a value that is there already is no change and is never refused.

Every field that Okta's attribute has is listed in `_FIELDS` below. One that means nothing here is refused when it asks for something, with
its name; nothing is taken and then forgotten.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from mastering.errors import Invalid
from mastering.rules.formats import FORMATS
from mastering.rules.schema import (
    LARGEST_INTEGER,
    LOGIN_PATTERN,
    VARIABLE,
    Attribute,
    AttributeMaster,
    ItemType,
    MasterKind,
    Permission,
    Schema,
)

MOST_CUSTOM: Final = 1_000
_LONGEST_TITLE: Final = 300
_LONGEST_DESCRIPTION: Final = 1_000
_ENUM_TYPES: Final[Mapping[str, tuple[type, ...]]] = {"string": (str,), "integer": (int,), "number": (int, float)}
_MAY_BE_OPTIONAL: Final = frozenset({"firstName", "lastName"})
_OF_EVERY_BASE: Final = frozenset({"master", "permissions"})

Said = Mapping[str, Any]
"""An attribute as the wire says it: field → value, only those that were said."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a change asks for. A custom attribute that is None is taken away."""

    base: Mapping[str, Said]
    custom: Mapping[str, Said | None]


class _Objection(Exception):
    """A field cannot be set so. The message goes on from the field's name."""


def changed(schema: Schema, wish: Wish, apps: Collection[str]) -> Schema:
    """The schema after the change; `apps` are the ids of all apps. Raises `Invalid` with one cause per fault."""
    causes: list[str] = []
    for name, said in wish.base.items():
        schema = _with_base(schema, name, said, apps, causes)
    for name, told in wish.custom.items():
        schema = _with_custom(schema, name, told, apps, causes)
    if sum(not attribute.base for attribute in schema.attributes.values()) > MOST_CUSTOM:
        causes.append(f"definitions.custom.properties: a schema has at most {MOST_CUSTOM} custom attributes")
    if causes:
        raise Invalid("Api validation failed: user schema", *causes)
    return schema


def document(attribute: Attribute) -> dict[str, Any]:
    """The attribute as the wire shows it."""
    told: dict[str, Any] = {"title": attribute.title, "type": attribute.type, "required": attribute.required, "mutability": "READ_WRITE"}
    if attribute.description is not None:
        told["description"] = attribute.description
    if attribute.type == "string" and attribute.min_length:
        told["minLength"] = attribute.min_length
    if attribute.max_length is not None:
        told["maxLength"] = attribute.max_length
    if attribute.format is not None:
        told["format"] = attribute.format
    if attribute.name == "login":
        told["pattern"] = attribute.pattern or ".+"
    if attribute.type == "array":
        told["items"] = {**({"type": attribute.items} if attribute.items else {}), **_listed(attribute)}
    else:
        told |= _listed(attribute)
    told["scope"] = attribute.scope
    told["permissions"] = [{"principal": "SELF", "action": attribute.permission.value}]
    told["master"] = {"type": attribute.master.kind.value}
    if attribute.master.kind is MasterKind.OVERRIDE:
        told["master"]["priority"] = [{"type": "APP", "value": app_id} for app_id in attribute.master.priority]
    return told


def tightened(before: Attribute | None, after: Attribute) -> bool:
    """Whether a value that fitted might not fit any more, so that the values there are have to be looked at."""
    return _limits(before) != _limits(after) if before is not None else after.required


def remasters(before: Schema, after: Schema) -> bool:
    """Whether masters' profiles have to be mapped again: an attribute is mastered otherwise, or may hold what it could not."""
    return any(
        (old := before.attributes.get(name)) is not None and (old.master != attribute.master or _loosened(old, attribute))
        for name, attribute in after.attributes.items()
    )


def _loosened(before: Attribute, after: Attribute) -> bool:
    """Whether a value that was refused might fit now."""
    return (
        (before.required and not after.required)
        or after.min_length < before.min_length
        or (before.max_length is not None and (after.max_length is None or after.max_length > before.max_length))
        or (bool(before.enum) and not (after.enum and set(after.enum) <= set(before.enum)))
        or any(old is not None and old != new for old, new in zip(_limits(before)[4:], _limits(after)[4:], strict=True))
    )


def _limits(attribute: Attribute) -> tuple[Any, ...]:
    return (
        attribute.required,
        attribute.min_length,
        attribute.max_length,
        attribute.enum,
        attribute.items,
        attribute.format,
        attribute.pattern,
    )


def _listed(attribute: Attribute) -> dict[str, Any]:
    if not attribute.enum:
        return {}
    told: dict[str, Any] = {"enum": list(attribute.enum)}
    if attribute.titles:
        told["oneOf"] = [{"const": value, "title": title} for value, title in zip(attribute.enum, attribute.titles, strict=True)]
    return told


# -- one attribute --------------------------------------------------------------------------------------------------------


def _with_base(schema: Schema, name: str, said: Said, apps: Collection[str], causes: list[str]) -> Schema:
    place = f"definitions.base.properties.{name[:100]}"
    attribute = schema.attributes.get(name)
    if attribute is None or not attribute.base:
        causes.append(f"{place}: is not a base attribute")
        return schema
    shown = document(attribute)
    for field, value in said.items():
        if shown.get(field) == value or (value is None and field not in shown):
            continue
        if field in _OF_EVERY_BASE or (field == "required" and name in _MAY_BE_OPTIONAL) or (field == "pattern" and name == "login"):
            attribute = _with_field(attribute, field, value, apps, place, causes)
        else:
            causes.append(f"{place}.{field}: cannot be changed in a base attribute")
    return schema.with_changed(attribute)


def _with_custom(schema: Schema, name: str, said: Said | None, apps: Collection[str], causes: list[str]) -> Schema:
    place = f"definitions.custom.properties.{name[:100]}"
    present = schema.attributes.get(name)
    if present is not None and present.base:
        causes.append(f"{place}: is a base attribute; say it under definitions.base")
        return schema
    if said is None:
        if present is None:
            causes.append(f"{place}: is not a custom attribute")
            return schema
        return schema.without(name)
    found = (_name_fault(schema, name) or _lacking(said)) if present is None else None
    if found is not None:
        causes.append(f"{place}{found}")
        return schema
    attribute = present or _fresh(name, said)
    if attribute.titles and "enum" in said and "oneOf" not in said and tuple(said["enum"] or ()) != attribute.enum:
        causes.append(f"{place}.oneOf: must be said with another enum, as the attribute's values have titles")
        return schema
    for field, value in said.items():
        attribute = _with_field(attribute, field, value, apps, place, causes)
    causes += [f"{place}.{fault}" for fault in _contradictions(attribute)]
    return schema.with_changed(attribute) if present is not None else schema.with_custom(attribute)


def _fresh(name: str, said: Said) -> Attribute:
    kind = said["type"]
    return Attribute(name, said["title"], kind, items="string" if kind == "array" else None, permission=Permission.READ_ONLY)


def _name_fault(schema: Schema, name: str) -> str | None:
    if not VARIABLE.fullmatch(name):
        return ": is no variable name; write letters, digits and underscores, at most 100, no digit first"
    twin = next((each for each in schema.attributes if each.casefold() == name.casefold()), None)
    return None if twin is None else f": differs from the attribute {twin} only by case"


def _lacking(said: Said) -> str | None:
    missing = [field for field in ("title", "type") if said.get(field) is None]
    return f".{missing[0]}: is required of a new attribute" if missing else None


def _with_field(attribute: Attribute, field: str, value: Any, apps: Collection[str], place: str, causes: list[str]) -> Attribute:
    try:
        if field == "master":
            return replace(attribute, master=_master(value, apps))
        return _FIELDS[field](attribute, value)
    except _Objection as objection:
        causes.append(f"{place}.{field}: {objection}")
        return attribute


def _contradictions(attribute: Attribute) -> list[str]:
    """What does not go together in an attribute, each beginning with the field."""
    found = []
    if attribute.max_length is not None and attribute.min_length > attribute.max_length:
        found.append(f"minLength: is {attribute.min_length}, more than the maxLength of {attribute.max_length}")
    if attribute.titles and len(attribute.titles) != len(attribute.enum):
        found.append("oneOf: must name the values of enum, all of them, in the same order")
    return found


# -- its fields -----------------------------------------------------------------------------------------------------------


def _title(attribute: Attribute, value: Any) -> Attribute:
    if value is None or not 0 < len(value.strip()) <= _LONGEST_TITLE:
        raise _Objection(f"must have 1 to {_LONGEST_TITLE} characters")
    return replace(attribute, title=value)


def _description(attribute: Attribute, value: Any) -> Attribute:
    if value is not None and len(value) > _LONGEST_DESCRIPTION:
        raise _Objection(f"has more than {_LONGEST_DESCRIPTION} characters")
    return replace(attribute, description=value or None)


def _type(attribute: Attribute, value: Any) -> Attribute:
    if value != attribute.type:
        raise _Objection(f"cannot be changed from {attribute.type}; remove the attribute and add it anew")
    return attribute


def _required(attribute: Attribute, value: Any) -> Attribute:
    return replace(attribute, required=bool(value))


def _min_length(attribute: Attribute, value: Any) -> Attribute:
    return replace(attribute, min_length=_length(attribute, value) or 0)


def _max_length(attribute: Attribute, value: Any) -> Attribute:
    return replace(attribute, max_length=_length(attribute, value))


def _length(attribute: Attribute, value: Any) -> int | None:
    if value is None:
        return None
    if attribute.type != "string":
        raise _Objection("is only of attributes of type string")
    if value < 0:
        raise _Objection("must be 0 or more")
    return int(value)


def _format(attribute: Attribute, value: Any) -> Attribute:
    if value is None:
        return replace(attribute, format=None)
    if attribute.type != "string":
        raise _Objection("is only of attributes of type string")
    if value not in FORMATS:
        raise _Objection(f"{value} is not supported; one of {', '.join(FORMATS)}")
    return replace(attribute, format=value)


def _pattern(attribute: Attribute, value: Any) -> Attribute:
    if attribute.name != "login":
        if value is None:
            return attribute
        raise _Objection("is only of the base attribute login")
    if value == ".+":
        return replace(attribute, pattern=None)
    if value is None:
        raise _Objection('must be ".+" or "[…]+"; a login need not be an e-mail address here')
    try:
        if LOGIN_PATTERN.fullmatch(value):
            re.compile(value)
            return replace(attribute, pattern=value)
    except re.error:
        pass
    raise _Objection('must be ".+" for any characters, or a set of them in brackets such as "[a-z0-9\\.]+"')


def _enum(attribute: Attribute, value: Any) -> Attribute:
    if attribute.type == "array":
        raise _Objection("belongs under items in an attribute of type array")
    return replace(attribute, enum=_values(attribute.type, value))


def _values(kind: str, value: Any) -> tuple[Any, ...]:
    """The values of an enum, unique and of the type."""
    if value is None:
        return ()
    types = _ENUM_TYPES.get(kind)
    if types is None:
        raise _Objection(f"is not of attributes of type {kind}")
    if not value:
        raise _Objection("must list at least one value; null takes the list away")
    for item in value:
        if isinstance(item, bool) or not isinstance(item, types) or item == "":
            raise _Objection(f"lists {str(item)[:100]!r}, which is no value of type {kind}")
        if isinstance(item, int) and abs(item) > LARGEST_INTEGER:
            raise _Objection("lists a number beyond 64 bits")
    if len(set(value)) < len(value):
        raise _Objection("lists a value twice")
    return tuple(value)


def _one_of(attribute: Attribute, value: Any) -> Attribute:
    if attribute.type == "array" and value is not None:
        raise _Objection("belongs under items in an attribute of type array")
    return replace(attribute, titles=_titles(attribute.enum, value))


def _titles(enum: tuple[Any, ...], value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if tuple(choice["const"] for choice in value) != enum:
        raise _Objection("must name the values of enum, all of them, in the same order")
    return tuple(choice["title"] for choice in value)


def _items(attribute: Attribute, value: Any) -> Attribute:
    if attribute.type != "array":
        if value is None:
            return attribute
        raise _Objection("is only of attributes of type array")
    value = value or {}
    kind: ItemType = value.get("type") or "string"
    enum = _values(kind, value.get("enum"))
    return replace(attribute, items=kind, enum=enum, titles=_titles(enum, value.get("oneOf")))


def _scope(attribute: Attribute, value: Any) -> Attribute:
    return replace(attribute, scope=value or "NONE")


def _permissions(attribute: Attribute, value: Any) -> Attribute:
    if not value:
        return replace(attribute, permission=Permission.READ_WRITE if attribute.base else Permission.READ_ONLY)
    if len(value) > 1 or value[0].get("principal") != "SELF" or value[0].get("action") not in Permission.__members__:
        raise _Objection(f"must be one, of the principal SELF, with an action of {', '.join(Permission.__members__)}")
    return replace(attribute, permission=Permission[value[0]["action"]])


def _master(value: Any, apps: Collection[str]) -> AttributeMaster:
    kind = MasterKind[value["type"]] if value is not None and value.get("type") else MasterKind.PROFILE_MASTER
    priority = (value or {}).get("priority") or []
    if kind is not MasterKind.OVERRIDE:
        if priority:
            raise _Objection("has a priority, which is only of an OVERRIDE")
        return AttributeMaster(kind)
    if not priority:
        raise _Objection("an OVERRIDE needs its masters as a priority list, the highest first")
    for place, entry in enumerate(priority):
        if entry.get("type") not in {None, "APP"}:
            raise _Objection(f"priority[{place}].type must be APP")
        if entry.get("value") not in apps:
            raise _Objection(f"priority[{place}].value: there is no app {str(entry.get('value'))[:100]}")
    named = tuple(entry["value"] for entry in priority)
    if len(set(named)) < len(named):
        raise _Objection("names an app twice in its priority")
    return AttributeMaster(kind, named)


def _mutability(attribute: Attribute, value: Any) -> Attribute:
    if value not in {None, "READ_WRITE"}:
        raise _Objection("must be READ_WRITE; who may write an attribute is said by its master")
    return attribute


def _unique(attribute: Attribute, value: Any) -> Attribute:
    if value not in {None, False, "NOT_UNIQUE"}:
        raise _Objection("uniqueness of custom attributes is not supported; only the login is unique")
    return attribute


def _not_kept(why: str) -> Callable[[Attribute, Any], Attribute]:
    def refuse(attribute: Attribute, value: Any) -> Attribute:
        if value is not None:
            raise _Objection(why)
        return attribute

    return refuse


_FIELDS: Final[Mapping[str, Callable[[Attribute, Any], Attribute]]] = {
    "title": _title,
    "description": _description,
    "type": _type,
    "required": _required,
    "minLength": _min_length,
    "maxLength": _max_length,
    "format": _format,
    "pattern": _pattern,
    "enum": _enum,
    "oneOf": _one_of,
    "items": _items,
    "scope": _scope,
    "permissions": _permissions,
    "mutability": _mutability,
    "unique": _unique,
    "default": _not_kept("default values are not supported; an attribute that nobody says is null"),
    "externalName": _not_kept("is only of an identity provider's attributes"),
    "externalNamespace": _not_kept("is only of an identity provider's attributes"),
}
"""What each field of an attribute does, but for `master`, which needs the apps. Fields are read in the order they were said."""
