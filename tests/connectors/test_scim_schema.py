"""A resource without what a server does not know: by the schemas that it publishes (RFC 7643 §7; docs/decisions/0046)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from mastering.connectors.outbound import Door
from mastering.connectors.peerauth import Fixed
from mastering.connectors.peerfaults import Refused
from mastering.connectors.scimpeer import Peer, Target
from mastering.connectors.scimschema import UserSchema, schema_in
from tests.hook_server import Reply
from tests.scim_server import ENTERPRISE, USER, Asked, ScimServer, error, scim_server

STRICT = {
    "Resources": [
        {
            "id": USER,
            "attributes": [
                {"name": "userName"},
                {"name": "active"},
                {"name": "title"},
                {"name": "password"},
                {"name": "name", "subAttributes": [{"name": "givenName"}, {"name": "familyName"}]},
                {"name": "emails", "multiValued": True, "subAttributes": [{"name": "value"}]},
            ],
        },
        {"id": ENTERPRISE, "attributes": [{"name": "department"}]},
        {"id": "urn:example:unusable"},
        "unusable",
    ]
}
"""What a server says that has little and wants nothing else."""
WHOLE = {
    "schemas": [USER, ENTERPRISE, "urn:example:ours"],
    "externalId": "00u1",
    "userName": "ada@example.com",
    "active": True,
    "locale": "en",
    "name": {"givenName": "Ada", "middleName": "King", "familyName": "Lovelace"},
    "emails": [{"value": "ada@example.com", "primary": True, "type": "work"}],
    ENTERPRISE: {"department": "Engines", "costCenter": "7"},
    "urn:example:ours": {"shoe": 39},
}
FITTED = {
    "schemas": [USER, ENTERPRISE],
    "externalId": "00u1",
    "userName": "ada@example.com",
    "active": True,
    "name": {"givenName": "Ada", "familyName": "Lovelace"},
    "emails": [{"value": "ada@example.com"}],
    ENTERPRISE: {"department": "Engines"},
}


def strict() -> UserSchema:
    found = schema_in(STRICT)
    assert found is not None
    return found


def test_a_resource_keeps_what_the_server_knows_and_nothing_else() -> None:
    assert strict().fit(WHOLE) == FITTED


def test_names_are_compared_without_regard_to_case() -> None:
    assert strict().fit(
        {"USERNAME": "ada", "Emails": [{"VALUE": "a@example.com", "Primary": True}], ENTERPRISE.upper(): {"Department": "E"}}
    ) == {
        "USERNAME": "ada",
        "Emails": [{"VALUE": "a@example.com"}],
        ENTERPRISE.upper(): {"Department": "E"},
    }


@pytest.mark.parametrize(
    ("operation", "kept"),
    [
        ({"op": "replace", "path": "active", "value": False}, {"op": "replace", "path": "active", "value": False}),
        ({"op": "replace", "path": "locale", "value": "en"}, None),
        ({"op": "replace", "path": "name.givenName", "value": "Ada"}, {"op": "replace", "path": "name.givenName", "value": "Ada"}),
        ({"op": "replace", "path": "name.middleName", "value": "King"}, None),
        ({"op": "remove", "path": "title"}, {"op": "remove", "path": "title"}),
        (
            {"op": "replace", "path": "emails", "value": [{"value": "a@example.com", "primary": True}]},
            {"op": "replace", "path": "emails", "value": [{"value": "a@example.com"}]},
        ),
        (
            {"op": "replace", "path": f"{ENTERPRISE}:department", "value": "E"},
            {"op": "replace", "path": f"{ENTERPRISE}:department", "value": "E"},
        ),
        ({"op": "replace", "path": f"{ENTERPRISE}:costCenter", "value": "7"}, None),
        ({"op": "replace", "path": "urn:example:ours:shoe", "value": 39}, None),
    ],
)
def test_a_patch_keeps_the_operations_on_what_the_server_knows(operation: dict[str, Any], kept: dict[str, Any] | None) -> None:
    assert strict().fit_patch({"schemas": [], "Operations": [operation]})["Operations"] == ([] if kept is None else [kept])


@pytest.mark.parametrize(
    "document", [{}, {"Resources": None}, {"Resources": [{"id": ENTERPRISE, "attributes": []}]}, {"Resources": [{"id": USER}]}]
)
def test_who_says_nothing_of_users_is_taken_at_no_word(document: dict[str, Any]) -> None:
    assert schema_in(document) is None


# -- the server that refuses ----------------------------------------------------------------------------------------------


def refuses_unknown(asked: Asked) -> Reply | None:
    """A server that has the schemas above and refuses a user who has more."""
    if asked.path == "/v2/Schemas":
        return Reply(body=STRICT)
    if asked.path != "/v2/Users" or asked.method != "POST":
        return None
    told = json.loads(asked.body)
    return Reply(201, {**told, "id": "1"}) if strict().fit(told) == told else error(400, "Extra inputs are not permitted")


@pytest.fixture
def door() -> Iterator[Door]:
    with closing(Door()) as made:
        yield made


def peer(door: Door, server: ScimServer) -> Peer:
    return Peer(door, Target(server.base_url, Fixed({"Authorization": "Bearer token"}, ())))


def test_a_server_that_refuses_more_than_it_has_is_told_no_more_and_known_from_then_on(door: Door) -> None:
    with scim_server() as server:
        server.behaves = refuses_unknown
        calls = peer(door, server)
        assert calls.write_user("POST", "/Users", WHOLE).document == {**FITTED, "id": "1"}
        assert calls.write_user("POST", "/Users", WHOLE).document == {**FITTED, "id": "1"}
        assert [asked.path.removeprefix("/v2") for asked in server.seen] == ["/Users", "/Schemas", "/Users", "/Users"]


def test_a_server_that_takes_everything_is_told_everything_and_never_asked_for_its_schemas(door: Door) -> None:
    with scim_server() as server:
        server.behaves = lambda asked: Reply(201, json.loads(asked.body)) if asked.method == "POST" else Reply(body=STRICT)
        assert peer(door, server).write_user("POST", "/Users", WHOLE).document == WHOLE
        assert [asked.path for asked in server.seen] == ["/v2/Users"]


def test_a_refusal_that_is_about_something_else_stays_one_and_is_not_taken_for_strictness(door: Door) -> None:
    with scim_server() as server:
        server.behaves = lambda asked: error(400, "no") if asked.method == "POST" else Reply(body=STRICT)
        calls = peer(door, server)
        for _ in range(2):
            with pytest.raises(Refused):
                calls.write_user("POST", "/Users", WHOLE)
        assert [json.loads(asked.body) for asked in server.seen if asked.method == "POST"] == [WHOLE, FITTED] * 2


def test_a_server_without_schemas_keeps_its_word(door: Door) -> None:
    with scim_server() as server:
        server.behaves = lambda asked: error(400, "no") if asked.method == "POST" else error(404, "nothing here")
        with pytest.raises(Refused):
            peer(door, server).write_user("POST", "/Users", WHOLE)
        assert [asked.path for asked in server.seen] == ["/v2/Users", "/v2/Schemas"]
