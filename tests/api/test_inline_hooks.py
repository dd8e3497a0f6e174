"""Inline hooks over HTTP (API.md, /inlineHooks): Okta's shape, a secret that never comes back, a trial, and the story of an import."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mastering.catalog.hooks import reseal
from mastering.store import tables
from mastering.store.engine import reading
from mastering.vault import Vault
from tests.api.service import Service, causes, refusal
from tests.hook_server import HookServer, Reply, Seen, commanded, hook_server, linking

SECRET = "a-secret-that-nobody-reads-again"
IMPORT = "com.okta.import.transform"


@pytest.fixture
def hook() -> Iterator[HookServer]:
    with hook_server() as started:
        yield started


def form(uri: str = "https://hooks.example.com/import", **config: Any) -> dict[str, Any]:
    """A hook as Okta's clients send it."""
    auth = {"type": "HEADER", "key": "Authorization", "value": SECRET}
    channel = {"type": "HTTP", "version": "1.0.0", "config": {"uri": uri, "method": "POST", "headers": [], "authScheme": auth, **config}}
    return {"name": "Transform", "type": IMPORT, "version": "1.0.0", "channel": channel}


def made(service: Service, *args: Any, **config: Any) -> str:
    """The id of a new hook."""
    hook_id: str = service.post("/inlineHooks", json=form(*args, **config))["id"]
    return hook_id


def sealed(service: Service, hook_id: str) -> str | None:
    with reading(service.engine) as session:
        return session.get_one(tables.InlineHook, hook_id).auth_value


# -- the resource -----------------------------------------------------------------------------------------------------


def test_a_hook_is_made_active_and_shown_in_oktas_shape_without_its_secret(service: Service) -> None:
    answer = service.ask("POST", "/inlineHooks", json=form(headers=[{"key": "X-Team", "value": "hr"}]))
    told = answer.json()
    hook_id = told["id"]
    assert answer.status_code == 200
    assert SECRET not in answer.text
    assert told["created"] == told["lastUpdated"]
    links = {name: link["href"].partition("/api/v1")[2] for name, link in told.pop("_links").items()}
    assert links == {
        "self": f"/inlineHooks/{hook_id}",
        "deactivate": f"/inlineHooks/{hook_id}/lifecycle/deactivate",
        "execute": f"/inlineHooks/{hook_id}/execute",
    }
    for name in ("id", "created", "lastUpdated"):
        del told[name]
    assert told == {
        "name": "Transform",
        "type": IMPORT,
        "version": "1.0.0",
        "status": "ACTIVE",
        "onFailure": "HOLD",
        "channel": {
            "type": "HTTP",
            "version": "1.0.0",
            "config": {
                "uri": "https://hooks.example.com/import",
                "method": "POST",
                "headers": [{"key": "X-Team", "value": "hr"}],
                "authScheme": {"type": "HEADER", "key": "Authorization"},
            },
        },
    }
    assert service.get(f"/inlineHooks/{hook_id}")["name"] == "Transform"


def test_the_list_is_of_one_type_if_asked(service: Service) -> None:
    hook_id = made(service)
    assert [one["id"] for one in service.get("/inlineHooks")] == [hook_id]
    assert [one["id"] for one in service.get("/inlineHooks", params={"type": IMPORT})] == [hook_id]
    assert service.get("/inlineHooks", params={"type": "com.okta.saml.tokens.transform"}) == []
    assert refusal(service.ask("GET", "/inlineHooks", params={"type": "nonsense"})) == (400, "E0000001")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no name": ({"name": " "}, "name:"),
    "a name that no database keeps": ({"name": "a\0b"}, "name: has a NUL character"),
    "another type": ({"type": "com.okta.saml.tokens.transform"}, "type: must be com.okta.import.transform"),
    "another version": ({"version": "2.0.0"}, "version:"),
    "another channel": ({"channel": {"type": "OAUTH", "config": {"uri": "https://a.example.com"}}}, "channel.type: must be HTTP"),
    "no address": ({"channel": {"type": "HTTP", "config": {}}}, "channel.config.uri: must have"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_hook_that_cannot_be_called_is_refused_with_the_field(service: Service, case: str) -> None:
    parts, cause = WRONG[case]
    answer = service.ask("POST", "/inlineHooks", json=form() | parts)
    assert refusal(answer) == (400, "E0000001")
    assert any(told.startswith(cause) for told in causes(answer)), causes(answer)
    assert service.get("/inlineHooks") == []


CONFIGS: dict[str, tuple[dict[str, Any], str]] = {
    "plain http": ({"uri": "http://hooks.example.com/"}, "channel.config.uri: must begin with https://"),
    "a password in the address": ({"uri": "https://u:p@hooks.example.com/"}, "channel.config.uri:"),
    "a method": ({"method": "DELETE"}, "channel.config.method:"),
    "a header of the call": ({"headers": [{"key": "Host", "value": "x"}]}, "channel.config.headers[0].key:"),
    "a header that is two": ({"headers": [{"key": "X", "value": "a\r\nY: b"}]}, "channel.config.headers[0].value:"),
    "a header without a name": ({"headers": [{"key": "a b", "value": "x"}]}, "channel.config.headers[0].key:"),
    "too many headers": ({"headers": [{"key": f"X-{n}", "value": "x"} for n in range(21)]}, "channel.config.headers: at most"),
    "no secret": ({"authScheme": {"type": "HEADER", "key": "X-Key"}}, "channel.config.authScheme.value: is required"),
    "a secret with a line end": ({"authScheme": {"type": "HEADER", "key": "X", "value": "a\nb"}}, "channel.config.authScheme.value:"),
    "another scheme": ({"authScheme": {"type": "BASIC", "key": "X", "value": "y"}}, "channel.config.authScheme.type:"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_a_config_that_cannot_be_used_is_refused_with_the_field(service: Service, case: str) -> None:
    config, cause = CONFIGS[case]
    answer = service.ask("POST", "/inlineHooks", json=form(**config))
    assert refusal(answer) == (400, "E0000001")
    assert any(told.startswith(cause) for told in causes(answer)), causes(answer)


def test_a_post_changes_what_it_says_and_leaves_the_rest(service: Service, hook: HookServer) -> None:
    hook_id = made(service, hook.uri)
    told = service.post(f"/inlineHooks/{hook_id}", json={"name": "Other", "onFailure": "CONTINUE"})
    assert (told["name"], told["onFailure"], told["channel"]["config"]["uri"]) == ("Other", "CONTINUE", hook.uri)
    service.post(f"/inlineHooks/{hook_id}/execute", json={"data": {}})
    assert hook.seen[0].headers["Authorization"] == SECRET


def test_a_put_replaces_all_but_the_secret_that_it_cannot_know_and_our_own_field(service: Service, hook: HookServer) -> None:
    hook_id = made(service, hook.uri, headers=[{"key": "X-Team", "value": "hr"}])
    service.post(f"/inlineHooks/{hook_id}", json={"onFailure": "CONTINUE"})
    config: dict[str, Any] = {"uri": hook.uri, "authScheme": {"type": "HEADER", "key": "authorization"}}
    body = {"name": "Other", "version": "1.0.0", "channel": {"type": "HTTP", "version": "1.0.0", "config": config}}
    told = service.put(f"/inlineHooks/{hook_id}", json=body)
    assert (told["channel"]["config"]["headers"], told["onFailure"]) == ([], "CONTINUE")
    service.post(f"/inlineHooks/{hook_id}/execute", json={"data": {}})
    assert hook.seen[0].headers["authorization"] == SECRET
    del config["authScheme"]
    assert "authScheme" not in service.put(f"/inlineHooks/{hook_id}", json=body)["channel"]["config"]
    assert sealed(service, hook_id) is None


def test_a_secret_does_not_follow_to_another_header(service: Service) -> None:
    hook_id = made(service)
    body = {"channel": {"type": "HTTP", "config": {"authScheme": {"type": "HEADER", "key": "X-Other"}}}}
    answer = service.ask("POST", f"/inlineHooks/{hook_id}", json=body)
    assert causes(answer) == ["channel.config.authScheme.value: is required; there is none for this header yet"]


def test_a_hook_is_deleted_only_when_it_is_inactive_and_nobody_names_it(service: Service) -> None:
    hook_id, app_id = made(service), service.app()
    assert refusal(service.ask("DELETE", f"/inlineHooks/{hook_id}")) == (403, "E0000107")
    told = service.post(f"/inlineHooks/{hook_id}/lifecycle/deactivate")
    assert (told["status"], sorted(told["_links"])) == ("INACTIVE", ["activate", "delete", "execute", "self"])
    service.policy(app_id, hookId=hook_id)
    answer = service.ask("DELETE", f"/inlineHooks/{hook_id}")
    assert (refusal(answer), "import policy of HR" in answer.text) == ((403, "E0000107"), True)
    service.policy(app_id)
    service.delete(f"/inlineHooks/{hook_id}")
    assert refusal(service.ask("GET", f"/inlineHooks/{hook_id}")) == (404, "E0000007")


def test_switching_twice_changes_nothing_the_second_time(service: Service) -> None:
    hook_id = made(service)
    for act, status in (("activate", "ACTIVE"), ("deactivate", "INACTIVE"), ("deactivate", "INACTIVE"), ("activate", "ACTIVE")):
        assert service.post(f"/inlineHooks/{hook_id}/lifecycle/{act}")["status"] == status
    assert [event["type"] for event in service.events() if event["type"].startswith("hook.")] == [
        "hook.create",
        "hook.deactivate",
        "hook.activate",
    ]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("PUT", ""), ("POST", ""), ("DELETE", ""), ("POST", "/lifecycle/activate"), ("POST", "/execute")]
)
def test_a_hook_that_is_not_there_is_not_found(service: Service, method: str, path: str) -> None:
    body = {} if path else form()
    assert refusal(service.ask(method, f"/inlineHooks/calNobody{path}", json=body)) == (404, "E0000007")


def test_only_admins_make_or_try_hooks_and_auditors_read_them(service: Service) -> None:
    hook_id = made(service)
    auditor, importer = service.caller("auditor"), service.caller("importer", service.app())
    assert auditor.get(f"/inlineHooks/{hook_id}")["id"] == hook_id
    assert refusal(auditor.ask("POST", "/inlineHooks", json=form())) == (403, "E0000006")
    assert refusal(auditor.ask("POST", f"/inlineHooks/{hook_id}/execute", json={})) == (403, "E0000006")
    assert refusal(importer.ask("GET", f"/inlineHooks/{hook_id}")) == (403, "E0000006")


def test_history_tells_what_changed_and_neither_the_secret_nor_the_addresss_query(service: Service) -> None:
    hook_id = made(service, "https://hooks.example.com/import?clientToken=hidden")
    service.post(f"/inlineHooks/{hook_id}", json=form("https://hooks.example.com/other?clientToken=hidden"))
    created, updated = service.events()[-2:]
    assert (created["type"], created["uri"], created["authKey"]) == ("hook.create", "https://hooks.example.com/import", "Authorization")
    assert updated["changes"] == {
        "uri": {"old": "https://hooks.example.com/import", "new": "https://hooks.example.com/other"},
        "secret": {"old": None, "new": "replaced"},
    }
    assert not any(word in str(service.events()) for word in (SECRET, "hidden"))
    assert {"inline_hook.created", "inline_hook.updated"} <= {event["eventType"] for event in service.get("/logs")}


def test_the_secret_is_encrypted_in_the_database(service: Service) -> None:
    kept = sealed(service, made(service)) or ""
    assert kept.startswith("v1:")
    assert SECRET not in kept


def test_a_new_key_takes_over_the_secrets_of_the_old_one(service: Service, hook: HookServer) -> None:
    hook_id = made(service, hook.uri)
    vault: Vault = service.client.app.state.vault
    new = "a new key of enough characters, and more"
    sealed_before = sealed(service, hook_id) or ""
    assert reseal(service.engine, vault) == []
    assert sealed(service, hook_id) == sealed_before
    assert reseal(service.engine, Vault([new])) == [hook_id]
    assert sealed(service, hook_id) == sealed_before


# -- the trial --------------------------------------------------------------------------------------------------------


def test_a_trial_sends_what_it_is_given_and_shows_the_answer(service: Service, hook: HookServer) -> None:
    hook.commands(("user.profile.update", {"title": "Dr"}))
    hook_id = made(service, hook.uri, headers=[{"key": "X-Team", "value": "hr"}], method="PUT")
    payload = {"eventType": IMPORT, "data": {"user": {"profile": {"firstName": "Ada"}}}}
    assert service.post(f"/inlineHooks/{hook_id}/execute", json=payload) == commanded(("user.profile.update", {"title": "Dr"}))
    (seen,) = hook.seen
    assert (seen.method, seen.document, seen.headers["X-Team"]) == ("PUT", payload, "hr")


def test_a_trial_shows_the_error_that_a_hook_returns(service: Service, hook: HookServer) -> None:
    hook.behaves = lambda _: Reply(body={"error": {"errorSummary": "not on a Monday"}})
    assert service.post(f"/inlineHooks/{made(service, hook.uri)}/execute", json={}) == {"error": {"errorSummary": "not on a Monday"}}


def test_a_trial_of_a_hook_that_says_nothing_shows_no_commands(service: Service, hook: HookServer) -> None:
    hook.behaves = lambda _: Reply(204)
    assert service.post(f"/inlineHooks/{made(service, hook.uri)}/execute", json={}) == {"commands": []}


FAILING: dict[str, tuple[Reply, str]] = {
    "500": (Reply(500), "server_error: it answered with status 500"),
    "400": (Reply(400), "bad_status: it answered with status 400"),
    "redirect": (Reply(301, headers={"Location": "/x"}), "bad_status: it answered with status 301; redirects are not followed"),
    "not JSON": (Reply(body=b"<html>"), "unparsable: its answer is not JSON"),
    "no such command": (Reply(body=commanded(("user.delete", {}))), "unknown_command: commands[0].type: must be one of"),
}


@pytest.mark.parametrize("case", FAILING)
def test_a_trial_that_fails_says_why(service: Service, hook: HookServer, case: str) -> None:
    reply, cause = FAILING[case]
    hook.behaves = lambda _: reply
    answer = service.ask("POST", f"/inlineHooks/{made(service, hook.uri)}/execute", json={})
    assert refusal(answer) == (400, "E0000001")
    assert causes(answer)[0].startswith(cause)


def test_a_trial_of_an_address_inside_is_refused_before_anything_is_sent(service: Service) -> None:
    answer = service.ask("POST", f"/inlineHooks/{made(service, 'https://169.254.169.254/latest')}/execute", json={})
    assert (refusal(answer), causes(answer)[0].startswith("not_allowed: ")) == ((400, "E0000001"), True)


# -- an import --------------------------------------------------------------------------------------------------------


def test_an_import_with_a_hook_from_the_setting_to_the_history(service: Service, hook: HookServer) -> None:
    """One record is changed, one is linked, one fails and waits; plan, review and history say which and why, metrics how often."""
    hook_id = made(service, hook.uri)
    boss = service.post("/users", json={"profile": {"login": "boss@example.com", "email": "b@x.yz", "firstName": "B", "lastName": "O"}})
    app_id = service.app()
    service.policy(app_id, confirmation={"autoConfirmNew": True, "autoActivateNew": True}, mastering={"enabled": True}, hookId=hook_id)

    def behave(seen: Seen) -> Reply:
        name = seen.document["data"]["appUser"]["profile"]["firstName"]
        if name == "Grace":
            return Reply(500)
        if name == "Linus":
            return Reply(body=linking(boss["id"]))
        return Reply(body=commanded(("user.profile.update", {"title": "Countess"})))

    hook.behaves = behave
    records = [
        {"externalId": name, "profile": {"email": f"{name.lower()}@example.com", "firstName": name, "lastName": "X"}}
        for name in ("Ada", "Grace", "Linus")
    ]
    run = service.post(f"/apps/{app_id}/imports", params={"mode": "FULL"}, json=records, headers={"Prefer": "wait=30"})
    assert run["status"] == "COMPLETED"
    outcomes = {"changed": 1, "linked": 1, "server_error": 1}
    assert run["hook"] == {"id": hook_id, "name": "Transform", "onFailure": "HOLD", "asked": 3, "outcomes": outcomes, "gaveUp": None}

    rows = {row["externalId"]: row for row in service.get(f"/imports/{run['id']}/changes")}
    assert [(rows[name]["action"], rows[name]["hook"]["outcome"]) for name in ("Ada", "Grace", "Linus")] == [
        ("create", "changed"),
        ("wait", "server_error"),
        ("link", "linked"),
    ]
    assert rows["Ada"]["attributes"]["title"] == {"old": None, "new": "Countess"}
    assert (rows["Grace"]["reason"], rows["Grace"]["hook"]["tries"]) == ("hook_failed", 2)
    assert rows["Grace"]["error"] == "the inline hook Transform failed: it answered with status 500"
    (waiting,) = service.get("/review")
    assert (waiting["situation"], waiting["reason"]) == ("UNMATCHED", "hook_failed")

    ada = service.get("/users/ada@example.com/history")
    created = next(event for event in ada if event["type"] == "user.create")
    assert created["facts"]["hook"] == {"id": hook_id, "outcome": "changed", "tries": 1, "changed": {"user": ["title"]}}
    linked = next(event for event in service.get(f"/users/{boss['id']}/history") if event["type"] == "account.link")
    assert (linked["rule"], linked["facts"]["hook"]["outcome"]) == ("inline_hook", "linked")
    metrics = service.ask("GET", "/metrics").text
    assert 'mastering_inline_hook_seconds_count{outcome="server_error"}' in metrics
    assert 'mastering_inline_hook_records_total{outcome="linked"} 1.0' in metrics
    assert 'mastering_inline_hook_records_total{outcome="time_out"} 0.0' in metrics
    assert "Countess" not in metrics


def test_a_create_only_rule_lets_what_the_hook_said_stand(service: Service, hook: HookServer) -> None:
    """A record that changes later is mapped as ever, and the hook is asked only about who is created: create-only rules keep its word."""
    app_id = service.app()
    service.policy(app_id, confirmation={"autoConfirmNew": True}, mastering={"enabled": True}, hookId=made(service, hook.uri))
    rule = {"expression": "appuser.department", "pushStatus": "DONT_PUSH"}
    service.post(f"/mappings/{service.mapping(app_id)}", json={"properties": {"department": rule}})
    hook.commands(("user.profile.update", {"department": "Engines"}))
    for title in ("a", "b"):
        profile = {"email": "ada@example.com", "firstName": "Ada", "lastName": "L", "department": "x", "title": title}
        record = {"externalId": "E1", "profile": profile}
        service.post(f"/apps/{app_id}/imports", params={"mode": "FULL"}, json=[record], headers={"Prefer": "wait=30"})
    ada = service.get("/users/ada@example.com")["profile"]
    assert (ada["department"], ada["title"], len(hook.seen)) == ("Engines", "b", 1)
