"""Apps and their users through the official SDK's own models (API.md, /apps)."""

from __future__ import annotations

from typing import Any

import pytest
from okta import models
from okta.models import AppUserAssignRequest, AppUserProfileRequestPayload, AppUserUpdateRequest

from tests.okta.caller import Sdk, causes

FORM = {"url": "https://example.com", "usernameField": "u", "passwordField": "p"}
FEDERATION = {
    "siteURL": "https://example.com",
    "realm": "urn:example",
    "audienceRestriction": "urn:example",
    "authnContextClassRef": "urn:oasis:names:tc:SAML:1.0:am:password",
    "groupValueFormat": "windowsDomainQualifiedName",
    "nameIDFormat": "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
    "usernameAttribute": "username",
    "wReplyURL": "https://example.com/reply",
}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "BOOKMARK": ("BookmarkApplication", {"settings": {"app": {"url": "https://example.com", "requestIntegration": False}}}),
    "BASIC_AUTH": ("BasicAuthApplication", {"settings": {"app": {"url": "https://example.com", "authURL": "https://example.com/auth"}}}),
    "SAML_2_0": ("SamlApplication", {"settings": {"signOn": {"ssoAcsUrl": "https://example.com/acs", "audience": "urn:example"}}}),
    "SAML_1_1": ("Saml11Application", {"settings": {"signOn": {"audienceOverride": None}}}),
    "OPENID_CONNECT": (
        "OpenIdConnectApplication",
        {
            "credentials": {"oauthClient": {"token_endpoint_auth_method": "client_secret_basic"}},
            "settings": {
                "oauthClient": {
                    "application_type": "web",
                    "grant_types": ["authorization_code"],
                    "redirect_uris": ["https://example.com/cb"],
                }
            },
        },
    ),
    "AUTO_LOGIN": (
        "AutoLoginApplication",
        {"settings": {"signOn": {"loginUrl": "https://example.com", "redirectUrl": "https://example.com"}}},
    ),
    "BROWSER_PLUGIN": ("BrowserPluginApplication", {"settings": {"app": {**FORM, "buttonField": "b"}}}),
    "SECURE_PASSWORD_STORE": ("SecurePasswordStoreApplication", {"settings": {"app": FORM}}),
    "WS_FEDERATION": ("WsFederationApplication", {"settings": {"app": FEDERATION}}),
}
NAMES = {
    "BASIC_AUTH": "template_basic_auth",
    "OPENID_CONNECT": "oidc_client",
    "BROWSER_PLUGIN": "template_swa",
    "SECURE_PASSWORD_STORE": "template_sps",
    "WS_FEDERATION": "template_wsfed",
}


def form(mode: str, label: str) -> Any:
    """A full app object of the SDK's model for this sign-on mode."""
    kind, parts = KINDS[mode]
    told = {
        "label": label,
        "signOnMode": mode,
        "name": NAMES.get(mode, "bookmark"),
        "visibility": {"hide": {"iOS": True, "web": True}},
        **parts,
    }
    return getattr(models, kind).from_dict(told)


@pytest.fixture
def app(sdk: Sdk) -> Any:
    return sdk.get(sdk.client.create_application(form("BOOKMARK", sdk.fresh("App "))))


@pytest.mark.parametrize("mode", KINDS)
def test_an_app_of_each_sign_on_mode_is_created_read_replaced_and_comes_back_as_the_sdks_model(sdk: Sdk, mode: str) -> None:
    label = sdk.fresh(f"{mode} app ")
    made = sdk.get(sdk.client.create_application(form(mode, label)))
    assert (type(made).__name__, made.label, made.status, made.sign_on_mode) == (KINDS[mode][0], label, "ACTIVE", mode)
    read = sdk.get(sdk.client.get_application(made.id))
    assert read.to_dict() == made.to_dict()
    read.label = f"{label} renamed"
    replaced = sdk.get(sdk.client.replace_application(made.id, read))
    assert (replaced.label, replaced.name, replaced.settings) == (f"{label} renamed", made.name, made.settings)


def test_an_app_is_switched_off_and_on_and_deleted_only_while_it_is_off(sdk: Sdk, app: Any) -> None:
    client = sdk.client
    assert sdk.refusal(client.delete_application(app.id)).status == 403
    sdk.get(client.deactivate_application(app.id))
    assert sdk.get(client.get_application(app.id)).status == "INACTIVE"
    sdk.get(client.activate_application(app.id))
    assert sdk.get(client.get_application(app.id)).status == "ACTIVE"
    sdk.get(client.deactivate_application(app.id))
    assert sdk.get(client.delete_application(app.id)) is None
    assert sdk.refusal(client.get_application(app.id)).error_code == "E0000007"


def test_an_app_may_be_created_switched_off(sdk: Sdk) -> None:
    made = sdk.get(sdk.client.create_application(form("BOOKMARK", sdk.fresh("Off ")), activate=False))
    assert made.status == "INACTIVE"


def test_apps_are_listed_by_beginning_and_filter_page_by_page(sdk: Sdk) -> None:
    word = sdk.fresh("Shelf")
    made = [sdk.get(sdk.client.create_application(form("BOOKMARK", f"{word} {number}"))) for number in range(5)]
    sdk.get(sdk.client.deactivate_application(made[3].id))
    assert [app.id for app in sdk.all(sdk.client.list_applications, q=word.lower(), limit=2)] == [app.id for app in made]
    off = sdk.get(sdk.client.list_applications(q=word, filter='status eq "INACTIVE"'))
    assert [app.id for app in off] == [made[3].id]
    two = sdk.get(sdk.client.list_applications(filter=f'(id eq "{made[0].id}" or id eq "{made[4].id}") and name eq "bookmark"'))
    assert [app.id for app in two] == [made[0].id, made[4].id]
    refused = sdk.refusal(sdk.client.list_applications(filter='label eq "x"'))
    assert (refused.status, refused.error_code) == (400, "E0000001")
    assert causes(refused)[0].startswith("filter: at character 1: label is nothing to filter by; ")


def test_an_app_that_was_made_with_a_label_alone_is_a_model_of_the_sdk_too(sdk: Sdk) -> None:
    for mode in KINDS:
        label = sdk.fresh("Plain ")
        sdk.http.post("/apps", json={"label": label, "signOnMode": mode}).raise_for_status()
        assert [app.label for app in sdk.get(sdk.client.list_applications(q=label))] == [label]


# -- app users ------------------------------------------------------------------------------------------------------------


def test_a_user_is_assigned_listed_read_corrected_and_unassigned(sdk: Sdk, app: Any) -> None:
    client, user = sdk.client, sdk.user()
    asked = AppUserAssignRequest(id=user.id, scope="USER", profile={"salesforceGroup": "Employee"})
    made = sdk.get(client.assign_user_to_application(app.id, asked))
    assert (made.id, made.scope, made.status, made.profile) == (user.id, "USER", "ACTIVE", {"salesforceGroup": "Employee"})
    assert sdk.get(client.get_application_user(app.id, user.id)).to_dict() == made.to_dict()
    assert [each.id for each in sdk.get(client.list_application_users(app.id))] == [user.id]
    change = AppUserUpdateRequest(AppUserProfileRequestPayload(profile={"role": "Lead"}))
    corrected = sdk.get(client.update_application_user(app.id, user.id, change))
    assert corrected.profile == {"salesforceGroup": "Employee", "role": "Lead"}
    assert sdk.get(client.unassign_user_from_application(app.id, user.id)) is None
    assert sdk.get(client.get_application_user(app.id, user.id)).status == "UNASSIGNED"
    assert sdk.refusal(client.update_application_user(app.id, user.id, change)).error_code == "E0000007"


def test_a_long_list_of_app_users_is_followed_to_its_end(sdk: Sdk, app: Any) -> None:
    users = [sdk.user(activate=False) for _ in range(5)]
    for user in users:
        sdk.get(sdk.client.assign_user_to_application(app.id, AppUserAssignRequest(id=user.id)))
    seen = [each.id for each in sdk.all(sdk.client.list_application_users, app_id=app.id, limit=2)]
    assert seen == [user.id for user in users]


def test_what_imports_supply_of_an_app_profile_is_read_only(sdk: Sdk, app: Any) -> None:
    record = {"externalId": "E1", "profile": {"email": "import@example.com", "firstName": "Ina", "lastName": "Port"}}
    policy = {"confirmation": {"autoConfirmNew": True, "autoActivateNew": True}}
    sdk.http.put(f"/apps/{app.id}/import-policy", json=policy).raise_for_status()
    sdk.http.post(f"/apps/{app.id}/imports?mode=FULL", json=[record], headers={"Prefer": "wait=30"}).raise_for_status()
    user = sdk.get(sdk.client.get_user("import@example.com"))
    refused = sdk.refusal(sdk.client.update_application_user(app.id, user.id, profile_change(lastName="Other")))
    assert (refused.status, refused.error_code) == (403, "E0000023")
    assert causes(refused) == ["lastName: is supplied by the app's imports and is read-only"]
    corrected = sdk.get(sdk.client.update_application_user(app.id, user.id, profile_change(lastName="Port", note="x")))
    assert corrected.profile["note"] == "x"


def profile_change(**profile: Any) -> AppUserUpdateRequest:
    return AppUserUpdateRequest(AppUserProfileRequestPayload(profile=profile))
