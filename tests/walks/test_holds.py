"""Admin holds: set, replaced, lifted, ended by the clock, and what masters said meanwhile (SPEC §§3, 7)."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from mastering import holds, users
from mastering.clock import wire
from mastering.disagreements import review_all_disagreements
from mastering.errors import Invalid, NotFound
from mastering.holds import Terms
from mastering.ledger import Ledger
from mastering.rules.lifecycle import Status
from mastering.rules.policy import ImportPolicy, Mastering, WhenDeactivated
from mastering.store import catalog
from mastering.store.engine import open_database, writing
from mastering.users import Act
from tests.walks.world import ACTIVE, ADMIN, MISSING, World

HELD = ("deactivate", "held_by_admin")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(open_database(f"sqlite:///{tmp_path}/m.db"))


def put_hold(world: World, user_id: str, until: datetime | None = None) -> None:
    holds.set_hold(world.engine, ADMIN, world.tick(), user_id, Terms("legal hold", until))


def lift(world: World, user_id: str) -> None:
    holds.lift_hold(world.engine, ADMIN, world.tick(), user_id)


def change_policy(world: World, label: str, mastering: Mastering) -> None:
    world.change_app(label, policy=catalog.policy_text(ImportPolicy(mastering=mastering)))


def review(world: World, app_id: str | None = None) -> int:
    with writing(world.engine) as session:
        ledger = Ledger(session, world.tick(), ADMIN)
        made = review_all_disagreements(ledger, app_id=app_id)
        ledger.flush()
    return made


def test_a_hold_says_who_set_it_since_when_until_when_and_why(world: World) -> None:
    jane = world.user()
    until = world.now + timedelta(days=9)
    put_hold(world, jane, until)
    hold = holds.read_hold(world.engine, world.now, jane)
    assert (hold.reason, hold.by, hold.since, hold.until) == ("legal hold", "ada", wire(world.now), wire(until))
    assert world.told(jane)[-1] == "user.hold.set"


def test_a_hold_moves_no_status_and_binds_no_admin(world: World) -> None:
    jane = world.user()
    put_hold(world, jane)
    assert world.see(jane).status is Status.ACTIVE
    users.act(world.engine, ADMIN, world.tick(), jane, Act.suspend)
    assert world.see(jane).status is Status.SUSPENDED
    assert world.see(jane).hold is not None


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(seconds=-1)])
def test_a_hold_that_would_have_ended_already_is_refused(world: World, ahead: timedelta) -> None:
    jane = world.user()
    with pytest.raises(Invalid):
        holds.set_hold(world.engine, ADMIN, world.now, jane, Terms("legal hold", world.now + ahead))
    assert world.see(jane).hold is None


def test_a_hold_ends_to_the_millisecond_without_waiting_for_the_sweep(world: World) -> None:
    jane = world.user()
    until = world.now + timedelta(days=1)
    put_hold(world, jane, until)
    assert holds.read_hold(world.engine, until - timedelta(milliseconds=1), jane).reason == "legal hold"
    with pytest.raises(NotFound):
        holds.read_hold(world.engine, until, jane)
    with pytest.raises(NotFound):
        holds.lift_hold(world.engine, ADMIN, until, jane)


def test_the_sweep_ends_what_is_over_once_and_leaves_the_rest(world: World) -> None:
    over, ahead, endless, free = (world.user(name) for name in ("over", "ahead", "endless", "free"))
    until = world.now + timedelta(days=1)
    put_hold(world, over, until)
    put_hold(world, ahead, until + timedelta(milliseconds=1))
    put_hold(world, endless)
    assert holds.expire_holds(world.engine, until) == 1
    assert holds.expire_holds(world.engine, until) == 0
    assert [world.see(each).hold is not None for each in (over, ahead, endless, free)] == [False, True, True, False]
    assert world.told(over)[-1] == "user.hold.expired"


def test_lifting_a_hold_makes_a_finding_of_the_word_it_stopped_and_moves_nobody(world: World) -> None:
    world.app("hr", rank=1)
    jane = world.user()
    put_hold(world, jane)
    world.account("hr", jane, MISSING, unheeded=HELD)
    lift(world, jane)
    assert world.see(jane).status is Status.ACTIVE
    assert world.findings() == [(jane, *HELD)]
    assert world.told(jane)[-2:] == ["user.hold.lifted", "finding.made"]
    with pytest.raises(NotFound):
        lift(world, jane)


def test_the_end_of_a_hold_makes_the_finding_in_the_same_transaction(world: World) -> None:
    world.app("hr", rank=1)
    jane = world.user()
    until = world.now + timedelta(days=1)
    put_hold(world, jane, until)
    world.account("hr", jane, MISSING, unheeded=HELD)
    holds.expire_holds(world.engine, until)
    assert world.findings() == [(jane, *HELD)]
    expired, finding = world.history(jane)[-2:]
    assert (expired.type, finding.type, finding.at) == ("user.hold.expired", "finding.made", expired.at)


def test_no_finding_where_the_person_already_stands_as_the_master_wanted(world: World) -> None:
    world.app("hr", rank=1)
    jane = world.user()
    put_hold(world, jane)
    world.account("hr", jane, MISSING, unheeded=HELD)
    users.act(world.engine, ADMIN, world.tick(), jane, Act.deactivate)
    lift(world, jane)
    assert world.findings() == []


def test_a_word_that_something_else_stops_next_waits_for_that_to_go_too(world: World) -> None:
    world.app("hr", rank=1)
    world.app("ad", rank=2)
    jane = world.user()
    world.account("hr", jane)
    account = world.account("ad", jane, MISSING, external_id="jane", unheeded=HELD)
    put_hold(world, jane)
    assert world.see_account(account).unheeded_reason == "not_authority"
    lift(world, jane)
    assert world.findings() == []
    world.change_app("hr", rank=2)
    world.change_app("ad", rank=1)
    assert review(world) == 1
    assert world.findings() == [(jane, "deactivate", "not_authority")]


def test_a_finding_is_made_once_and_again_only_after_something_stopped_the_word_again(world: World) -> None:
    world.app("hr", rank=1)
    jane = world.user()
    put_hold(world, jane)
    world.account("hr", jane, MISSING, unheeded=HELD)
    lift(world, jane)
    assert review(world) == 0
    put_hold(world, jane)
    lift(world, jane)
    assert world.findings() == [(jane, *HELD)] * 2


def test_a_switch_turned_on_makes_a_finding_of_the_return_it_stopped(world: World) -> None:
    hr = world.app("hr", rank=1)
    jane = world.user(status=Status.SUSPENDED)
    world.account("hr", jane, ACTIVE, unheeded=("unsuspend", "switch_off"))
    assert review(world, hr) == 0
    change_policy(world, "hr", Mastering(enabled=True, reactivate_suspended=True))
    assert review(world, "another app") == 0
    assert review(world, hr) == 1
    assert world.findings() == [(jane, "unsuspend", "switch_off")]
    assert world.see(jane).status is Status.SUSPENDED


def test_an_activation_makes_a_finding_of_the_suspension_that_was_too_early(world: World) -> None:
    world.app("hr", rank=1)
    change_policy(world, "hr", Mastering(enabled=True, when_deactivated=WhenDeactivated.SUSPEND))
    jane = world.user(status=Status.PENDING_ACTIVATION)
    world.account("hr", jane, MISSING, unheeded=("suspend", "never_active"))
    users.act(world.engine, ADMIN, world.tick(), jane, Act.activate)
    assert world.findings() == [(jane, "suspend", "never_active")]
    assert world.see(jane).status is Status.ACTIVE
