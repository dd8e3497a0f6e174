"""An attribute of the user schema field by field, as Okta's schema API writes it: shown, and set (SPEC §4).

Every field that Okta's attribute has is listed in `_FIELDS` below. One that means nothing here is refused when it asks for something, with
its name; nothing is taken and then forgotten.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, Final

from mastering.rules.formats import FORMATS
from mastering.rules.schema import LARGEST_INTEGER, LOGIN_PATTERN, Attribute, AttributeMaster, ItemType, MasterKind, Permission

_LONGEST_TITLE: Final = 300
_LONGEST_DESCRIPTION: Final = 1_000
_ENUM_TYPES: Final[Mapping[str, tuple[type, ...]]] = {"string": (str,), "integer": (int,), "number": (int, float)}


class Objection(Exception):
    """A field cannot be set so. The message goes on from the field's name."""


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


def _listed(attribute: Attribute) -> dict[str, Any]:
    if not attribute.enum:
        return {}
    told: dict[str, Any] = {"enum": list(attribute.enum)}
    if attribute.titles:
        told["oneOf"] = [{"const": value, "title": title} for value, title in zip(attribute.enum, attribute.titles, strict=True)]
    return told


def with_field(attribute: Attribute, field: str, value: Any, apps: Collection[str]) -> Attribute:
    """The attribute with a field set, null taking it back to its default; `apps` are the ids of all apps. Raises `Objection`."""
    return replace(attribute, master=_master(value, apps)) if field == "master" else _FIELDS[field](attribute, value)


def _title(attribute: Attribute, value: Any) -> Attribute:
    if value is None or not 0 < len(value.strip()) <= _LONGEST_TITLE:
        raise Objection(f"must have 1 to {_LONGEST_TITLE} characters")
    return replace(attribute, title=value)


def _description(attribute: Attribute, value: Any) -> Attribute:
    if value is not None and len(value) > _LONGEST_DESCRIPTION:
        raise Objection(f"has more than {_LONGEST_DESCRIPTION} characters")
    return replace(attribute, description=value or None)


def _type(attribute: Attribute, value: Any) -> Attribute:
    if value != attribute.type:
        raise Objection(f"cannot be changed from {attribute.type}; remove the attribute and add it anew")
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
        raise Objection("is only of attributes of type string")
    if value < 0:
        raise Objection("must be 0 or more")
    return int(value)


def _format(attribute: Attribute, value: Any) -> Attribute:
    if value is None:
        return replace(attribute, format=None)
    if attribute.type != "string":
        raise Objection("is only of attributes of type string")
    if value not in FORMATS:
        raise Objection(f"{value} is not supported; one of {', '.join(FORMATS)}")
    return replace(attribute, format=value)


def _pattern(attribute: Attribute, value: Any) -> Attribute:
    if attribute.name != "login":
        if value is None:
            return attribute
        raise Objection("is only of the base attribute login")
    if value == ".+":
        return replace(attribute, pattern=None)
    if value is None:
        raise Objection('must be ".+" or "[…]+"; a login need not be an e-mail address here')
    try:
        if LOGIN_PATTERN.fullmatch(value):
            re.compile(value)
            return replace(attribute, pattern=value)
    except re.error:
        pass
    raise Objection('must be ".+" for any characters, or a set of them in brackets such as "[a-z0-9\\.]+"')


def _enum(attribute: Attribute, value: Any) -> Attribute:
    if attribute.type == "array":
        raise Objection("belongs under items in an attribute of type array")
    return replace(attribute, enum=_values(attribute.type, value))


def _values(kind: str, value: Any) -> tuple[Any, ...]:
    """The values of an enum, unique and of the type."""
    if value is None:
        return ()
    types = _ENUM_TYPES.get(kind)
    if types is None:
        raise Objection(f"is not of attributes of type {kind}")
    if not value:
        raise Objection("must list at least one value; null takes the list away")
    for item in value:
        if isinstance(item, bool) or not isinstance(item, types) or item == "":
            raise Objection(f"lists {str(item)[:100]!r}, which is no value of type {kind}")
        if isinstance(item, int) and abs(item) > LARGEST_INTEGER:
            raise Objection("lists a number beyond 64 bits")
    if len(set(value)) < len(value):
        raise Objection("lists a value twice")
    return tuple(value)


def _one_of(attribute: Attribute, value: Any) -> Attribute:
    if attribute.type == "array" and value is not None:
        raise Objection("belongs under items in an attribute of type array")
    return replace(attribute, titles=_titles(attribute.enum, value))


def _titles(enum: tuple[Any, ...], value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if tuple(choice["const"] for choice in value) != enum:
        raise Objection("must name the values of enum, all of them, in the same order")
    return tuple(choice["title"] for choice in value)


def _items(attribute: Attribute, value: Any) -> Attribute:
    if attribute.type != "array":
        if value is None:
            return attribute
        raise Objection("is only of attributes of type array")
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
        raise Objection(f"must be one, of the principal SELF, with an action of {', '.join(Permission.__members__)}")
    return replace(attribute, permission=Permission[value[0]["action"]])


def _master(value: Any, apps: Collection[str]) -> AttributeMaster:
    kind = MasterKind[value["type"]] if value is not None and value.get("type") else MasterKind.PROFILE_MASTER
    priority = (value or {}).get("priority") or []
    if kind is not MasterKind.OVERRIDE:
        if priority:
            raise Objection("has a priority, which is only of an OVERRIDE")
        return AttributeMaster(kind)
    if not priority:
        raise Objection("an OVERRIDE needs its masters as a priority list, the highest first")
    for place, entry in enumerate(priority):
        if entry.get("type") not in {None, "APP"}:
            raise Objection(f"priority[{place}].type must be APP")
        if entry.get("value") not in apps:
            raise Objection(f"priority[{place}].value: there is no app {str(entry.get('value'))[:100]}")
    named = tuple(entry["value"] for entry in priority)
    if len(set(named)) < len(named):
        raise Objection("names an app twice in its priority")
    return AttributeMaster(kind, named)


def _mutability(attribute: Attribute, value: Any) -> Attribute:
    if value not in {None, "READ_WRITE"}:
        raise Objection("must be READ_WRITE; who may write an attribute is said by its master")
    return attribute


def _unique(attribute: Attribute, value: Any) -> Attribute:
    if value not in {None, False, "NOT_UNIQUE"}:
        raise Objection("uniqueness of custom attributes is not supported; only the login is unique")
    return attribute


def _not_kept(why: str) -> Callable[[Attribute, Any], Attribute]:
    def refuse(attribute: Attribute, value: Any) -> Attribute:
        if value is not None:
            raise Objection(why)
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
