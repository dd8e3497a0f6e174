"""Upload sessions through the official SDK, as import jobs in the wild speak of them (API.md, /identity-sources)."""

from __future__ import annotations

import time
from typing import Any

import pytest
from okta.models import (
    BulkDeleteRequestBody,
    BulkUpsertRequestBody,
    BulkUpsertRequestBodyProfilesInner,
    IdentitySourceUserProfileForDelete,
    IdentitySourceUserProfileForUpsert,
)

from tests.okta.caller import Sdk, causes

PATIENCE = 30.0


def upsert(*keys: str, **profile: Any) -> BulkUpsertRequestBody:
    """A request that the source has these people."""
    return BulkUpsertRequestBody(
        entityType="USERS",
        profiles=[
            BulkUpsertRequestBodyProfilesInner(
                externalId=key,
                profile=IdentitySourceUserProfileForUpsert(
                    **{"userName": f"{key}@example.com", "email": f"{key}@example.com", "firstName": key, "lastName": "Example", **profile}
                ),
            )
            for key in keys
        ],
    )


def delete(*keys: str) -> BulkDeleteRequestBody:
    """A request that the source has dropped these people."""
    return BulkDeleteRequestBody(entityType="USERS", profiles=[IdentitySourceUserProfileForDelete(externalId=key) for key in keys])


@pytest.fixture
def hr(sdk: Sdk) -> str:
    """An app that masters users and confirms new ones by itself."""
    app_id: str = sdk.http.post("/apps", json={"label": sdk.fresh("HR")}).json()["id"]
    policy = {"mastering": {"enabled": True}, "confirmation": {"autoConfirmExact": True, "autoConfirmNew": True, "autoActivateNew": True}}
    assert sdk.http.put(f"/apps/{app_id}/import-policy", json=policy).is_success
    return app_id


def uploaded(sdk: Sdk, app_id: str, *requests: BulkUpsertRequestBody | BulkDeleteRequestBody) -> str:
    """A session with these requests, started; its id."""
    session_id: str = sdk.get(sdk.client.create_identity_source_session(app_id)).id
    for request in requests:
        deletes = isinstance(request, BulkDeleteRequestBody)
        load = sdk.client.upload_identity_source_data_for_delete if deletes else sdk.client.upload_identity_source_data_for_upsert
        assert sdk.get(load(app_id, session_id, request)) is None
    assert sdk.get(sdk.client.start_import_from_identity_source(app_id, session_id)).status == "TRIGGERED"
    return session_id


def rested(sdk: Sdk, run_id: str) -> dict[str, Any]:
    """The run of a session once it waits for nobody but an admin."""
    until = time.monotonic() + PATIENCE
    while (run := sdk.http.get(f"/imports/{run_id}").json())["status"] in {"QUEUED", "PLANNING", "APPLYING"} and time.monotonic() < until:
        time.sleep(0.05)
    found: dict[str, Any] = run
    return found


def status_of(sdk: Sdk, login: str) -> str:
    found: str = sdk.get(sdk.client.get_user(login)).status
    return found


def test_hr_is_uploaded_in_pieces_held_when_many_leave_approved_and_told_of_in_the_history(sdk: Sdk, hr: str) -> None:
    keys = [sdk.fresh("story") for _ in range(450)]
    session_id = uploaded(sdk, hr, upsert(*keys[:200]), upsert(*keys[200:400]), upsert(*keys[400:]))
    assert rested(sdk, session_id)["situations"] == {"UNMATCHED": 450}
    session = sdk.get(sdk.client.get_identity_source_session(hr, session_id))
    assert (session.status, session.import_type, session.identity_source_id) == ("COMPLETED", "INCREMENTAL", hr)
    assert status_of(sdk, f"{keys[0]}@example.com") == "ACTIVE"

    leavers = uploaded(sdk, hr, delete(*keys[:150]), upsert(keys[200], mobilePhone="555-123-4567"))
    held = rested(sdk, leavers)
    assert (held["status"], held["source"], held["safeguard"]["app"]["percent"]) == ("HELD", "IDENTITY_SOURCE", 33.33)
    assert [each.id for each in sdk.get(sdk.client.list_identity_source_sessions(hr))] == [leavers]
    assert sdk.get(sdk.client.get_identity_source_session(hr, leavers)).status == "TRIGGERED"
    assert status_of(sdk, f"{keys[0]}@example.com") == "ACTIVE"

    assert sdk.http.post(f"/imports/{leavers}/lifecycle/approve", json={"planHash": held["planHash"]}).is_success
    assert rested(sdk, leavers)["actions"] == {"deactivate": 150, "update": 1}
    assert sdk.get(sdk.client.get_identity_source_session(hr, leavers)).status == "COMPLETED"
    assert sdk.get(sdk.client.list_identity_source_sessions(hr)) == []
    gone = sdk.get(sdk.client.get_user(f"{keys[0]}@example.com"))
    assert gone.status == "DEPROVISIONED"
    assert sdk.get(sdk.client.get_user(f"{keys[200]}@example.com")).profile.mobile_phone == "555-123-4567"
    last = sdk.http.get(f"/users/{gone.id}/history").json()[0]
    assert last["run"] == {"id": leavers, "planHash": held["planHash"]}


def test_a_session_is_deleted_and_another_one_made(sdk: Sdk, hr: str) -> None:
    session = sdk.get(sdk.client.create_identity_source_session(hr))
    assert session.status == "CREATED"
    assert sdk.get(sdk.client.upload_identity_source_data_for_upsert(hr, session.id, upsert("never"))) is None
    assert sdk.get(sdk.client.get_identity_source_session(hr, session.id)).status == "IN_PROGRESS"
    assert sdk.get(sdk.client.delete_identity_source_session(hr, session.id)) is None
    assert sdk.get(sdk.client.get_identity_source_session(hr, session.id)).status == "CLOSED"
    assert sdk.get(sdk.client.create_identity_source_session(hr)).id != session.id


def test_refusals_are_the_sdks_own_error_objects(sdk: Sdk, hr: str) -> None:
    session = sdk.get(sdk.client.create_identity_source_session(hr))
    second = sdk.refusal(sdk.client.create_identity_source_session(hr))
    assert (second.status, second.error_code) == (400, "E0000001")
    assert session.id in causes(second)[0]
    empty = sdk.refusal(sdk.client.start_import_from_identity_source(hr, session.id))
    assert (empty.status, empty.error_code) == (403, "E0000107")
    many = sdk.refusal(sdk.client.upload_identity_source_data_for_delete(hr, session.id, delete(*(f"E{n}" for n in range(201)))))
    assert (many.status, many.error_code) == (400, "E0000001")


def test_a_request_that_is_too_large_is_refused_with_413(sdk: Sdk, hr: str) -> None:
    session = sdk.get(sdk.client.create_identity_source_session(hr))
    heavy = upsert(*(f"heavy{n}" for n in range(60)), homeAddress="x" * 4096)
    refused = sdk.refusal(sdk.client.upload_identity_source_data_for_upsert(hr, session.id, heavy))
    assert (refused.status, refused.error_code) == (413, "E0000003")
    assert sdk.get(sdk.client.get_identity_source_session(hr, session.id)).status == "CREATED"
