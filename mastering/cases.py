"""The case that a step of a person's history was decided on, put together from history (SPEC §13).

The person is replayed up to the step, the options are those of that place in history (`then`), and the facts of the step's first event
complete what the rules were asked with. Whoever has the case can ask them again (`rules.why`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

from sqlmodel import Session

from mastering.replay import after as after_event
from mastering.rules.decision import Reason, Rule, Situation
from mastering.rules.lifecycle import Status
from mastering.rules.people import Account, User
from mastering.rules.policy import Confirmation, ImportPolicy
from mastering.rules.ranking import Link, authority
from mastering.rules.record import AccountState
from mastering.rules.why import Case, Judged
from mastering.store import history, tables
from mastering.store.documents import load
from mastering.then import Options, policy_at, policy_of_run

WILLING = Confirmation(auto_confirm_exact=True, auto_confirm_partial=True)
"""What a match that somebody confirmed is judged by."""
_WORDS = {
    "ACTIVE": Situation.CAME_BACK,
    "INACTIVE": Situation.WENT_INACTIVE,
    "MISSING": Situation.WENT_MISSING,
}
ARRIVED = frozenset({Situation.EXACT, Situation.PARTIAL, Situation.UNMATCHED, Situation.AMBIGUOUS, Situation.CONFLICT})
"""Situations of an account that nobody had."""
_STANDING = frozenset({"finding.made", "account.unheeded"})
"""Events that tell of a word heard earlier, which is asked again and not carried out."""
_MADE_ROOM = frozenset({"account.replaced", "account.taken"})
"""Events of an account that another one's link did something to. They repeat that link's facts; it was not what the rules were asked about."""
_REPLACED = "account.replaced"
REFUSALS = frozenset(reason.value for reason in Reason)
"""Why a word that was heard is not followed."""


def step_of(chain: Sequence[tables.HistoryEvent], place: int) -> tuple[int, int]:
    """Where the events begin and end that tell of one decision: one row of a run, or what one actor did at one instant.

    Several decisions of a reviewer about one person may come in one request; each begins with its link.
    """
    key = _decision_of(chain[place])
    first, last = place, place + 1
    while first > 0 and _decision_of(chain[first - 1]) == key:
        first -= 1
    while last < len(chain) and _decision_of(chain[last]) == key:
        last += 1
    links = [at for at in range(first + 1, last) if _begins(chain, at)]
    return max([first, *(at for at in links if at <= place)]), min([last, *(at for at in links if at > place)])


def _begins(chain: Sequence[tables.HistoryEvent], at: int) -> bool:
    """Whether a reviewer's next link begins here, with the account that makes room for it, if one does."""
    if chain[at].run_id is not None or chain[at - 1].type == _REPLACED:
        return False
    room = chain[at].type == _REPLACED
    return (at + room < len(chain)) and chain[at + room].type == "account.link"


def _decision_of(event: tables.HistoryEvent) -> tuple[Any, ...]:
    body = load(event.body)
    apart = body["type"] if body["type"] in _STANDING or "remaster" in body["type"] else ""
    return event.at, event.run_id, body.get("row"), body["actor"]["id"], apart


def replayed(session: Session, events: Sequence[tables.HistoryEvent]) -> tuple[User | None, set[str]]:
    """The person as these events leave them, and which accounts had been shown active: one that was assigned by hand may not have been."""
    user: User | None = None
    seen: set[str] = set()
    known: set[str] = set()
    for event in events:
        user = after_event(user, event)
        body = load(event.body)
        account = body.get("account")
        if account is None:
            continue
        by_hand = event.type == "account.assign" and account["id"] not in known and not history.chain(session, account["id"])
        if account["account"] == AccountState.ACTIVE and not by_hand and (event.run_id is not None or account["id"] not in known):
            seen.add(account["id"])
        known.add(account["id"])
    return deepcopy(user), seen


def decided(told: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The first event of a step that says on which situation it was decided, about the account that the word was about."""
    return next((each for each in told if "situation" in each.get("facts", {}) and each["type"] not in _MADE_ROOM), None)


def links_of(user: User | None) -> list[Account]:
    """The accounts of somebody who may not have been there yet."""
    return user.links if user is not None else []


def case_of(
    session: Session,
    step: Sequence[tables.HistoryEvent],
    told: Sequence[Mapping[str, Any]],
    before: User | None,
    seen_active: set[str],
    options: Options,
) -> Case | None:
    """What the rules were asked with; `None` for what was done by hand, or undone, and asked nobody (`rules.unasked`)."""
    body = decided(told)
    if body is None:
        body = next((each for each in told if each["type"] in _STANDING or each["type"] == "user.remaster"), None)
    if body is None or body.get("rule") == Rule.undone:
        return None
    if body["type"] == "user.remaster":
        return _remastered(step, before, seen_active, options)
    facts, account = body["facts"], body["account"]
    situation = Situation(facts["situation"]) if "situation" in facts else _WORDS[account["account"]]
    by_word = body.get("rule") == "reviewed" or (situation is Situation.UNMATCHED and not _created(told) and "status" in facts)
    exact = bool(facts.get("exact", body["type"] in _STANDING and facts.get("trigger") != "require_activation"))
    if by_word:  # a reviewer's or a hook's link is judged as a confirmed match
        situation = Situation.EXACT if exact else Situation.PARTIAL
    policy = policy_of_run(session, step[0].run_id) if step[0].run_id else None
    policy = policy or policy_at(session, account["appId"], step[0].position or 0)
    was = next((link for link in links_of(before) if link.id == account["id"]), None)
    status = None if situation is Situation.UNMATCHED else _status(facts, before)
    return Case(
        policy=replace(policy, confirmation=WILLING) if by_word else policy,
        ranking=options.ranking,
        situation=situation,
        links=tuple(links_after(before, was, account, situation, seen_active)),
        status=status,
        exact=exact,
        pending_when_deactivated=before is not None and before.pending_when_deactivated,
        held=bool(facts.get("held", before is not None and before.held(step[0].at))),
        released=was is not None and was.released,
        attributes=_attributes(step) if situation is not Situation.UNMATCHED else frozenset(),
        overrides=options.overrides,
        update_deactivated=options.update_deactivated,
        by_word=by_word,
    )


def _status(facts: Mapping[str, Any], before: User | None) -> Status | None:
    if "status" in facts:
        return Status(facts["status"])
    return before.status if before is not None else None


def _created(told: Iterable[Mapping[str, Any]]) -> bool:
    return any(body["type"] == "user.create" for body in told)


def links_after(
    before: User | None, was: Account | None, account: Mapping[str, Any], situation: Situation, seen_active: set[str]
) -> list[Link]:
    """The account's own link as the record leaves it, then the user's others: link first, then ask who has authority (SPEC §3)."""
    state = AccountState(account["account"])
    returning = situation is Situation.CAME_BACK
    released = was is not None and was.released and not returning and situation not in ARRIVED
    seen = state is AccountState.ACTIVE or account["id"] in seen_active
    mine = Link(account["appId"], account["id"], state, released, seen)
    others = [other for other in links_of(before) if other.id != account["id"] and (released or other.app_id != account["appId"])]
    return [mine, *(replace(other.link, seen_active=other.id in seen_active) for other in others)]


def _remastered(step: Sequence[tables.HistoryEvent], before: User | None, seen_active: set[str], options: Options) -> Case | None:
    """A profile that was mapped again: as a change that the authority's account told of."""
    links = [replace(account.link, seen_active=account.id in seen_active) for account in links_of(before)]
    speaking = authority(links, options.ranking)
    if before is None or speaking is None:
        return None
    return Case(
        policy=ImportPolicy(),
        ranking=options.ranking,
        situation=Situation.CHANGED,
        links=(speaking, *(link for link in links if link is not speaking)),
        status=before.status,
        attributes=_attributes(step),
        overrides=options.overrides,
        update_deactivated=options.update_deactivated,
        by_word=True,
    )


def _attributes(step: Iterable[tables.HistoryEvent]) -> frozenset[str]:
    values = [load(event.values_json) for event in step if event.values_json]
    return frozenset(name for each in values for name in each.get("attributes", {}))


def agrees(judged: Judged, told: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the rules give what was done. What has not been carried out (a finding) is told by its facts."""
    outcome = judged.outcome
    body = next((each for each in told if each["type"] in _STANDING), None)
    if body is not None:
        return body.get("reason") == judged.reason
    moves = [each["trigger"] for each in told if "trigger" in each]
    first = decided(told) or told[0]
    expected = [outcome.trigger.value] if outcome.trigger is not None else []
    if outcome.activate:
        expected.append("activate")
    reason = first.get("reason") if first.get("reason") in REFUSALS else None
    return moves == expected and reason == (judged.reason if judged.reason in REFUSALS else None)
