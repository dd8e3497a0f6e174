"""Why a record waits and what would confirm it: every small queue, against the planner itself and against its neighbours (SPEC §§5.4, 6, 13)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from itertools import product
from typing import Any

from mastering.rules.change import Prepared, Terms
from mastering.rules.claims import Lost
from mastering.rules.decision import Action, Situation
from mastering.rules.lifecycle import Status, Trigger
from mastering.rules.mapping import compile_mapping, compile_username, default_rules
from mastering.rules.matching import Keys, Match, correlate
from mastering.rules.neighbours import Knob
from mastering.rules.people import Account, User
from mastering.rules.policy import AttributePair, Confirmation, ImportPolicy, Mastering, Matching, OrgSafeguard, UsernameFormat
from mastering.rules.profile import Source, Sources
from mastering.rules.ranking import Link
from mastering.rules.record import AccountState, Mode, Record
from mastering.rules.schema import default_schema
from mastering.rules.stakes import give_up
from mastering.rules.unlinked import Found, plan_unlinked
from mastering.rules.why_waiting import Arrival, Person, flipped, neighbours, place, ways_out

BOTH = (True, False)
APP, UPPER = "0oaApp", "0oaUpper"
RECORD = Keys("jane@x.org", "jane@x.org", "jane doe")
KEYS = {
    "login": Keys("jane@x.org", "other", "other"),
    "name": Keys("other", "other", "jane doe"),
    "email": Keys("other", "jane@x.org", "other"),
}
ABOVE = Link(UPPER, "0uaUpper", AccountState.ACTIVE, released=False, seen_active=True)


def somebody(user_id: str, kind: str, *, placed: bool = False, status: Status = Status.ACTIVE, outranked: bool = False) -> Person:
    return Person(user_id, KEYS[kind], status, others=(ABOVE,) if outranked else (), placed=placed)


def policy(matching: Matching, *confirmed: bool) -> ImportPolicy:
    return ImportPolicy(matching=matching, confirmation=Confirmation(*confirmed), mastering=Mastering(True, reactivate_suspended=True))


def arrivals() -> Iterator[Arrival]:
    matchings = [Matching(username=u, email=e, allow_partial=p) for u, e, p in product(BOTH, BOTH, BOTH)]
    crowds: list[tuple[Person, ...]] = [()]
    for kind, placed, outranked in product(KEYS, BOTH, BOTH):
        crowds.append((somebody("00u1", kind, placed=placed, status=Status.SUSPENDED, outranked=outranked),))
    crowds += [(somebody("00u1", one), somebody("00u2", other)) for one, other in product(KEYS, KEYS)]
    claims = (None, Lost.login_claimed_twice, Lost.user_claimed_twice)
    for matching, crowd, confirmed, held, claim in product(matchings, crowds, BOTH, BOTH, claims):
        holder = next((each.user_id for each in crowd if each.keys.login == RECORD.login), "00u9" if held else None)
        yield Arrival(APP, policy(matching, confirmed, confirmed, confirmed, False), (UPPER, APP), RECORD, crowd, holder, claim)


ALL = list(arrivals())


@cache
def way_out_of(number: int) -> Any:
    return ways_out(ALL[number])


def test_whatever_is_named_does_place_the_record_as_it_claims_the_nearest_first() -> None:
    for number, arrival in enumerate(ALL):
        for each in way_out_of(number):
            changed = arrival
            for flip in each.flips:
                changed = flipped(changed, flip)
            assert place(changed) == each.judged
            assert each.judged.outcome != place(arrival).outcome
        nearness = [(len(each.flips), each.distance) for each in way_out_of(number)]
        assert nearness == sorted(nearness)


def test_where_nothing_is_named_no_single_thing_places_the_record_otherwise() -> None:
    for number, arrival in enumerate(ALL):
        named = {each.judged.outcome for each in way_out_of(number) if len(each.flips) == 1}
        there = {place(flipped(arrival, flip)).outcome for _, flip in neighbours(arrival)} - {place(arrival).outcome}
        assert there == named


# -- against the planner ----------------------------------------------------------------------------------------------


def terms(app_policy: ImportPolicy) -> Terms:
    schema, now = default_schema(), datetime(2026, 3, 1, tzinfo=UTC)
    mapping, username = compile_mapping(default_rules(schema), schema), compile_username(UsernameFormat.EMAIL, None)
    sources = Sources(
        (UPPER, APP), {UPPER: Source(mapping, username), APP: Source(mapping, username)}, schema, update_deactivated=False, now=now
    )
    return Terms(APP, Mode.FULL, app_policy, mapping, username, schema, sources, OrgSafeguard(), now, "2026-03-01T00:00:00.000Z")


def user_of(person: Person) -> User:
    profile: dict[str, Any] = {"login": f"{person.user_id}@x.org", "email": "e@x.org", "firstName": "J", "lastName": "D"}
    user = User(person.user_id, person.status, profile["login"], profile, created="", last_updated="")
    apps = [link.app_id for link in person.others] + ([APP] if person.placed else [])
    user.links = [
        Account(f"0ua{app_id}", app_id, "E9", AccountState.ACTIVE, {}, created="", last_updated="", user_id=user.id, seen_active=True)
        for app_id in apps
    ]
    return user


def test_a_record_is_placed_as_a_run_would_place_it() -> None:
    """The same queue through the planner, claims included."""
    mapped = {"login": "jane@x.org", "email": "jane@x.org", "firstName": "Jane", "lastName": "Doe"}
    prepared = Prepared(Record(1, "E1", True, dict(mapped), b"x" * 16), dict(mapped), dict(mapped), "jane@x.org", RECORD)
    for arrival in ALL:
        match: Match = correlate(arrival.policy.matching, RECORD, [(each.user_id, each.keys) for each in arrival.people])
        users = {each.user_id: user_of(each) for each in arrival.people}
        change = plan_unlinked(terms(arrival.policy), prepared, None, Found(match, users, arrival.holder))
        claim = arrival.claim
        if claim is Lost.user_claimed_twice and len(match.user_ids) != 1:
            claim = None  # there is nobody whom two could claim
        if claim is not None and change.decision.situation is not Situation.CONFLICT:
            change = give_up(change, claim)
        placed = place(arrival)
        assert placed.situation is change.decision.situation, arrival
        assert placed.outcome.action is change.decision.action, arrival
        assert placed.outcome.trigger is change.decision.trigger, arrival
        assert placed.reason == change.decision.reason, arrival
        assert placed.outcome.user_id == change.effect.get("link"), arrival


# -- sentence by sentence ---------------------------------------------------------------------------------------------


def linked_by(arrival: Arrival) -> set[Knob]:
    """The nearest flips under which the record is linked."""
    found = next(each for each in ways_out(arrival) if each.judged.outcome.action is Action.link)
    return {flip.knob for flip in found.flips}


def test_an_exact_match_waits_for_its_switch() -> None:
    arrival = Arrival(APP, policy(Matching(), False, False, False), (APP,), RECORD, (somebody("00u1", "login"),))
    assert linked_by(arrival) == {Knob.auto_confirm_exact}


def test_of_two_who_match_equally_one_has_to_go() -> None:
    both = (somebody("00u1", "login"), somebody("00u2", "login"))
    arrival = Arrival(APP, policy(Matching(), True, True, True), (APP,), RECORD, both)
    assert place(arrival).situation is Situation.AMBIGUOUS
    assert linked_by(arrival) == {Knob.candidate}


def test_a_place_that_is_taken_and_a_switch_that_is_off_are_two_things() -> None:
    arrival = Arrival(APP, policy(Matching(), False, False, False), (APP,), RECORD, (somebody("00u1", "login", placed=True),))
    assert place(arrival).reason == "place_taken"
    assert linked_by(arrival) == {Knob.place, Knob.auto_confirm_exact}


def test_matching_by_another_option_would_have_found_somebody() -> None:
    arrival = Arrival(APP, policy(Matching(username=False, email=False), True, True, False), (APP,), RECORD, (somebody("00u1", "email"),))
    assert linked_by(arrival) == {Knob.email}


def test_the_third_option_gives_way_to_the_first() -> None:
    pair = (AttributePair("badge", "badge"),)
    keys = RECORD._replace(attributes=("7",))
    someone = replace(somebody("00u1", "login"), keys=KEYS["login"]._replace(attributes=("8",)))
    matching = Matching(username=False, attributes=pair)
    arrival = Arrival(APP, policy(matching, True, True, False), (APP,), keys, (someone,))
    assert place(arrival).situation is Situation.UNMATCHED
    assert linked_by(arrival) == {Knob.attributes}


def test_a_confirmed_return_says_the_move_that_it_is() -> None:
    arrival = Arrival(APP, policy(Matching(), False, False, False), (APP,), RECORD, (somebody("00u1", "login", status=Status.SUSPENDED),))
    confirmed = next(each for each in ways_out(arrival) if each.judged.outcome.action is Action.link)
    assert confirmed.judged.outcome.trigger is Trigger.unsuspend
