"""Profile mappings through the official SDK: both directions listed, read and changed in part (API.md, /mappings)."""

from __future__ import annotations

from typing import Any

import pytest
from okta.models import ProfileMappingProperty, ProfileMappingRequest

from tests.okta.caller import Sdk, causes


@pytest.fixture
def app_id(sdk: Sdk) -> str:
    made: str = sdk.http.post("/apps", json={"label": sdk.fresh("App")}).json()["id"]
    return made


def inbound(sdk: Sdk, app_id: str) -> str:
    (found,) = sdk.get(sdk.client.list_profile_mappings(source_id=app_id))
    made: str = found.id
    return made


def change(sdk: Sdk, mapping: str, **properties: ProfileMappingProperty) -> Any:
    return sdk.client.update_profile_mapping(mapping, ProfileMappingRequest(properties=properties))


def test_both_directions_of_an_app_are_listed_and_followed_page_by_page(sdk: Sdk, app_id: str) -> None:
    (inward,) = sdk.get(sdk.client.list_profile_mappings(source_id=app_id))
    (outward,) = sdk.get(sdk.client.list_profile_mappings(target_id=app_id))
    assert (inward.source.type, inward.target.type, outward.source.type, outward.target.type) == ("appuser", "user", "user", "appuser")
    assert (inward.target.id, inward.source.name) == (outward.source.id, outward.target.name)
    everything = [each.id for each in sdk.all(sdk.client.list_profile_mappings, limit=1)]
    assert {inward.id, outward.id} <= set(everything)
    assert len(everything) == len(set(everything))


def test_a_mapping_is_changed_in_part_and_read_back(sdk: Sdk, app_id: str) -> None:
    mapping = inbound(sdk, app_id)
    before = sdk.get(sdk.client.get_profile_mapping(mapping)).properties
    joined = ProfileMappingProperty(expression="appuser.firstName + ' ' + appuser.lastName", push_status="DONT_PUSH")
    changed = sdk.get(change(sdk, mapping, displayName=joined)).properties
    assert (changed["displayName"].expression, changed["displayName"].push_status) == (joined.expression, "DONT_PUSH")
    assert changed.keys() == before.keys()
    pushed = sdk.get(change(sdk, mapping, displayName=ProfileMappingProperty(push_status="PUSH"))).properties["displayName"]
    assert (pushed.expression, pushed.push_status) == (joined.expression, "PUSH")
    gone = sdk.http.post(f"/mappings/{mapping}", json={"properties": {"displayName": None}})  # the SDK leaves nulls out of what it sends
    assert gone.status_code == 200
    assert "displayName" not in sdk.get(sdk.client.get_profile_mapping(mapping)).properties


def test_a_parse_error_comes_with_its_position(sdk: Sdk, app_id: str) -> None:
    wrong = ProfileMappingProperty(expression="String.len(", push_status="PUSH")
    refused = sdk.refusal(change(sdk, inbound(sdk, app_id), title=wrong))
    assert (refused.status, refused.error_code) == (400, "E0000001")
    assert causes(refused) == ["title: the expression is not finished (at position 11)"]


def test_a_mapping_that_is_not_there_is_not_found(sdk: Sdk) -> None:
    assert sdk.refusal(sdk.client.get_profile_mapping("prm0")).error_code == "E0000007"
