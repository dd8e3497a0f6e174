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
