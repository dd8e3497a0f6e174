"""SCIM messages as imports: what a User resource is as a record, and what each operation of a BulkRequest says."""

import json
from typing import Any

import msgspec
import pytest

from mastering.connectors.intake import MAX_LINE, Line, Unusable, decode_unusable
from mastering.connectors.scim import ScimIntake
from mastering.errors import MalformedBody

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
BADGES = "urn:example:params:scim:schemas:extension:badges:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


def read(message: object) -> list[Line]:
    intake = ScimIntake()
    return intake.feed(message if isinstance(message, bytes) else json.dumps(message).encode()) + intake.close()


def record(resource: object) -> dict[str, Any]:
    """The record that a ListResponse of this one resource brings."""
    (line,) = read({"Resources": [resource]})
    found: dict[str, Any] = msgspec.json.decode(line.payload)
    return found


def profile(**attributes: object) -> dict[str, Any]:
    found: dict[str, Any] = record(attributes)["profile"]
    return found


def operate(**operation: object) -> Line:
    (line,) = read({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [operation]})
    return line


def patch(*operations: object) -> Line:
    return operate(method="PATCH", path="/Users/E1", data={"schemas": [PATCH], "Operations": operations})


def said(line: Line) -> dict[str, Any]:
    assert line.payload.startswith(b"{"), line.payload
    found: dict[str, Any] = msgspec.json.decode(line.payload)
    return found


def refused(line: Line) -> tuple[Unusable, str | None]:
    reason, detail, external_id = decode_unusable(line.payload)
    assert detail
    return reason, external_id


def test_a_complete_resource_becomes_a_flat_profile() -> None:
    resource = {
        "schemas": [CORE, ENTERPRISE, BADGES],
        "id": "2819c223",
        "externalId": "701984",
        "meta": {"resourceType": "User", "version": "1"},
        "active": True,
        "userName": "nadia@example.com",
        "password": "never seen",
        "name": {
            "formatted": "Dr. Nadia Okafor",
            "familyName": "Okafor",
            "givenName": "Nadia",
            "middleName": "B",
            "honorificPrefix": "Dr.",
            "honorificSuffix": "MBE",
        },
        "displayName": "Nadia O.",
        "nickName": "Nad",
        "profileUrl": "https://example.com/nadia",
        "title": "Geologist",
        "userType": "Employee",
        "preferredLanguage": "en-GB",
        "locale": "en-GB",
        "timezone": "Europe/London",
        "emails": [{"value": "nad@example.org", "type": "home"}, {"value": "nadia@example.com", "type": "work", "primary": True}],
        "phoneNumbers": [{"value": "+44 1", "type": "mobile", "primary": True}, {"value": "+44 2", "type": "fax"}, {"value": "+44 3"}],
        "addresses": [
            {"streetAddress": "1 Quay", "locality": "Leith", "region": "LO", "postalCode": "EH6", "country": "GB", "type": "work"}
        ],
        "groups": [{"value": "g1"}],
        ENTERPRISE: {
            "employeeNumber": "17",
            "costCenter": "C4",
            "organization": "Deep Earth",
            "division": "Field",
            "department": "Cores",
            "manager": {"value": "26118915", "$ref": "../Users/26118915", "displayName": "Ilse Brandt"},
        },
        BADGES: {"badgeColor": "red", "floors": [1, 2], "department": "Doors", "history": [{"at": 1}], "door": {"id": 4}},
    }
    assert record(resource) == {
        "externalId": "701984",
        "active": True,
        "profile": {
            "userName": "nadia@example.com",
            "firstName": "Nadia",
            "lastName": "Okafor",
            "middleName": "B",
            "honorificPrefix": "Dr.",
            "honorificSuffix": "MBE",
            "displayName": "Nadia O.",
            "nickName": "Nad",
            "profileUrl": "https://example.com/nadia",
            "title": "Geologist",
            "userType": "Employee",
            "preferredLanguage": "en-GB",
            "locale": "en-GB",
            "timezone": "Europe/London",
            "email": "nadia@example.com",
            "primaryPhone": "+44 3",
            "mobilePhone": "+44 1",
            "streetAddress": "1 Quay",
            "city": "Leith",
            "state": "LO",
            "zipCode": "EH6",
            "countryCode": "GB",
            "employeeNumber": "17",
            "costCenter": "C4",
            "organization": "Deep Earth",
            "division": "Field",
            "department": "Cores",
            "managerId": "26118915",
            "manager": "Ilse Brandt",
            "badgeColor": "red",
            "floors": [1, 2],
        },
    }


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ({"externalId": "X", "id": "1"}, "X"),
        ({"id": "1"}, "1"),
        ({"externalId": "", "id": "1"}, "1"),
        ({"externalId": None, "id": 17}, 17),
    ],
)
def test_the_external_id_is_the_clients_key_or_else_the_id(resource: dict[str, object], expected: object) -> None:
    assert record(resource) == {"externalId": expected, "profile": {}}


def test_a_resource_without_any_id_is_a_record_without_an_external_id() -> None:
    assert record({"userName": "x"}) == {"profile": {"userName": "x"}}


def test_what_active_says_is_handed_on_and_absent_stays_absent() -> None:
    assert record({"id": "1", "active": False})["active"] is False
    assert record({"id": "1", "active": "False"})["active"] == "False"
    assert record({"id": "1", "active": None})["active"] is None
    assert "active" not in record({"id": "1"})


def test_attribute_names_are_read_without_regard_to_case() -> None:
    assert profile(USERNAME="x", Name={"GivenName": "A"}, **{ENTERPRISE.upper(): {"EmployeeNumber": "7"}}) == {
        "userName": "x",
        "firstName": "A",
        "employeeNumber": "7",
    }


def test_absent_is_not_null_and_null_or_an_empty_list_is() -> None:
    assert profile(title=None, name={"givenName": None}) == {"title": None, "firstName": None}
    assert profile(emails=[], phoneNumbers=None) == {"email": None, "primaryPhone": None, "mobilePhone": None}
    assert profile(addresses=[]) == dict.fromkeys(["streetAddress", "city", "state", "zipCode", "countryCode"])
    assert profile(name=None)["lastName"] is None
    assert profile(**{ENTERPRISE: {"manager": None, "department": None}}) == {"managerId": None, "department": None}


def test_without_a_primary_the_first_value_counts() -> None:
    assert profile(emails=[{"value": "a@example.com"}, {"value": "b@example.com"}])["email"] == "a@example.com"


def test_a_manager_may_be_given_as_a_plain_id() -> None:
    assert profile(**{ENTERPRISE: {"manager": "M1"}}) == {"managerId": "M1"}


def test_a_page_of_more_resources_is_malformed_because_the_others_would_seem_gone() -> None:
    resources = [{"id": "1"}, {"id": "2"}]
    assert len(read({"totalResults": 2, "Resources": resources})) == 2
    with pytest.raises(MalformedBody, match="2 of 3"):
        read({"totalResults": 3, "itemsPerPage": 2, "startIndex": 1, "Resources": resources})


def test_a_list_response_of_nobody_may_leave_the_resources_out() -> None:
    schemas = ["urn:ietf:params:scim:api:messages:2.0:ListResponse"]
    assert read({"schemas": schemas, "totalResults": 0}) == read({"schemas": schemas, "totalResults": 0, "Resources": []}) == []
    with pytest.raises(MalformedBody, match="must be a SCIM ListResponse"):
        read({"schemas": schemas, "totalResults": 4})


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b'{"Resources":[',
        b"[]",
        b"{}",
        b'{"totalResults":0}',
        b'{"Resources":{}}',
        b'{"Operations":null}',
        b"[" * 100_000,
        b'\xff{"a":1}',
    ],
)
def test_what_is_no_message_is_malformed(message: bytes) -> None:
    with pytest.raises(MalformedBody):
        read(message)


def test_at_every_depth_a_message_is_read_or_refused() -> None:
    for depth in range(1, 1_500):
        for name in ("Resources", "Operations"):
            body = f'{{"{name}":[{{"a":{"[" * depth}{"]" * depth}}}]}}'
            try:
                lines = read(body.encode())
            except MalformedBody as refusal:
                assert "nested too deeply" in str(refusal)  # noqa: PT017  (either outcome is right)
            else:
                assert len(lines) == 1


@pytest.mark.parametrize("name", ["Resources", "Operations"])
@pytest.mark.parametrize("element", [b"null", b'"E1"', b"[]", b'{"a":1e999}'])
def test_an_element_that_cannot_be_read_as_an_object_is_refused_and_the_others_stand(name: str, element: bytes) -> None:
    lines = read(b'{"%s":[{"method":"DELETE","path":"/Users/E1"},%s]}' % (name.encode(), element))
    assert refused(lines[1]) == (Unusable.not_an_object, None)
    assert [line.number for line in lines] == [1, 2]


def test_a_resource_of_more_than_the_greatest_length_is_refused_by_name() -> None:
    (line,) = read({"Resources": [{"externalId": "E1", "title": "x" * (MAX_LINE + 1)}]})
    assert refused(line) == (Unusable.line_too_long, "E1")


def test_post_and_put_bring_a_resource() -> None:
    posted = operate(method="post", path="/users", bulkId="b1", data={"externalId": "E1", "title": "x"})
    assert said(posted) == {"externalId": "E1", "profile": {"title": "x"}}
    replaced = operate(method="PUT", path="https://example.com/scim/v2/Users/E%2F1/", data={"title": "x"})
    assert said(replaced) == {"externalId": "E/1", "profile": {"title": "x"}}
    assert said(operate(method="PUT", path="/Users/abc", data={"externalId": "E1"}))["externalId"] == "E1"


def test_delete_is_an_inactive_account() -> None:
    assert operate(method="DELETE", path="/Users/E1").payload == b'{"externalId":"E1","active":false,"profile":{}}'


def test_patch_brings_what_it_replaces_and_nothing_else() -> None:
    assert said(patch({"op": "replace", "path": "active", "value": False})) == {"externalId": "E1", "active": False, "profile": {}}
    assert said(patch({"op": "Replace", "value": {"title": "x", "name.familyName": "Y", ENTERPRISE: {"division": "D"}}})) == {
        "externalId": "E1",
        "profile": {"title": "x", "lastName": "Y", "division": "D"},
    }
    assert said(
        patch(
            {"op": "replace", "path": f"{CORE}:name.givenName", "value": "A"},
            {"op": "replace", "path": f"{ENTERPRISE}:department", "value": None},
            {"op": "replace", "path": f"{ENTERPRISE}:manager.value", "value": "M1"},
            {"op": "replace", "path": f"{BADGES}:badgeColor", "value": "red"},
            {"op": "replace", "path": "emails", "value": [{"value": "a@example.com"}]},
        )
    ) == {
        "externalId": "E1",
        "profile": {"firstName": "A", "department": None, "managerId": "M1", "badgeColor": "red", "email": "a@example.com"},
    }


def test_a_patch_replaces_the_parts_of_a_complex_attribute_one_after_the_other() -> None:
    whole_name = {"op": "replace", "path": "Name", "value": {"givenName": "A", "familyName": "B"}}
    one_part = {"op": "replace", "path": "name.familyName", "value": "C"}
    manager = {"op": "replace", "path": f"{ENTERPRISE}:manager", "value": {"value": "M1"}}
    assert said(patch(whole_name, one_part, manager))["profile"] == {"firstName": "A", "lastName": "C", "managerId": "M1"}


def test_a_patch_cannot_change_the_key_it_is_found_by() -> None:
    assert said(patch({"op": "replace", "path": "externalId", "value": "E2"}))["externalId"] == "E1"


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "title", "value": "x"},
        {"op": "remove", "path": "title"},
        {"op": "replace", "value": "x"},
        {"op": "replace", "path": 'emails[type eq "work"].value', "value": "a@example.com"},
        {"op": "replace", "path": "emails.value", "value": "a@example.com"},
        {"op": "replace", "value": {"name": "x", "name.givenName": "A"}},
        {"op": "replace", "path": f"{BADGES}:door", "value": {"id": 4}},
        {},
        "replace",
    ],
)
def test_a_patch_that_says_more_is_refused_by_name(operation: object) -> None:
    title = {"op": "replace", "path": "title", "value": "x"}
    assert refused(patch(title, operation)) == (Unusable.unsupported_operation, "E1")


@pytest.mark.parametrize(
    ("operation", "external_id"),
    [
        ({"method": "GET", "path": "/Users/E1"}, "E1"),
        ({"method": "POST", "path": "/Groups", "data": {}}, None),
        ({"method": "POST", "path": "/Superusers", "data": {}}, None),
        ({"method": "POST", "path": "/Users"}, None),
        ({"method": "PUT", "path": "/Users", "data": {}}, None),
        ({"method": "PUT", "path": "/Users/E1"}, "E1"),
        ({"method": "PUT", "path": "/Groups/G1", "data": {}}, None),
        ({"method": "PATCH", "path": "/Users/E1", "data": {"Operations": None}}, "E1"),
        ({"method": "DELETE", "path": "/Users/bulkId:b1"}, None),
        ({"method": "DELETE", "path": "/Users/%ff"}, None),
        ({"method": "DELETE", "path": "/Groups/G1"}, None),
        ({"method": "DELETE"}, None),
        ({"path": "/Users/E1"}, "E1"),
    ],
)
def test_an_operation_that_is_no_record_is_refused(operation: dict[str, object], external_id: str | None) -> None:
    assert refused(operate(**operation)) == (Unusable.unsupported_operation, external_id)


def test_operations_keep_their_order_and_count() -> None:
    lines = read({"operations": [{"method": "DELETE", "path": f"/Users/E{number}"} for number in range(1, 4)], "failOnErrors": None})
    assert [(line.number, said(line)["externalId"]) for line in lines] == [(1, "E1"), (2, "E2"), (3, "E3")]
