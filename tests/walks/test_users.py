"""What admins do to users, told as stories and read back from the database and the history (SPEC §§2, 4, 7)."""

from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from mastering import assignments, masters, users
from mastering.clock import wire
from mastering.errors import AlreadyActive, AttributeMastered, IllegalMove, Invalid, NotFound
from mastering.holds import Terms
from mastering.rules.filters import Comparison
from mastering.rules.lifecycle import Status
from mastering.rules.policy import ImportPolicy, Mastering
from mastering.store.engine import open_database
from mastering.store.users import Wanted
from mastering.users import Act
from tests.walks.world import ACTIVE, ADMIN, INACTIVE, MISSING, World, person

P, A, S, D = Status.PENDING_ACTIVATION, Status.ACTIVE, Status.SUSPENDED, Status.DEACTIVATED


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(open_database(f"sqlite:///{tmp_path}/m.db"))


def act(world: World, user_id: str, wanted: Act, **more: Any) -> None:
    users.act(world.engine, ADMIN, world.tick(), user_id, wanted, **more)


def update(world: World, user_id: str, replace: bool = False, **profile: Any) -> None:
    users.update(world.engine, ADMIN, world.tick(), user_id, profile, replace=replace)


# -- create ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("activate", "status"), [(False, P), (True, A)])
def test_a_new_user_is_pending_until_activated_and_both_steps_are_history(world: World, activate: bool, status: Status) -> None:
    user = users.create(world.engine, ADMIN, world.tick(), person("jane"), activate=activate)
    assert world.see(user.id) == user
    assert user.status is status
    assert world.told(user.id) == ["user.create", "user.activate"][: 1 + activate]


def test_a_user_needs_a_complete_and_valid_profile_and_every_fault_is_named(world: World) -> None:
    with pytest.raises(Invalid) as refused:
        users.create(world.engine, ADMIN, world.tick(), {"login": "jane@example.com", "email": "", "shoeSize": 38}, activate=True)
    assert {cause.partition(":")[0] for cause in refused.value.causes} == {"shoeSize", "email", "firstName", "lastName"}


@pytest.mark.parametrize("login", ["jane@example.com", " JANE@example.com "])
def test_a_login_is_held_once_deactivated_users_included(world: World, login: str) -> None:
    world.user("jane", D)
    with pytest.raises(Invalid) as refused:
        users.create(world.engine, ADMIN, world.tick(), {**person("other"), "login": login}, activate=False)
    assert refused.value.causes == ("login: An object with this field already exists in the current organization",)


# -- update ---------------------------------------------------------------------------------------------------------------


def test_a_partial_update_merges_and_null_or_empty_text_clears(world: World) -> None:
    jane = world.user(title="Rep", city="Berlin", state="BE")
    update(world, jane, title="Lead", city=None, state="")
    profile = world.see(jane).profile
    assert (profile["title"], profile["city"], profile["state"], profile["department"]) == ("Lead", None, None, "Sales")


def test_a_replacement_clears_what_it_does_not_name(world: World) -> None:
    jane = world.user(title="Rep")
    update(world, jane, replace=True, **{**person("jane"), "department": "Legal"})
    assert world.see(jane).profile == {**person("jane"), "department": "Legal", "title": None}


def test_an_update_that_changes_nothing_leaves_no_trace(world: World) -> None:
    jane = world.user()
    before = world.see(jane)
    update(world, jane, department="Sales", title=None)
    assert world.see(jane) == before


@pytest.mark.parametrize("profile", [{"firstName": None}, {"countryCode": "GER"}, {"login": "john@example.com"}, {"nope": 1}])
def test_a_refused_update_changes_nothing(world: World, profile: dict[str, Any]) -> None:
    world.user("john")
    jane = world.user()
    before = world.see(jane)
    with pytest.raises(Invalid):
        update(world, jane, title="Lead", **profile)
    assert world.see(jane) == before


def test_a_user_may_write_the_own_login_otherwise(world: World) -> None:
    jane = world.user()
    update(world, jane, login="Jane@Example.com")
    assert world.see(jane).login == "Jane@Example.com"
    assert users.read(world.engine, "JANE@example.com").id == jane


@pytest.mark.parametrize(("state", "released"), list(product([ACTIVE, INACTIVE, MISSING], [True, False])))
def test_an_attribute_is_read_only_exactly_while_the_authoritys_account_is_active(world: World, state: Any, released: bool) -> None:
    world.app("hr", rank=1)
    jane = world.user()
    world.account("hr", jane, state)
    if released:
        assignments.unassign(world.engine, ADMIN, world.tick(), world.apps["hr"], jane)
    if state is ACTIVE and not released:
        with pytest.raises(AttributeMastered):
            update(world, jane, department="Legal")
        update(world, jane, department="Sales")
    else:
        update(world, jane, department="Legal")
    assert world.see(jane).profile["department"] == ("Sales" if state is ACTIVE and not released else "Legal")


def test_a_replacement_may_name_what_a_master_supplies_as_long_as_it_changes_nothing_of_it(world: World) -> None:
    world.app("hr", rank=1)
    jane = world.user()
    world.account("hr", jane)
    before = world.see(jane)
    update(world, jane, replace=True, **person("jane"))
    assert world.see(jane) == before


# -- lifecycle ------------------------------------------------------------------------------------------------------------

ALLOWED = {
    (Act.activate, P): A,
    (Act.activate, D): A,
    (Act.deactivate, P): D,
    (Act.deactivate, A): D,
    (Act.deactivate, S): D,
    (Act.suspend, A): S,
    (Act.unsuspend, S): A,
    (Act.reactivate, P): P,
}
REFUSED = {
    (Act.activate, A): AlreadyActive,
    (Act.suspend, P): Invalid,
    (Act.suspend, S): Invalid,
    (Act.suspend, D): Invalid,
    (Act.unsuspend, P): Invalid,
    (Act.unsuspend, A): Invalid,
    (Act.unsuspend, D): Invalid,
}


@pytest.mark.parametrize(("wanted", "status"), list(product(Act, Status)))
def test_each_act_moves_as_the_table_says_or_changes_nothing_its_hold_included(world: World, wanted: Act, status: Status) -> None:
    jane = world.user(status=status)
    before = world.see(jane)
    hold = Terms("on leave", None)
    if (wanted, status) in ALLOWED:
        act(world, jane, wanted, reason="on leave", hold=hold)
        after = world.see(jane)
        assert after.status is ALLOWED[wanted, status]
        assert after.hold is not None
        assert after.hold.reason == "on leave"
        return
    with pytest.raises(REFUSED.get((wanted, status), IllegalMove)):
        act(world, jane, wanted, reason="on leave", hold=hold)
    assert world.see(jane) == before
    assert len(world.history(jane)) == before.history_seq


@pytest.mark.parametrize("hold", [Terms(None, None), Terms(" ", None), Terms("x" * 1_001, None)])
def test_a_hold_that_cannot_be_refuses_the_move_it_came_with(world: World, hold: Terms) -> None:
    jane = world.user()
    before = world.see(jane)
    with pytest.raises(Invalid):
        act(world, jane, Act.suspend, hold=hold)
    assert world.see(jane) == before


def test_the_first_delete_deactivates_the_second_deletes_and_the_history_stays(world: World) -> None:
    world.app("hr", rank=1)
    jane = world.user()
    account = world.account("hr", jane)
    users.remove(world.engine, ADMIN, world.tick(), jane)
    assert world.see(jane).status is D
    users.remove(world.engine, ADMIN, world.tick(), jane)
    with pytest.raises(NotFound):
        users.read(world.engine, jane)
    with pytest.raises(KeyError):
        world.see_account(account)
    assert world.told(jane)[-2:] == ["user.deactivate", "user.delete"]


def test_who_leaves_deactivated_gets_the_authoritys_profile_in_the_same_transaction(world: World) -> None:
    world.app("hr", rank=1)
    jane = world.user(status=D)
    world.account("hr", jane, profile={**person("jane"), "department": "Legal"})
    act(world, jane, Act.activate)
    assert world.see(jane).profile["department"] == "Legal"
    assert world.told(jane)[-2:] == ["user.activate", "user.remaster"]


def test_a_move_stands_where_the_update_that_came_with_it_is_rejected(world: World) -> None:
    world.app("hr", rank=1)
    world.user("john")
    jane = world.user(status=D)
    world.account("hr", jane, profile={**person("jane"), "email": "john@example.com"})
    act(world, jane, Act.activate)
    assert (world.see(jane).status, world.see(jane).login) == (A, "jane@example.com")
    assert world.told(jane)[-2:] == ["user.activate", "user.remaster.rejected"]


# -- assignments ----------------------------------------------------------------------------------------------------------


def test_unassigning_hands_the_profile_to_the_next_master_at_once_and_moves_no_status(world: World) -> None:
    world.app("hr", rank=1)
    world.app("ad", rank=2)
    jane = world.user()
    dead = world.account("hr", jane, MISSING, profile={**person("jane"), "department": "Legal"})
    world.account("ad", jane, external_id="jane", profile={**person("jane"), "department": "IT"})
    assignments.unassign(world.engine, ADMIN, world.tick(), world.apps["hr"], jane)
    assert world.see_account(dead).released
    assert (world.see(jane).status, world.see(jane).profile["department"]) == (A, "IT")
    with pytest.raises(NotFound):
        assignments.unassign(world.engine, ADMIN, world.tick(), world.apps["hr"], jane)


def test_a_higher_master_unassigned_leaves_a_finding_about_the_lower_ones_word_and_acts_on_nothing(world: World) -> None:
    world.app("hr", rank=1)
    world.app("ad", rank=2)
    jane = world.user()
    world.account("hr", jane)
    lower = world.account("ad", jane, MISSING, external_id="jane", unheeded=("deactivate", "not_authority"))
    assignments.unassign(world.engine, ADMIN, world.tick(), world.apps["hr"], jane)
    assert world.see(jane).status is A
    assert world.findings() == [(jane, "deactivate", "not_authority")]
    assert (world.see_account(lower).unheeded, world.see_account(lower).unheeded_reason) == ("deactivate", None)
    assert world.told(jane)[-1] == "finding.made"


def test_an_assignment_made_by_hand_has_no_say_until_an_import_has_shown_it_active(world: World) -> None:
    hr = world.app("hr", rank=1)
    jane = world.user()
    account = assignments.assign(world.engine, ADMIN, world.tick(), hr, jane, external_id="E7")
    assert world.see_account(account.id) == account
    assert (account.external_id, account.user_id, account.seen_active) == ("E7", jane, False)
    update(world, jane, department="Legal")
    assert assignments.assign(world.engine, ADMIN, world.tick(), hr, jane).id == account.id


def test_assigning_again_gives_the_released_account_its_say_back(world: World) -> None:
    hr = world.app("hr", rank=1)
    jane = world.user()
    account = world.account("hr", jane, profile={**person("jane"), "department": "Legal"})
    assignments.unassign(world.engine, ADMIN, world.tick(), hr, jane)
    update(world, jane, department="IT")
    assert assignments.assign(world.engine, ADMIN, world.tick(), hr, jane).id == account
    assert world.see(jane).profile["department"] == "Legal"


def test_an_account_of_somebody_else_or_of_the_reviewers_is_not_assigned(world: World) -> None:
    hr = world.app("hr", rank=1)
    jane, john = world.user("jane"), world.user("john")
    world.account("hr", john, external_id="E1")
    world.account("hr", None, external_id="E2", situation="UNMATCHED")
    world.account("hr", None, external_id="E3", ignored=True)
    for taken in ("E1", "E2", "E3", ""):
        with pytest.raises(Invalid):
            assignments.assign(world.engine, ADMIN, world.tick(), hr, jane, external_id=taken)
    with pytest.raises(Invalid):
        assignments.assign(world.engine, ADMIN, world.tick(), hr, john, external_id="E9")
    assert world.see(jane).links == []


# -- who waits ------------------------------------------------------------------------------------------------------------


def test_a_waiting_account_sees_at_once_who_appears_changes_and_goes(world: World) -> None:
    world.app("hr", rank=1)
    waiting = world.account("hr", None, situation="UNMATCHED", reason="unmatched", profile=person("jane"))

    def place() -> tuple[str | None, tuple[str, ...]]:
        account = world.see_account(waiting)
        return account.situation, account.candidates

    jane = users.create(world.engine, ADMIN, world.tick(), person("jane"), activate=True).id
    assert place() == ("EXACT", (jane,))
    update(world, jane, login="other@example.com")
    assert place() == ("UNMATCHED", ())
    update(world, jane, login="jane@example.com")
    assert place() == ("EXACT", (jane,))
    users.remove(world.engine, ADMIN, world.tick(), jane)
    assert place() == ("EXACT", (jane,))
    users.remove(world.engine, ADMIN, world.tick(), jane)
    assert place() == ("UNMATCHED", ())
    assert world.see_account(waiting).user_id is None


# -- looking --------------------------------------------------------------------------------------------------------------


def test_pages_go_through_everybody_once(world: World) -> None:
    everybody = [world.user(f"user{number}") for number in range(7)]
    found = users.page(world.engine, Wanted(), None, 3)
    seen = [user.id for user in found.users]
    while found.after is not None:
        found = users.page(world.engine, Wanted(), found.after, 3)
        seen += [user.id for user in found.users]
    assert seen == sorted(everybody)


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (Wanted(starts_with="JAN"), {"jane", "janet"}),
        (Wanted(starts_with="do"), {"jane", "janet", "john"}),
        (Wanted(starts_with="an"), set()),
        (Wanted(starts_with="100%_"), set()),
        (Wanted(starts_with="j", filter=Comparison(0, "status", "eq", "SUSPENDED")), {"john"}),
        (Wanted(not_status=S), {"jane", "janet"}),
        (Wanted(filter=Comparison(0, "profile.login", "eq", "JOHN@example.com")), {"john"}),
        (Wanted(filter=Comparison(0, "profile.email", "eq", " john@example.com")), {"john"}),
        (Wanted(filter=Comparison(0, "profile.email", "eq", "john")), set()),
    ],
)
def test_a_list_holds_who_fits_every_part_of_what_is_wanted(world: World, wanted: Wanted, names: set[str]) -> None:
    ids = {world.user("jane"): "jane", world.user("janet"): "janet", world.user("john", S): "john"}
    assert {ids[user.id] for user in users.page(world.engine, wanted, None, 10).users} == names


def test_the_masters_view_says_who_is_right_about_what_and_the_way_out(world: World) -> None:
    hr, ad, badge = world.app("hr", rank=1), world.app("ad", rank=2), world.app("badge")
    jane = world.user()
    world.account("hr", jane, MISSING)
    world.account("ad", jane, INACTIVE, external_id="jane", unheeded=("deactivate", "not_authority"))
    world.account("badge", jane, external_id="7")
    view = masters.masters_of(world.engine, world.tick(), jane)
    assert [(voice.account.app_id, voice.rank, voice.authority, voice.silent) for voice in view.voices] == [
        (hr, 1, True, None),
        (ad, 2, False, None),
        (badge, None, False, "not_a_master"),
    ]
    assert f"DELETE /api/v1/apps/{hr}/users/{jane}" in (view.voices[0].way_out or "")
    department = view.attributes["department"]
    assert (department.value, department.app_id, department.read_only) == ("Sales", hr, False)
    assert [(standing.trigger, standing.reason) for standing in view.disagreements] == [("deactivate", "not_authority")]


def test_a_standing_disagreement_is_out_of_sight_while_the_person_stands_as_wanted(world: World) -> None:
    world.app("hr", rank=1, policy=ImportPolicy(mastering=Mastering(enabled=True)))
    jane = world.user()
    world.account("hr", jane, MISSING, unheeded=("deactivate", "held_by_admin"))
    act(world, jane, Act.deactivate)
    assert masters.masters_of(world.engine, world.tick(), jane).disagreements == ()


def test_an_end_of_a_hold_is_kept_as_the_wire_writes_it(world: World) -> None:
    jane = world.user()
    until = world.now + timedelta(days=1)
    act(world, jane, Act.suspend, reason="leave", hold=Terms("leave", until))
    hold = world.see(jane).hold
    assert hold is not None
    assert (hold.until, hold.by, hold.since) == (wire(until), "ada", wire(world.now))
