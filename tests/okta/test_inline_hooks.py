"""Inline hooks through the official SDK: made, read, changed, switched, tried, deleted (API.md, /inlineHooks); and asked by an import."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from okta.models import (
    ExecuteInlineHookRequest,
    InlineHookChannelConfigAuthSchemeBody,
    InlineHookChannelConfigHeaders,
    InlineHookChannelHttpCreate,
    InlineHookCreate,
    InlineHookHttpConfigCreate,
    InlineHookReplace,
    UserImportRequestDataAction,
    UserImportRequestDataAppUser,
    UserImportRequestDataContextApplication,
    UserImportRequestDataContextJob,
    UserImportRequestDataUser,
    UserImportRequestExecute,
    UserImportResponse,
)

from tests.hook_server import HookServer, Reply, hook_server
from tests.okta.caller import Sdk, causes

IMPORT = "com.okta.import.transform"


@pytest.fixture
def hook() -> Iterator[HookServer]:
    with hook_server() as started:
        yield started


def channel(uri: str, secret: str | None = "s3cret") -> InlineHookChannelHttpCreate:
    auth = InlineHookChannelConfigAuthSchemeBody(type="HEADER", key="Authorization", value=secret)
    team = InlineHookChannelConfigHeaders(key="X-Team", value="hr")
    config = InlineHookHttpConfigCreate(uri=uri, method="POST", headers=[team], authScheme=auth)
    return InlineHookChannelHttpCreate(type="HTTP", version="1.0.0", config=config)


def made(sdk: Sdk, uri: str) -> Any:
    wanted = InlineHookCreate(name=sdk.fresh("hook"), type=IMPORT, version="1.0.0", channel=channel(uri))
    return sdk.get(sdk.client.create_inline_hook(wanted))


def asking(hook_id: str) -> ExecuteInlineHookRequest:
    """A payload to try a hook with."""
    return ExecuteInlineHookRequest(UserImportRequestExecute(eventType=IMPORT, eventTypeVersion="1.0", source=hook_id))


def test_a_hook_is_created_active_and_found_in_the_list_of_its_type(sdk: Sdk, hook: HookServer) -> None:
    created = made(sdk, hook.uri)
    assert (created.status, created.type, created.version) == ("ACTIVE", IMPORT, "1.0.0")
    found = sdk.get(sdk.client.get_inline_hook(created.id))
    assert (found.name, found.channel.type, found.channel.config.uri) == (created.name, "HTTP", hook.uri)
    assert found.channel.config.headers[0].key == "X-Team"
    assert created.id in [one.id for one in sdk.get(sdk.client.list_inline_hooks(type=IMPORT))]
    assert sdk.get(sdk.client.list_inline_hooks(type="com.okta.saml.tokens.transform")) == []


def test_a_hook_is_updated_and_replaced_and_keeps_a_secret_that_is_not_said(sdk: Sdk, hook: HookServer) -> None:
    created = made(sdk, hook.uri)
    renamed = sdk.get(sdk.client.update_inline_hook(created.id, InlineHookReplace(name="renamed")))
    assert (renamed.name, renamed.channel.config.uri) == ("renamed", hook.uri)
    wanted = InlineHookReplace(name="replaced", version="1.0.0", channel=channel(f"{hook.uri}/other", None))
    replaced = sdk.get(sdk.client.replace_inline_hook(created.id, wanted))
    assert (replaced.name, replaced.channel.config.uri) == ("replaced", f"{hook.uri}/other")
    assert sdk.http.post(f"/inlineHooks/{created.id}/execute", json={}).status_code == 200
    assert (hook.seen[0].path, hook.seen[0].headers["Authorization"]) == ("/import/other", "s3cret")


def test_a_hook_is_deleted_when_it_is_inactive(sdk: Sdk, hook: HookServer) -> None:
    created = made(sdk, hook.uri)
    refused = sdk.refusal(sdk.client.delete_inline_hook(created.id))
    assert (refused.status, refused.error_code) == (403, "E0000107")
    assert sdk.get(sdk.client.deactivate_inline_hook(created.id)).status == "INACTIVE"
    assert sdk.get(sdk.client.activate_inline_hook(created.id)).status == "ACTIVE"
    sdk.get(sdk.client.deactivate_inline_hook(created.id))
    assert sdk.get(sdk.client.delete_inline_hook(created.id)) is None
    assert sdk.refusal(sdk.client.get_inline_hook(created.id)).error_code == "E0000007"


def test_a_hook_of_another_type_is_refused_by_name(sdk: Sdk, hook: HookServer) -> None:
    wanted = InlineHookCreate(name="saml", type="com.okta.saml.tokens.transform", version="1.0.0", channel=channel(hook.uri))
    refused = sdk.refusal(sdk.client.create_inline_hook(wanted))
    assert (refused.status, refused.error_code) == (400, "E0000001")
    assert causes(refused)[0].startswith("type: must be com.okta.import.transform")


def test_a_trial_reaches_the_hook_and_its_answer_is_the_sdks_own_shape(sdk: Sdk, hook: HookServer) -> None:
    """The SDK cannot read any answer of an import hook: it finds its shape in two of the models that it tries. So it is asked for as text."""
    hook.commands(("user.profile.update", {"title": "Dr"}))
    created = made(sdk, hook.uri)
    with pytest.raises(ValueError, match="Multiple matches"):
        sdk.runner.run(sdk.client.execute_inline_hook(created.id, asking(created.id)))
    assert hook.seen[0].document["eventType"] == IMPORT
    told = UserImportResponse.from_json(sdk.http.post(f"/inlineHooks/{created.id}/execute", json={}).text)
    assert told is not None
    (command,) = told.commands
    assert (command.type, command.value) == ("com.okta.user.profile.update", {"title": "Dr"})


def test_a_trial_that_fails_says_why_in_the_sdks_own_error(sdk: Sdk, hook: HookServer) -> None:
    hook.behaves = lambda _: Reply(500)
    created = made(sdk, hook.uri)
    refused = sdk.refusal(sdk.client.execute_inline_hook(created.id, asking(created.id)))
    assert causes(refused) == ["server_error: it answered with status 500"]


def test_what_a_hook_is_sent_and_answers_are_the_sdks_own_shapes(sdk: Sdk, hook: HookServer) -> None:
    hook.commands(("appUser.profile.update", {"department": "Engines"}))
    created = made(sdk, hook.uri)
    app_id = sdk.http.post("/apps", json={"label": sdk.fresh("HR")}).json()["id"]
    confirmed = {"autoConfirmNew": True, "autoActivateNew": True}
    policy = {"hookId": created.id, "confirmation": confirmed, "mastering": {"enabled": True}}
    assert sdk.http.put(f"/apps/{app_id}/import-policy", json=policy).status_code == 200
    login = f"{sdk.fresh('ada')}@example.com"
    record = {"externalId": "E1", "profile": {"email": login, "firstName": "Ada", "lastName": "L"}}
    run = sdk.http.post(f"/apps/{app_id}/imports?mode=FULL", json=[record], headers={"Prefer": "wait=60"}, timeout=60).json()
    assert (run["status"], run["hook"]["outcomes"]) == ("COMPLETED", {"changed": 1})
    document = hook.seen[0].document
    data, context = document["data"], document["data"]["context"]
    told = UserImportRequestExecute.from_dict({**document, "data": None})
    assert told is not None
    assert (told.event_type, told.source, told.cloud_event_version) == (IMPORT, created.id, "0.1")
    action, profile = UserImportRequestDataAction.from_dict(data["action"]), UserImportRequestDataAppUser.from_dict(data["appUser"])
    assert (action.result, profile.profile["firstName"]) == ("CREATE_USER", "Ada")
    assert UserImportRequestDataUser.from_dict(data["user"]).profile["login"] == login
    job, app = (
        UserImportRequestDataContextJob.from_dict(context["job"]),
        UserImportRequestDataContextApplication.from_dict(context["application"]),
    )
    assert (job.id, job.type, app.id, app.status) == (run["id"], "import:users", app_id, "ACTIVE")
    assert sdk.get(sdk.client.get_user(login)).profile.department == "Engines"
    kinds = [event.event_type for event in sdk.all(sdk.client.list_log_events, filter=f'target.id eq "{app_id}"', limit=100)]
    assert "system.import.complete" in kinds
