"""The default provisioning connection through the official SDK: set, read, switched on and off (API.md, connections)."""

from __future__ import annotations

from typing import Any

from okta.models import (
    ProvisioningConnectionTokenRequest,
    ProvisioningConnectionTokenRequestProfile,
    UpdateDefaultProvisioningConnectionForApplicationRequest,
)
from okta.models.provisioning_connection_oauth_request import ProvisioningConnectionOauthRequest
from okta.models.provisioning_connection_oauth_request_profile import ProvisioningConnectionOauthRequestProfile

from tests.okta.caller import Sdk, causes

BASE = "https://scim.example.com/v2"
SECRET = "s3cret"


def wanted(token: str | None = SECRET) -> UpdateDefaultProvisioningConnectionForApplicationRequest:
    profile = ProvisioningConnectionTokenRequestProfile(authScheme="TOKEN", token=token)
    return UpdateDefaultProvisioningConnectionForApplicationRequest(ProvisioningConnectionTokenRequest(baseUrl=BASE, profile=profile))


def app(sdk: Sdk) -> str:
    app_id: str = sdk.http.post("/apps", json={"label": sdk.fresh("Peer")}).json()["id"]
    return app_id


def read(sdk: Sdk, app_id: str) -> Any:
    return sdk.get(sdk.client.get_default_provisioning_connection_for_application(app_id))


def test_an_app_without_a_connection_reads_as_unknown(sdk: Sdk) -> None:
    told = read(sdk, app(sdk))
    assert (told.status, told.profile.auth_scheme, told.base_url) == ("UNKNOWN", "UNKNOWN", None)


def test_a_token_connection_is_set_and_read_without_its_token(sdk: Sdk) -> None:
    app_id = app(sdk)
    update = sdk.client.update_default_provisioning_connection_for_application
    made = sdk.get(update(app_id, wanted(), activate=True))
    assert (made.status, made.auth_scheme, made.profile.auth_scheme, made.base_url) == ("ENABLED", "TOKEN", "TOKEN", BASE)
    assert SECRET not in read(sdk, app_id).to_json()
    assert sdk.get(update(app_id, wanted(None))).status == "ENABLED"
    assert made.links.deactivate.href.endswith(f"/apps/{app_id}/connections/default/lifecycle/deactivate")


def test_a_connection_is_switched_off_and_on(sdk: Sdk) -> None:
    app_id = app(sdk)
    sdk.get(sdk.client.update_default_provisioning_connection_for_application(app_id, wanted()))
    assert read(sdk, app_id).status == "DISABLED"
    sdk.get(sdk.client.activate_default_provisioning_connection_for_application(app_id))
    assert read(sdk, app_id).status == "ENABLED"
    sdk.get(sdk.client.deactivate_default_provisioning_connection_for_application(app_id))
    assert read(sdk, app_id).status == "DISABLED"


def test_an_oauth_connection_needs_what_okta_knows_of_its_own_apps_alone(sdk: Sdk) -> None:
    """Okta's request has the client's id and nothing of its secret or its token server: those are ours."""
    app_id = app(sdk)
    profile = ProvisioningConnectionOauthRequestProfile(authScheme="OAUTH2", clientId="us")
    body = UpdateDefaultProvisioningConnectionForApplicationRequest(ProvisioningConnectionOauthRequest(profile=profile))
    refused = sdk.refusal(sdk.client.update_default_provisioning_connection_for_application(app_id, body))
    assert (refused.status, refused.error_code) == (400, "E0000001")
    assert [cause.partition(":")[0] for cause in causes(refused)] == ["baseUrl", "profile.tokenUrl", "profile.clientSecret"]
    ours = {"clientSecret": SECRET, "tokenUrl": "https://id.example.com/token"}
    sdk.http.post(f"/apps/{app_id}/connections/default", json={"baseUrl": BASE, "profile": {"clientId": "us", **ours}})
    assert sdk.get(sdk.client.update_default_provisioning_connection_for_application(app_id, body)).profile.auth_scheme == "OAUTH2"


def test_the_connection_of_no_app_is_not_found(sdk: Sdk) -> None:
    refused = sdk.refusal(sdk.client.get_default_provisioning_connection_for_application("0oaNobody"))
    assert (refused.status, refused.error_code) == (404, "E0000007")
