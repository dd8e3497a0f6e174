"""Changing the user schema as Okta's schema API does: attributes added, changed and taken away, and who masters which (SPEC §4).

A change says, attribute by attribute, only what becomes different; what it leaves out stays. Of a custom attribute everything may change
but the type; of a base attribute only who masters it, the permission, whether the first and last name are required, and which characters a
login may have. Clients send whole attributes back, so a value that is there already is no change and is never refused.

What each field of an attribute does is said in `attribute_fields`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mastering.errors import Invalid
from mastering.rules.attribute_fields import Objection, document, with_field
from mastering.rules.schema import VARIABLE, Attribute, Permission, Schema

MOST_CUSTOM: Final = 1_000
_MAY_BE_OPTIONAL: Final = frozenset({"firstName", "lastName"})
_OF_EVERY_BASE: Final = frozenset({"master", "permissions"})

Said = Mapping[str, Any]
"""An attribute as the wire says it: field → value, only those that were said."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a change asks for. A custom attribute that is None is taken away."""

    base: Mapping[str, Said]
    custom: Mapping[str, Said | None]


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
        return with_field(attribute, field, value, apps)
    except Objection as objection:
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
