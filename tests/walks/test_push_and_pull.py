"""An app that is both imported and pushed to settles (SPEC §10): nobody's own word comes back to them, and what was pushed is unchanged when it is imported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine

from mastering import assignments, users
from mastering.clock import now
from mastering.connectors.scimuser import read_user
from mastering.imports.puller import Puller
from mastering.reconcile import passes
from mastering.rules.mapping import MappingRule
from mastering.rules.policy import WhenDeactivated
from mastering.store import reconciliations, tables
from mastering.store.engine import reading, writing
from tests.scim_peer import ScimServer, scim_server
from tests.walks.imports_world import ADMIN, calm, empty, master, person
from tests.walks.push_world import PushWorld, push_world


@pytest.fixture
def world(database: Engine) -> Iterator[PushWorld]:
    empty(database)
    with push_world(database) as made:
        yield made


@pytest.fixture
def server() -> Iterator[ScimServer]:
    with scim_server() as made:
        yield made


def pulled(server: ScimServer) -> list[dict[str, Any]]:
    """The records that reading the server's users gives."""
    records = []
    for resource in server.users.values():
        told = read_user(resource)
        records.append({"externalId": resource["id"], "active": told.active, "profile": told.profile})
    return records


@pytest.mark.parametrize("keeps_external_ids", [True, False])
def test_what_was_pushed_is_unchanged_when_it_is_imported(world: PushWorld, keeps_external_ids: bool) -> None:
    with scim_server(keeps_external_ids=keeps_external_ids) as server:
        app = world.target(server)
        ann, bob = world.by_hand("ann", title="Director"), world.by_hand("bob")
        for each in (ann, bob):
            world.assign(app, each.id)
        world.deliver()
        assert world.situations(world.send(app, pulled(server))) == {"UNCHANGED": 2}
        users.update(world.engine, ADMIN, now(), ann.id, {"lastName": "Andersson"}, replace=False)
        world.act(bob.id, "deactivate")
        world.deliver()
        calls = len(server.calls)
        assert world.situations(world.send(app, pulled(server))) == {"UNCHANGED": 2}
        assert world.situations(world.send(app, pulled(server))) == {"UNCHANGED": 2}
        assert world.deliver() == 0
        assert len(server.calls) == calls


def test_who_was_pushed_and_is_not_in_a_snapshot_is_missing(world: PushWorld, server: ScimServer) -> None:
    """No line has brought them yet, so that there is nothing but their absence to know them by."""
    app = world.target(server)
    for name in ("ann", "bob", "cid"):
        world.assign(app, world.by_hand(name).id)
    world.deliver()
    without_bob = [record for record in pulled(server) if record["profile"]["userName"] != "bob@example.com"]
    assert len(without_bob) == 2
    assert world.situations(world.send(app, without_bob)) == {"UNCHANGED": 2, "WENT_MISSING": 1}


def test_a_master_that_is_pushed_to_is_not_sent_its_own_values_back(world: PushWorld, server: ScimServer) -> None:
    hr = world.target(server, label="HR")
    world.set_policy(hr, calm())
    with_rank(world, hr)
    for name in ("ann", "bob"):
        server.add(f"{name}@example.com", name={"givenName": name, "familyName": "Doe"}, emails=[{"value": f"{name}@example.com"}])
    world.send(hr, pulled(server))
    assert world.tasks(hr) == []
    server.named("ann@example.com")["title"] = "Director"
    world.send(hr, pulled(server))
    assert world.user_of(hr, "u-1").profile["title"] == "Director"
    assert world.tasks(hr) == []
    assert server.calls == []


def test_what_a_master_says_goes_to_the_other_apps(world: PushWorld, server: ScimServer) -> None:
    hr = world.app("HR", calm(mastering=master(WhenDeactivated.DEACTIVATE, deactivated=True)))
    world.send(hr, [person("E1", title="Engineer"), person("E2")])
    app = world.target(server)
    for each in ("E1", "E2"):
        world.assign(app, world.user_of(hr, each).id)
    world.deliver()
    assert len(server.users) == 2
    world.send(hr, [person("E1", title="Director"), person("E2", active=False)])
    world.deliver()
    assert server.named("e1@example.com")["title"] == "Director"
    assert server.named("e2@example.com")["active"] is False
    world.send(hr, [person("E1", title="Director"), person("E2")])
    world.deliver()
    assert server.named("e2@example.com")["active"] is True
    assert world.kinds_and_statuses(app) == [(kind, "DONE") for kind in ("CREATE", "CREATE", "UPDATE", "DEACTIVATE", "REACTIVATE")]


def test_a_returning_leaver_with_another_address_comes_back_once_activated(world: PushWorld, server: ScimServer) -> None:
    hr = world.app("HR", calm(mastering=master(WhenDeactivated.DEACTIVATE, deactivated=True)))
    world.send(hr, [person("E1")])
    ann = world.user_of(hr, "E1")
    app = world.target(server)
    world.assign(app, ann.id)
    world.deliver()
    world.send(hr, [person("E1", active=False)])
    world.deliver()
    assert server.named("e1@example.com")["active"] is False
    world.send(hr, [person("E1", email="other@example.com")])
    assert world.user(ann.id).status == "PENDING_ACTIVATION"
    world.deliver()
    assert server.named("e1@example.com")["active"] is False
    world.act(ann.id, "activate")
    world.deliver()
    assert server.named("other@example.com")["active"] is True
    assert len(server.users) == 1


def test_a_rule_that_creates_only_is_told_once(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server)
    world.map(app, MappingRule("title", "user.title", create_only=True), MappingRule("nickName", "user.firstName"))
    ann = world.by_hand("ann", title="Engineer")
    world.assign(app, ann.id)
    world.deliver()
    users.update(world.engine, ADMIN, now(), ann.id, {"title": "Director"}, replace=False)
    assert world.deliver() == 0
    users.update(world.engine, ADMIN, now(), ann.id, {"firstName": "Anna"}, replace=False)
    world.deliver()
    hers = server.named("ann@example.com")
    assert (hers["title"], hers["nickName"], hers["name"]["givenName"]) == ("Engineer", "Anna", "Anna")


def test_what_an_admin_gives_an_account_of_its_own_is_told(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server)
    ann = world.by_hand("ann")
    world.assign(app, ann.id, profile={"userType": "Contractor"})
    world.deliver()
    assert server.named("ann@example.com")["userType"] == "Contractor"
    assignments.update(world.engine, ADMIN, now(), app, ann.id, {"userType": "Employee"})
    world.deliver()
    assert server.named("ann@example.com")["userType"] == "Employee"


def with_rank(world: PushWorld, app_id: str) -> None:
    """Let an app master users."""
    with writing(world.engine) as session:
        row = session.get_one(tables.App, app_id)
        row.rank = 1
        session.add(row)


def test_what_an_app_says_otherwise_is_not_held_against_it_while_it_is_still_to_be_told(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server)
    ann, bob = world.by_hand("ann"), world.by_hand("bob")
    for each in (ann, bob):
        world.assign(app, each.id)
    world.deliver()
    world.moment()
    for name in ("ann", "bob"):
        server.named(f"{name}@example.com")["name"] = {"givenName": "Otherwise", "familyName": "Doe"}
    users.update(world.engine, ADMIN, now(), ann.id, {"lastName": "Andersson"}, replace=False)
    assert causes(world, app) == {"ann@example.com": "not_told_yet", "bob@example.com": "app_says_otherwise"}
    world.deliver()
    world.moment()
    assert causes(world, app) == {"bob@example.com": "app_says_otherwise"}


def causes(world: PushWorld, app: str) -> dict[str | None, str]:
    """Why a reconciliation that reads the app thinks that each account differs there."""
    puller = Puller(world.engine, world.peers)
    row = passes.start(world.engine, ADMIN, now(), app_id=app, read_apps=True)
    world.work()
    while puller.turn():
        world.work()
    with reading(world.engine) as session:
        return {each.login: each.cause for each in reconciliations.difference_page(session, row.id, 0, 100) if each.app_id == app}
