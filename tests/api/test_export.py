"""History taken away as NDJSON and CSV (API.md, /history/export)."""

import csv
import json
from hashlib import sha256
from io import StringIO
from typing import Any

import pytest
from httpx import Response

from mastering import exports
from mastering.connectors.csvout import harmless
from mastering.exports import COLUMNS
from tests.api.service import Service, causes, record, refusal


def lines(service: Service, **params: Any) -> list[dict[str, Any]]:
    answer = service.ask("GET", "/history/export", params=params)
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


def rows(answer: Response) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(answer.text, newline="")))


@pytest.fixture
def story(service: Service) -> dict[str, str]:
    """Two apps' imports, a move by hand, and who is who."""
    hr, ad = service.source("HR"), service.source("AD")
    first = service.send(hr, [record("jane"), record("john")])
    service.send(ad, [record("jack")])
    jane = service.get("/users/jane@example.com")["id"]
    service.post(f"/users/{jane}/lifecycle/suspend", json={"reason": "=HYPERLINK(1)"})
    return {"hr": hr, "ad": ad, "run": first["id"], "jane": jane}


def test_a_line_is_the_very_text_that_is_hashed_in_the_order_it_was_written(service: Service, story: dict[str, str]) -> None:
    text = service.ask("GET", "/history/export").text
    heads: dict[str, bytes] = {}
    places = []
    for line in text.splitlines():
        told = json.loads(line)
        start = line.index('"body":') + len('"body":')
        body, end = json.JSONDecoder().raw_decode(line, start)
        heads[body["subject"]] = sha256(heads.get(body["subject"], b"") + line[start:end].encode()).digest()
        assert heads[body["subject"]].hex() == told["hash"]
        places.append(told["position"])
    assert places == sorted(set(places))
    assert story["jane"] in heads


def test_it_is_narrowed_by_user_app_run_rule_and_time(service: Service, story: dict[str, str]) -> None:
    everything = lines(service)

    def found(**params: str) -> list[dict[str, Any]]:
        chosen = lines(service, **params)
        assert all(line in everything for line in chosen)
        return [line["body"] for line in chosen]

    assert [body["type"] for body in found(user=story["jane"])][-1] == "user.suspend"
    assert found(user="jane@example.com") == found(user=story["jane"])
    assert {body["subject"] for body in found(user=story["jane"])} == {story["jane"]}
    of_run = found(runId=story["run"])
    assert {body["run"]["id"] for body in of_run} == {story["run"]}
    assert len([body for body in of_run if body["type"] == "user.create"]) == 2
    of_hr, of_ad = found(appId=story["hr"]), found(appId=story["ad"])
    assert all(story["hr"] in json.dumps(body) for body in of_hr)
    assert {body["subject"] for body in of_hr} >= {story["hr"], story["jane"]}
    assert of_hr != of_ad
    assert {body["rule"] for body in found(rule="auto_confirm_new")} == {"auto_confirm_new"}
    assert found(rule="auto_confirm") == []
    assert found(rule="auto_confirm_new", appId=story["ad"], user="jack@example.com")
    last = everything[-1]["body"]
    assert found(since=last["at"])[-1] == last
    assert last not in found(until=last["at"])
    assert found(since="9999-01-01T00:00:00Z") == []
    assert found(user="00uNobody") == []


def test_pages_do_not_show(service: Service, story: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = lines(service)
    of_jane, of_run = lines(service, user=story["jane"]), lines(service, runId=story["run"])
    monkeypatch.setattr(exports, "_PAGE", 2)
    assert lines(service) == whole
    assert lines(service, user=story["jane"]) == of_jane
    assert lines(service, runId=story["run"]) == of_run


def test_csv_has_a_heading_a_row_for_each_event_and_no_formula(service: Service, story: dict[str, str]) -> None:
    service.post("/users", json={"profile": {"login": "=1+1@x.org", "email": "e@x.org", "firstName": "+1", "lastName": "@SUM(A1)"}})
    answer = service.ask("GET", "/history/export", params={"format": "csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="history-')
    assert answer.headers["content-disposition"].endswith('Z.csv"')
    found = rows(answer)
    assert tuple(found[0]) == COLUMNS
    assert [row["hash"] for row in found] == [line["hash"] for line in lines(service)]
    suspended = next(row for row in found if row["type"] == "user.suspend")
    assert (suspended["from"], suspended["to"], suspended["reason"]) == ("ACTIVE", "SUSPENDED", "'=HYPERLINK(1)")
    assert json.loads(found[-2]["attributes"])["login"]["new"] == "=1+1@x.org"
    assert not [cell for row in found for cell in row.values() if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1", "\uff1d1"])
def test_what_a_spreadsheet_would_compute_is_text(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"
    assert harmless(f"a{cell}") == f"a{cell}"


def test_an_auditor_exports_and_an_importer_does_not(service: Service, story: dict[str, str]) -> None:
    assert len(lines(service.caller("auditor"))) == len(lines(service))
    assert refusal(service.caller("importer", story["hr"]).ask("GET", "/history/export")) == (403, "E0000006")


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"format": "xml"}, "format"),
        ({"since": "yesterday"}, "since"),
        ({"until": "2026-01-01T00:00:00"}, "until"),
        ({"rule": 'x" OR 1=1'}, "rule"),
        ({"appId": "%"}, "appId"),
        ({"runId": ""}, "runId"),
        ({"user": "x" * 1001}, "user"),
    ],
)
def test_a_question_that_is_not_understood_is_refused(service: Service, params: dict[str, str], field: str) -> None:
    answer = service.ask("GET", "/history/export", params=params)
    assert refusal(answer) == (400, "E0000001")
    assert causes(answer)[0].startswith(f"{field}: ")
