"""Why a record waits for a reviewer, why each candidate lost, and what would confirm it (SPEC §§5.4, 6, 13).

The case of a waiting record is the record's keys, the people they lead to, and what stands in the way: somebody's active account of the
same app, a login that somebody else has, another record that claims the same. The neighbours flip an option of matching or confirmation,
clear one obstacle away, or take one candidate out; the rules judge each of them as a run would (`rules.unlinked.plan_unlinked`).

=====  ====================================================
near   what is flipped
=====  ====================================================
1      a switch of confirmation
2      an option of matching
4      an obstacle: account, login, or claim
6      a candidate less
=====  ====================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from mastering.rules.change import PLACE_TAKEN
from mastering.rules.claims import Lost
from mastering.rules.decision import FULL_POWERS, NO_POWERS, Action, Facts, Situation, Word, assess, decide
from mastering.rules.lifecycle import Status, Trigger
from mastering.rules.matching import Keys, Kind, correlate
from mastering.rules.neighbours import Alternative, Flip, Knob, nearest
from mastering.rules.policy import ImportPolicy, Matching
from mastering.rules.ranking import Link, authority
from mastering.rules.record import AccountState


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whom a record's keys lead to. `others`: the person's links to other apps."""

    user_id: str
    keys: Keys
    status: Status
    pending_when_deactivated: bool = False
    held: bool = False
    others: tuple[Link, ...] = ()
    placed: bool = False
    """The person has an active account of the app that is not released."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """An active record that nobody's account is, and everybody and everything that it meets."""

    app_id: str
    policy: ImportPolicy
    ranking: tuple[str, ...]
    record: Keys
    people: tuple[Person, ...] = ()
    holder: str | None = None
    """Who has the login that the record asks for."""
    claim: Lost | None = None
    """What another record claims as well: the login, or the one candidate."""


class Confirmed(NamedTuple):
    """What becomes of the record: the action, the user it is linked to, and that user's move."""

    action: Action
    user_id: str | None
    trigger: Trigger | None
    to: Status | None
    activate: bool


class Placed(NamedTuple):
    """An outcome, with the situation, what stands in the way, and the candidates that are left."""

    outcome: Confirmed
    situation: Situation
    reason: str | None
    candidates: tuple[str, ...]


_ARRIVES = Word(present=True, active=True, same=False)
_NOBODY = Facts(status=None, exact=False, pending_when_deactivated=False, held=False)
_OPTION, _MATCHING, _OBSTACLE, _CANDIDATE = 1, 2, 4, 6
_CONFIRMATION = {
    Knob.auto_confirm_exact: "auto_confirm_exact",
    Knob.auto_confirm_partial: "auto_confirm_partial",
    Knob.auto_confirm_new: "auto_confirm_new",
    Knob.auto_activate_new: "auto_activate_new",
}
_BY_OPTION = {Knob.username: "username", Knob.email: "email", Knob.allow_partial: "allow_partial"}


def place(arrival: Arrival) -> Placed:
    """Where a record stands, and what is done about it (SPEC §§5.4, 6)."""
    match = correlate(arrival.policy.matching, arrival.record, [(person.user_id, person.keys) for person in arrival.people])
    candidates = match.user_ids
    person = next((each for each in arrival.people if candidates == (each.user_id,)), None)
    obstacle = _obstacle(arrival, person, several=len(candidates) > 1)
    found: Kind | Situation = match.kind
    if len(candidates) > 1:
        found = Situation.AMBIGUOUS
    elif obstacle is not None:
        found = Situation.CONFLICT
    situation = assess(_ARRIVES, None, found)
    decision = decide(
        arrival.policy,
        FULL_POWERS if person is not None and _speaks(arrival, person) else NO_POWERS,
        situation,
        _facts(person, exact=match.kind is Kind.EXACT),
    )
    to = decision.to if decision.trigger else None
    linked = person.user_id if person is not None and decision.action is Action.link else None
    waits = decision.action is Action.wait
    reason = (obstacle or situation.value.lower()) if waits else decision.reason
    return Placed(Confirmed(decision.action, linked, decision.trigger, to, decision.activate), situation, reason, candidates)


def _obstacle(arrival: Arrival, person: Person | None, *, several: bool) -> str | None:
    if person is not None and person.placed:
        return PLACE_TAKEN
    if arrival.holder is not None and (person is None or arrival.holder != person.user_id):
        return Lost.login_taken.value
    if several or (arrival.claim is Lost.user_claimed_twice and person is None):
        return None  # who is AMBIGUOUS stays so, and nobody claims a person whom the record does not name
    return arrival.claim.value if arrival.claim is not None else None


def _speaks(arrival: Arrival, person: Person) -> bool:
    mine = Link(arrival.app_id, "new", AccountState.ACTIVE, released=False, seen_active=True)
    return authority([mine, *person.others], arrival.ranking) is mine


def _facts(person: Person | None, *, exact: bool) -> Facts:
    return Facts(person.status, exact, person.pending_when_deactivated, person.held) if person is not None else _NOBODY


def ways_out(arrival: Arrival) -> list[Alternative[Placed]]:
    """What would have the record confirmed, or end up otherwise, the nearest first; pairs only where no one thing confirms it."""
    return nearest(place(arrival), list(neighbours(arrival)), lambda made: place(_all(arrival, made)), _is_confirmed)


def _is_confirmed(outcome: Confirmed) -> bool:
    return outcome.action in {Action.link, Action.create}


def neighbours(arrival: Arrival) -> Iterator[tuple[int, Flip]]:
    """Every neighbour of a waiting record, with how far it is."""
    app_id, policy = arrival.app_id, arrival.policy
    for knob, name in _CONFIRMATION.items():
        was = getattr(policy.confirmation, name)
        yield _OPTION, Flip(knob, app_id, was, not was)
    for knob, name in _BY_OPTION.items():
        was = getattr(policy.matching, name)
        if knob is Knob.allow_partial or not policy.matching.attributes:  # the third option excludes the first two
            yield _MATCHING, Flip(knob, app_id, was, not was)
    if policy.matching.attributes:
        yield _MATCHING, Flip(Knob.attributes, app_id, True, False)
    for person in arrival.people:
        if person.placed:
            yield _OBSTACLE, Flip(Knob.place, app_id, True, False, person.user_id)
        yield _CANDIDATE, Flip(Knob.candidate, app_id, True, False, person.user_id)
    if arrival.holder is not None:
        yield _OBSTACLE, Flip(Knob.login, app_id, True, False, arrival.holder)
    if arrival.claim is not None:
        yield _OBSTACLE, Flip(Knob.claim, app_id, True, False)


def flipped(arrival: Arrival, flip: Flip) -> Arrival:
    """The record with one thing otherwise."""
    policy = arrival.policy
    if flip.knob in _CONFIRMATION:
        changed = replace(policy, confirmation=replace(policy.confirmation, **{_CONFIRMATION[flip.knob]: flip.would}))
        return replace(arrival, policy=changed)
    match flip.knob:
        case Knob.attributes:
            by_name = Matching(username=True, allow_partial=policy.matching.allow_partial)
            return replace(arrival, policy=replace(policy, matching=by_name), record=_without(arrival.record), people=_bare(arrival.people))
        case Knob.place:
            freed = (replace(each, placed=False) if each.user_id == flip.user_id else each for each in arrival.people)
            return replace(arrival, people=tuple(freed))
        case Knob.candidate:
            holder = None if arrival.holder == flip.user_id else arrival.holder
            return replace(arrival, people=tuple(each for each in arrival.people if each.user_id != flip.user_id), holder=holder)
        case Knob.login:
            return replace(arrival, holder=None)
        case Knob.claim:
            return replace(arrival, claim=None)
        case _:
            matching = replace(policy.matching, **{_BY_OPTION[flip.knob]: flip.would})
            return replace(arrival, policy=replace(policy, matching=matching))


def _all(arrival: Arrival, made: Sequence[Flip]) -> Arrival:
    for flip in made:
        arrival = flipped(arrival, flip)
    return arrival


def _without(keys: Keys) -> Keys:
    return keys._replace(attributes=())


def _bare(people: tuple[Person, ...]) -> tuple[Person, ...]:
    return tuple(replace(person, keys=_without(person.keys)) for person in people)
