"""From one user's events alone that user can be rebuilt exactly, and the events prove themselves (SPEC §13)."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mastering import assignments, holds, users
from mastering.catalog import apps
from mastering.errors import MasteringError, NotFound
from mastering.holds import Terms
from mastering.ledger import Actor
from mastering.proof import verify_chain
from mastering.replay import replay
from mastering.rules.people import Account, User
from mastering.store.documents import dump, load
from mastering.store.engine import open_database
from mastering.store.tables import AppStatus, HistoryEvent
from mastering.users import Act
from tests.walks.world import ADMIN, INACTIVE, World, person

NAMES = ("ann", "bob")
SYSTEM = Actor("system", "remaster", "remaster")


def as_told(user: User) -> User:
    """The user with as much of the accounts as the user's own history tells."""
    told = [
        Account(
            link.id,
            link.app_id,
            link.external_id,
            link.account,
            {},
            created="",
            last_updated="",
            user_id=link.user_id,
            released=link.released,
            seen_active=link.seen_active,
            unheeded=link.unheeded,
            unheeded_reason=link.unheeded_reason,
            ignored=link.ignored,
            situation=link.situation,
        )
        for link in user.links
    ]
    return replace(user, links=sorted(told, key=lambda link: link.id))


def act(wanted: Act, held: bool) -> Callable[[World, str], Any]:
    hold = Terms("because", None) if held else None
    return lambda world, user: users.act(world.engine, ADMIN, world.tick(), user, wanted, reason="because", hold=hold)


def update(profile: dict[str, Any], replaced: bool) -> Callable[[World, str], Any]:
    return lambda world, user: users.update(world.engine, ADMIN, world.tick(), user, profile, replace=replaced)


def set_hold(days: int | None) -> Callable[[World, str], Any]:
    return lambda world, user: holds.set_hold(
        world.engine, ADMIN, world.tick(), user, Terms("because", world.now + timedelta(days=days) if days else None)
    )


def lift(world: World, user: str) -> None:
    holds.lift_hold(world.engine, ADMIN, world.tick(), user)


def sweep(world: World, _: str) -> None:
    world.now += timedelta(days=3)
    holds.expire_holds(world.engine, world.now)


def assign(label: str) -> Callable[[World, str], Any]:
    return lambda world, user: assignments.assign(world.engine, ADMIN, world.tick(), world.apps[label], user)


def unassign(label: str) -> Callable[[World, str], Any]:
    return lambda world, user: assignments.unassign(world.engine, ADMIN, world.tick(), world.apps[label], user)


def imported(label: str, told: dict[str, Any]) -> Callable[[World, str], Any]:
    """An account as an import would link it, and the profile it maps."""

    def do(world: World, user: str) -> None:
        profile = {**person(world.see(user).login.partition("@")[0]), **told}
        if any(link.app_id == world.apps[label] and not link.released for link in world.see(user).links):
            raise NotFound("the place is taken")
        world.account(label, user, external_id=f"{label}-{world.tick()}", profile=profile)
        world.remaster(SYSTEM)

    return do


def remove(world: World, user: str) -> None:
    users.remove(world.engine, ADMIN, world.tick(), user)


LOGINS = st.sampled_from(["ann@example.com", "bob@example.com", "cid@example.com", "x"])
TEXTS = st.sampled_from([None, "", "Legal", "Sales"])
PROFILES = st.one_of(
    st.fixed_dictionaries({}, optional={"department": TEXTS, "title": TEXTS}),
    st.fixed_dictionaries({"login": LOGINS}),
    st.fixed_dictionaries({"email": LOGINS}),
)
LABELS = st.sampled_from(["hr", "ad"])
ACTS = st.builds(act, st.sampled_from(list(Act)), st.booleans())
STEPS = st.one_of(
    ACTS,
    ACTS,
    ACTS,
    st.builds(update, PROFILES, st.just(False)),
    st.builds(update, PROFILES.map(lambda profile: {**person("ann"), **profile}), st.just(True)),
    st.builds(set_hold, st.sampled_from([None, 1, 9])),
    st.sampled_from([lift, sweep, remove]),
    st.builds(assign, LABELS),
    st.builds(unassign, LABELS),
    st.builds(imported, LABELS, PROFILES),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(NAMES), STEPS), min_size=20, max_size=40))
def test_after_any_work_each_user_is_what_the_own_history_says_and_the_history_is_whole(steps: list[tuple[str, Any]]) -> None:
    with TemporaryDirectory() as folder:
        world = World(open_database(f"sqlite:///{folder}/m.db"))
        world.app("hr", rank=1)
        world.app("ad", rank=2)
        ids = {name: users.create(world.engine, ADMIN, world.tick(), person(name), activate=False).id for name in NAMES}
        for name, step in steps:
            with suppress(MasteringError, KeyError):  # what is refused is part of the work: it must leave nothing behind
                step(world, ids[name])
        for user_id in ids.values():
            check(world, user_id)
        world.engine.dispose()


def check(world: World, user_id: str) -> None:
    events = world.history(user_id)
    rebuilt = replay(events)
    try:
        kept = world.see(user_id)
    except KeyError:
        assert rebuilt is None
        assert verify_chain(events) is None
        return
    assert rebuilt is not None
    assert as_told(rebuilt) == as_told(kept)
    assert verify_chain(events, (kept.history_seq, kept.history_hash)) is None


def test_an_account_whose_app_is_deleted_is_no_part_of_the_user_any_more(tmp_path: Path) -> None:
    world = World(open_database(f"sqlite:///{tmp_path}/m.db"))
    hr = world.app("hr", rank=1)
    jane = world.user()
    world.account("hr", jane)
    apps.set_status(world.engine, ADMIN, world.tick(), hr, AppStatus.INACTIVE)
    apps.delete(world.engine, ADMIN, world.tick(), hr)
    check(world, jane)
    assert world.see(jane).links == []


def test_of_events_that_do_not_say_so_an_account_that_has_been_active_has_been_seen(tmp_path: Path) -> None:
    world = World(open_database(f"sqlite:///{tmp_path}/m.db"))
    world.app("hr", rank=1)
    jane = world.user()
    world.account("hr", jane, INACTIVE)
    events = world.history(jane)
    for event in events:
        event.body = event.body.replace(',"seenActive":true', "")
    rebuilt = replay(events)
    assert rebuilt is not None
    assert [link.seen_active for link in rebuilt.links] == [True]
    world.engine.dispose()


# -- what breaks a chain --------------------------------------------------------------------------------------------------


@pytest.fixture
def chain(tmp_path: Path) -> list[HistoryEvent]:
    world = World(open_database(f"sqlite:///{tmp_path}/m.db"))
    jane = world.user()
    users.update(world.engine, ADMIN, world.tick(), jane, {"title": "Lead"}, replace=False)
    users.act(world.engine, ADMIN, world.tick(), jane, Act.suspend)
    return world.history(jane)


def test_the_user_as_of_an_earlier_event_is_the_fold_up_to_it(chain: list[HistoryEvent]) -> None:
    versions = [replay(chain[:count]) for count in range(len(chain) + 1)]
    assert versions[0] is None
    told = [(user.status.value, user.profile.get("title")) for user in versions[1:] if user]
    assert told == [("PENDING_ACTIVATION", None), ("ACTIVE", None), ("ACTIVE", "Lead"), ("SUSPENDED", "Lead")]


def test_values_that_are_gone_are_found_where_nobody_was_erased(chain: list[HistoryEvent]) -> None:
    for event in chain:
        event.values_json = None
    broken = verify_chain(chain)
    assert broken is not None
    assert (broken.seq, broken.fault) == (1, "its values are gone, and nobody was erased")


def changed_body(chain: list[HistoryEvent]) -> None:
    chain[2].body = chain[2].body.replace("ada", "eve")


def changed_values(chain: list[HistoryEvent]) -> None:
    values = load(chain[2].values_json or "")
    chain[2].values_json = dump({**values, "attributes": {"title": {"old": None, "new": "Boss"}}})


def changed_column(chain: list[HistoryEvent]) -> None:
    chain[2].at = "2020-01-01T00:00:00.000Z"


def missing_event(chain: list[HistoryEvent]) -> None:
    del chain[2]


def swapped_events(chain: list[HistoryEvent]) -> None:
    chain[2], chain[3] = chain[3], chain[2]


@pytest.mark.parametrize("tamper", [changed_body, changed_values, changed_column, missing_event, swapped_events])
def test_every_way_of_tampering_shows_at_the_event_it_touched(
    chain: list[HistoryEvent], tamper: Callable[[list[HistoryEvent]], None]
) -> None:
    assert verify_chain(chain) is None
    tamper(chain)
    broken = verify_chain(chain)
    assert broken is not None
    assert broken.seq == 3


def test_a_removed_tail_shows_against_the_head_that_the_user_keeps(chain: list[HistoryEvent]) -> None:
    head = (chain[-1].seq, chain[-1].hash)
    assert verify_chain(chain, head) is None
    assert verify_chain(chain[:-1]) is None
    assert verify_chain(chain[:-1], head) is not None
