"""Applying a plan, batch by batch; each batch is one transaction with its history and the run's cursor (SPEC §5.8).

Most plans are applied to the very world they were made for: as every change leaves an event, one look at the history tells whether
anybody else has acted since. If so, the rows that it concerns are decided again (`again`). People and accounts of a batch are locked by
then; that nobody appears whom one of its records would match is seen to when it is committed (`looked`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from mastering.disagreements import review_disagreements
from mastering.imports.again import Again, arriving
from mastering.imports.rows import change_of
from mastering.imports.undoing import UNDO, apply_undo, load_undone
from mastering.ledger import Ledger, Why
from mastering.rematch import ways_to
from mastering.rules.change import Change, Prepared, Terms
from mastering.rules.decision import Action
from mastering.rules.hooked import hook_facts
from mastering.rules.lifecycle import Trigger
from mastering.rules.people import WITHDRAWN, Account, User
from mastering.rules.record import AccountState
from mastering.rules.undo import was_of
from mastering.store import befores, bulk, tables
from mastering.store import imports as store
from mastering.store.documents import dump
from mastering.store.looks import looked

AT_ONCE = 5_000


def apply_batch(ledger: Ledger, run: tables.ImportRun, rows: Sequence[store.ChangeRow], terms_now: Callable[[], Terms]) -> None:
    """Apply the next rows of a run inside the ledger's transaction, and move the run's cursor behind them.

    `terms_now` gives the terms to decide again by; most batches never ask.
    """
    session, app_id, run_id = ledger.session, run.app_id, run.id
    changes = [(row.seq, change_of(row)) for row in rows]
    terms = cache(terms_now)
    records = cache(lambda: dict(arriving(terms(), changes)))
    ledger.load_accounts({change.app_user_id for _, change in changes if change.app_user_id})
    ledger.load_users({change.user_id for _, change in changes if change.user_id})
    if run.source == UNDO:
        load_undone(ledger, (change for _, change in changes))
    kept = list[bulk.Row]()
    seen = store.last_event(session)
    if store.others_acted(session, run.id, run.as_of_event):
        again = Again(ledger, run, terms(), changes, records())
        for seq, change in changes:
            followed = again.decide(seq, change)
            if followed is not None:
                _apply(ledger, app_id, run_id, seq, followed, kept)
        again.write()
    else:
        run.as_of_event = max(run.as_of_event, seen)
        for seq, change in changes:
            _apply(ledger, app_id, run_id, seq, change, kept)
    review_disagreements(ledger, list(ledger.users.values()))
    for account in ledger.accounts.values():
        if account.ways is not None and account.situation is not None:
            account.ways = ways_to(terms(), account)
    looked(session, seen, lambda others: _still_match(ledger, terms(), changes, records(), others))
    ledger.flush()
    befores.add(session, kept)
    run.cursor = rows[-1].seq


def _still_match(
    ledger: Ledger, terms: Terms, changes: Sequence[tuple[int, Change]], records: Mapping[int, Prepared], others: set[str]
) -> bool:
    """Whether none of those of whom others have told meanwhile is, or would now be, somebody whom an arriving record was matched with."""
    if not others.isdisjoint(user_id for seq, change in changes if seq in records for user_id in change.candidates):
        return False
    directory = store.Directory(ledger.session, terms.policy.matching)
    return not directory.lead_to([prepared.keys for prepared in records.values()], others)


# -- one row, as planned ----------------------------------------------------------------------------------------------


def _apply(ledger: Ledger, app_id: str, run_id: str, seq: int, change: Change, kept: list[bulk.Row]) -> None:
    """Carry out a row; what it overwrites of an account goes to `kept`."""
    effect, action = change.effect, change.decision.action
    if not effect or (change.app_user_id is None and action in {Action.none, Action.reject}):
        return
    why = why_of(change, seq)
    if "undo" in effect:
        for account, profile, was in apply_undo(ledger, run_id, change, why):
            kept.append((run_id, account.id, dump(was_of(profile, was, account.profile))))
        return
    known = ledger.accounts.get(change.app_user_id or "")
    if known is not None:
        kept.append((run_id, known.id, dump(was_of(known.profile, known, effect.get("profile", known.profile)))))
    account = known or _new_account(ledger, app_id, change)
    changed = _write_account(ledger, account, change, run_id)
    if action is Action.create:
        _create(ledger, account, change, why)
    elif "link" in effect or "relink" in effect:
        user = ledger.user(effect.get("link") or account.user_id or "")
        ledger.link(account, user, why, "account.link" if "link" in effect else "account.return")
        _change_user(ledger, user, account, change, replace(why, facts={}), told=True)
    elif "wait" in effect or account.user_id is None:
        _queue(ledger, account, change, why, changed)
    else:
        _change_linked(ledger, account, change, why, changed=changed)


def _new_account(ledger: Ledger, app_id: str, change: Change) -> Account:
    account = Account(
        ledger.ids.new("0ua"), app_id, change.external_id or "", AccountState.ACTIVE, {}, created=ledger.at, last_updated=ledger.at
    )
    ledger.enlist(account)
    return account


def _write_account(ledger: Ledger, account: Account, change: Change, run_id: str) -> str | None:
    """Bring the account to what the record says; the kind of event that tells of it, if there is anything to tell."""
    effect, kind = change.effect, None
    if effect.get("profile", account.profile) != account.profile:
        account.profile, kind = effect["profile"], "account.profile"
    if effect.get("account", account.account) != account.account:
        account.account = AccountState(effect["account"])
        kind = f"account.{account.account.value.lower()}"
    if "digest" in effect:
        digest = effect["digest"]
        account.digest = bytes.fromhex(digest) if digest else None
    standing = (account.unheeded, account.unheeded_reason, account.seen_active)
    if "unheeded" in effect:
        account.unheeded, account.unheeded_reason = effect["unheeded"] or (None, None)
    if account.account is AccountState.ACTIVE and account.user_id is not None:
        account.seen_active = True
    if (account.unheeded, account.unheeded_reason, account.seen_active) != standing:
        kind = kind or "account.word"
    account.last_run_id, account.last_updated = run_id, ledger.at
    ledger.touch(account)
    return kind


def _create(ledger: Ledger, account: Account, change: Change, why: Why) -> None:
    user = ledger.create(dict(change.effect["create"]), why, account=account)
    if change.decision.activate:
        ledger.move(user, Trigger.activate, Why(why.rule, why.reason, why.authority, why.row))


def _change_linked(ledger: Ledger, account: Account, change: Change, why: Why, *, changed: str | None) -> None:
    user = ledger.users[account.user_id or ""]
    if change.effect.get("release"):
        ledger.release(account, user, why)
        _change_user(ledger, user, account, change, why, told=True)
        if "successor" in change.effect and "new" not in change.effect:
            _look_again(ledger, change.effect["successor"])
    else:
        told = _change_user(ledger, user, account, change, why, told=False)
        if not told and (changed is not None or change.decision.reason is not None):
            ledger.note_account(account, why, changed or "account.word")


def _look_again(ledger: Ledger, account_id: str) -> None:
    """The next master's profile was rejected: its next record is tried again, whether or not its content changed (SPEC §4)."""
    successor = ledger.account(account_id)
    successor.digest = None
    ledger.touch(successor)


def _change_user(ledger: Ledger, user: User, account: Account, change: Change, why: Why, *, told: bool) -> bool:
    """Move and map, in one event; whether anything was told."""
    new = change.effect.get("new")
    if change.decision.trigger is not None:
        ledger.move(user, change.decision.trigger, why, new=new, account=account)
        return True
    if new:
        ledger.change_profile(user, new, why, account=account)
        return True
    return told


def _queue(ledger: Ledger, account: Account, change: Change, why: Why, changed: str | None) -> None:
    """Into the review queue, out of it, another place in it, or none of this; told only where something differs."""
    before = (account.situation, account.reason, account.candidates)
    if "wait" in change.effect:
        waits: Any = change.effect["wait"] or {}
        account.situation, account.reason = waits.get("situation"), waits.get("reason")
        account.candidates = tuple(waits.get("candidates", ()))
    if (account.situation, account.reason, account.candidates) != before:
        changed = "account.wait" if account.situation not in {None, WITHDRAWN} else "account.withdraw"
    if changed is not None:
        account.ways = ()  # whatever it waited for; what it waits for now is found when the batch is whole
        ledger.note_account(account, why, changed)


def why_of(change: Change, seq: int) -> Why:
    """The decision behind a row, as history tells it (SPEC §13)."""
    facts: dict[str, Any] = {"situation": change.decision.situation}
    if change.before is not None:
        facts["status"] = change.before.value
    if change.candidates:
        facts["candidates"] = list(change.candidates)
    facts.update(change.effect.get("facts", {}))
    hook = hook_facts(change)
    if hook is not None:
        facts["hook"] = hook
    return Why(change.decision.rule, change.decision.reason, change.authority, row=seq, facts=facts)
