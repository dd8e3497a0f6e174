"""`/openapi.json` and `/docs`: all of the API, and nothing from anywhere else (API.md, habits).

That every answer is described is looked at in every test: see `Service.ask`.
"""

import re
from typing import Any

import pytest

from tests.api.service import Service, refusal

ASSETS = ["docs.js", "swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"]
CONTRACT = """
GET POST /users
GET POST PUT DELETE /users/{}
POST /users/{}/lifecycle/activate
POST /users/{}/lifecycle/deactivate
POST /users/{}/lifecycle/suspend
POST /users/{}/lifecycle/unsuspend
POST /users/{}/lifecycle/reactivate
GET PUT DELETE /users/{}/hold
GET /users/{}/masters
GET /users/{}/history
GET POST /apps
GET PUT DELETE /apps/{}
POST /apps/{}/lifecycle/activate
POST /apps/{}/lifecycle/deactivate
GET PUT /apps/{}/import-policy
GET POST /apps/{}/users
GET DELETE /apps/{}/users/{}
GET POST /apps/{}/imports
GET /imports
GET /imports/{}
GET /imports/{}/changes
POST /imports/{}/lifecycle/approve
POST /imports/{}/lifecycle/cancel
GET /review
GET /review/{}
POST /review/decisions
GET PUT /profile-masters
GET /mappings
GET POST /mappings/{}
GET PUT /org/safeguard
POST /users/{}/erasure
GET /history/export
GET /history/counts
POST /history/verify
GET POST /history/checkpoints
GET /history/checkpoints/{}
GET /history/checkpoints/{}/export
GET /history/checkpoints/{}/chains/{}
GET /logs
GET POST /tokens
DELETE /tokens/{}
"""
"""What the contract asks for so far, and an endpoint beside it would have to be asked for first."""


def operations(service: Service) -> list[tuple[str, str, dict[str, Any]]]:
    paths = service.get("/openapi.json")["paths"]
    return [(method, path, operation) for path, told in paths.items() for method, operation in told.items()]


def test_every_endpoint_of_the_contract_is_there_and_described(service: Service) -> None:
    offered = {(method.upper(), re.sub(r"\{\w+\}", "{}", path.removeprefix("/api/v1"))) for method, path, _ in operations(service)}
    for line in CONTRACT.split("\n")[1:-1]:
        *methods, path = line.split()
        for method in methods:
            assert (method, path) in offered


def test_every_operation_says_what_it_is_what_it_answers_and_how_it_refuses(service: Service) -> None:
    for method, path, operation in operations(service):
        told = f"{method} {path}"
        assert operation["summary"], told
        assert operation["description"], told
        assert operation["responses"]["default"]["content"]["application/json"]["schema"]["$ref"].endswith("/ErrorEnvelope"), told
        assert [status for status in operation["responses"] if status.startswith("2")], told
        assert not [status for status in operation["responses"] if status[0] not in "2d"], told


def test_names_on_the_wire_are_camel_case(service: Service) -> None:
    description = service.get("/openapi.json")
    fields = {name for schema in description["components"]["schemas"].values() for name in schema.get("properties", {})}
    asked = {
        parameter["name"] for _, _, operation in operations(service) for parameter in operation["parameters"] if parameter["in"] == "query"
    }
    assert fields >= {"externalId", "planHash", "errorSummary"}
    assert [name for name in fields | asked if not re.fullmatch(r"_?[a-z][A-Za-z]*", name)] == ["$schema"], "JSON Schema's own word"


def test_an_import_says_what_bodies_it_takes_and_both_its_answers(service: Service) -> None:
    start = service.get("/openapi.json")["paths"]["/api/v1/apps/{app_id}/imports"]["post"]
    assert start["requestBody"]["content"].keys() == {"application/x-ndjson", "application/json", "text/csv", "application/scim+json"}
    assert {status for status in start["responses"] if status.startswith("2")} == {"200", "202"}
    assert all("Location" in start["responses"][status]["headers"] for status in ("200", "202"))


def test_every_post_takes_an_idempotency_key(service: Service) -> None:
    for method, path, operation in operations(service):
        taken = "Idempotency-Key" in {parameter["name"] for parameter in operation["parameters"]}
        assert taken == (method == "post"), (method, path)


def test_every_reference_leads_somewhere(service: Service) -> None:
    answer = service.ask("GET", "/openapi.json")
    schemas = answer.json()["components"]["schemas"]
    assert set(re.findall(r'"#/components/schemas/([^"]+)"', answer.text)) <= schemas.keys()


@pytest.mark.parametrize("path", ["/docs", *(f"/docs/assets/{name}" for name in ASSETS)])
def test_the_page_comes_from_here_alone(service: Service, path: str) -> None:
    answer = service.client.get(path)
    assert answer.status_code == 200
    assert answer.headers["x-content-type-options"] == "nosniff"
    if path == "/docs":
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        found = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
        assert {name for name in found if name.startswith("docs/assets/")} == {f"docs/assets/{name}" for name in ASSETS}
        assert not [name for name in found if "//" in name]
        assert "style=" not in answer.text
    if path.endswith("docs.js"):
        assert "validatorUrl: null" in answer.text


@pytest.mark.parametrize("name", ["docs.html", "VERSION", "__init__.py", "..%2F__init__.py", "%2e%2e", "swagger-ui.css.map"])
def test_no_other_file_is_given_out(service: Service, name: str) -> None:
    assert refusal(service.client.get(f"/docs/assets/{name}")) == (404, "E0000007")


@pytest.mark.parametrize("path", ["/api/v1/users", "/health/live", "/openapi.json", "/nowhere", "/docs"])
def test_every_answer_protects_browsers_and_lets_no_other_site_read_it(service: Service, path: str) -> None:
    answer = service.client.get(path, headers={"Authorization": f"SSWS {service.token}", "Origin": "https://elsewhere.example"})
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-okta-request-id"].startswith("req")
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert answer.headers["cache-control"] == ("no-cache" if path == "/docs" else "no-store")
