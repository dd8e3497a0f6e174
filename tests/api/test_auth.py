"""Who may call what (API.md, habits)."""

import pytest

from api.auth import AUDITOR_MAY, IMPORTER_MAY
from tests.api.service import ADMIN_TOKEN, Service, refusal


@pytest.mark.parametrize("shown", ["SSWS {}", "SSWS{}", "ssws {}", "Bearer {}", "bearer {}"])
def test_a_token_is_shown_in_any_of_the_usual_ways(service: Service, shown: str) -> None:
    assert service.with_token(None).ask("GET", "/apps", headers={"Authorization": shown.format(ADMIN_TOKEN)}).status_code == 200


@pytest.mark.parametrize(
    "shown", [None, "", "SSWS", "SSWS ", ADMIN_TOKEN, f"Basic {ADMIN_TOKEN}", "SSWS wrong", f"SSWS {ADMIN_TOKEN} x", "SSWS \xff"]
)
def test_without_a_token_of_ours_nothing_is_answered(service: Service, shown: str | None) -> None:
    headers = {} if shown is None else {"Authorization": shown.encode("latin-1")}
    answer = service.client.get("/api/v1/apps", headers=headers)  # type: ignore[arg-type]
    assert refusal(answer) == (401, "E0000011")


def test_every_path_but_health_and_the_description_asks_for_a_token(service: Service) -> None:
    stranger = service.with_token(None)
    for path, operations in service.get("/openapi.json")["paths"].items():
        for method in operations:
            answer = stranger.ask(method.upper(), path)
            assert answer.status_code == (200 if path.startswith("/health") else 401), (method, path)


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/openapi.json", "/docs", "/docs/assets/docs.js"])
def test_health_and_the_description_are_open(service: Service, path: str) -> None:
    assert service.with_token(None).ask("GET", path).status_code == 200


def test_the_metrics_are_not(service: Service) -> None:
    assert refusal(service.with_token(None).ask("GET", "/metrics")) == (401, "E0000011")


def test_an_auditor_reads_everything_and_changes_nothing(service: Service) -> None:
    app_id = service.app()
    auditor = service.caller("auditor")
    there = {"app_id": app_id, "mapping_id": service.mapping(app_id)}
    for path, operations in service.get("/openapi.json")["paths"].items():
        for method in operations:
            answer = auditor.ask(method.upper(), path.format_map(_Anything(there)))
            if method == "get" or (method.upper(), path) in AUDITOR_MAY:
                assert answer.status_code in {200, 404}, (path, answer.text)
            else:
                assert refusal(answer) == (403, "E0000006"), (method, path)


def test_an_importer_does_what_the_table_lists_and_nothing_else(service: Service) -> None:
    app_id = service.app()
    importer = service.caller("importer", app_id)
    for path, operations in service.get("/openapi.json")["paths"].items():
        for method in operations:
            if path.startswith("/health"):
                continue
            answer = importer.ask(method.upper(), path.format_map(_Anything({"app_id": app_id, "identity_source_id": app_id})))
            if (method.upper(), path) in IMPORTER_MAY:
                assert answer.status_code != 403, (method, path)
            else:
                assert refusal(answer) == (403, "E0000006"), (method, path)


def test_every_line_of_the_importers_table_is_a_path_of_the_api(service: Service) -> None:
    offered = {(method.upper(), path) for path, operations in service.get("/openapi.json")["paths"].items() for method in operations}
    assert offered >= IMPORTER_MAY


def test_an_importer_imports_the_apps_its_token_names(service: Service) -> None:
    mine, other = service.app("HR"), service.app("AD")
    importer = service.caller("importer", mine)
    line, kind = b'{"externalId": "E1", "profile": {}}\n', {"Content-Type": "application/x-ndjson", "Prefer": "wait=20"}
    run = importer.post(f"/apps/{mine}/imports?mode=FULL", content=line, headers=kind)
    assert importer.get(f"/imports/{run['id']}")["appId"] == mine
    assert refusal(importer.ask("POST", f"/apps/{other}/imports?mode=FULL", content=line, headers=kind)) == (403, "E0000006")
    foreign = service.post(f"/apps/{other}/imports?mode=FULL", content=line, headers=kind)
    assert refusal(importer.ask("GET", f"/imports/{foreign['id']}")) == (403, "E0000006")
    assert refusal(importer.ask("GET", f"/imports/{foreign['id']}/changes")) == (403, "E0000006")
    assert [seen["id"] for seen in importer.get("/imports")] == [run["id"]]


def test_an_importer_sees_the_apps_its_token_names(service: Service) -> None:
    mine, other = service.app("HR"), service.app("AD")
    importer = service.caller("importer", mine)
    assert [app["id"] for app in importer.get("/apps")] == [mine]
    assert importer.get(f"/apps/{mine}")["label"] == "HR"
    assert refusal(importer.ask("GET", f"/apps/{other}")) == (403, "E0000006")


class _Anything(dict[str, str]):
    """Placeholders of a path; what is not known is nobody."""

    def __missing__(self, name: str) -> str:
        return "activate" if name == "act" else "nobody"
