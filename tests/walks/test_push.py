"""What apps are told of people (SPEC §10), told against a SCIM server that listens on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from mastering import users
from mastering.clock import now
from mastering.imports import undoing
from mastering.rules.policy import ProvisioningPolicy
from mastering.rules.record import AccountState
from tests.scim_peer import ScimServer, scim_server
from tests.walks.imports_world import ADMIN, calm, empty, person
from tests.walks.push_world import ALL_ON, PushWorld, push_world


@pytest.fixture
def world(database: Engine) -> Iterator[PushWorld]:
    empty(database)
    with push_world(database) as made:
        yield made


@pytest.fixture
def server() -> Iterator[ScimServer]:
    with scim_server() as made:
        yield made


def test_an_assigned_user_is_looked_up_and_created_with_a_password_nobody_knows(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server)
    ann = world.by_hand("ann", department="Sales", mobilePhone="+49 30 1", city="Berlin", secondEmail="ann@home.example")
    world.assign(app, ann.id)
    assert world.deliver() == 1
    assert server.told() == [("GET", "/Users"), ("POST", "/Users")]
    created = server.named("ann@example.com")
    assert (created["active"], created["externalId"], created["name"]["givenName"]) == (True, ann.id, "First-ann")
    assert created["emails"] == [{"primary": True, "type": "work", "value": "ann@example.com"}]
    assert created["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"] == {"department": "Sales"}
    assert "secondEmail" not in created
    (password,) = server.passwords[created["id"]]
    assert len(password) >= 24
    account = world.account_of(app, ann.id)
    assert (account.external_id, account.account, account.profile["department"]) == (created["id"], AccountState.ACTIVE, "Sales")
    assert world.kinds(ann.id)[-1] == "account.push.created"
    assert world.kinds_and_statuses(app) == [("CREATE", "DONE")]
    assert world.deliver() == 0


def test_an_account_that_is_there_is_adopted_and_told_only_what_differs(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server)
    there = server.add("Ann@Example.com", name={"givenName": "First-ann", "familyName": "Old"}, active=False, nickName="Annie")
    ann = world.by_hand("ann")
    world.assign(app, ann.id)
    world.deliver()
    assert [path for _, path in server.writes()] == [f"/Users/{there}"]
    body = server.calls[-1].body or {}
    told = {operation["path"]: operation.get("value") for operation in body["Operations"]}
    assert told["name.familyName"] == "Last-ann"
    assert told["active"] is True
    assert "name.givenName" not in told
    assert "nickName" not in told
    assert world.kinds(ann.id)[-1] == "account.push.adopted"
    assert world.account_of(app, ann.id).external_id == there


def test_a_changed_profile_is_told_as_the_difference_and_nothing_twice(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server)
    ann = world.by_hand("ann")
    world.assign(app, ann.id)
    world.deliver()
    users.update(world.engine, ADMIN, now(), ann.id, {"title": "Director", "email": "a@example.com"}, replace=False)
    users.update(world.engine, ADMIN, now(), ann.id, {"lastName": "Andersson"}, replace=False)
    world.deliver()
    writes = [call for call in server.calls if call.method == "PATCH"]
    assert {operation["path"] for operation in (writes[0].body or {})["Operations"]} == {"emails", "name.familyName", "title"}
    assert len(writes) == 1
    assert world.kinds_and_statuses(app) == [("CREATE", "DONE"), ("UPDATE", "DONE"), ("UPDATE", "DONE")]
    assert server.named("ann@example.com")["emails"] == [{"primary": True, "type": "work", "value": "a@example.com"}]


def test_who_is_deactivated_is_made_inactive_and_never_deleted_and_comes_back(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server)
    ann = world.by_hand("ann")
    world.assign(app, ann.id)
    world.deliver()
    world.act(ann.id, "deactivate")
    world.deliver()
    assert server.named("ann@example.com")["active"] is False
    assert world.account_of(app, ann.id).account is AccountState.INACTIVE
    world.act(ann.id, "activate")
    world.deliver()
    assert server.named("ann@example.com")["active"] is True
    assert world.account_of(app, ann.id).account is AccountState.ACTIVE
    assert [method for method, _ in server.writes()] == ["POST", "PATCH", "PATCH"]
    assert [kind for kind in world.kinds(ann.id) if "push" in kind] == [
        "account.push.created",
        "account.push.deactivated",
        "account.push.reactivated",
    ]


def test_who_is_unassigned_is_made_inactive_and_active_again_when_assigned_again(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server)
    ann = world.by_hand("ann")
    world.assign(app, ann.id)
    world.deliver()
    world.unassign(app, ann.id)
    world.deliver()
    assert server.named("ann@example.com")["active"] is False
    world.assign(app, ann.id)
    world.deliver()
    assert server.named("ann@example.com")["active"] is True
    assert len(server.users) == 1


def test_suspending_is_nothing_to_an_app(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server)
    ann = world.by_hand("ann")
    world.assign(app, ann.id)
    world.deliver()
    world.act(ann.id, "suspend")
    world.act(ann.id, "unsuspend")
    assert world.deliver() == 0
    assert len(world.tasks(app)) == 1


def test_a_pending_user_is_told_of_once_activated(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server)
    ann = world.by_hand("ann", activate=False)
    world.assign(app, ann.id)
    assert world.deliver() == 0
    world.act(ann.id, "activate")
    world.deliver()
    assert server.named("ann@example.com")["active"] is True


BUT_ONE = {
    "create_users": replace(ALL_ON, create_users=False),
    "update_attributes": replace(ALL_ON, update_attributes=False),
    "deactivate_users": replace(ALL_ON, deactivate_users=False),
}


@pytest.mark.parametrize("off", BUT_ONE)
def test_each_switch_stops_its_own_kind_of_call(world: PushWorld, server: ScimServer, off: str) -> None:
    app = world.target(server, BUT_ONE[off])
    ann = world.by_hand("ann")
    if off == "create_users":
        server.add("ann@example.com")
    world.assign(app, ann.id)
    world.deliver()
    users.update(world.engine, ADMIN, now(), ann.id, {"title": "Director"}, replace=False)
    world.deliver()
    world.act(ann.id, "deactivate")
    world.deliver()
    user = server.named("ann@example.com")
    assert (("POST", "/Users") in server.writes()) == (off != "create_users")
    assert (user.get("title") == "Director") == (off != "update_attributes")
    assert (user["active"] is False) == (off != "deactivate_users")


def test_an_app_with_every_switch_off_is_told_nothing(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server, ProvisioningPolicy())
    ann = world.by_hand("ann")
    world.assign(app, ann.id)
    world.act(ann.id, "deactivate")
    assert world.tasks(app) == []
    assert world.deliver() == 0


def test_user_names_are_left_alone_where_their_updates_are_excluded(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server, replace(ALL_ON, exclude_username_updates=True))
    ann = world.by_hand("ann")
    world.assign(app, ann.id)
    world.deliver()
    users.update(world.engine, ADMIN, now(), ann.id, {"login": "annie@example.com", "title": "Director"}, replace=False)
    world.deliver()
    assert server.named("ann@example.com")["title"] == "Director"


def test_a_new_login_follows_where_it_is_not_excluded(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server)
    ann = world.by_hand("ann")
    world.assign(app, ann.id)
    world.deliver()
    world.rename(ann.id, "annie@example.com")
    world.deliver()
    assert server.named("annie@example.com")["id"] == "u-1"


def test_what_an_undo_takes_back_is_told_to_the_app(world: PushWorld, server: ScimServer) -> None:
    app, hr = world.target(server), world.app("HR", calm())
    world.send(hr, [person("E1"), person("E2")])
    user = world.user_of(hr, "E1")
    world.assign(app, user.id)
    world.deliver()
    run = world.send(hr, [person("E2")])
    world.deliver()
    assert server.named(user.login)["active"] is False
    undoing.start(world.engine, ADMIN, now(), run.id)
    world.work()
    world.deliver()
    assert world.user(user.id).status == "ACTIVE"
    assert server.named(user.login)["active"] is True
