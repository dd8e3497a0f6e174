"""Mapping the masters' profiles again: order, mappings, logins that move together, and who is refused (SPEC §§3, 4)."""

from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from mastering.ledger import Actor, Ledger
from mastering.remaster import RemasterReport, load_sources, remap
from mastering.rules.lifecycle import Status
from mastering.store import catalog
from mastering.store.documents import dump, load
from mastering.store.engine import open_database, writing
from tests.walks.world import ADMIN, INACTIVE, World, person

CATALOG = Actor("token", "tok", "catalog")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(open_database(f"sqlite:///{tmp_path}/m.db"))


def linked(world: World, label: str, name: str, **told: Any) -> str:
    """A user of this name, whose account in the app tells this."""
    user_id = world.user(name)
    world.account(label, user_id, external_id=name, profile={**person(name), **told})
    return user_id


def again(world: World, app_id: str | None = None) -> RemasterReport:
    return world.remaster(CATALOG, app_id)


def map_department_from(world: World, label: str, expression: str) -> None:
    with writing(world.engine) as session:
        row = catalog.inbound_mapping(session, world.apps[label])
        row.properties = dump({**load(row.properties), "department": {"expression": expression, "pushStatus": "PUSH"}})


def logins(world: World, *ids: str) -> list[str]:
    return [world.see(each).login for each in ids]


def email(name: str) -> str:
    return f"{name}@example.com"


def test_a_new_order_maps_the_new_authoritys_profile_and_moves_no_status(world: World) -> None:
    world.app("hr", rank=1)
    world.app("ad", rank=2)
    people = {status: world.user(status.value.lower(), status) for status in Status}
    for status, user_id in people.items():
        for label, department in (("hr", "Legal"), ("ad", "IT")):
            profile = {**person(status.value.lower()), "department": department}
            world.account(label, user_id, external_id=status.value, profile=profile)
    again(world)
    world.change_app("hr", rank=2)
    world.change_app("ad", rank=1)
    report = again(world)
    assert (report.changed, report.rejected) == (3, [])
    for status, user_id in people.items():
        user = world.see(user_id)
        assert user.status is status
        assert user.profile["department"] == ("Sales" if status is Status.DEACTIVATED else "IT")
    assert world.told(people[Status.ACTIVE])[-1] == "user.remaster"


def test_a_saved_mapping_reaches_the_users_of_that_app_and_no_others(world: World) -> None:
    hr = world.app("hr", rank=1)
    world.app("ad", rank=2)
    jane, john = linked(world, "hr", "jane", unit="R&D"), linked(world, "ad", "john", unit="R&D")
    map_department_from(world, "hr", "appuser.unit")
    map_department_from(world, "ad", "appuser.unit")
    assert again(world, hr).changed == 1
    assert [world.see(each).profile["department"] for each in (jane, john)] == ["R&D", "Sales"]


def test_the_last_values_stay_while_the_authoritys_account_is_inactive(world: World) -> None:
    world.app("hr", rank=1)
    jane = world.user()
    world.account("hr", jane, INACTIVE, profile={**person("jane"), "department": "Legal"})
    assert again(world) == RemasterReport()
    assert world.see(jane).profile["department"] == "Sales"


def test_mapping_again_what_is_there_already_leaves_no_trace(world: World) -> None:
    world.app("hr", rank=1)
    jane = linked(world, "hr", "jane", department="Legal")
    assert again(world).changed == 1
    before = world.see(jane)
    assert again(world) == RemasterReport()
    assert world.see(jane) == before


def test_who_is_refused_keeps_the_whole_old_profile_is_reported_and_told_of(world: World) -> None:
    world.app("hr", rank=1)
    world.user("john")
    jane = linked(world, "hr", "jane", email=email("john"), department="Legal")
    bad = linked(world, "hr", "bob", countryCode="GER", department="Legal")
    good = linked(world, "hr", "ann", department="Legal")
    report = again(world)
    assert report.changed == 1
    assert {each.user_id: each.faults[0].partition(":")[0] for each in report.rejected} == {jane: "login", bad: "countryCode"}
    assert [world.see(each).profile["department"] for each in (jane, bad, good)] == ["Sales", "Sales", "Legal"]
    event = world.history(jane)[-1]
    assert event.type == "user.remaster.rejected"
    assert load(event.values_json or "")["faults"] == ["login: another user holds this login"]


@pytest.mark.parametrize("order", list(permutations(["ann", "bob", "cid"])))
def test_logins_that_move_in_a_ring_all_arrive(world: World, order: tuple[str, ...]) -> None:
    world.app("hr", rank=1)
    after = dict(zip(order, [*order[1:], order[0]], strict=True))
    ring = {name: linked(world, "hr", name, email=email(after[name])) for name in order}
    assert again(world) == RemasterReport(changed=3)
    assert {name: world.see(user_id).login for name, user_id in ring.items()} == {name: email(after[name]) for name in order}


@pytest.mark.parametrize("order", list(permutations(["ann", "bob", "cid"])))
def test_a_chain_moves_up_whoever_is_written_first(world: World, order: tuple[str, ...]) -> None:
    world.app("hr", rank=1)
    wanted = {"ann": "bob", "bob": "cid", "cid": "dan"}
    chain = {name: linked(world, "hr", name, email=email(wanted[name])) for name in order}
    assert again(world) == RemasterReport(changed=3)
    assert {name: world.see(user_id).login for name, user_id in chain.items()} == {name: email(wanted[name]) for name in order}


def test_a_chain_that_ends_at_somebody_who_stays_moves_nobody(world: World) -> None:
    world.app("hr", rank=1)
    world.user("cid")
    ann, bob = linked(world, "hr", "ann", email=email("bob")), linked(world, "hr", "bob", email=email("cid"))
    assert {each.user_id for each in again(world).rejected} == {ann, bob}
    assert logins(world, ann, bob) == [email("ann"), email("bob")]


def test_of_several_who_would_get_one_login_none_does(world: World) -> None:
    world.app("hr", rank=1)
    ann, bob = (linked(world, "hr", name, email=email("team")) for name in ("ann", "bob"))
    report = again(world)
    assert [each.faults for each in report.rejected] == [("login: several users would get the same login",)] * 2
    assert logins(world, ann, bob) == [email("ann"), email("bob")]


def test_within_a_ledger_a_login_given_up_a_moment_ago_is_free_and_one_just_taken_is_not(world: World) -> None:
    world.app("hr", rank=1)
    ann, bob = linked(world, "hr", "ann", email=email("bob")), world.user("bob")
    cid = linked(world, "hr", "cid", email=email("new"))
    with writing(world.engine) as session:
        ledger = Ledger(session, world.tick(), ADMIN)
        ledger.change_profile(ledger.user(bob), {"login": email("new")})
        report = remap(ledger, [ledger.user(ann), ledger.user(cid)], load_sources(session, world.now))
        ledger.flush()
    assert [each.user_id for each in report.rejected] == [cid]
    assert logins(world, ann, bob, cid) == [email("bob"), email("new"), email("cid")]


def test_many_users_are_mapped_in_batches_and_logins_are_claimed_across_all_of_them(world: World) -> None:
    world.app("hr", rank=1)
    ids = world.crowd("hr", 2_100, department="Legal")
    world.tell_account(ids[0], email=email("team"))
    world.tell_account(ids[-1], email=email("team"))
    report = again(world)
    assert report.changed == 2_098
    assert {each.user_id for each in report.rejected} == {ids[0], ids[-1]}
    assert len(again(world).rejected) == 2
