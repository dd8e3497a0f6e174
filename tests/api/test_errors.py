"""Every answer that is not a success wears Okta's envelope (API.md, habits)."""

import json
from typing import Any

import pytest
from litestar.testing import TestClient

from api import create_app
from api.errors import OF_THE_FRAMEWORK, REFUSALS, code_of
from mastering import errors
from mastering.errors import AlreadyActive, MasteringError, NotFound
from mastering.settings import Settings
from tests.api.service import ADMIN_TOKEN, Service, causes, refusal


def test_an_unknown_path_is_not_found_and_named(service: Service) -> None:
    answer = service.ask("GET", "/nowhere/at/all")
    assert refusal(answer) == (404, "E0000007")
    assert "/api/v1/nowhere/at/all" in answer.json()["errorSummary"]


def test_an_unknown_path_needs_no_token_to_be_unknown(service: Service) -> None:
    assert refusal(service.with_token(None).ask("GET", "/nowhere")) == (404, "E0000007")


@pytest.mark.parametrize("path", ["/schema", "/schema/swagger", "/openapi", "/openapi/nothing", "/"])
def test_the_frameworks_own_pages_are_not_there(service: Service, path: str) -> None:
    assert refusal(service.client.get(path)) == (404, "E0000007")


def test_a_thing_that_is_not_there_is_named_with_its_kind(service: Service) -> None:
    answer = service.ask("GET", "/apps/0oaNobody")
    assert refusal(answer) == (404, "E0000007")
    assert answer.json()["errorSummary"] == "Not found: Resource not found: 0oaNobody (AppInstance)"


def test_a_method_that_a_path_does_not_have(service: Service) -> None:
    answer = service.ask("DELETE", "/apps")
    assert refusal(answer) == (405, "E0000022")
    assert {"GET", "POST"} <= {method.strip() for method in answer.headers["allow"].split(",")}


@pytest.mark.parametrize(
    "body", [b"{", b"", b"[1,", b'{"label": "a"} x', b"\xff\xfe", b"\xef\xbb\xbf{}", b"[" * 100_000, b'{"label": NaN}']
)
def test_a_body_that_is_no_json_is_not_well_formed(service: Service, body: bytes) -> None:
    answer = service.ask("POST", "/apps", content=body, headers={"Content-Type": "application/json"})
    assert refusal(answer) == (400, "E0000003")


def test_a_body_of_another_kind(service: Service) -> None:
    answer = service.ask("POST", "/apps", content=b"label=HR", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert refusal(answer) == (415, "E0000021")


def test_a_body_that_is_too_large(service: Service) -> None:
    body = json.dumps({"label": "x" * 10_500_000}).encode()
    assert refusal(service.ask("POST", "/apps", content=body, headers={"Content-Type": "application/json"})) == (413, "E0000003")


def test_a_client_that_takes_no_json(service: Service) -> None:
    assert refusal(service.ask("GET", "/apps", headers={"Accept": "text/html"})) == (406, "E0000019")


@pytest.mark.parametrize("accepted", ["*/*", "application/json", "application/*", "text/html, application/json;q=0.5"])
def test_a_client_that_takes_json_among_others(service: Service, accepted: str) -> None:
    assert service.ask("GET", "/apps", headers={"Accept": accepted}).status_code == 200


def test_a_parameter_of_another_type_is_named(service: Service) -> None:
    answer = service.ask("GET", "/apps?limit=many")
    assert refusal(answer) == (400, "E0000001")
    assert causes(answer) == ["limit: expected int, got str"]


def test_a_parameter_out_of_range_is_named(service: Service) -> None:
    assert causes(service.ask("GET", "/apps?limit=0")) == ["limit: expected int >= 1"]


def test_a_parameter_that_is_missing_is_named(service: Service) -> None:
    answer = service.ask("POST", f"/apps/{service.app()}/imports")
    assert refusal(answer) == (400, "E0000001")
    assert causes(answer) == ["mode: is required"]


def test_every_fault_of_a_body_is_told_with_its_field(service: Service) -> None:
    answer = service.ask("POST", "/apps", json={"label": 5, "settings": [], "signOnMode": "NONE"})
    assert refusal(answer) == (400, "E0000001")
    assert causes(answer) == [
        "label: expected str, got int",
        "settings: expected object, got array",
        "signOnMode: invalid enum value 'NONE'",
    ]


def test_a_fault_of_the_program_says_nothing_but_its_id(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks(*_: object) -> None:
        raise KeyError("jane@example.com")

    monkeypatch.setattr("mastering.catalog.apps.read", breaks)
    settings = Settings.from_environment(
        {"MASTERING_DATA_DIR": str(tmp_path), "MASTERING_ADMIN_TOKEN": ADMIN_TOKEN, "MASTERING_LOG_FORMAT": "json"}
    )
    with TestClient(create_app(settings)) as client:
        answer = client.get("/api/v1/apps/0oa1/import-policy", headers={"Authorization": f"SSWS {ADMIN_TOKEN}"})
    assert refusal(answer) == (500, "E0000009")
    assert "jane" not in answer.text
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    told = next(line for line in lines if line.get("error_id") == answer.json()["errorId"])
    assert told["level"] == "error"
    assert told["fault"] == "KeyError"
    assert any("test_errors.py" in place for place in told["raised_at"])
    assert told["request_id"] == answer.headers["x-okta-request-id"]
    assert "jane" not in json.dumps(lines)


def test_every_refusal_of_the_program_has_a_status_and_a_code() -> None:
    refusals = {
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, MasteringError) and kind is not MasteringError
    }
    assert refusals - REFUSALS.keys() == {errors.SettingInvalid}


def test_the_nearest_class_decides_the_code() -> None:
    assert code_of(AlreadyActive("is active")) == "E0000016"
    assert code_of(NotFound("nothing")) == "E0000007"


def test_no_status_of_the_framework_is_without_words() -> None:
    assert {400, 401, 403, 404, 405, 406, 413, 415, 429, 431, 503} == OF_THE_FRAMEWORK.keys()


def test_a_refusal_repeats_no_more_of_what_was_sent_than_helps(service: Service) -> None:
    long = service.ask("POST", "/users", json={"profile": {"x" * 2_000_000: 1}})
    many = service.ask("POST", "/tokens", json={"name": "x", "role": "importer", "apps": [f"0oa{number}" for number in range(5_000)]})
    for answer in (long, many):
        assert refusal(answer) == (400, "E0000001")
        assert len(answer.content) < 20_000
        assert causes(answer)


@pytest.mark.parametrize("depth", [100, 500, 900, 5_000])
def test_a_document_deeper_than_anybody_looks_is_not_well_formed_whatever_else_is_wrong(service: Service, depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    for body in (b'{"label": "HR", "settings": {"a": %s}}' % deep, b'{"label": 5, "settings": {"a": %s}}' % deep):
        answer = service.ask("POST", "/apps", content=body, headers={"Content-Type": "application/json"})
        assert refusal(answer) == (400, "E0000003")
        assert answer.json()["errorSummary"].endswith("it is nested too deeply")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"label": "\\ud83e"}', "it has half of a surrogate pair, which is no character"),
        (b'{"label": "\\udd84\\ud83e"}', "it has half of a surrogate pair, which is no character"),
        (b'{"label": "\xe9"}', "it is not UTF-8 text"),
        (b'{"label": 1e400}', "Number out of range"),
    ],
)
def test_a_text_that_is_none_is_told_as_what_it_is(service: Service, body: bytes, why: str) -> None:
    answer = service.ask("POST", "/apps", content=body, headers={"Content-Type": "application/json"})
    assert refusal(answer) == (400, "E0000003")
    assert answer.json()["errorSummary"] == f"The request body was not well-formed: {why}"


def test_a_whole_surrogate_pair_is_a_character(service: Service) -> None:
    answer = service.ask("POST", "/apps", content=b'{"label": "\\ud83e\\udd84"}', headers={"Content-Type": "application/json"})
    assert answer.json()["label"] == "\N{UNICORN FACE}"


@pytest.mark.parametrize("headers", [{"Content-Encoding": "gzip"}, {"Content-Type": "application/json; charset=latin-1"}])
def test_a_body_in_another_encoding_is_of_another_kind(service: Service, headers: dict[str, str]) -> None:
    answer = service.ask("POST", "/apps", content=b'{"label": "HR"}', headers={"Content-Type": "application/json", **headers})
    assert refusal(answer) == (415, "E0000021")


def test_an_accept_header_that_says_nothing_accepts_everything(service: Service) -> None:
    assert service.ask("GET", "/apps", headers={"Accept": ""}).status_code == 200


@pytest.mark.parametrize("as_of", ["0001-01-01T00:00:00+14:00", "0999-01-01T00:00:00Z"])
def test_nobody_was_there_at_the_beginning_of_time(service: Service, as_of: str) -> None:
    user = service.user("jane")
    assert refusal(service.ask("GET", f"/users/{user['id']}", params={"asOf": as_of})) == (404, "E0000007")
    assert service.get(f"/users/{user['id']}", params={"asOf": "9999-12-31T23:59:59-14:00"})["id"] == user["id"]


@pytest.mark.parametrize("as_of", ["", "0000-01-01T00:00:00Z", "2026-01-01T00:00:00", "now"])
def test_an_instant_that_is_none_is_named(service: Service, as_of: str) -> None:
    answer = service.ask("GET", f"/users/{service.user('jane')['id']}", params={"asOf": as_of})
    assert refusal(answer) == (400, "E0000001")
    assert causes(answer)[0].startswith("asOf: ")


def test_a_hold_may_last_until_the_end_of_time_and_its_reason_has_a_bound(service: Service) -> None:
    path = f"/users/{service.user('jane')['id']}"
    assert (
        service.put(f"{path}/hold", json={"reason": "legal", "until": "9999-12-31T23:59:59-14:00"})["until"] == "9999-12-31T23:59:59.999Z"
    )
    for told in ({"reason": "x" * 1_001}, {"reason": "\0"}):
        assert refusal(service.ask("POST", f"{path}/lifecycle/suspend", json=told)) == (400, "E0000001")
        assert refusal(service.ask("PUT", f"{path}/hold", json=told)) == (400, "E0000001")
