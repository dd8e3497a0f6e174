"""Of every kind of event that can be in a person's history the why has all its parts, or says why it cannot have one (SPEC §13).

The kinds are read from the program itself (`test_log_kinds.kinds`). One life after another is led over HTTP until each has happened; then
every event of everybody is asked about as an auditor asks, by `GET` and as `mastering why` prints it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import msgspec
from rich.console import Console
from sqlalchemy import select
from sqlmodel import col

from mastering import holds
from mastering.cli.why import _explained
from mastering.cli.why_wire import Why
from mastering.clock import now, wire
from mastering.ledger import SERVICE, Ledger
from mastering.ledger import Why as Because
from mastering.rules.people import User
from mastering.store.engine import reading, writing
from mastering.store.tables import HistoryEvent
from tests.api.service import Service, record
from tests.api.test_log_kinds import kinds

OF_NOBODY = {
    "account.ignore": "an account that waits is nobody's yet: `GET /review/{id}/why` tells of it",
    "account.unignore": "likewise",
}
"""Kinds about an account that are in no person's history, and why."""
_QUIET = ("account.word", "account.inactive", "account.missing")
"""Kinds that may tell of a word that changes nothing for the person, whatever else were otherwise."""


def kinds_of_people() -> set[str]:
    return {kind for kind in kinds() if kind.split(".")[0] in {"user", "account", "finding"}} - OF_NOBODY.keys()


class Lives:
    """What happens to people, over HTTP where there is a way."""

    def __init__(self, service: Service) -> None:
        self.service = service
        service.put("/org/safeguard", json={"enabled": False})
        self.hr = self.master("HR")
        self.ad = self.master("AD", matching={"username": True, "allowPartial": True})

    def master(self, label: str, **parts: Any) -> str:
        plain = {"whenDeactivated": "DEACTIVATE", "enabled": True}
        return self.service.source(label, safeguard={"enabled": False}, mastering={**plain, **parts.pop("mastering", {})}, **parts)

    def switch(self, app_id: str, **mastering: Any) -> None:
        policy = self.service.get(f"/apps/{app_id}/import-policy")
        self.service.put(f"/apps/{app_id}/import-policy", json={**policy, "mastering": {**policy["mastering"], **mastering}})

    def delta(self, app_id: str, *records: dict[str, Any]) -> Any:
        return self.service.send(app_id, records, mode="INCREMENTAL")

    def undo(self, run: Any) -> None:
        answer = self.service.ask("POST", f"/imports/{run['id']}/lifecycle/undo", headers={"Prefer": "wait=20"})
        assert answer.is_success, answer.text
        give_up = time.monotonic() + 30
        while self.service.get(answer.headers["Location"])["status"] != "COMPLETED":
            assert time.monotonic() < give_up
            time.sleep(0.01)

    def by_hand(self) -> None:
        service = self.service
        made = service.post(
            "/users",
            json={
                "profile": {"login": "h@x.org", "email": "h@x.org", "firstName": "H", "lastName": "D"},
                "credentials": {"password": {"value": "correct horse battery"}},
            },
        )
        ident = made["id"]
        service.put(f"/users/{ident}/hold", json={"reason": "a"})
        service.ask("DELETE", f"/users/{ident}/hold")
        for verb in ("suspend", "unsuspend"):
            service.post(f"/users/{ident}/lifecycle/{verb}")
        target = service.app("Wiki")
        service.post(f"/apps/{target}/users", json={"id": ident, "scope": "USER"})
        service.ask("DELETE", f"/apps/{target}/users/{ident}")
        service.put(f"/users/{ident}/hold", json={"reason": "b", "until": wire(now() + timedelta(seconds=60))})
        holds.expire_holds(service.engine, now() + timedelta(seconds=61))
        service.delete(f"/users/{ident}")
        service.post(f"/users/{ident}/erasure", json={})

    def schema(self) -> None:
        add = {"definitions": {"custom": {"properties": {"badge": {"title": "Badge", "type": "string"}}}}}
        self.service.post("/meta/schemas/user/default", json=add)
        self.service.user("badged", badge="7")
        self.service.post("/meta/schemas/user/default", json={"definitions": {"custom": {"properties": {"badge": None}}}})

    def imported(self) -> None:
        send, everybody = self.service.send, [record(name) for name in ("ann", "bob", "cid")]
        send(self.hr, everybody)
        send(self.ad, [record("ann"), record("bob")])
        self.delta(self.ad, record("ann", title="lower"), record("bob", active=False))
        self.delta(self.hr, record("ann", active=False), record("bob", title="Lead"))
        self.delta(self.hr, record("ann", active=True))
        self.switch(self.hr, reactivateDeactivated=True, reactivateSuspended=True, whenDeactivated="SUSPEND")
        for active in (False, True):
            self.delta(self.hr, record("cid", active=active))
        self.delta(self.hr, record("cid", active=False))
        self.delta(self.hr, record("cid", active=True, email="cid.otherwise@example.com"))
        self.service.post("/users/cid.otherwise@example.com/lifecycle/activate")
        self.switch(self.hr, whenDeactivated="DEACTIVATE")
        for active in (False, True):
            self.delta(self.hr, record("cid", active=active, email="cid.otherwise@example.com"))
        self.service.put(f"/users/{self.id_of('bob')}/hold", json={"reason": "legal"})
        self.delta(self.hr, record("bob", active=False))
        self.service.ask("DELETE", f"/users/{self.id_of('bob')}/hold")

    def released(self) -> None:
        loose = self.master("Loose", mastering={"whenDeactivated": "DO_NOTHING"})
        self.service.send(loose, [record("dan"), record("eve")])
        self.undo(self.service.send(loose, [record("eve")]))
        self.delta(loose, record("eve", active=False))
        self.delta(loose, {**record("eve"), "externalId": "eve-again"})
        self.delta(loose, record("eve", active=True))
        self.delta(loose, record("eve", active=False))
        self.undo(self.delta(loose, record("fay")))
        for active in (True, False, True):
            self.delta(loose, record("kim", active=active))
        self.service.post(f"/apps/{loose}/lifecycle/deactivate")
        self.service.delete(f"/apps/{loose}")

    def restored(self) -> None:
        """A return that undo takes back by a move that only undo may make; and somebody whom an admin assigned before an import showed them."""
        back = self.master("Back", mastering={"whenDeactivated": "SUSPEND", "reactivateSuspended": True})
        for active in (True, False):
            self.delta(back, record("lou", active=active))
        self.undo(self.delta(back, record("lou", email="lou.otherwise@example.com", active=True)))
        mia, told = self.service.user("mia"), record("mia")
        self.service.post(f"/apps/{back}/users", json={"id": mia["id"], "scope": "USER", "externalId": "mia", "profile": told["profile"]})
        self.delta(back, told)

    def replaced(self) -> None:
        strict = self.master("Strict", matching={"username": False, "email": True})
        self.service.send(strict, [record("gil"), record("hal")])
        self.delta(strict, record("gil", active=False))
        self.delta(strict, {**record("gil"), "externalId": "gil-again"})
        hal = self.service.user("hal2")
        former = self.id_of("hal")
        self.service.delete(f"/apps/{strict}/users/{former}")
        self.service.post(f"/users/{former}", json={"profile": {"login": "hal.old@example.com"}})
        (account,) = [each for each in self.accounts(strict) if each["externalId"] == "hal"]
        wish = {"appUserId": account["appUserId"], "action": "LINK", "userId": hal["id"]}
        (outcome,) = self.service.post("/review/decisions", json={"decisions": [wish]})["results"]
        assert outcome["ok"], outcome

    def accounts(self, app_id: str) -> list[dict[str, Any]]:
        return [each["_embedded"]["account"] for each in self.service.get(f"/apps/{app_id}/users")]

    def remastered(self) -> None:
        """An attribute's master changes; of one the login that is mapped by then is taken."""
        self.service.put(
            "/profile-masters",
            json={"masters": [{"appId": each["appId"]} for each in self.service.get("/profile-masters")["masters"]][::-1]},
        )
        self.service.user("taken")
        late = self.master("Late")
        self.service.send(late, [record("ida"), record("jon")])
        mapping = self.service.mapping(late)
        for expression in ('"Clerk"', "appuser.title"):
            self.service.post(f"/mappings/{mapping}", json={"properties": {"title": {"expression": expression, "pushStatus": "PUSH"}}})
        self.service.policy(
            late, confirmation={}, mastering={"enabled": True}, username={"format": "CUSTOM", "expression": '"taken@example.com"'}
        )

    def pushed(self) -> None:
        """As the deliverer writes it down; `tests/walks/test_push.py` has it from real deliveries."""
        ident = self.id_of("bob")
        with writing(self.service.engine) as session:
            ledger = Ledger(session, now() + timedelta(milliseconds=1), SERVICE)
            user: User = ledger.user(ident)
            for kind in sorted(kinds()):
                if kind.startswith("account.push."):
                    ledger.note_account(user.links[0], Because(facts={"task": "tsk", "kind": "CREATE"}), kind, {})
            ledger.flush()

    def id_of(self, name: str) -> str:
        found: str = self.service.get(f"/users/{name}@example.com")["id"]
        return found


def everybodys_events(service: Service) -> list[HistoryEvent]:
    with reading(service.engine) as session:
        query = select(HistoryEvent).where(col(HistoryEvent.subject).startswith("00u")).order_by(col(HistoryEvent.position))
        return list(session.execute(query).scalars())


def printed(told: Why) -> str:
    console = Console(width=400, record=True, file=StringIO())
    for part in _explained(told, {}, "somebody"):
        console.print(part)
    return console.export_text()


def test_every_kind_of_event_has_every_part_of_its_why_or_says_why_it_cannot(service: Service) -> None:
    lives = Lives(service)
    steps: list[Callable[[], None]] = [
        lives.by_hand,
        lives.schema,
        lives.imported,
        lives.released,
        lives.restored,
        lives.replaced,
        lives.remastered,
        lives.pushed,
    ]
    for step in steps:
        step()
    happened = everybodys_events(service)
    missing = kinds_of_people() - {event.type for event in happened}
    for event in happened:
        answer = service.get(f"/users/{event.subject}/why", params={"event": event.id})
        check(event, answer, msgspec.convert(answer, Why))
    assert missing == set()


def check(event: HistoryEvent, answer: dict[str, Any], told: Why) -> None:
    body, text = answer["event"], printed(told)
    assert answer["agrees"], (event.type, body, answer)
    for title in ("Who decided", "On which facts", "Who had authority"):
        assert title in text, event.type
    facts: dict[str, Any] = next((each["facts"] for each in answer["step"] if each.get("facts")), {})
    speaking = [voice for voice in answer["voices"] if voice["authority"]]
    assert len(speaking) <= 1, body
    assert all(voice["silent"] for voice in answer["voices"] if not voice["authority"]), "who had none is told why"
    considered = {*facts.get("candidates", ()), *facts.get("beaten", ())}
    if answer["unasked"] is None:
        assert body.get("rule") or any(each.get("rule") for each in answer["step"]) or event.type == "user.remaster", (event.type, body)
        if not answer["wouldChange"]:  # the rules were asked about every neighbour, and none of them moves anybody
            assert (body.get("trigger"), event.type) in {(None, kind) for kind in _QUIET}, (event.type, body)
            assert "nothing by itself" in text
            return
        assert [each["distance"] for each in answer["wouldChange"]] == sorted(each["distance"] for each in answer["wouldChange"])
        assert "What would have" in text
        if facts.get("situation") in {"EXACT", "PARTIAL", "AMBIGUOUS", "CONFLICT"}:
            assert {each["userId"] for each in answer["candidates"]} >= considered, (event.type, body, answer["candidates"])
        for each in answer["candidates"]:
            assert each["lost"] or each["userId"] == event.subject, (event.type, answer["candidates"])
    else:
        assert answer["wouldChange"] == []
        assert answer["unasked"] in text or answer["decidedBy"] in {"admin", "reviewer"}, (event.type, text)
        assert "nothing by itself" not in text
