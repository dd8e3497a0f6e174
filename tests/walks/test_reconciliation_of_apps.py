"""A reconciliation that reads the connected apps says what differs there, and never that somebody is gone who could not be read (SPEC §12)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlmodel import col

from mastering import connections
from mastering.clock import now
from mastering.connections import Peers
from mastering.connectors.outbound import Door
from mastering.errors import Invalid
from mastering.imports import runs
from mastering.imports.puller import Puller
from mastering.imports.pulling import start_pull
from mastering.reconcile import comparing, passes
from mastering.rules.record import Mode
from mastering.store import people
from mastering.store import reconciliations as store
from mastering.store.connections import Method
from mastering.store.documents import load
from mastering.store.engine import reading, writing
from mastering.store.readings import ReadUser
from mastering.store.tables import HistoryEvent
from mastering.vault import Vault
from tests.hook_server import Reply
from tests.scim_server import Asked, ScimServer, error, scim_server, user
from tests.walks.imports_world import ADMIN, World, calm

VAULT = Vault(["k" * 40])
Told = tuple[str, str, str | None]


@pytest.fixture
def server() -> Iterator[ScimServer]:
    with scim_server() as started:
        yield started


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    made = Door()
    yield made
    made.close()


class Connected:
    """An app whose users were pulled, and what a reconciliation that reads it says."""

    def __init__(self, world: World, server: ScimServer, door: Door) -> None:
        self.world, self.server = world, server
        self.puller = Puller(world.engine, Peers(world.engine, VAULT, door))
        self.app_id = world.app("Peer", calm())
        form = connections.Form(server.base_url, Method.HEADER, {}, "token")
        connections.save(world.engine, VAULT, ADMIN, now(), self.app_id, form, activate=True)
        start_pull(world.engine, ADMIN, now(), self.app_id, runs.Order(Mode.FULL))
        assert self.puller.turn()
        world.work()
        world.moment()

    def there(self, name: str) -> dict[str, Any]:
        return next(each for each in self.server.users if each["externalId"] == name)

    def start(self, **wanted: Any) -> str:
        return passes.start(self.world.engine, ADMIN, now(), read_apps=True, **wanted).id

    def finish(self, reconciliation_id: str) -> store.Reconciliation:
        self.world.work()
        while self.puller.turn():
            self.world.work()
        return passes.read(self.world.engine, reconciliation_id)

    def differences(self, row: store.Reconciliation) -> list[store.Difference]:
        with reading(self.world.engine) as session:
            return list(store.difference_page(session, row.id, 0, 1_000))

    def told(self, **wanted: Any) -> list[Told]:
        row = self.finish(self.start(**wanted))
        assert row.status == "COMPLETED"
        return [(each.kind, each.cause, each.external_id) for each in self.differences(row)]

    def kept(self) -> int:
        with reading(self.world.engine) as session:
            return int(session.execute(select(func.count()).select_from(ReadUser)).scalar_one())


@pytest.fixture
def app(org: World, server: ScimServer, door: Door) -> Connected:
    server.users = [user("ada"), user("bob"), user("eve")]
    return Connected(org, server, door)


def test_where_the_app_says_what_is_known_nothing_differs_and_nothing_of_it_is_kept(app: Connected) -> None:
    row = app.finish(app.start())
    (how,) = load(row.readings)
    assert (row.status, row.found, how["appId"], how["users"], how["unreadable"]) == ("COMPLETED", 0, app.app_id, 3, 0)
    assert app.kept() == 0


def test_who_is_gone_there_who_is_new_there_and_who_is_otherwise_there_are_told_apart(app: Connected) -> None:
    app.there("bob")["active"] = False
    app.there("eve")["name"] = {"givenName": "Eva"}
    app.server.users = [each for each in app.server.users if each["externalId"] != "ada"] + [user("new")]
    with reading(app.world.engine) as session:
        ids = [app.world.user_of(app.app_id, f"id-{name}").id for name in ("ada", "bob", "eve")]
        before = people.users(session, ids)
    row = app.finish(app.start(app_id=app.app_id))
    found = {each.kind: each for each in app.differences(row)}
    assert {kind: (each.external_id, each.cause, each.repairable) for kind, each in found.items()} == {
        "app_account_gone": ("id-ada", "app_says_otherwise", False),
        "app_active_differs": ("id-bob", "app_says_otherwise", False),
        "app_attributes_differ": ("id-eve", "app_says_otherwise", False),
        "app_account_unknown": ("id-new", "app_says_otherwise", False),
    }
    active, attributes = found["app_active_differs"], found["app_attributes_differ"]
    assert (load(active.expected), load(active.actual)) == ({"account": "ACTIVE"}, {"account": "INACTIVE"})
    assert load(attributes.expected) == {"firstName": "Eve", "lastName": "Doe"}
    assert load(attributes.actual) == {"firstName": "Eva", "lastName": None}
    assert all(each.event_id for each in found.values())
    with reading(app.world.engine) as session:
        assert people.users(session, ids) == before


def test_an_app_that_cannot_be_read_is_said_to_be_so_and_nobody_to_be_gone(app: Connected) -> None:
    def breaks_off(asked: Asked) -> Reply | None:
        return error(403, "not you") if asked.start > 1 else Reply(body=app.server.page(app.server.users, 1, 1))

    app.server.behaves = breaks_off
    row = app.finish(app.start())
    assert [(each.kind, each.cause, each.external_id) for each in app.differences(row)] == [("app_not_read", "could_not_read", None)]
    assert "403" in load(row.readings)[0]["error"]
    with reading(app.world.engine) as session:
        told = select(col(HistoryEvent.type)).where(col(HistoryEvent.id) == app.differences(row)[0].event_id)
        assert session.execute(told).scalar_one() == "connection.activate"
    assert app.kept() == 0


def test_a_user_without_an_id_might_be_anybody_so_that_nobody_is_said_to_be_gone(app: Connected) -> None:
    del app.there("ada")["id"]
    assert app.told() == [("app_not_read", "users_unreadable", None)]


def test_an_account_that_changed_after_the_reading_began_is_not_held_against_it(app: Connected) -> None:
    app.server.users = []
    started = app.start()
    app.world.work()
    app.puller.turn()
    app.world.delta(app.app_id, [{"externalId": "id-ada", "profile": {"title": "Countess"}}])
    row = app.finish(started)
    assert sorted(each.external_id or "" for each in app.differences(row)) == ["id-bob", "id-eve"]


def test_an_account_that_is_missing_here_and_there_again_differs_and_one_that_is_missing_in_both_does_not(app: Connected) -> None:
    start_pull(app.world.engine, ADMIN, now(), app.app_id, runs.Order(Mode.FULL))
    everybody, app.server.users = app.server.users, app.server.users[:1]
    assert app.puller.turn()
    app.world.work()
    app.world.moment()
    assert app.told() == []
    app.server.users = everybody[:2]
    assert app.told() == [("app_active_differs", "app_says_otherwise", "id-bob")]


def test_whoever_takes_a_reading_over_begins_it_again_at_the_first_page(app: Connected, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mastering.connectors.scimpages.COUNT", 1)

    def dies(asked: Asked) -> Reply | None:
        if asked.start == 3:
            raise_in.append(True)
        return None

    raise_in: list[bool] = []
    app.server.behaves = dies
    started = app.start()
    app.world.work()
    monkeypatch.setattr(app.puller._stopping, "is_set", lambda: bool(raise_in))
    assert app.puller.turn()
    assert app.kept() == 3
    assert passes.read(app.world.engine, started).reading
    monkeypatch.undo()
    app.server.behaves = lambda _: None
    app.server.users = app.server.users[:2]
    row = app.finish(started)
    assert [(each.kind, each.external_id) for each in app.differences(row)] == [("app_account_gone", "id-eve")]


def test_a_reader_that_lost_its_lease_says_nothing(app: Connected) -> None:
    def loses(_: Asked) -> Reply | None:
        with writing(app.world.engine) as session:
            session.execute(update(store.Reconciliation).values(fence=99, owner="another", lease_until="2099-01-01T00:00:00.000Z"))
        return None

    app.server.behaves = loses
    started = app.start()
    app.world.work()
    assert app.puller.turn()
    row = passes.read(app.world.engine, started)
    assert (row.reading, load(row.readings), app.kept()) == (True, [{"appId": app.app_id}], 0)


def test_the_worker_leaves_alone_what_is_to_be_read_and_batches_join_without_loss(app: Connected, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mastering.reconcile.connected.AT_ONCE", 2)
    app.server.users = [user(f"new{number}") for number in range(5)]
    started = app.start()
    app.world.work()
    assert not app.world.worker.turn()
    assert passes.read(app.world.engine, started).part == len(comparing.PARTS)
    row = app.finish(started)
    assert load(row.counts) == {"app_account_gone": 3, "app_account_unknown": 5, "reported": 8}


def test_an_app_that_cannot_be_called_is_refused_at_once_and_left_out_of_all(app: Connected) -> None:
    connections.set_enabled(app.world.engine, ADMIN, now(), app.app_id, enabled=False)
    with pytest.raises(Invalid, match="cannot be called"):
        app.start(app_id=app.app_id)
    assert app.told() == []
