"""A person as a SCIM 2.0 User resource: what is created, and what is changed (RFC 7643, RFC 7644 §3.3, §3.5).

The way back of `scimuser`: a flat profile under the same names becomes a resource, so that what was pushed reads as the same profile when it
is pulled. A name that neither has may be a path of SCIM's own: `name.formatted`, `emails[type eq "home"].value`,
`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:division`. Any other name is no attribute of a SCIM user and is not sent.

A PATCH replaces or removes attribute by attribute. E-mail addresses, phone numbers and addresses are lists whose entries servers tell apart in
ways of their own, so the whole list is replaced, and what we do not know of it is taken from the resource as it is. A PUT is the resource as it
is with the changes in it: what we do not know must not be lost.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

CORE_USER: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE_USER: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH_OP: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a value stands: in the core or an extension, an attribute or a part of it, of the entry of a list that `where` tells."""

    attribute: str
    part: str | None = None
    schema: str | None = None
    where: tuple[str, str | bool] | None = None


def _primary(attribute: str, part: str = "value") -> _Place:
    return _Place(attribute, part, where=("primary", True))


_PLACES: Final[Mapping[str, _Place]] = {
    **{
        name: _Place(name)
        for name in ("userName", "displayName", "nickName", "profileUrl", "title", "userType", "preferredLanguage", "locale", "timezone")
    },
    "firstName": _Place("name", "givenName"),
    "lastName": _Place("name", "familyName"),
    "middleName": _Place("name", "middleName"),
    "honorificPrefix": _Place("name", "honorificPrefix"),
    "honorificSuffix": _Place("name", "honorificSuffix"),
    "email": _primary("emails"),
    "primaryPhone": _Place("phoneNumbers", "value", where=("type", "work")),
    "mobilePhone": _Place("phoneNumbers", "value", where=("type", "mobile")),
    "streetAddress": _primary("addresses", "streetAddress"),
    "city": _primary("addresses", "locality"),
    "state": _primary("addresses", "region"),
    "zipCode": _primary("addresses", "postalCode"),
    "countryCode": _primary("addresses", "country"),
    **{name: _Place(name, schema=ENTERPRISE_USER) for name in ("employeeNumber", "costCenter", "organization", "division", "department")},
    "managerId": _Place("manager", "value", schema=ENTERPRISE_USER),
    "manager": _Place("manager", "displayName", schema=ENTERPRISE_USER),
}
_READ_ONLY: Final = frozenset({"id", "externalId", "active", "password", "meta", "schemas", "groups"})
"""What no mapping says: the server's own, or ours to say by other rules."""
_LISTS: Final = frozenset({"roles", "entitlements"})
_PATH: Final = re.compile(
    r"""(?:(?P<schema>urn:[\w:.\-]+):)?(?P<attribute>[A-Za-z$][\w$-]*)
    (?:\[\s*(?P<key>\w+)\s+eq\s+(?:"(?P<text>[^"\\]*)"|(?P<flag>true|false))\s*\])?
    (?:\.(?P<part>[A-Za-z$][\w$-]*))?""",
    re.VERBOSE,
)


def place_of(name: str) -> _Place | None:
    """Where an app attribute stands in a resource; `None` for what is no attribute of a SCIM user."""
    if name in _PLACES:
        return _PLACES[name]
    found = _PATH.fullmatch(name)
    if found is None or found["attribute"] in _READ_ONLY:
        return None
    schema = found["schema"] if found["schema"] and found["schema"].casefold() != CORE_USER.casefold() else None
    if not schema and not found["part"] and not found["key"] and found["attribute"] not in _LISTS:
        return None
    where = None if found["key"] is None else (found["key"], found["text"] if found["text"] is not None else found["flag"] == "true")
    return _Place(found["attribute"], found["part"] or ("value" if where else None), schema, where)


def sendable(profile: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a profile that a SCIM user has a place for."""
    return {name: value for name, value in profile.items() if place_of(name) is not None}


def new_user(profile: Mapping[str, Any], external_id: str, password: str) -> Resource:
    """The resource to create: active, with a password, and our own key for it."""
    resource: Resource = {"schemas": [CORE_USER], "externalId": external_id, "active": True, "password": password}
    put_in(resource, {name: value for name, value in profile.items() if value is not None})
    return resource


def put_in(resource: Resource, changes: Mapping[str, Any]) -> None:
    """Put changes into a resource, `None` taking a value out, and name the schemas that it has then."""
    for name, value in changes.items():
        place = place_of(name)
        if place is not None:
            _set(_home(resource, place, make=value is not None), place, value)
    extensions = [key for key, part in resource.items() if key.casefold().startswith("urn:") and part]
    resource["schemas"] = list(dict.fromkeys([*resource.get("schemas", [CORE_USER]), *extensions]))


def patch(
    changes: Mapping[str, Any], present: Mapping[str, Any], *, active: bool | None = None, password: str | None = None
) -> dict[str, Any]:
    """The PATCH that makes these changes; `present` is the resource as it is, needed where `needs_present` says so."""
    operations: list[dict[str, Any]] = []
    told: set[str] = set()
    after: Resource = deepcopy(dict(present))
    put_in(after, changes)
    for name, value in changes.items():
        place = place_of(name)
        if place is None:
            continue
        if place.where is None:
            operations.append(_operation(_path(place), value))
        elif place.attribute not in told:
            told.add(place.attribute)
            operations.append(_operation(place.attribute, _home(after, place, make=False).get(_key(after, place.attribute)) or None))
    if active is not None:
        operations.append(_operation("active", active))
    if password is not None:
        operations.append(_operation("password", password))
    return {"schemas": [PATCH_OP], "Operations": operations}


def needs_present(changes: Mapping[str, Any]) -> bool:
    """Whether the resource as it is has to be known before these changes can be told."""
    return any(place.where is not None for name in changes if (place := place_of(name)) is not None)


def replacement(
    changes: Mapping[str, Any], present: Mapping[str, Any], *, active: bool | None = None, password: str | None = None
) -> Resource:
    """The PUT that makes these changes in the resource as it is."""
    resource: Resource = {name: deepcopy(value) for name, value in present.items() if name.casefold() not in {"meta", "groups"}}
    put_in(resource, changes)
    if active is not None:
        resource[_key(resource, "active")] = active
    if password is not None:
        resource["password"] = password
    return resource


def _operation(path: str, value: Any) -> dict[str, Any]:
    return {"op": "remove", "path": path} if value is None else {"op": "replace", "path": path, "value": value}


def _path(place: _Place) -> str:
    inner = f"{place.attribute}.{place.part}" if place.part else place.attribute
    return f"{place.schema}:{inner}" if place.schema else inner


def _key(holder: Mapping[str, Any], name: str) -> str:
    """The name as this server spells it: names are read without regard to case (RFC 7643 §2.1)."""
    return next((key for key in holder if key.casefold() == name.casefold()), name)


def _home(resource: Resource, place: _Place, *, make: bool) -> Resource:
    """The object that an attribute stands in: the resource, or an extension of it."""
    if place.schema is None:
        return resource
    key = _key(resource, place.schema)
    found = resource.get(key)
    if isinstance(found, dict):
        return found
    fresh: Resource = {}
    if make:
        resource[key] = fresh
    return fresh


def _set(home: Resource, place: _Place, value: Any) -> None:
    key = _key(home, place.attribute)
    if place.where is not None:
        home[key] = _entries(home.get(key), place, value)
        if not home[key]:
            del home[key]
    elif place.part is None:
        _put(home, key, value)
    else:
        holder = dict(home[key]) if isinstance(home.get(key), dict) else {}
        _put(holder, _key(holder, place.part), value)
        _put(home, key, holder or None)


def _put(holder: Resource, key: str, value: Any) -> None:
    if value is None:
        holder.pop(key, None)
    else:
        holder[key] = value


def _entries(present: Any, place: _Place, value: Any) -> list[Any]:
    """The list with the value in the entry that is meant: of what is primary, the primary one, else the first; else the one of that kind."""
    entries = [dict(entry) if isinstance(entry, dict) else entry for entry in present] if isinstance(present, list) else []
    key, wanted = place.where or ("primary", True)
    part = place.part or "value"
    objects = [entry for entry in entries if isinstance(entry, dict)]
    meant = next((entry for entry in objects if entry.get(_key(entry, key)) == wanted), None)
    if meant is None and key == "primary" and objects:
        meant = objects[0]
    if meant is None:
        if value is None:
            return entries
        meant = {key: wanted} if key != "primary" else {"primary": wanted, "type": "work"}
        entries.append(meant)
    _put(meant, _key(meant, part), value)
    return [entry for entry in entries if not isinstance(entry, dict) or entry.keys() - {"primary", "type", "display"}]
