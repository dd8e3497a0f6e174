"""An app's features through the official SDK: what comes in and what goes out (API.md, /apps/{id}/features)."""

from __future__ import annotations

from typing import Any

import pytest
from okta.models import (
    ApplicationFeatureType,
    CapabilitiesCreateObject,
    CapabilitiesImportRulesObject,
    CapabilitiesImportRulesUserCreateAndMatchObject,
    CapabilitiesImportSettingsObject,
    CapabilitiesInboundProvisioningObject,
    CapabilitiesObject,
    CapabilitiesUpdateObject,
    ImportScheduleObject,
    ImportScheduleObjectFullImport,
    ImportUsernameObject,
    InboundProvisioningApplicationFeature,
    LifecycleCreateSettingObject,
    PasswordSettingObject,
    ProfileSettingObject,
    UpdateFeatureForApplicationRequest,
    UserProvisioningApplicationFeature,
)

from tests.okta.caller import Sdk, causes

INBOUND, OUTBOUND = ApplicationFeatureType.INBOUND_PROVISIONING, ApplicationFeatureType.USER_PROVISIONING


@pytest.fixture
def app_id(sdk: Sdk) -> str:
    """A new app."""
    made: str = sdk.http.post("/apps", json={"label": sdk.fresh("App")}).json()["id"]
    return made


def updated(sdk: Sdk, app_id: str, name: ApplicationFeatureType, capabilities: Any) -> Any:
    """The feature after a change."""
    return sdk.get(sdk.client.update_feature_for_application(app_id, name, UpdateFeatureForApplicationRequest(capabilities)))


def test_an_apps_features_are_listed_with_their_own_models(sdk: Sdk, app_id: str) -> None:
    found = sdk.get(sdk.client.list_features_for_application(app_id))
    assert {(type(feature), feature.status) for feature in found} == {
        (InboundProvisioningApplicationFeature, "ENABLED"),
        (UserProvisioningApplicationFeature, "ENABLED"),
    }


def test_the_to_okta_page_is_set_and_read_back(sdk: Sdk, app_id: str) -> None:
    wanted = CapabilitiesInboundProvisioningObject(
        importSettings=CapabilitiesImportSettingsObject(
            username=ImportUsernameObject(usernameFormat="CUSTOM", userNameExpression="source.userName"),
            schedule=ImportScheduleObject(
                status="ENABLED", fullImport=ImportScheduleObjectFullImport(expression="0 */4 * * *", timezone="America/New_York")
            ),
        ),
        importRules=CapabilitiesImportRulesObject(
            userCreateAndMatch=CapabilitiesImportRulesUserCreateAndMatchObject(
                exactMatchCriteria="EMAIL", allowPartialMatch=True, autoConfirmExactMatch=True, autoConfirmNewUsers=True
            )
        ),
    )
    updated(sdk, app_id, INBOUND, wanted)
    shown = sdk.get(sdk.client.get_feature_for_application(app_id, INBOUND)).capabilities
    assert shown.import_settings.username.user_name_expression == "source.userName"
    assert shown.import_settings.schedule.status == "ENABLED"
    assert shown.import_settings.schedule.full_import.timezone == "America/New_York"
    assert shown.import_settings.schedule.incremental_import is None
    rules = shown.import_rules.user_create_and_match
    assert (rules.exact_match_criteria, rules.allow_partial_match, rules.auto_activate_new_users) == ("EMAIL", True, False)
    policy = sdk.http.get(f"/apps/{app_id}/import-policy").json()
    assert policy["confirmation"] == {
        "autoConfirmExact": True,
        "autoConfirmPartial": False,
        "autoConfirmNew": True,
        "autoActivateNew": False,
    }
    assert policy["schedule"]["full"].items() > {"cron": "0 */4 * * *", "timezone": "America/New_York"}.items()


def test_what_the_sdk_read_it_can_write_back_and_nothing_is_lost(sdk: Sdk, app_id: str) -> None:
    policy = {
        "matching": {"username": False, "email": False, "attributes": [{"app": "id", "user": "employeeNumber"}]},
        "mastering": {"enabled": True, "whenDeactivated": "SUSPEND"},
        "safeguard": {"maxUnassignedPercent": 5},
    }
    before = sdk.http.put(f"/apps/{app_id}/import-policy", json=policy).json()
    shown = sdk.get(sdk.client.get_feature_for_application(app_id, INBOUND)).capabilities
    assert shown.import_rules.user_create_and_match.exact_match_criteria is None
    updated(sdk, app_id, INBOUND, shown)
    assert sdk.http.get(f"/apps/{app_id}/import-policy").json() == before


def test_the_to_app_page_is_set_and_read_back(sdk: Sdk, app_id: str) -> None:
    wanted = CapabilitiesObject(
        create=CapabilitiesCreateObject(lifecycleCreate=LifecycleCreateSettingObject(status="ENABLED")),
        update=CapabilitiesUpdateObject(
            profile=ProfileSettingObject(status="ENABLED"), password=PasswordSettingObject(status="ENABLED", seed="OKTA", change="CHANGE")
        ),
    )
    told = updated(sdk, app_id, OUTBOUND, wanted).capabilities
    assert (told.create.lifecycle_create.status, told.update.profile.status) == ("ENABLED", "ENABLED")
    assert told.update.lifecycle_deactivate.status == "DISABLED"
    assert (told.update.password.seed, told.update.password.change) == ("OKTA", "CHANGE")
    shown = sdk.get(sdk.client.get_feature_for_application(app_id, OUTBOUND))
    assert shown.capabilities == told
    assert updated(sdk, app_id, OUTBOUND, shown.capabilities).capabilities == told


def test_a_contradiction_names_its_field_in_the_sdks_own_error(sdk: Sdk, app_id: str) -> None:
    shown = sdk.get(sdk.client.get_feature_for_application(app_id, INBOUND)).capabilities
    shown.import_settings.username = ImportUsernameObject(usernameFormat="CUSTOM")
    request = UpdateFeatureForApplicationRequest(shown)
    refused = sdk.refusal(sdk.client.update_feature_for_application(app_id, INBOUND, request))
    assert (refused.status, refused.error_code) == (400, "E0000001")
    assert causes(refused) == ["importSettings.username.userNameExpression: the CUSTOM format needs an expression"]


def test_features_of_an_app_that_is_not_there(sdk: Sdk) -> None:
    assert sdk.refusal(sdk.client.list_features_for_application("0oa0nobody")).error_code == "E0000007"
