"""The user schema (SPEC §4): which attributes a user's profile has, what each may hold, and who masters it.

The base attributes, their types and lengths are those of Okta's default user schema; custom ones are added beside them. `faults` says
what is wrong with a whole profile. It runs once per record of an import, so the usual case, a text of the right length, is decided by
one look-up and one comparison, and only what is not that is looked at closely.

A null says nothing and is right for everything but a required attribute; an empty text counts as null. A text may hold any Unicode
characters but NUL, which databases refuse, and lone halves of surrogate pairs, which no encoding can write.
"""

import math
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, Literal

from mastering.rules.formats import FORMATS

AttributeType = Literal["string", "boolean", "integer", "number", "array"]
ItemType = Literal["string", "integer", "number"]
VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
LARGEST_INTEGER: Final = 2**63 - 1
LOGIN_PATTERN: Final = re.compile(r"(?!.*--)(?:\.\+|\[(?P<set>(?:[-A-Za-z0-9]|\\[^A-Za-z0-9\s])+)\]\+)")
"""How Okta writes which characters a login may have: `.+` for any, or a set in brackets, in which signs stand behind a backslash."""


class Permission(Enum):
    """What end users may do with an attribute of their own. It is kept for the clients that ask; end users do not call this service."""

    READ_WRITE = "READ_WRITE"
    READ_ONLY = "READ_ONLY"
    HIDE = "HIDE"


class MasterKind(Enum):
    """The three ways an attribute is mastered."""

    PROFILE_MASTER = "PROFILE_MASTER"  # inherit from the user's profile master
    OKTA = "OKTA"  # inherit from the directory itself
    OVERRIDE = "OVERRIDE"  # an ordered list of masters of its own


@dataclass(frozen=True, slots=True)
class AttributeMaster:
    """Who supplies an attribute. `priority` names apps, the highest first, and only of an override."""

    kind: MasterKind = MasterKind.PROFILE_MASTER
    priority: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of the profile. Lengths are in characters and bound texts only; `enum` lists what may be said at all.

    Of an array, `items` is the type of its items (None: any scalar), and `enum` lists what an item may be. `titles` are what people call
    the values of `enum`, in the same order, if they are called anything. `pattern` is of the login alone, as `LOGIN_PATTERN` has it.
    """

    name: str
    title: str
    type: AttributeType = "string"
    required: bool = False
    min_length: int = 0
    max_length: int | None = None
    enum: tuple[str | int | float, ...] = ()
    base: bool = False
    master: AttributeMaster = AttributeMaster()
    titles: tuple[str, ...] = ()
    items: ItemType | None = None
    format: str | None = None
    pattern: str | None = None
    description: str | None = None
    permission: Permission = Permission.READ_WRITE
    scope: Literal["NONE", "SELF"] = "NONE"

    def objection(self, value: Any) -> str | None:
        """Why the attribute cannot hold this value, or None if it can. Whether it may be null is the schema's business."""
        if value is None or value == "":
            return None
        found = _OBJECTIONS[self.type](self, value)
        if found is None and self.enum:
            said = value if isinstance(value, list) else [value]
            if any(not _among(item, self.enum) for item in said):
                return "is not one of the values listed"
        if found is None and self.format is not None:
            name, holds = FORMATS[self.format]
            return None if holds(value) else f"is not {name}"
        if found is None and self.pattern is not None:
            return _pattern_objection(self.pattern, value)
        return found


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one attribute of a profile; the message goes on from the field's name."""

    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Schema:
    """The attributes by name, in their order, with what `faults` needs prepared. Made by `default_schema` and the `with_…` methods."""

    attributes: Mapping[str, Attribute]
    required: tuple[str, ...] = field(init=False, compare=False)
    lengths: Mapping[str, tuple[int, int]] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "attributes", MappingProxyType(dict(self.attributes)))
        object.__setattr__(self, "required", tuple(name for name, attribute in self.attributes.items() if attribute.required))
        lengths = {
            name: (attribute.min_length, sys.maxsize if attribute.max_length is None else attribute.max_length)
            for name, attribute in self.attributes.items()
            if attribute.type == "string" and not attribute.enum and attribute.format is None and attribute.pattern is None
        }
        object.__setattr__(self, "lengths", lengths)

    def with_custom(self, *custom: Attribute) -> "Schema":
        """The schema with more attributes. Raises `ValueError` for a name that is taken, or that an expression could not say."""
        attributes = dict(self.attributes)
        for attribute in custom:
            if not VARIABLE.fullmatch(attribute.name):
                raise ValueError(f"{attribute.name[:100]!r} is no variable name: letters, digits and underscores, at most 100")
            if attribute.name in attributes:
                raise ValueError(f"the schema has an attribute {attribute.name!r} already")
            attributes[attribute.name] = replace(attribute, base=False)
        return Schema(attributes)

    def with_changed(self, attribute: Attribute) -> "Schema":
        """The schema with an attribute in the place of the one of its name. Raises `KeyError` for a name it does not have."""
        return Schema({**self.attributes, self.attributes[attribute.name].name: attribute})

    def without(self, name: str) -> "Schema":
        """The schema without an attribute."""
        return Schema({each: attribute for each, attribute in self.attributes.items() if each != name})

    def with_master(self, name: str, master: AttributeMaster) -> "Schema":
        """The schema with one attribute mastered otherwise. Raises `KeyError` for a name it does not have."""
        return self.with_changed(replace(self.attributes[name], master=master))


def faults(schema: Schema, profile: Mapping[str, Any]) -> list[Fault]:
    """Everything that is wrong with a whole profile; empty if it may be kept. An absent attribute is a fault only if it is required."""
    found: list[Fault] = []
    lengths = schema.lengths
    for name, value in profile.items():
        limits = lengths.get(name)
        if limits is not None and type(value) is str and limits[0] <= len(value) <= limits[1] and value.isascii() and "\0" not in value:
            continue
        attribute = schema.attributes.get(name)
        message = "is not an attribute of the user schema" if attribute is None else attribute.objection(value)
        if message is not None:
            found.append(Fault(name, message))
    for name in schema.required:
        value = profile.get(name)
        if value is None or value == "":
            found.append(Fault(name, "is required"))
    return found


def _text_objection(attribute: Attribute, value: Any) -> str | None:
    if not isinstance(value, str):
        return f"must be text, not {_kind(value)}"
    if len(value) < attribute.min_length:
        return f"has {len(value)} characters, the least is {attribute.min_length}"
    if attribute.max_length is not None and len(value) > attribute.max_length:
        return f"has {len(value)} characters, the most is {attribute.max_length}"
    return _characters_objection(value)


def _characters_objection(value: str) -> str | None:
    if "\0" in value:
        return "has a NUL character"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "has half of a surrogate pair, which is no character"
    return None


def _boolean_objection(_: Attribute, value: Any) -> str | None:
    return None if isinstance(value, bool) else f"must be true or false, not {_kind(value)}"


def _integer_objection(_: Attribute, value: Any) -> str | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return f"must be a whole number, not {_kind(value)}"
    return None if -LARGEST_INTEGER - 1 <= value <= LARGEST_INTEGER else "is beyond 64 bits"


def _number_objection(attribute: Attribute, value: Any) -> str | None:
    if isinstance(value, float):
        return None if math.isfinite(value) else "is not finite"
    return None if _integer_objection(attribute, value) is None else f"must be a number, not {_kind(value)}"


def _array_objection(attribute: Attribute, value: Any) -> str | None:
    """A list of texts, numbers and booleans, or of what `items` says; Okta's arrays hold no lists, objects or nulls."""
    if not isinstance(value, list):
        return f"must be a list, not {_kind(value)}"
    for item in value:
        found = _item_objection(attribute, item)
        if found is not None:
            return f"has an item that {found}"
    return None


def _item_objection(attribute: Attribute, item: Any) -> str | None:
    if attribute.items is not None and attribute.items != "string":
        return _OBJECTIONS[attribute.items](attribute, item)
    if isinstance(item, str):
        return _characters_objection(item)
    if attribute.items is not None:
        return f"must be text, not {_kind(item)}"
    return None if isinstance(item, bool) else _number_objection(attribute, item)


def _among(value: Any, listed: tuple[str | int | float, ...]) -> bool:
    """Whether a value is listed; to Python, but to nobody else, true is 1."""
    return not isinstance(value, bool) and value in listed


def _pattern_objection(pattern: str, value: str) -> str | None:
    return None if _login_characters(pattern).fullmatch(value) else f"has characters that are not among {pattern}"


@lru_cache(maxsize=8)
def _login_characters(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.DOTALL)


def _kind(value: Any) -> str:
    """What JSON calls the type of a value."""
    return next((name for types, name in _KINDS if isinstance(value, types)), "null")


_KINDS: Final[tuple[tuple[type | tuple[type, ...], str], ...]] = (
    (bool, "a boolean"),
    (int, "a whole number"),
    (float, "a decimal number"),
    (str, "text"),
    (list, "a list"),
    (dict, "an object"),
)

_OBJECTIONS: Final[Mapping[AttributeType, Callable[[Attribute, Any], str | None]]] = {
    "string": _text_objection,
    "boolean": _boolean_objection,
    "integer": _integer_objection,
    "number": _number_objection,
    "array": _array_objection,
}

# name, title, least and most characters
_BASE: Final[tuple[tuple[str, str, int, int | None], ...]] = (
    ("login", "Username", 5, 100),
    ("firstName", "First name", 1, 50),
    ("lastName", "Last name", 1, 50),
    ("middleName", "Middle name", 0, None),
    ("honorificPrefix", "Honorific prefix", 0, None),
    ("honorificSuffix", "Honorific suffix", 0, None),
    ("email", "Primary email", 5, 100),
    ("title", "Title", 0, None),
    ("displayName", "Display name", 0, None),
    ("nickName", "Nickname", 0, None),
    ("profileUrl", "Profile URL", 0, None),
    ("secondEmail", "Secondary email", 5, 100),
    ("mobilePhone", "Mobile phone", 0, 100),
    ("primaryPhone", "Primary phone", 0, 100),
    ("streetAddress", "Street address", 0, 1_024),
    ("city", "City", 0, 128),
    ("state", "State", 0, 128),
    ("zipCode", "Zip code", 0, 50),
    ("countryCode", "Country code", 0, 2),
    ("postalAddress", "Postal address", 0, 4_096),
    ("preferredLanguage", "Preferred language", 0, None),
    ("locale", "Locale", 0, None),
    ("timezone", "Time zone", 0, None),
    ("userType", "User type", 0, None),
    ("employeeNumber", "Employee number", 0, None),
    ("costCenter", "Cost center", 0, None),
    ("organization", "Organization", 0, None),
    ("division", "Division", 0, None),
    ("department", "Department", 0, None),
    ("managerId", "Manager ID", 0, None),
    ("manager", "Manager", 0, None),
)
_REQUIRED: Final = frozenset({"login", "email", "firstName", "lastName"})

_DEFAULT: Final = Schema(
    {
        name: Attribute(name, title, required=name in _REQUIRED, min_length=least, max_length=most, base=True)
        for name, title, least, most in _BASE
    }
)


def default_schema() -> Schema:
    """The base attributes alone."""
    return _DEFAULT
