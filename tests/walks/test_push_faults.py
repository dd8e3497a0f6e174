"""What becomes of deliveries that go wrong (SPEC §10): nothing is lost, nothing is done out of turn, and an admin sees what is dead."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine, delete, select
from sqlmodel import col

from mastering import connections, users
from mastering.catalog import apps
from mastering.clock import now, wire
from mastering.errors import NotFound, WrongState
from mastering.provisioning import deliverer, tasks
from mastering.provisioning.deliverer import Deliverer
from mastering.provisioning.tasks import SyncState
from mastering.rules.policy import Mastering
from mastering.rules.record import AccountState
from mastering.rules.tasks import TaskStatus
from mastering.store import outbound
from mastering.store.engine import reading, writing
from mastering.store.outbound import OutboundLink, OutboundTask
from mastering.store.tables import AppStatus, MappingRow
from tests.scim_peer import Call, ScimServer, scim_server
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


def failing(status: int, **headers: str) -> object:
    return lambda call: None if call.path == "/ServiceProviderConfig" else (status, {"detail": "no"}, headers)


def test_after_ten_attempts_a_task_is_dead_and_an_admin_retries_it(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server)
    ann = world.by_hand("ann")
    world.assign(app, ann.id)
    server.behaves = failing(500)  # type: ignore[assignment]
    for attempt in range(1, 11):
        assert world.deliver() == 1
        (task,) = world.tasks(app)
        assert (task.attempts, task.status.value) == (attempt, "DEAD" if attempt == 10 else "PENDING")
        world.due_now()
    assert world.deliver() == 0
    account = world.account_of(app, ann.id)
    sync = tasks.syncs(world.engine, [account.id])[account.id]
    assert (sync.state, sync.error) == (SyncState.ERROR, "it answered with status 500: no")
    assert tasks.state(world.engine, app).dead == 1
    assert world.kinds(ann.id)[-1] == "account.push.failed"
    server.behaves = lambda _: None
    tasks.retry(world.engine, ADMIN, now(), app, task.id)
    world.deliver()
    assert server.named("ann@example.com")["active"] is True
    assert tasks.syncs(world.engine, [account.id])[account.id].state is SyncState.SYNCHRONIZED
    assert tasks.state(world.engine, app).dead == 0
    with pytest.raises(WrongState):
        tasks.retry(world.engine, ADMIN, now(), app, task.id)
    with pytest.raises(NotFound):
        tasks.retry(world.engine, ADMIN, now(), app, "otkNobody")


def test_pauses_grow_and_retry_after_holds_up_the_whole_app(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server)
    for name in ("ann", "bob"):
        world.assign(app, world.by_hand(name).id)
    server.behaves = failing(429, **{"Retry-After": "120"})  # type: ignore[assignment]
    began = now()
    world.deliver()
    first = world.tasks(app)[0]
    assert first.due >= wire(began + timedelta(seconds=119))
    assert (tasks.state(world.engine, app).not_before or "") >= wire(began + timedelta(seconds=119))
    calls = len(server.calls)
    assert world.deliver() == 0
    assert len(server.calls) == calls


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_stop_the_queue_until_others_are_entered_and_nothing_is_lost(
    world: PushWorld, server: ScimServer, status: int
) -> None:
    app = world.target(server)
    ann = world.by_hand("ann")
    world.assign(app, ann.id)
    server.behaves = lambda call: (status, {}) if "second" not in call.headers["Authorization"] else None
    world.deliver()
    (task,) = world.tasks(app)
    assert (task.status.value, task.attempts) == ("PENDING", 0)
    state = tasks.state(world.engine, app)
    assert state.paused is not None
    assert str(status) in (state.reason or "")
    assert world.kinds(app).count("provisioning.paused") == 1
    calls = len(server.calls)
    assert world.deliver() == 0
    assert len(server.calls) == calls
    world.connect(app, server, "second-token")
    assert tasks.state(world.engine, app).paused is None
    world.deliver()
    assert server.named("ann@example.com")["active"] is True


def test_new_credentials_let_a_queue_go_on_that_was_refused_in_its_midst_and_everybody_is_told_once(
    world: PushWorld, server: ScimServer
) -> None:
    app = world.target(server)
    people = [world.by_hand(f"person{number}").id for number in range(30)]
    for each in people:
        world.assign(app, each)
    taken_until = 10
    server.behaves = lambda call: (401, {}) if len(server.users) >= taken_until and "second" not in call.headers["Authorization"] else None
    world.deliver()
    told = len(server.users)
    assert taken_until <= told < len(people)
    assert {(task.status.value, task.attempts) for task in world.tasks(app) if task.status is TaskStatus.PENDING} == {("PENDING", 0)}
    before = tasks.state(world.engine, app)
    assert (before.waiting, before.delivering, before.dead) == (len(people) - told, 0, 0)
    assert before.paused is not None
    world.connect(app, server, "second-token")
    world.deliver()
    assert sorted(user["externalId"] for user in server.users.values()) == sorted(people)
    assert world.kinds_and_statuses(app) == [("CREATE", "DONE")] * len(people)
    assert [world.kinds(each).count("account.push.created") for each in people] == [1] * len(people)


def test_a_connection_that_works_again_lets_the_queue_go_on(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server)
    world.assign(app, world.by_hand("ann").id)
    server.behaves = lambda _: (401, {})
    world.deliver()
    server.behaves = lambda _: None
    assert world.deliver() == 0
    tasks.resume(world.engine, ADMIN, now(), app)
    world.deliver()
    assert server.named("ann@example.com")["active"] is True
    assert world.kinds(app)[-1] == "provisioning.resumed"


def test_a_user_name_that_is_taken_by_then_is_looked_up_again(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server)
    ann = world.by_hand("ann")
    world.assign(app, ann.id)

    def quicker(call: Call) -> None:
        if call.method == "POST" and not server.users:
            server.add("ann@example.com")

    server.behaves = quicker
    world.deliver()
    assert server.told()[:3] == [("GET", "/Users"), ("POST", "/Users"), ("GET", "/Users")]
    assert len(server.users) == 1
    assert world.kinds_and_statuses(app) == [("CREATE", "DONE")]


def test_what_is_delivered_twice_is_done_once(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server)
    ann = world.by_hand("ann")
    world.assign(app, ann.id)
    world.deliver()
    (task,) = world.tasks(app)
    with writing(world.engine) as session:  # as if its deliverer had died before it wrote down what came of it
        row = session.merge(task)
        row.status, row.finished = TaskStatus.PENDING, None
        session.execute(delete(OutboundLink))
    world.deliver()
    assert len(server.users) == 1
    assert world.kinds_and_statuses(app) == [("CREATE", "DONE")]


def test_who_lost_a_task_to_another_writes_nothing_of_it(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server)
    ann = world.by_hand("ann")
    world.assign(app, ann.id)
    second = Deliverer(world.engine, world.peers.open, world.vault)
    taken: list[int] = []

    def meanwhile(call: Call) -> None:
        if call.method == "POST" and not taken:
            taken.append(1)
            with writing(world.engine) as session:  # the lease runs out while the first deliverer hangs in its call
                (task,) = session.execute(select(OutboundTask)).scalars()
                task.lease_until = wire(now() - timedelta(seconds=1))
                session.add(task)
            taken.append(second.turn())

    server.behaves = meanwhile
    world.deliver()
    assert taken == [1, 1]
    (task,) = world.tasks(app)
    assert (task.status.value, task.fence) == ("DONE", 2)
    assert [kind for kind in world.kinds(ann.id) if "push" in kind] == ["account.push.created"]
    assert len(server.users) == 1


def test_a_later_task_of_an_account_waits_for_the_earlier_one(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server)
    ann, bob = world.by_hand("ann"), world.by_hand("bob")
    world.assign(app, ann.id)
    world.act(ann.id, "deactivate")
    world.act(ann.id, "activate")
    world.assign(app, bob.id)
    server.behaves = failing(500)  # type: ignore[assignment]
    assert world.deliver() == 2
    assert [(task.kind.value, task.attempts) for task in world.tasks(app)] == [
        ("CREATE", 1),
        ("DEACTIVATE", 0),
        ("REACTIVATE", 0),
        ("CREATE", 1),
    ]
    server.behaves = lambda _: None
    world.due_now()
    world.deliver()
    path = f"/Users/{server.named('ann@example.com')['id']}"
    hers = [call for call in server.calls if call.path == path]
    told = [operation["value"] for call in hers if call.method == "PATCH" for operation in (call.body or {})["Operations"]]
    assert told == [False, True]
    assert server.named("ann@example.com")["active"] is True
    assert all(status == "DONE" for _, status in world.kinds_and_statuses(app))


def test_a_dead_task_that_is_retried_late_does_not_undo_what_is_right_by_now(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server)
    ann = world.by_hand("ann")
    world.assign(app, ann.id)
    world.deliver()
    world.act(ann.id, "deactivate")
    server.behaves = failing(500)  # type: ignore[assignment]
    for _ in range(10):
        world.deliver()
        world.due_now()
    server.behaves = lambda _: None
    dead = world.tasks(app)[-1]
    assert dead.status.value == "DEAD"
    world.act(ann.id, "activate")
    assert tasks.retry_all(world.engine, ADMIN, now(), app) == 1
    world.deliver()
    assert server.named("ann@example.com")["active"] is True


def test_a_leaver_is_shut_out_though_an_earlier_task_is_dead(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server)
    ann = world.by_hand("ann")
    world.assign(app, ann.id)
    world.deliver()
    users.update(world.engine, ADMIN, now(), ann.id, {"title": "Director"}, replace=False)
    server.behaves = failing(500)  # type: ignore[assignment]
    for _ in range(10):
        world.deliver()
        world.due_now()
    server.behaves = lambda _: None
    world.act(ann.id, "deactivate")
    world.deliver()
    assert server.named("ann@example.com")["active"] is False
    assert world.kinds_and_statuses(app)[1:] == [("UPDATE", "SUPERSEDED"), ("DEACTIVATE", "DONE")]


def test_a_leaver_who_is_deleted_here_is_still_shut_out_there(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server)
    ann, bob = world.by_hand("ann"), world.by_hand("bob")
    for each in (ann, bob):
        world.assign(app, each.id)
    world.deliver()
    with writing(world.engine) as session:  # of bob nothing is remembered but the name
        account = world.account_of(app, bob.id)
        session.execute(delete(OutboundLink).where(col(OutboundLink.account_id) == account.id))
    for each in (ann, bob):
        world.remove(each.id)
        world.remove(each.id)
    world.deliver()
    assert [user["active"] for user in server.users.values()] == [False, False]
    assert world.kinds(app).count("account.push.deactivated") == 2
    assert all(task.login is None for task in world.tasks(app))


def test_of_who_was_deleted_and_told_of_no_app_s_name_is_kept(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server)
    ann = world.by_hand("ann")
    world.assign(app, ann.id)
    world.deliver()
    for _ in range(2):
        world.remove(ann.id)
    world.deliver()
    assert server.named("ann@example.com")["active"] is False
    with reading(world.engine) as session:
        assert session.execute(select(OutboundLink)).all() == []


def test_an_account_that_is_another_users_is_not_touched(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server)
    there = server.add("ann@example.com", externalId="E1")
    ann, eve = world.by_hand("ann"), world.by_hand("eve")
    world.set_policy(app, calm(mastering=Mastering()))
    world.send(app, [person("E1", email="eve@example.com")])
    assert world.user_of(app, "E1").id == eve.id
    world.assign(app, ann.id)
    world.deliver()
    task = world.tasks(app)[-1]
    assert "another user's" in (task.error or "")
    assert ("PATCH", f"/Users/{there}") not in server.writes()


@pytest.mark.parametrize(("patches", "filters"), [(False, True), (True, False), (False, False)])
def test_a_server_that_can_do_less_is_told_the_same(world: PushWorld, patches: bool, filters: bool) -> None:
    with scim_server(patches=patches, filters=filters) as server:
        app = world.target(server)
        there = server.add("ann@example.com", photos=[{"value": "p"}])
        ann, bob = world.by_hand("ann"), world.by_hand("bob")
        for each in (ann, bob):
            world.assign(app, each.id)
        world.deliver()
        users.update(world.engine, ADMIN, now(), ann.id, {"title": "Director", "email": "a@example.com"}, replace=False)
        world.act(bob.id, "deactivate")
        world.deliver()
        hers = server.users[there]
        assert (hers["title"], hers["name"]["givenName"], hers["photos"]) == ("Director", "First-ann", [{"value": "p"}])
        assert hers["emails"][0]["value"] == "a@example.com"
        assert server.named("bob@example.com")["active"] is False
        assert len(server.users) == 2


def test_a_filter_that_is_ignored_does_not_make_somebody_else_the_user(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server)
    server.add("eve@example.com")
    server.behaves = lambda call: (200, {"totalResults": 1, "Resources": list(server.users.values())}) if call.query else None
    ann = world.by_hand("ann")
    world.assign(app, ann.id)
    world.deliver()
    assert {user["userName"] for user in server.users.values()} == {"ann@example.com", "eve@example.com"}


def test_an_app_or_connection_that_is_switched_off_keeps_what_waits(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server)
    world.assign(app, world.by_hand("ann").id)
    connections.set_enabled(world.engine, ADMIN, now(), app, enabled=False)
    assert world.deliver() == 0
    connections.set_enabled(world.engine, ADMIN, now(), app, enabled=True)
    assert world.deliver() == 1


def test_a_switch_that_is_off_by_then_stops_what_waits(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server)
    world.assign(app, world.by_hand("ann").id)
    world.switch(app, replace(ALL_ON, create_users=False))
    world.deliver()
    assert server.told() == []
    assert world.kinds_and_statuses(app) == [("CREATE", "SUPERSEDED")]


def test_calls_to_one_app_are_many_at_a_time_and_bounded(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server)
    for number in range(30):
        world.assign(app, world.by_hand(f"p{number}").id)
    server.behaves = lambda _: time.sleep(0.01)
    world.deliver()
    assert len(server.users) == 30
    assert 2 <= server.most_at_once <= deliverer.AT_ONCE


def test_tasks_that_ended_long_ago_are_forgotten(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server)
    world.assign(app, world.by_hand("ann").id)
    world.deliver()
    deliverer.forget_finished(world.engine, now())
    assert len(world.tasks(app)) == 1
    deliverer.forget_finished(world.engine, now() + deliverer.FINISHED_FOR + timedelta(minutes=1))
    assert world.tasks(app) == []


def test_an_app_that_is_deleted_takes_its_queue_along(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server)
    ann = world.by_hand("ann")
    world.assign(app, ann.id)
    world.deliver()
    world.act(ann.id, "deactivate")
    apps.set_status(world.engine, ADMIN, now(), app, AppStatus.INACTIVE)
    apps.delete(world.engine, ADMIN, now(), app)
    with reading(world.engine) as session:
        assert outbound.counts(session) == {}
    assert world.user(ann.id).links == []


def test_an_account_that_is_gone_in_the_app_is_as_good_as_inactive(world: PushWorld, server: ScimServer) -> None:
    app = world.target(server)
    ann = world.by_hand("ann")
    world.assign(app, ann.id)
    world.deliver()
    server.users.clear()
    world.act(ann.id, "deactivate")
    world.deliver()
    assert world.kinds_and_statuses(app)[-1] == ("DEACTIVATE", "DONE")
    assert world.account_of(app, ann.id).account is AccountState.INACTIVE
    world.act(ann.id, "activate")
    world.deliver()
    assert server.named("ann@example.com")["active"] is True


def test_an_app_whose_mapping_cannot_be_used_keeps_no_other_app_waiting(world: PushWorld, server: ScimServer) -> None:
    broken, app = world.target(server, label="Broken"), world.target(server)
    ann = world.by_hand("ann")
    with writing(world.engine) as session:
        row = session.execute(select(MappingRow).where(col(MappingRow.target_id) == broken)).scalar_one()
        row.properties = '{"title": {"expression": "user.noSuchThing", "pushStatus": "PUSH"}}'
        session.add(row)
    for each in (broken, app):
        world.assign(each, ann.id)
    world.deliver()
    assert world.kinds_and_statuses(app) == [("CREATE", "DONE")]
    (task,) = world.tasks(broken)
    assert "user.noSuchThing is not an attribute of the user schema" in (task.error or "")
