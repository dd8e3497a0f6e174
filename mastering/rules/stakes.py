"""What the rows of a plan want from each other: the logins and users that they claim, and what becomes of a row that lost (SPEC §§4, 5.4).

`claims` says who wins.
"""

from __future__ import annotations

from dataclasses import replace

from mastering.rules.change import Change, Prepared, strip, wait_for
from mastering.rules.claims import Claims, Lost
from mastering.rules.decision import (
    Action,
    Decision,
    Rule,
    Situation,
)
from mastering.rules.people import User
from mastering.rules.text import fold_login
from mastering.rules.unlinked import Found


def stake(claims: Claims, row: int, change: Change, prepared: Prepared, found: Found) -> None:
    """Every unlinked, active record claims its login and the one user it matches; waiting ones included, ignored ones not (SPEC §4)."""
    if change.decision.action is Action.ignore:
        return
    matched = found.match.user_ids
    mine = len(matched) == 1 and found.holder == matched[0]
    blocked = change.decision.situation in {Situation.CONFLICT, Situation.AMBIGUOUS}
    claims.arrive(row, fold_login(prepared.login), None if mine or blocked else found.holder)
    if len(matched) == 1:
        claims.want(row, matched[0], found.match.kind)


def give_up(change: Change, lost: Lost) -> Change:
    """The row of a claim that was lost: an unlinked record waits as CONFLICT, a linked one loses its profile update or its return.

    Who is AMBIGUOUS stays so: that comes before what records want from each other (SPEC §5.4).
    """
    effect = change.effect
    if change.decision.situation is Situation.AMBIGUOUS:
        return change
    if lost is Lost.several_returns or "create" in effect or "link" in effect or "wait" in effect:
        strip(effect, "create", "link", "new", "old", "unheeded", "relink")
        if change.decision.situation in {Situation.EXACT, Situation.PARTIAL}:
            effect["facts"] = {**effect.get("facts", {}), "match": change.decision.situation.value}
        if lost is Lost.several_returns:
            strip(effect, "account")
            effect["digest"] = None
        change.candidates = change.candidates or ((change.user_id,) if change.user_id else ())
        change.decision = Decision(Situation.CONFLICT, Action.wait, Rule.needs_review, to=change.before)
        wait_for(change, lost.value)
        return change
    strip(effect, "new", "old")
    effect["digest"] = None
    change.detail = f"login: {_LOST_LOGIN[lost]}"
    if change.decision.action is Action.update:
        change.decision = replace(change.decision, action=Action.reject, reason=lost.value)
    return change


_LOST_LOGIN = {
    Lost.login_claimed_twice: "several records of this run ask for the same login; the update was rejected",
    Lost.login_taken: "another user holds this login; the update was rejected",
    Lost.user_claimed_twice: "several records of this run match the same user",
    Lost.several_returns: "several accounts of this app come back for the same user",
}


def new_login(change: Change, user: User) -> str | None:
    """The key of the login that a row would move its linked user to; `None` where the login stays (SPEC §4)."""
    new = change.effect.get("new", {}).get("login")
    if not isinstance(new, str) or fold_login(new) == fold_login(user.login):
        return None
    return fold_login(new)
