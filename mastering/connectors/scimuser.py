"""A SCIM 2.0 User resource (RFC 7643) as a record: the nested resource becomes a flat profile.

Attributes get the names that the user schema has, so that a new app's mapping of like-named attributes serves:

* `userName`, `displayName`, `nickName`, `profileUrl`, `title`, `userType`, `preferredLanguage`, `locale` and `timezone` stay as they are.
* `name` gives firstName, lastName, middleName, honorificPrefix, honorificSuffix.
* `emails` gives email; `addresses` streetAddress, city, state, zipCode, countryCode; `phoneNumbers` primaryPhone, and mobilePhone from the
  first of type mobile. Of several values the one marked primary counts, else the first; mobiles, faxes and pagers are nobody's primaryPhone.
* The enterprise extension gives employeeNumber, costCenter, organization, division, department, and of `manager` managerId and manager.
* Of any other extension the attributes that are plain values, or lists of them, come in under their own names. Core goes before
  extension where names meet.
* What the app's mapping reads by a SCIM path comes in under that path (`scimpaths`).

Attributes that a resource does not carry are not in the profile; those it carries as null, or as an empty list, are null there
(RFC 7643 §2.5 makes no difference between the two). Names of SCIM attributes are read without regard to case (§2.1).
"""

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import UNSET, UnsetType

from mastering.connectors.scimpaths import Paths, picked

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:user"

_KEPT = ("userName", "displayName", "nickName", "profileUrl", "title", "userType", "preferredLanguage", "locale", "timezone")
_NAME = {
    "givenName": "firstName",
    "familyName": "lastName",
    "middleName": "middleName",
    "honorificPrefix": "honorificPrefix",
    "honorificSuffix": "honorificSuffix",
}
_ADDRESS = {"streetAddress": "streetAddress", "locality": "city", "region": "state", "postalCode": "zipCode", "country": "countryCode"}
_ENTERPRISE = ("employeeNumber", "costCenter", "organization", "division", "department")
_NOT_PRIMARY_PHONES = {"mobile", "fax", "pager"}


class ScimUser(NamedTuple):
    """What a resource says: the parts of a record, UNSET where it says nothing."""

    external_id: object | UnsetType
    active: object | UnsetType
    profile: dict[str, object]


def read_user(resource: Mapping[str, object], paths: Paths | None = None) -> ScimUser:
    """The record in a User resource. The external id is its `externalId`, which is the client's own key, or else its `id`."""
    attributes = fold(resource)
    keys = [key for key in (attributes.get("externalid"), attributes.get("id")) if key not in (None, "")]
    extensions = {urn: value for urn, value in attributes.items() if urn.startswith("urn:") and isinstance(value, dict)}
    enterprise = extensions.pop(ENTERPRISE, {})
    profile: dict[str, object] = {}
    for part in (_core(attributes), _enterprise(enterprise), *map(_plain, extensions.values())):
        profile = part | profile
    profile = picked(paths or {}, attributes) | profile
    return ScimUser(keys[0] if keys else UNSET, attributes.get("active", UNSET), profile)


def fold(attributes: Mapping[str, object]) -> dict[str, object]:
    """The same attributes under casefolded names."""
    return {name.casefold(): value for name, value in attributes.items()}


def _core(attributes: Mapping[str, object]) -> dict[str, object]:
    profile = _picked(attributes, {name: name for name in _KEPT})
    if "name" in attributes:
        profile |= _parts(attributes["name"], _NAME)
    if "emails" in attributes:
        profile["email"] = _value(_chosen(attributes["emails"]))
    if "addresses" in attributes:
        profile |= _parts(_chosen(attributes["addresses"]), _ADDRESS)
    if "phonenumbers" in attributes:
        phones = _entries(attributes["phonenumbers"])
        profile["primaryPhone"] = _value(_first([phone for phone in phones if _type(phone) not in _NOT_PRIMARY_PHONES]))
        profile["mobilePhone"] = _value(_first([phone for phone in phones if _type(phone) == "mobile"]))
    return profile


def _enterprise(extension: Mapping[str, object]) -> dict[str, object]:
    attributes = fold(extension)
    profile = _picked(attributes, {name: name for name in _ENTERPRISE})
    if "manager" in attributes:
        manager = attributes["manager"]
        profile["managerId"] = _value(fold(manager)) if isinstance(manager, dict) else manager
        if isinstance(manager, dict):
            profile |= _picked(fold(manager), {"displayName": "manager"})
    known = {name.casefold() for name in (*_ENTERPRISE, "manager")}
    return profile | _plain({name: value for name, value in extension.items() if name.casefold() not in known})


def _plain(extension: Mapping[str, object]) -> dict[str, object]:
    """The attributes that are plain values or lists of plain values."""
    return {
        name: value
        for name, value in extension.items()
        if not isinstance(value, dict) and not (isinstance(value, list) and any(isinstance(item, dict | list) for item in value))
    }


def _picked(attributes: Mapping[str, object], names: Mapping[str, str]) -> dict[str, object]:
    """Those of `names` that folded attributes carry, under the names they are mapped to."""
    return {ours: attributes[scim.casefold()] for scim, ours in names.items() if scim.casefold() in attributes}


def _parts(value: object, names: Mapping[str, str]) -> dict[str, object]:
    """The parts of a complex attribute; of one that is carried and empty, every part is null."""
    return _picked(fold(value), names) if isinstance(value, dict) else dict.fromkeys(names.values())


def _entries(values: object) -> list[dict[str, object]]:
    return [fold(entry) for entry in values if isinstance(entry, dict)] if isinstance(values, list) else []


def _first(entries: list[dict[str, object]]) -> dict[str, object] | None:
    """The entry marked primary, else the first one."""
    return next((entry for entry in entries if entry.get("primary") is True), entries[0] if entries else None)


def _chosen(values: object) -> dict[str, object] | None:
    return _first(_entries(values))


def _value(entry: Mapping[str, object] | None) -> object:
    return entry.get("value") if entry else None


def _type(entry: Mapping[str, object]) -> str:
    return str(entry.get("type", "")).casefold()
