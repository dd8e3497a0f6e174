"""Taking back what an applied run did to one person, or to one account of nobody (SPEC §12; docs/decisions/0049).

Three states of the same person are laid beside each other: *before* the run and *after* it, as history tells them, and *now*. What the run
changed goes back to what it was before. Where what it changed has been changed since, the row is a conflict: both versions are told, and
nothing of the row is touched. What the run did not change is nobody's concern here, whoever has changed it since.

A user whom the run made is deactivated and parted from the account; nobody is deleted by a machine. Of accounts history tells state and
link; what else the run overwrote of an account, it has kept itself while it was applied (`Was`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from mastering.rules.change import Change, Effect, strip
from mastering.rules.decision import Action, Decision, Rule, Situation
from mastering.rules.expressions import Value
from mastering.rules.lifecycle import Status, Trigger, way_back
from mastering.rules.people import Account, User
from mastering.rules.record import AccountState

Was = Mapping[str, Any]
"""What a run overwrote of one account: see `was_of`."""
Versions = dict[str, dict[str, Any]]
_ABSENT = object()
_TAKEN = frozenset({Trigger.deactivate, Trigger.suspend})


def was_of(profile: Mapping[str, Value], account: Account, after: Mapping[str, Value]) -> dict[str, Any]:
    """What a run is about to overwrite of an account whose app profile was `profile`: only what differs of it, and the bookkeeping."""
    differing = [name for name in {**profile, **after} if profile.get(name, _ABSENT) != after.get(name, _ABSENT)]
    return {
        "profile": {name: profile[name] for name in differing if name in profile},
        "absent": [name for name in differing if name not in profile],
        "digest": account.digest.hex() if account.digest else None,
        "seen": account.seen_active,
        "account": account.account.value,
        "waits": [account.situation, account.reason, list(account.candidates)],
        "ignored": account.ignored,
        "unheeded": [account.unheeded, account.unheeded_reason],
        "run": account.last_run_id,
    }


@dataclass(frozen=True, slots=True)
class Undoing:
    """What an undo knows of the run: its id, what it overwrote by account, the accounts as they are now, and the present instant.

    `untouched`: the accounts that no later run has written on, or whose later runs have been undone.
    """

    run_id: str
    was: Mapping[str, Was]
    accounts: Mapping[str, Account]
    untouched: Collection[str]
    at: str


def plan_undo(
    undoing: Undoing, before: User | None, after: User, now: User | None, meanwhile: Collection[str] = (), *, erased: bool = False
) -> Change | None:
    """The row that takes back what a run did to one person; `None` where it changed nothing.

    `meanwhile`: the types of others' events between the run's first and last: who acted in the middle is in the way, too. `erased`: the
    person was erased since, so that history no longer tells which values the run had changed.
    """
    moved = before is None or before.status is not after.status
    attributes = _attributes(before, after)
    accounts = _accounts(undoing, before, after)
    if not (moved or attributes or accounts or erased):
        return None
    if now is None:
        return _conflict(after, {"user": {"left": after.status.value, "now": "erased" if erased else "deleted"}}, after.status)
    conflicts: Versions = {"history": {"left": "this run alone", "now": ", ".join(sorted(meanwhile))}} if meanwhile else {}
    conflicts |= _status_conflicts(undoing, after, now) if moved else {}
    conflicts |= _profile_conflicts(before, after, now, attributes)
    conflicts |= _account_conflicts(undoing, before, after, now, accounts)
    if conflicts:
        return _conflict(now, conflicts, now.status)
    return _restored(undoing, before, now, attributes, accounts, moved=moved)


def _attributes(before: User | None, after: User) -> list[str]:
    if before is None:
        return []
    names = {**before.profile, **after.profile}
    return [name for name in names if before.profile.get(name, _ABSENT) != after.profile.get(name, _ABSENT)]


def _accounts(undoing: Undoing, before: User | None, after: User) -> list[str]:
    """The accounts that the run linked, parted, released, or wrote on."""
    had, has = _links(before), _links(after)
    touched = [account_id for account_id in {**had, **has} if _state(had.get(account_id)) != _state(has.get(account_id))]
    return touched + [account_id for account_id in has if account_id in undoing.was and account_id not in touched]


def _links(user: User | None) -> dict[str, Account]:
    return {account.id: account for account in user.links} if user is not None else {}


def _state(account: Account | None) -> tuple[str, bool] | None:
    return (account.account.value, account.released) if account is not None else None


def _status_conflicts(undoing: Undoing, after: User, now: User) -> Versions:
    if now.status is not after.status:
        return {"status": {"left": after.status.value, "now": now.status.value}}
    if now.held(undoing.at):
        return {"hold": {"left": None, "now": now.hold.reason if now.hold else None}}
    return {}


def _profile_conflicts(before: User | None, after: User, now: User, attributes: list[str]) -> Versions:
    """Of a user whom the run made, every attribute counts: who has been touched since is nobody's to take away."""
    names = attributes if before is not None else list({**after.profile, **now.profile})
    differing = [name for name in names if now.profile.get(name, _ABSENT) != after.profile.get(name, _ABSENT)]
    return {name: {"left": after.profile.get(name), "now": now.profile.get(name)} for name in differing}


def _account_conflicts(undoing: Undoing, before: User | None, after: User, now: User, accounts: list[str]) -> Versions:
    had, has, present, found = _links(before), _links(after), _links(now), Versions()
    for account_id in accounts:
        account = undoing.accounts.get(account_id)
        by_run = account_id in undoing.was or account_id not in had
        by_later_run = account is not None and by_run and account_id not in undoing.untouched
        if account_id in has and (_state(present.get(account_id)) != _state(has[account_id]) or by_later_run):
            left, is_now = _told(has[account_id]), _told(present.get(account_id))
            found[f"account {has[account_id].external_id}"] = {"left": left, "now": f"{is_now}, imported since" if by_later_run else is_now}
        elif account_id not in has and (account is None or account.user_id is not None):
            found[f"account {account.external_id if account else account_id}"] = {
                "left": "unlinked",
                "now": "linked" if account else "gone",
            }
    if before is None:
        found |= {f"account {each.external_id}": {"left": None, "now": _told(each)} for each in now.links if each.id not in has}
    return found


def _told(account: Account | None) -> str:
    return "unlinked" if account is None else f"{account.account.value}{', released' if account.released else ''}"


def _conflict(user: User, conflicts: Versions, status: Status) -> Change:
    decision = Decision(Situation.CHANGED_SINCE, Action.none, Rule.undone, to=status, reason="changed_since")
    detail = f"changed since the run: {', '.join(conflicts)}; left alone"
    account = user.links[0] if user.links else None
    return Change(
        account.external_id or None if account else None,
        None,
        decision,
        user_id=user.id,
        login=user.login or None,
        before=status,
        effect=Effect(conflict=conflicts),
        detail=detail,
    )


def _restored(undoing: Undoing, before: User | None, now: User, attributes: list[str], accounts: list[str], *, moved: bool) -> Change:
    target = now.status if not moved else before.status if before is not None else Status.DEACTIVATED
    trigger = way_back(now.status, target) if target is not now.status else None
    backs = [_back(undoing, before, account_id) for account_id in accounts]
    parting = any(not back["linked"] for back in backs)
    effect = Effect(undo={"accounts": backs, "removed": [], "pending": None}, facts={"undoes": undoing.run_id})
    if before is not None:
        effect["undo"]["pending"] = before.pending_when_deactivated if trigger is not None else None
        effect["undo"]["removed"] = [name for name in attributes if name not in before.profile]
        effect["new"] = {name: before.profile[name] for name in attributes if name in before.profile}
        effect["old"] = {name: now.profile.get(name) for name in attributes if name in before.profile}
    if not effect.get("new"):
        strip(effect, "new", "old")
    action = Action(trigger.value) if trigger is not None else Action.unlink if parting else Action.update
    first = next((account for account in now.links if account.id in set(accounts)), None)
    named = first or next((undoing.accounts[each] for each in accounts if each in undoing.accounts), None)
    forgotten = any(account_id in undoing.untouched and account_id not in undoing.was for account_id in _links(before))
    return Change(
        named.external_id if named else now.id,
        None,
        Decision(Situation.UNDONE, action, Rule.undone, trigger=trigger, to=target),
        user_id=now.id,
        app_user_id=first.id if first else None,
        login=now.login,
        before=now.status,
        effect=effect,
        detail="the app profile keeps what the run wrote, as what it was is not known any more" if forgotten else None,
        unassigns=now.status is not Status.DEACTIVATED and (trigger in _TAKEN or _ends_assignments(now, backs)),
    )


def _back(undoing: Undoing, before: User | None, account_id: str) -> dict[str, Any]:
    """How one account was: linked or not, its state, whether released, and what else the run overwrote of it."""
    account = _links(before).get(account_id)
    was = dict(undoing.was[account_id]) if account_id in undoing.was else None
    if account is None:
        return {"id": account_id, "linked": False, "was": was}
    return {"id": account_id, "linked": True, "account": account.account.value, "released": account.released, "was": was}


def _ends_assignments(now: User, backs: list[dict[str, Any]]) -> bool:
    assigned = {account.id for account in now.links if account.account is AccountState.ACTIVE and account.link.assigned}
    return any(back["id"] in assigned and (not back["linked"] or back["released"] or back["account"] != "ACTIVE") for back in backs)


def plan_undo_waiting(undoing: Undoing, account: Account) -> Change:
    """The row that takes back what a run did to an account of nobody: out of the queue, or back to where it stood in it."""
    was = undoing.was.get(account.id)
    if account.user_id is not None or account.id not in undoing.untouched or account.ignored != bool(was and was["ignored"]):
        now = "linked" if account.user_id is not None else "ignored" if account.ignored else "imported or decided since"
        conflict: Versions = {f"account {account.external_id}": {"left": "waiting", "now": now}}
        decision = Decision(Situation.CHANGED_SINCE, Action.none, Rule.undone, reason="changed_since")
        told = "changed since the run; left alone"
        return Change(account.external_id, None, decision, effect=Effect(conflict=conflict), detail=told)
    backs = [{"id": account.id, "linked": False, "was": dict(was) if was else None}]
    action = Action.wait if was is not None and was["waits"][0] is not None else Action.withdraw
    effect = Effect(undo={"accounts": backs, "removed": [], "pending": None}, facts={"undoes": undoing.run_id})
    return Change(account.external_id, None, Decision(Situation.UNDONE, action, Rule.undone), app_user_id=account.id, effect=effect)


def gone(account_id: str, external_id: str | None) -> Change:
    """The row of an account that the run put into the queue, and that is not there any more: somebody got it, and was deleted."""
    conflict: Versions = {f"account {external_id or account_id}": {"left": "waiting", "now": "gone"}}
    decision = Decision(Situation.CHANGED_SINCE, Action.none, Rule.undone, reason="changed_since")
    return Change(external_id, None, decision, effect=Effect(conflict=conflict), detail="changed since the run; left alone")


def restore_account(account: Account, back: Mapping[str, Any]) -> None:
    """Bring an account to how it was, but for its link: who it belongs to is the ledger's to say.

    An account that the run brought is left outside, as if nothing had been heard of it.
    """
    was = back["was"]
    if was is None:
        if not back["linked"]:
            account.profile, account.digest, account.seen_active = {}, None, False
            account.situation = account.reason = account.unheeded = account.unheeded_reason = None
            account.candidates, account.ignored = (), False
        else:
            account.account, account.released = AccountState(back["account"]), back["released"]
        return
    kept = {name: value for name, value in account.profile.items() if name not in was["absent"]}
    account.profile = {**kept, **was["profile"]}
    account.digest = bytes.fromhex(was["digest"]) if was["digest"] else None
    account.seen_active, account.ignored = was["seen"], was["ignored"]
    account.account = AccountState(back.get("account", was["account"]))
    account.released = back.get("released", False)
    account.situation, account.reason = was["waits"][0], was["waits"][1]
    account.candidates = tuple(was["waits"][2])
    account.unheeded, account.unheeded_reason = was["unheeded"]
