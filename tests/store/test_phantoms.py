"""Whoever decides on what is not there is told when it appears before the decision is committed (docs/decisions/0035).

On PostgreSQL, and not with luck: the second transaction is made in the very gap of the first, between its look and its commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlmodel import col

from mastering import acts, assignments, rematch, review, users
from mastering.clock import now
from mastering.errors import Invalid
from mastering.imports import applying, steps
from mastering.ledger import Ledger
from mastering.rules.matching import Keys, keys_of_user, ways_of
from mastering.rules.policy import Confirmation, Matching
from mastering.store import imports as store
from mastering.store import people, tables
from mastering.store.engine import open_database, reading, writing
from mastering.store.looks import OvertakenError, looked
from mastering.store.outage import is_outage
from tests.faults.checker import check
from tests.postgres import Databases, engine_url
from tests.walks.imports_world import ADMIN, World, calm, empty, person

BY_EMAIL = Matching(username=False, email=True)


@pytest.fixture(scope="module")
def gaps(postgres_server: Databases, postgres_template: str) -> Iterator[Engine]:
    name = postgres_server.new(postgres_template)
    engine = open_database(engine_url(postgres_server.url(name)))
    yield engine
    engine.dispose()
    postgres_server.drop(name)


@pytest.fixture
def world(gaps: Engine) -> World:
    empty(gaps)
    made = World(gaps)
    made.set_org(enabled=False)
    return made


@pytest.fixture
def within(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str, Callable[[], object]], list[int]]:
    """Have something done right after the first call of a function; how often that function has been called is counted."""

    def arrange(owner: Any, name: str, act: Callable[[], object]) -> list[int]:
        real, calls = getattr(owner, name), [0]

        def called(*args: Any, **kwargs: Any) -> Any:
            found = real(*args, **kwargs)
            calls[0] += 1
            if calls[0] == 1:
                act()
            return found

        monkeypatch.setattr(owner, name, called)
        return calls

    return arrange


Within = Callable[[Any, str, Callable[[], object]], list[int]]


def emails(world: World) -> list[str]:
    with reading(world.engine) as session:
        return sorted(str(key) for key in session.execute(select(col(tables.User.email_key))).scalars())


def test_an_import_creates_nobody_who_appears_before_its_batch_is_committed(world: World, within: Within) -> None:
    hr = world.app("HR", calm(matching=BY_EMAIL))
    tries = within(steps, "apply_batch", lambda: world.by_hand("j.doe", email="jane@example.com"))
    run = world.send(hr, [person("E1", email="jane@example.com"), person("E2")])
    assert tries[0] > 1
    assert emails(world) == ["e2@example.com", "jane@example.com"]
    assert world.queue(hr) == {"E1": ("EXACT", "exact", ["j.doe@example.com"])}
    assert world.change(run, "E1").state == "REDECIDED"
    check(world.engine)


def test_an_import_links_nobody_who_is_not_the_only_one_when_its_batch_is_committed(world: World, within: Within) -> None:
    hr = world.app("HR", calm(matching=BY_EMAIL))
    jane = world.by_hand("j.d", email="jane@example.com")
    within(steps, "apply_batch", lambda: world.by_hand("j.doe", email="jane@example.com"))
    world.send(hr, [person("E1", email="jane@example.com")])
    assert world.user(jane.id).links == []
    assert world.queue(hr) == {"E1": ("AMBIGUOUS", "ambiguous", ["j.d@example.com", "j.doe@example.com"])}
    check(world.engine)


def test_who_becomes_like_a_record_counts_as_who_appears(world: World, within: Within) -> None:
    hr = world.app("HR", calm(matching=BY_EMAIL))
    other = world.by_hand("other")
    within(steps, "apply_batch", lambda: users.update(world.engine, ADMIN, now(), other.id, {"email": "e1@example.com"}, replace=False))
    world.send(hr, [person("E1")])
    assert world.by_login("e1@example.com") is None
    assert world.queue(hr) == {"E1": ("EXACT", "exact", ["other@example.com"])}


def test_who_has_nothing_to_do_with_a_batch_does_not_stop_it(world: World, within: Within) -> None:
    hr = world.app("HR", calm(matching=BY_EMAIL))
    tries = within(steps, "apply_batch", lambda: world.by_hand("stranger"))
    world.send(hr, [person("E1")])
    assert tries == [1]
    assert emails(world) == ["e1@example.com", "stranger@example.com"]


def test_of_two_who_appear_at_once_a_waiting_row_sees_both(world: World, within: Within) -> None:
    hr = world.app("HR", calm(matching=BY_EMAIL, confirmation=Confirmation()))
    world.send(hr, [person("E1", email="jane@example.com")])
    within(rematch._Queue, "take", lambda: world.by_hand("second", email="jane@example.com"))
    world.by_hand("first", email="jane@example.com")
    assert world.queue(hr) == {"E1": ("AMBIGUOUS", "ambiguous", ["first@example.com", "second@example.com"])}
    check(world.engine)


def test_a_row_that_begins_to_wait_while_somebody_like_it_appears_sees_them(world: World, within: Within) -> None:
    hr = world.app("HR", calm(matching=BY_EMAIL, confirmation=Confirmation()))
    within(acts, "rematch", lambda: world.delta(hr, [person("E1", email="jane@example.com")]))
    world.by_hand("jane")
    assert world.queue(hr) == {"E1": ("EXACT", "exact", ["jane@example.com"])}
    check(world.engine)


def test_a_row_that_begins_to_wait_while_a_reviewer_creates_its_like_sees_them(world: World, within: Within) -> None:
    hr = world.app("HR", calm(matching=BY_EMAIL, confirmation=Confirmation()))
    ad = world.app("AD", calm(matching=BY_EMAIL, confirmation=Confirmation()))
    world.send(hr, [person("E1", email="jane@example.com")])
    within(review, "rematch", lambda: world.delta(ad, [person("A1", email="jane@example.com")]))
    assert world.review(hr, "E1", review.Verdict.CREATE).error is None
    assert world.queue(ad) == {"A1": ("EXACT", "exact", ["jane@example.com"])}
    check(world.engine)


def test_an_act_on_a_login_is_an_act_on_who_has_it_when_it_is_carried_out(world: World, within: Within) -> None:
    one, other = world.by_hand("jane"), world.by_hand("other")

    def swap() -> None:
        world.rename(one.id, "former@example.com")
        world.rename(other.id, "jane@example.com")

    within(people, "user_id_of", swap)
    users.act(world.engine, ADMIN, now(), "jane@example.com", users.Act.suspend)
    assert (world.user(one.id).status, world.user(other.id).status) == ("ACTIVE", "SUSPENDED")


def test_of_two_users_given_one_unknown_account_at_once_the_second_is_told_whose_it_is(world: World, within: Within) -> None:
    app_id, one, other = world.app("Files", calm()), world.by_hand("one"), world.by_hand("other")
    within(assignments, "_choose", lambda: assignments.assign(world.engine, ADMIN, now(), app_id, other.id, external_id="X"))
    with pytest.raises(Invalid) as refused:
        assignments.assign(world.engine, ADMIN, now(), app_id, one.id, external_id="X")
    assert refused.value.causes == ("externalId: this account is another user's",)
    assert world.user_of(app_id, "X").id == other.id
    check(world.engine)


def test_what_is_overtaken_again_and_again_is_given_up_with_nothing_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def never(*_: Any) -> None:
        tries.append(1)
        raise OvertakenError

    monkeypatch.setattr(acts, "rematch", never)
    with pytest.raises(OvertakenError):
        world.by_hand("jane")
    assert len(tries) > 1
    assert emails(world) == []


def test_a_batch_that_is_overtaken_is_tried_with_fewer_rows(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def overtaken(ledger: Ledger, run: tables.ImportRun, rows: list[Any], *rest: Any) -> None:
        sizes.append(len(rows))
        if len(rows) > 1:
            raise OvertakenError
        applying.apply_batch(ledger, run, rows, *rest)

    monkeypatch.setattr(steps, "apply_batch", overtaken)
    monkeypatch.setattr(steps, "AT_ONCE", 64)
    hr = world.app("HR", calm())
    assert world.send(hr, [person(f"E{number}") for number in range(2)]).status == "COMPLETED"
    assert sizes in ([2, 2, 2, 1, 1], [2, 2, 2, 2, 1, 1])
    check(world.engine)


def test_a_look_is_asked_of_those_who_have_been_told_of_since(world: World) -> None:
    asked: list[set[str]] = []

    def stands(others: set[str]) -> bool:
        asked.append(others)
        return True

    with writing(world.engine) as session:
        ledger = Ledger(session, now(), ADMIN)
        ledger.create({"login": "mine@example.com"})
        ledger.flush()
        looked(session, 0, stands)
        theirs = world.by_hand("theirs")
    assert asked == [{theirs.id}]


def test_nothing_is_kept_of_a_transaction_whose_look_does_not_stand(world: World) -> None:
    def overtaken() -> None:
        with writing(world.engine) as session:
            ledger = Ledger(session, now(), ADMIN)
            ledger.create({"login": "mine@example.com"})
            ledger.flush()
            looked(session, 0, lambda _: False)
            world.by_hand("theirs")

    with pytest.raises(OvertakenError) as raised:
        overtaken()
    assert emails(world) == ["theirs@example.com"]
    assert is_outage(raised.value)  # nobody's mistake: the caller is told to try again


OPTIONS = [
    Matching(username=username, email=email, allow_partial=partial)
    for username, email in ((True, False), (False, True), (True, True))
    for partial in (False, True)
]
ALONE: dict[str, Callable[[Keys], Keys]] = {
    "login": lambda keys: Keys(keys.login, None, None),
    "email": lambda keys: Keys(None, keys.email, None),
    "name": lambda keys: Keys(None, None, keys.name),
}


@pytest.mark.parametrize("by", ALONE)
@pytest.mark.parametrize("matching", OPTIONS, ids=repr)
def test_a_record_is_led_to_who_appeared_by_the_very_keys_that_a_waiting_row_is_found_by(world: World, matching: Matching, by: str) -> None:
    appeared, other = world.by_hand("anna", email="a@post.example"), world.by_hand("berta", email="b@post.example")
    record = ALONE[by](keys_of_user(matching, appeared.login, appeared.profile))
    with reading(world.engine) as session:
        directory = store.Directory(session, matching)
        counts = not directory.ways([appeared.id]).isdisjoint(ways_of(matching, record))
        assert directory.lead_to([record], [appeared.id, other.id]) is counts
        assert not directory.lead_to([record], [other.id])
    assert counts is (by == "login" or (by == "email" and matching.email) or (by == "name" and matching.allow_partial))
