"""API integration over HTTP (SPEC §11; API.md, connections): Okta's shape, secrets that never come back, and a test that tells what works."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mastering.connections import reseal
from mastering.connectors.outbound import Untrusted
from mastering.errors import Invalid
from mastering.store import connections as store
from mastering.store.engine import reading
from mastering.vault import Vault
from tests.api.service import Service, causes, refusal
from tests.hook_server import Reply
from tests.scim_server import Asked, ScimServer, error, scim_server, user

SECRET = "s3cr3t-of-the-peer-that-nobody-reads"
BASE = "https://scim.example.com/v2"


@pytest.fixture
def peer() -> Iterator[ScimServer]:
    with scim_server() as started:
        yield started


def path(app_id: str, rest: str = "") -> str:
    return f"/apps/{app_id}/connections/default{rest}"


def token(base_url: str = BASE, **profile: Any) -> dict[str, Any]:
    """A connection as Okta's clients send it."""
    return {"baseUrl": base_url, "profile": {"authScheme": "TOKEN", "token": SECRET, **profile}}


def oauth(peer: ScimServer, **profile: Any) -> dict[str, Any]:
    client = {"clientId": "us", "clientSecret": SECRET, "tokenUrl": peer.token_url}
    return {"baseUrl": peer.base_url, "profile": {"authScheme": "OAUTH2", **client, **profile}}


def tried(service: Service, app_id: str) -> dict[str, str]:
    """What a test says, by step."""
    return {one["step"]: one["state"] for one in service.post(path(app_id, "/test"))["steps"]}


# -- the resource -----------------------------------------------------------------------------------------------------


def test_an_app_without_a_connection_says_so_in_oktas_words(service: Service) -> None:
    told = service.get(path(service.app()))
    assert (told["status"], told["profile"]) == ("UNKNOWN", {"authScheme": "UNKNOWN"})
    assert list(told["_links"]) == ["self"]


def test_a_connection_is_kept_in_oktas_shape_without_its_secret(service: Service) -> None:
    app_id = service.app()
    told = service.post(path(app_id), json=token(f"{BASE}/"))
    assert (told["status"], told["baseUrl"], told["authScheme"]) == ("DISABLED", BASE, "TOKEN")
    assert told["profile"] == {"authScheme": "TOKEN", "method": "HEADER", "header": "Authorization", "prefix": "Bearer"}
    assert told["secretReplaced"] == told["created"]
    assert service.get(path(app_id)) == told
    assert SECRET not in str(told)


def test_a_connection_is_switched_on_when_it_is_made_or_later(service: Service) -> None:
    app_id = service.app()
    assert service.post(path(app_id), params={"activate": True}, json=token())["status"] == "ENABLED"
    for act, status in (("deactivate", "DISABLED"), ("deactivate", "DISABLED"), ("activate", "ENABLED")):
        assert service.ask("POST", path(app_id, f"/lifecycle/{act}")).status_code == 204
        assert service.get(path(app_id))["status"] == status
    answer = service.ask("POST", path(service.app(), "/lifecycle/activate"))
    assert (refusal(answer), causes(answer)) == ((400, "E0000001"), ["connection: HR has none; set its address and credentials first"])


def test_every_method_shows_what_is_no_secret(service: Service) -> None:
    app_id = service.app()
    basic = service.post(path(app_id), json={"baseUrl": BASE, "profile": {"username": "scim", "password": SECRET}})
    assert (basic["authScheme"], basic["profile"]) == ("TOKEN", {"authScheme": "TOKEN", "method": "BASIC", "username": "scim"})
    profile = {"authScheme": "OAUTH2", "clientId": "us", "clientSecret": SECRET, "tokenUrl": "https://id.example.com/token"}
    told = service.post(path(app_id), json={"profile": {**profile, "scope": "users", "clientAuthentication": "POST"}})
    assert "authScheme" not in told
    shown = {"authScheme": "OAUTH2", "method": "CLIENT_CREDENTIALS", "clientId": "us", "tokenUrl": "https://id.example.com/token"}
    assert told["profile"] == {**shown, "scope": "users", "clientAuthentication": "POST"}
    assert service.post(path(app_id), json={"profile": {"scope": None}})["profile"] == {**shown, "clientAuthentication": "POST"}


def test_a_secret_that_is_not_said_stays_and_follows_no_change_of_place(service: Service) -> None:
    app_id = service.app()
    since = service.post(path(app_id), json=token())["secretReplaced"]
    told = service.post(path(app_id), json={"baseUrl": f"{BASE}/other", "profile": {"authScheme": "TOKEN"}})
    assert (told["baseUrl"], told["secretReplaced"]) == (f"{BASE}/other", since)
    elsewhere: list[dict[str, Any]] = [
        {"baseUrl": "https://evil.example.com/v2", "profile": {}},
        {"baseUrl": "https://scim.example.com:8443/v2", "profile": {}},
        {"baseUrl": "http://scim.example.com/v2", "allowHttp": True, "profile": {}},
        {"profile": {"username": "scim"}},
        {"profile": {"authScheme": "OAUTH2", "clientId": "us", "tokenUrl": "https://evil.example.com/token"}},
    ]
    for body in elsewhere:
        answer = service.ask("POST", path(app_id), json=body)
        assert refusal(answer) == (400, "E0000001")
        assert causes(answer)[-1].endswith("must be given again where the address or the way of authentication changes")
    assert service.get(path(app_id)) == told


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "no address": ({"profile": {"token": SECRET}}, "baseUrl: is required"),
    "no secret": ({"baseUrl": BASE, "profile": {}}, "profile.token: is required; there is none yet"),
    "plain http": (
        token("http://scim.example.com"),
        "baseUrl: must begin with https://; http is for this machine alone, unless allowHttp is true",
    ),
    "a password in the address": (token("https://u:p@scim.example.com/"), "baseUrl: must not hold a user name or password; use profile"),
    "a query": (token(f"{BASE}?x=1"), "baseUrl: must not have a query"),
    "a line end in a token": (token(token="a\r\nX: y"), "profile.token: must be printable ASCII"),
    "a header of ours": (token(header="Content-Type"), "profile.header: Content-Type is not for you to set"),
    "no header at all": (token(header="a b"), "profile.header: must be the name of a header"),
    "a prefix with a line end": (token(prefix="a\nb"), "profile.prefix: must be up to 100"),
    "a user name with a colon": ({"baseUrl": BASE, "profile": {"username": "a:b", "password": "x"}}, "profile.username: is required"),
    "no token server": ({"baseUrl": BASE, "profile": {"clientId": "us", "clientSecret": "x"}}, "profile.tokenUrl: is required"),
    "two secrets": (token(password="x"), "profile.password: does not go with the method HEADER"),
    "a field of another method": (token(method="HEADER", clientId="us"), "profile.clientId: does not go with this way of authentication"),
    "a scheme that does not fit": (token(method="CLIENT_CREDENTIALS"), "profile.authScheme: must be OAUTH2"),
    "an unknown scheme": (token(authScheme="UNKNOWN"), "profile.authScheme: must be TOKEN or OAUTH2"),
    "no certificate": ({**token(), "caCertificate": "-----BEGIN CERTIFICATE-----\nx"}, "caCertificate: no PEM certificate"),
    "an empty certificate": ({**token(), "caCertificate": ""}, "caCertificate: no PEM certificate"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_connection_that_cannot_work_is_refused_with_the_field(service: Service, case: str) -> None:
    body, cause = FAULTS[case]
    app_id = service.app()
    answer = service.ask("POST", path(app_id), json=body)
    assert refusal(answer) == (400, "E0000001")
    assert causes(answer)[0].startswith(cause)
    assert SECRET not in answer.text
    assert service.get(path(app_id))["status"] == "UNKNOWN"


def test_a_misspelt_field_is_refused(service: Service) -> None:
    assert refusal(service.ask("POST", path(service.app()), json=token(tokn="x"))) == (400, "E0000001")


def test_every_change_is_told_in_the_apps_history_without_secrets(service: Service) -> None:
    app_id = service.app()
    service.post(path(app_id), params={"activate": True}, json=token())
    service.post(path(app_id), json={"profile": {"token": f"{SECRET}2"}})
    service.post(path(app_id), json={"profile": {"token": None, "prefix": "Token"}})
    service.ask("POST", path(app_id, "/lifecycle/deactivate"))
    told = [event for event in service.events(app_id) if event["type"].startswith("connection.")]
    kinds = ["create", "activate", "update", "update", "deactivate"]
    assert [event["type"].removeprefix("connection.") for event in told] == kinds
    assert told[0]["changes"]["baseUrl"] == {"old": None, "new": BASE}
    assert told[2]["changes"] == {"secret": {"old": None, "new": "replaced"}}
    assert told[3]["changes"] == {"prefix": {"old": "Bearer", "new": "Token"}}
    assert SECRET not in str(told)


def test_a_connection_goes_with_its_app(service: Service) -> None:
    app_id = service.app()
    service.post(path(app_id), json=token())
    service.ask("POST", f"/apps/{app_id}/lifecycle/deactivate")
    service.delete(f"/apps/{app_id}")
    assert refusal(service.ask("GET", path(app_id))) == (404, "E0000007")


@pytest.mark.parametrize(
    ("method", "rest"), [("GET", ""), ("POST", ""), ("POST", "/test"), ("POST", "/lifecycle/activate"), ("POST", "/lifecycle/deactivate")]
)
def test_the_connection_of_no_app_is_not_found(service: Service, method: str, rest: str) -> None:
    parts = {"json": token()} if (method, rest) == ("POST", "") else {}
    assert refusal(service.ask(method, path("0oaNobody", rest), **parts)) == (404, "E0000007")


def test_only_admins_set_or_try_connections_and_auditors_read_them(service: Service) -> None:
    app_id = service.app()
    service.post(path(app_id), json=token())
    auditor, importer = service.caller("auditor"), service.caller("importer", app_id)
    assert auditor.get(path(app_id))["baseUrl"] == BASE
    for caller in (auditor, importer):
        for rest in ("", "/test", "/lifecycle/activate", "/lifecycle/deactivate"):
            assert refusal(caller.ask("POST", path(app_id, rest), json=token())) == (403, "E0000006")
    assert refusal(importer.ask("GET", path(app_id))) == (403, "E0000006")


# -- secrets ----------------------------------------------------------------------------------------------------------


def test_no_secret_is_in_the_database_file_the_logs_or_the_history(
    service: Service, peer: ScimServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """A secret entered in each way, used, refused and replaced, leaves no trace that can be read."""
    caplog.set_level(logging.DEBUG)
    peer.behaves = lambda asked: error(401, f"not {asked.headers.get('Authorization')}") if asked.path != "/token" else None
    app_id = service.app()
    bodies = [
        token(peer.base_url),
        {"profile": {"username": "scim", "password": SECRET}},
        oauth(peer),
        token(peer.base_url, token=f"{SECRET}2"),
    ]
    answers = []
    for body in bodies:
        answers += [service.ask("POST", path(app_id), json=body).text, service.ask("POST", path(app_id, "/test")).text]
    answers += [service.ask("GET", place).text for place in (path(app_id), "/logs", "/metrics")]
    answers += [str(service.events(app_id)), caplog.text, *capfd.readouterr()]
    with reading(service.engine) as session:
        session.connection().exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    file = Path(str(service.engine.url.database))
    kept = b"".join(each.read_bytes() for each in file.parent.glob(f"{file.name}*"))
    assert app_id.encode() in kept
    basic = "c2NpbTpzM2NyM3Q"  # how the header of the basic method begins
    for trace in (SECRET, basic, "token-1"):
        assert trace.encode() not in kept
        assert all(trace not in text for text in answers)


def test_a_new_key_in_front_of_the_old_one_keeps_every_secret(service: Service) -> None:
    app_id = service.app()
    service.post(path(app_id), json=token())
    vault: Vault = service.client.app.state.vault
    purpose = f"connection:{app_id}"

    def sealed() -> str:
        with reading(service.engine) as session:
            row = store.connection(session, app_id)
            assert row is not None
            return row.secret or ""

    assert vault.open(sealed(), purpose) == SECRET
    assert reseal(service.engine, Vault(["n" * 40])) == [app_id]
    assert vault.open(sealed(), purpose) == SECRET


# -- the test ---------------------------------------------------------------------------------------------------------


def test_a_test_says_of_every_step_that_it_works(service: Service, peer: ScimServer) -> None:
    peer.users, peer.credentials = [user("ada"), user("bob")], {f"Bearer {SECRET}"}
    app_id = service.app()
    service.post(path(app_id), json=token(peer.base_url))
    report = service.post(path(app_id, "/test"))
    assert report["ok"]
    assert [(one["step"], one["state"]) for one in report["steps"]] == [
        ("REACH", "OK"),
        ("TLS", "SKIPPED"),
        ("AUTHENTICATION", "OK"),
        ("USERS", "OK"),
        ("SERVICE_PROVIDER_CONFIG", "OK"),
        ("FILTER", "OK"),
        ("DELTA", "OK"),
    ]
    assert report["steps"][3]["detail"] == "2 users can be read"
    assert {asked.method for asked in peer.seen} == {"GET"}
    assert "ada" not in str(report)


def test_a_test_of_nobody_there_fails_the_first_step_and_skips_the_others(service: Service, peer: ScimServer) -> None:
    app_id = service.app()
    service.post(path(app_id), json=token(peer.base_url))
    peer.close()
    report = service.post(path(app_id, "/test"))
    assert not report["ok"]
    assert [one["state"] for one in report["steps"]] == ["FAILED", *["SKIPPED"] * 6]
    assert report["steps"][0]["detail"] == "the app's server: no connection could be made"
    assert "firewall" in report["steps"][0]["remedy"]


def test_a_test_of_a_certificate_that_nobody_vouches_for_names_the_authority(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: Any, **__: Any) -> None:
        raise Untrusted("the certificate cannot be trusted: self-signed certificate")

    app_id = service.app()
    service.post(path(app_id), json=token())
    monkeypatch.setattr(service.client.app.state.door, "call", refuses)
    reach, tls, *others = service.post(path(app_id, "/test"))["steps"]
    assert (reach["state"], tls["state"], {one["state"] for one in others}) == ("OK", "FAILED", {"SKIPPED"})
    assert tls["detail"] == "the app's server: the certificate cannot be trusted: self-signed certificate"
    assert "caCertificate" in tls["remedy"]


def test_a_test_of_an_address_inside_names_the_setting(service: Service) -> None:
    app_id = service.app()
    service.post(path(app_id), json=token("https://10.1.2.3/scim"))
    (first, *_) = service.post(path(app_id, "/test"))["steps"]
    assert (first["step"], first["state"]) == ("REACH", "FAILED")
    assert "MASTERING_OUTBOUND_ALLOW" in first["remedy"]


@pytest.mark.parametrize("status", [401, 403])
def test_a_test_with_refused_credentials_says_so_and_asks_no_more(service: Service, peer: ScimServer, status: int) -> None:
    peer.behaves = lambda asked: error(status, "no") if asked.path == "/v2/Users" else None
    app_id = service.app()
    service.post(path(app_id), json=token(peer.base_url))
    assert tried(service, app_id) == {
        "REACH": "OK",
        "TLS": "SKIPPED",
        "AUTHENTICATION": "FAILED",
        "USERS": "SKIPPED",
        "SERVICE_PROVIDER_CONFIG": "SKIPPED",
        "FILTER": "SKIPPED",
        "DELTA": "SKIPPED",
    }


def test_a_token_server_that_is_away_is_told_apart_from_the_app(service: Service, peer: ScimServer) -> None:
    peer.behaves = lambda asked: error(503, "no") if asked.path == "/token" else None
    app_id = service.app()
    service.post(path(app_id), json=oauth(peer))
    steps = {one["step"]: one for one in service.post(path(app_id, "/test"))["steps"]}
    assert steps["AUTHENTICATION"]["detail"] == "the token server answered with status 503"
    assert (steps["REACH"]["state"], steps["AUTHENTICATION"]["state"]) == ("OK", "FAILED")


def test_an_address_that_is_no_scim_server_is_said_to_be_wrong(service: Service, peer: ScimServer) -> None:
    page = Reply(body=b"<html>", headers={"Content-Type": "text/html"})
    peer.behaves = lambda _: page
    app_id = service.app()
    service.post(path(app_id), json=token(peer.base_url))
    steps = {one["step"]: one for one in service.post(path(app_id, "/test"))["steps"]}
    assert steps["USERS"]["state"] == "FAILED"
    assert steps["USERS"]["remedy"].startswith("baseUrl must be the address below which /Users is")


def test_a_server_that_heeds_no_filter_can_be_imported_all_the_same(service: Service, peer: ScimServer) -> None:
    """It says that it filters and answers with everybody: only trying finds out."""

    def behave(asked: Asked) -> Reply | None:
        return Reply(body=peer.page(peer.users, 1, 1)) if "filter" in asked.params else None

    peer.users, peer.behaves = [user("ada")], behave
    app_id = service.app()
    service.post(path(app_id), json=token(peer.base_url))
    report = service.post(path(app_id, "/test"))
    assert report["ok"]
    assert [(one["step"], one["state"]) for one in report["steps"]][-2:] == [("FILTER", "FAILED"), ("DELTA", "FAILED")]
    assert report["steps"][-1]["remedy"] == "incremental imports read all users"


def test_a_server_that_says_nothing_about_itself_works_all_the_same(service: Service, peer: ScimServer) -> None:
    peer.behaves = lambda asked: error(404, "no") if asked.path.endswith("Config") else None
    app_id = service.app()
    service.post(path(app_id), json=token(peer.base_url))
    report = service.post(path(app_id, "/test"))
    assert report["ok"]
    assert {one["step"]: one["state"] for one in report["steps"]}["SERVICE_PROVIDER_CONFIG"] == "FAILED"


def test_new_credentials_are_used_from_the_next_call_on(service: Service, peer: ScimServer) -> None:
    app_id = service.app()
    peer.credentials = {"Bearer new"}
    service.post(path(app_id), json=token(peer.base_url))
    assert tried(service, app_id)["AUTHENTICATION"] == "FAILED"
    service.post(path(app_id), json={"profile": {"token": "new"}})
    assert tried(service, app_id)["AUTHENTICATION"] == "OK"


def test_a_connection_that_is_off_or_absent_is_not_used(service: Service) -> None:
    app_id, peers = service.app(), service.client.app.state.peers
    with pytest.raises(Invalid) as none:
        peers.open(app_id)
    assert none.value.causes[0].startswith("connection: HR has none")
    service.post(path(app_id), json=token())
    with pytest.raises(Invalid) as off:
        peers.open(app_id)
    assert off.value.causes == ("connection: the connection of HR is switched off; activate it",)
    service.ask("POST", path(app_id, "/lifecycle/activate"))
    assert peers.open(app_id) is peers.open(app_id)
