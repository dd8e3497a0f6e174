"""SCIM paths as names of attributes (RFC 7644 §3.10): what a resource has there, and what of it a record carries."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mastering.connectors.scim import ScimIntake
from mastering.connectors.scimpaths import paths_in, picked
from mastering.connectors.scimuser import fold, read_user

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
RESOURCE: dict[str, Any] = {
    "id": "1",
    "userName": "ada",
    "name": {"givenName": "Ada", "familyName": "Lovelace", "formatted": None},
    "title": "",
    "nickName": None,
    "emails": [
        {"value": "ada@home.example", "type": "Home"},
        {"value": "ada@work.example", "type": "work", "primary": True},
        {"value": "countess@work.example", "type": "work"},
    ],
    "phoneNumbers": [],
    "roles": [{"value": "admin"}],
    "meta": {"lastModified": "2026-01-01T00:00:00Z"},
    ENTERPRISE: {"department": "Engines", "manager": {"value": "26", "displayName": "Charles"}},
    "urn:example:acme": {"badge": 7},
}


def at(path: str, resource: dict[str, Any] = RESOURCE) -> Any:
    """The value at a path, or `...` where the resource does not carry it."""
    return picked(paths_in([path]), fold(resource)).get(path, ...)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("userName", "ada"),
        ("USERNAME", "ada"),
        ("name.givenName", "Ada"),
        ("NAME.GIVENNAME", "Ada"),
        ("name", RESOURCE["name"]),
        ("name.formatted", None),
        ("name.middleName", ...),
        ("nickName", None),
        ("nickName.x", None),
        ("displayName", ...),
        ("displayName.x", ...),
        ("userName.x", ...),
        ("emails", RESOURCE["emails"]),
        ("emails.value", "ada@work.example"),
        ("emails[primary eq true].value", "ada@work.example"),
        ('emails[type eq "home"].value', "ada@home.example"),
        ('emails[type eq "work" and not (primary eq true)].value', "countess@work.example"),
        ('emails[type eq "work"].value', "ada@work.example"),
        ('emails[type eq "other"].value', None),
        ('emails[type ne "work"].value', "ada@home.example"),
        ('emails[value sw "countess"].value', "countess@work.example"),
        ('emails[value ew "HOME.example"].type', "Home"),
        ('emails[value co "home" or value co "nobody"].type', "Home"),
        ("emails[primary pr].value", "ada@work.example"),
        ('emails[value gt "b"].value', "countess@work.example"),
        ('emails[value le "ada@home.example"].value', "ada@home.example"),
        ("emails[primary eq 1].value", None),
        ("emails[primary gt 0].value", None),
        ('emails[type eq "home"]', RESOURCE["emails"][0]),
        ('emails[type eq "home"].display', None),
        ('phoneNumbers[type eq "work"].value', None),
        ("phoneNumbers.value", None),
        ('photos[type eq "photo"].value', ...),
        ("roles.value", "admin"),
        (f"{ENTERPRISE}:department", "Engines"),
        (f"{ENTERPRISE.lower()}:DEPARTMENT", "Engines"),
        (f"{ENTERPRISE}:manager.displayName", "Charles"),
        (f"{ENTERPRISE}:costCenter", ...),
        (ENTERPRISE, RESOURCE[ENTERPRISE]),
        ("urn:example:acme:badge", 7),
        ("urn:example:other:badge", ...),
        ("urn:ietf:params:scim:schemas:core:2.0:User:name.familyName", "Lovelace"),
    ],
)
def test_a_path_leads_to_what_the_resource_has_there(path: str, value: Any) -> None:
    assert at(path) == value


@pytest.mark.parametrize("name", ["meta", "meta.lastModified", "META.version", "first name", "", "emails[", "a" * 500, "x y eq 1", "1"])
def test_what_is_no_path_or_changes_by_itself_is_never_carried(name: str) -> None:
    assert paths_in([name]) == {}


def test_a_record_carries_its_paths_beside_the_flat_names() -> None:
    paths = paths_in(["name.givenName", f"{ENTERPRISE}:department", "firstName", "department"])
    profile = read_user(RESOURCE, paths).profile
    assert (profile["name.givenName"], profile["firstName"]) == ("Ada", "Ada")
    assert profile[f"{ENTERPRISE}:department"] == profile["department"] == "Engines"
    assert read_user(RESOURCE).profile == {
        name: value for name, value in profile.items() if name in {"department", "firstName"} or name not in paths
    }


def records(message: dict[str, Any], *names: str) -> list[dict[str, Any]]:
    intake = ScimIntake(paths=paths_in(names))
    intake.feed(json.dumps(message).encode())
    return [json.loads(line.payload) for line in intake.close()]


def test_what_is_sent_as_scim_carries_the_same_paths() -> None:
    (told,) = records({"Resources": [RESOURCE], "totalResults": 1}, "emails[primary eq true].value", "name")
    assert told["profile"]["emails[primary eq true].value"] == "ada@work.example"
    assert told["profile"]["name"] == RESOURCE["name"]


def test_a_patch_carries_the_paths_that_it_says_whole() -> None:
    """Of an object it says a part, and the rest of it is not known: as a whole it is not carried."""
    operations = [{"op": "replace", "path": "name.givenName", "value": "Augusta"}, {"op": "replace", "path": "title", "value": "Countess"}]
    patch = {"method": "PATCH", "path": "/Users/1", "data": {"Operations": operations}}
    (told,) = records({"Operations": [patch]}, "name.givenName", "name", "title")
    assert told["profile"] == {"firstName": "Augusta", "name.givenName": "Augusta", "title": "Countess"}
