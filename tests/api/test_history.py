"""History as a whole over HTTP (API.md, /history; SPEC §13)."""

import json
from typing import Any

import pytest
from sqlalchemy import text

from mastering.merkle import Step, root_by
from mastering.store.engine import writing
from tests.api.service import Service, record, refusal


def verified(service: Service, *kept: Any) -> Any:
    return service.post("/history/verify", json={"checkpoints": list(kept)} if kept else None)


def tamper(service: Service, statement: str, **values: Any) -> None:
    with writing(service.engine) as session:
        session.execute(text(statement), values)


def test_an_untouched_history_is_whole_and_says_how_much_was_looked_at(service: Service) -> None:
    service.send(service.source(), [record("jane"), record("john")])
    made = service.post("/history/checkpoints")
    told = verified(service, made)
    assert (told["whole"], told["found"], told["faults"], told["checkpoints"]) == (True, 0, [], 1)
    assert (told["events"], told["chains"]) == (made["statement"]["events"], made["statement"]["chains"])
    assert made["statement"]["by"]["name"] == "preset admin"


def test_an_auditor_may_verify_and_read_checkpoints_and_make_none(service: Service) -> None:
    service.post("/history/checkpoints")
    auditor = service.caller("auditor")
    assert verified(auditor)["whole"]
    assert len(auditor.get("/history/checkpoints")) == 1
    assert auditor.ask("GET", "/history/checkpoints/1/export").status_code == 200
    assert refusal(auditor.ask("POST", "/history/checkpoints")) == (403, "E0000006")
    for method, path in (("POST", "/history/verify"), ("GET", "/history/checkpoints"), ("GET", "/history/checkpoints/1/export")):
        assert refusal(service.caller("importer", service.app(path)).ask(method, path)) == (403, "E0000006")


def test_what_was_done_to_history_is_named(service: Service) -> None:
    jane = service.user("jane")["id"]
    made = service.post("/history/checkpoints")
    tamper(service, "DELETE FROM history WHERE subject = :id AND seq = 2", id=jane)
    told = verified(service, made)
    assert not told["whole"]
    assert {"fault": "event 2, the last one then, is missing", "subject": jane, "seq": 2, "eventId": None, "checkpoint": 1} in told[
        "faults"
    ]


def test_a_checkpoint_that_was_kept_is_missed_when_it_is_gone(service: Service) -> None:
    made = service.post("/history/checkpoints")
    tamper(service, "DELETE FROM checkpoints")
    assert verified(service)["whole"]
    assert verified(service, made)["faults"][0]["fault"] == "the checkpoint is missing"


def test_checkpoints_are_listed_newest_first_and_in_pages(service: Service) -> None:
    made = [service.post("/history/checkpoints") for _ in range(3)]
    assert service.get("/history/checkpoints") == made[::-1]
    page = service.ask("GET", "/history/checkpoints?limit=2")
    assert page.json() == made[:0:-1]
    assert service.get(page.links["next"]["url"]) == made[:1]
    assert service.get("/history/checkpoints/2") == made[1]


def test_the_same_key_makes_one_checkpoint(service: Service) -> None:
    keyed = {"headers": {"Idempotency-Key": "k"}}
    assert service.post("/history/checkpoints", **keyed) == service.post("/history/checkpoints", **keyed)
    assert len(service.get("/history/checkpoints")) == 1


def test_an_export_is_the_statement_and_the_head_of_each_chain(service: Service) -> None:
    jane = service.user("jane")["id"]
    made = service.post("/history/checkpoints")
    answer = service.ask("GET", "/history/checkpoints/1/export")
    assert answer.headers["content-disposition"] == 'attachment; filename="checkpoint-1.ndjson"'
    first, *heads = [json.loads(line) for line in answer.text.splitlines()]
    assert first == made
    assert [head["subject"] for head in heads] == sorted(head["subject"] for head in heads)
    assert {head["subject"]: head["seq"] for head in heads}[jane] == 2
    assert len(heads) == made["statement"]["chains"]


def test_the_end_of_one_chain_is_proven_without_the_others(service: Service) -> None:
    jane = service.user("jane")["id"]
    made = service.post("/history/checkpoints")
    proof = service.get(f"/history/checkpoints/1/chains/{jane}")
    leaf = f"{jane} 2 {service.get(f'/users/{jane}/history')[0]['hash']}".encode()
    path = [Step(bytes.fromhex(step["hash"]), step["side"] == "left") for step in proof["path"]]
    assert root_by(leaf, path).hex() == made["statement"]["root"] == proof["checkpoint"]["statement"]["root"]


@pytest.mark.parametrize("path", ["7", "7/export", "7/chains/x", "1/chains/00uNobody"])
def test_what_is_not_there_is_not_found(service: Service, path: str) -> None:
    service.post("/history/checkpoints")
    assert refusal(service.ask("GET", f"/history/checkpoints/{path}")) == (404, "E0000007")


@pytest.mark.parametrize(
    "body", [{"checkpoints": [{}]}, {"checkpoint": []}, {"checkpoints": [{"statement": {"number": "1"}, "signature": ""}]}]
)
def test_what_is_no_checkpoint_is_refused(service: Service, body: Any) -> None:
    assert refusal(service.ask("POST", "/history/verify", json=body)) == (400, "E0000001")
