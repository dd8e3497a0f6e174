"""Why an outcome is what it is, and what would have changed it: the rules, asked again about the neighbours of a case (SPEC §13).

A *case* is everything that the tables of `decision` and the ranking were asked with when a word about a linked account, or a confirmed
match, was decided. A *flip* changes one part of it: one switch of the policy, one master's place in the ranking, the hold, whether the
record matched exactly, one account. `alternatives` makes every flip, has the rules judge the case that comes out, and names those under
which something else would have happened to the person, the nearest first:

=====  ============================================================================================
near   what is flipped
=====  ============================================================================================
1      a switch or an option of the app's policy; the hold
1…n    a master's place in the ranking, by the places it moves
3      whether the record matched exactly, or the user had been pending when deactivated
4      whether another master's account is assigned, or another account of the app has the place of one that came back
5      whether an app is a master at all
6      what the app said of the account, or whether the account had been given up before
8      the user's status
=====  ============================================================================================

Where no single flip changes the move, pairs are tried: a lower master's word about a person under a hold needs two things to be different.
Nothing here is told from experience: a flip is named because the rules, asked with it, answer otherwise. A test enumerates the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from mastering.rules.decision import FULL_POWERS, NO_POWERS, Action, Facts, Situation, decide
from mastering.rules.lifecycle import Status, Trigger
from mastering.rules.neighbours import Alternative, Flip, Knob, nearest
from mastering.rules.policy import ImportPolicy, WhenDeactivated
from mastering.rules.ranking import Link, authority


@dataclass(frozen=True, slots=True)
class Case:
    """What one decision was made on. `links`: the account's own first, as the record leaves it, then the user's others."""

    policy: ImportPolicy
    ranking: tuple[str, ...]
    situation: Situation
    links: tuple[Link, ...]
    status: Status | None
    exact: bool = False
    pending_when_deactivated: bool = False
    held: bool = False
    released: bool = False
    """The account had been given up before this record."""
    attributes: frozenset[str] = frozenset()
    """The attributes of the user whose values the record changed."""
    overrides: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Attributes with a ranking of their own; an empty one is the directory's."""
    update_deactivated: bool = False
    by_word: bool = False
    """Somebody named this outcome: a reviewer, a hook, or an admin who changed what profiles are mapped by. The app's confirmation was not asked."""


class Outcome(NamedTuple):
    """What happens to the person: the action, the move, and the attributes that the record supplies. Why not more stands beside it."""

    action: Action
    trigger: Trigger | None
    to: Status | None
    activate: bool
    supplies: frozenset[str]


class Judged(NamedTuple):
    """An outcome with the reason for it, if there is one, and who had authority."""

    outcome: Outcome
    rule: str
    reason: str | None
    authority: Link | None


_SWITCHES = {
    Knob.reactivate_suspended: "reactivate_suspended",
    Knob.reactivate_deactivated: "reactivate_deactivated",
    Knob.auto_confirm_exact: "auto_confirm_exact",
    Knob.auto_confirm_partial: "auto_confirm_partial",
    Knob.auto_confirm_new: "auto_confirm_new",
    Knob.auto_activate_new: "auto_activate_new",
}
_OF_MASTERING = {Knob.reactivate_suspended, Knob.reactivate_deactivated}
_LEAVING = {Situation.WENT_INACTIVE, Situation.WENT_MISSING}
_ARRIVING = (Situation.EXACT, Situation.PARTIAL, Situation.UNMATCHED)
_MAPPED = {Situation.CHANGED, Situation.CAME_BACK, Situation.EXACT, Situation.PARTIAL}
_OPTION, _FACT, _ACCOUNT, _MASTER, _WORD, _STATUS = 1, 3, 4, 5, 6, 8


def judge(case: Case) -> Judged:
    """What the rules make of a case (SPEC §§3, 4, 6, 7)."""
    mine, speaking = case.links[0], authority(case.links, case.ranking)
    if case.situation is Situation.UNMATCHED:
        speaking = None
    powers = FULL_POWERS if speaking is not None and speaking.account_id == mine.account_id else NO_POWERS
    facts = Facts(case.status, case.exact, case.pending_when_deactivated, case.held)
    decision = decide(case.policy, powers, case.situation, facts, released=case.released)
    supplies = _supplied(case, decision.action, decision.to)
    action = Action.none if decision.action is Action.update and not supplies else decision.action
    to = decision.to if decision.trigger else None
    outcome = Outcome(action, decision.trigger, to, decision.activate, supplies)
    return Judged(outcome, decision.rule.value, decision.reason, speaking)


def _supplied(case: Case, action: Action, to: Status | None) -> frozenset[str]:
    stays_out = to is Status.DEACTIVATED and not case.update_deactivated
    if case.situation not in _MAPPED or action is Action.wait or stays_out:
        return frozenset()
    mine = case.links[0].account_id
    speaking = {name: authority(case.links, case.overrides.get(name, case.ranking)) for name in case.attributes}
    return frozenset(name for name, link in speaking.items() if link is not None and link.account_id == mine)


def alternatives(case: Case) -> list[Alternative[Judged]]:
    """What would have changed the outcome, the nearest first; empty where nothing would."""
    return nearest(judge(case), list(flips(case)), lambda made: judge(_all(case, made)), lambda outcome: outcome.trigger)


def _all(case: Case, made: Sequence[Flip]) -> Case:
    for flip in made:
        case = flipped(case, flip)
    return case


# -- the neighbours ---------------------------------------------------------------------------------------------------


def flips(case: Case) -> Iterator[tuple[int, Flip]]:
    """Every neighbour of a case, with how far it is."""
    own = case.links[0].app_id
    yield from _of_the_policy(case, own)
    if case.status is not None:
        yield _OPTION, Flip(Knob.hold, None, case.held, not case.held)
        yield _FACT, Flip(Knob.exact, own, case.exact, not case.exact)
        yield _FACT, Flip(Knob.pending, None, case.pending_when_deactivated, not case.pending_when_deactivated)
        yield from ((_STATUS, Flip(Knob.status, None, case.status, other)) for other in Status if other is not case.status)
    yield from _of_the_ranking(case)
    for link in case.links[1:]:
        if link.app_id in case.ranking:
            yield _ACCOUNT, Flip(Knob.assigned, link.app_id, link.assigned, not link.assigned)
    if case.situation is Situation.CONFLICT and case.released:
        yield _ACCOUNT, Flip(Knob.place, own, True, False)
    if case.situation in _ARRIVING:
        if case.by_word:
            return
        others = [other for other in _ARRIVING if other is not case.situation and (case.status is not None or other is Situation.UNMATCHED)]
        yield from ((_FACT, Flip(Knob.match, own, case.situation, other)) for other in others)
    else:
        if case.situation in _LEAVING:
            yield _WORD, Flip(Knob.said, own, False, True)
        if case.situation is Situation.WITHDRAWN:
            yield _WORD, Flip(Knob.said, own, False, True)
        if case.situation is Situation.CAME_BACK:
            yield _WORD, Flip(Knob.said, own, True, False)
        yield _WORD, Flip(Knob.released, own, case.released, not case.released)


def _of_the_policy(case: Case, own: str) -> Iterator[tuple[int, Flip]]:
    chosen = case.policy.mastering.when_deactivated
    yield from ((_OPTION, Flip(Knob.when_deactivated, own, chosen, other)) for other in WhenDeactivated if other is not chosen)
    for knob in _SWITCHES:
        if case.by_word and knob not in _OF_MASTERING:
            continue
        was = _switch(case.policy, knob)
        yield _OPTION, Flip(knob, own, was, not was)


def _of_the_ranking(case: Case) -> Iterator[tuple[int, Flip]]:
    """Moves of the apps that the user has accounts of: others change nothing for this person. An order that two moves lead to is one."""
    ranking = case.ranking
    orders = {ranking}
    for app_id in dict.fromkeys(link.app_id for link in case.links):
        if app_id not in ranking:
            yield _MASTER, Flip(Knob.master, app_id, False, True)
            continue
        place = ranking.index(app_id) + 1
        for other in range(1, len(ranking) + 1):
            flip = Flip(Knob.rank, app_id, place, other)
            order = _reranked(case, flip).ranking
            if order not in orders:
                orders.add(order)
                yield abs(other - place), flip
        yield _MASTER, Flip(Knob.master, app_id, True, False)


def _switch(policy: ImportPolicy, knob: Knob) -> bool:
    part = policy.mastering if knob in _OF_MASTERING else policy.confirmation
    return bool(getattr(part, _SWITCHES[knob]))


def flipped(case: Case, flip: Flip) -> Case:
    """The case with one part otherwise."""
    knob, app_id, _, would, _ = flip
    if knob is Knob.when_deactivated or knob in _SWITCHES:
        return replace(case, policy=_with_option(case.policy, knob, would))
    if knob is Knob.rank or knob is Knob.master:
        return _reranked(case, flip)
    match knob:
        case Knob.hold:
            return replace(case, held=would)
        case Knob.exact:
            return replace(case, exact=would)
        case Knob.pending:
            return replace(case, pending_when_deactivated=would)
        case Knob.status:
            return replace(case, status=would)
        case Knob.match:
            return replace(
                case, situation=would, exact=would is Situation.EXACT, status=None if would is Situation.UNMATCHED else case.status
            )
        case Knob.said:
            still = Situation.CONFLICT if case.situation is Situation.WITHDRAWN else Situation.UNCHANGED  # it would wait on
            return replace(case, situation=still, attributes=frozenset())
        case Knob.place:
            own = replace(case.links[0], released=False)
            return replace(case, situation=Situation.CAME_BACK, links=(own, *case.links[1:]))
        case Knob.released:
            own = replace(case.links[0], released=would and case.situation is not Situation.CAME_BACK)
            return replace(case, released=would, links=(own, *case.links[1:]))
        case _:
            others = (replace(link, released=not would, seen_active=True) if link.app_id == app_id else link for link in case.links[1:])
            return replace(case, links=(case.links[0], *others))


def _with_option(policy: ImportPolicy, knob: Knob, would: Any) -> ImportPolicy:
    if knob is Knob.when_deactivated:
        return replace(policy, mastering=replace(policy.mastering, when_deactivated=would))
    if knob in _OF_MASTERING:
        return replace(policy, mastering=replace(policy.mastering, **{_SWITCHES[knob]: would}))
    return replace(policy, confirmation=replace(policy.confirmation, **{_SWITCHES[knob]: would}))


def _reranked(case: Case, flip: Flip) -> Case:
    """The app in its new place; a new master goes last. An attribute's own ranking has no room for who masters nothing any more."""
    rest = [app_id for app_id in case.ranking if app_id != flip.app_id]
    if flip.knob is Knob.master and not flip.would:
        overrides = {name: tuple(app_id for app_id in own if app_id != flip.app_id) for name, own in case.overrides.items()}
        return replace(case, ranking=tuple(rest), overrides=overrides)
    rest.insert(len(rest) if flip.knob is Knob.master else flip.would - 1, flip.app_id or "")
    return replace(case, ranking=tuple(rest))


def silence(link: Link, ranking: tuple[str, ...], speaking: Link | None) -> str | None:
    """Why an account's app has no authority over its user; `None` for the one that has."""
    if speaking is not None and link.account_id == speaking.account_id:
        return None
    if link.app_id not in ranking:
        return "not_a_master"
    if link.released:
        return "released"
    return "outranked" if link.seen_active else "never_seen_active"
