"""Waiting rows, matched again when people appear, change or go (SPEC §6).

The situation and the candidates of every waiting row are brought up to date at once; nothing is confirmed here: that is for a run or a
reviewer. As in a run, rows that want the same person or login stand in each other's way. A row that waits because of another record's
claim stands as it is until the next run of its app, which at its end looks at the rows it had no records of.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import datetime
from typing import Any

from mastering.ledger import Ledger, Why
from mastering.rules.claims import Claims, Lost
from mastering.rules.decision import Rule
from mastering.rules.matching import Crowd, correlate
from mastering.rules.people import Account
from mastering.rules.plan import Change, Found, Prepared, give_up, plan_unlinked, prepare_again, stake
from mastering.rules.policy import Confirmation
from mastering.rules.record import Mode
from mastering.rules.text import fold_login
from mastering.store import imports as store
from mastering.store import people, tables
from mastering.terms import terms_of

_CLAIMED = {Lost.login_claimed_twice.value, Lost.user_claimed_twice.value}


def rematch(ledger: Ledger, now: datetime, *, after: tables.ImportRun | None = None) -> int:
    """Match every waiting row again; how many changed their place. The caller has flushed what it changed, and flushes this.

    `after`: the run that has just been applied. What it said of its records stands; what earlier runs of its app said does not any more.
    """
    waiting: dict[str, list[Account]] = defaultdict(list)
    for account in people.waiting_accounts(ledger.session):
        if account.user_id is None and account.waits:
            waiting[account.app_id].append(account)
    return sum(_of_app(ledger, now, app_id, accounts, after) for app_id, accounts in waiting.items())


def _of_app(ledger: Ledger, now: datetime, app_id: str, accounts: list[Account], after: tables.ImportRun | None) -> int:
    terms = terms_of(ledger.session, app_id, Mode.INCREMENTAL, now)
    asking = replace(terms, policy=replace(terms.policy, confirmation=Confirmation()))
    prepared_again = ((prepare_again(asking, account), account) for account in accounts)
    ready = [(prepared, account) for prepared, account in prepared_again if isinstance(prepared, Prepared)]
    directory = store.Directory(ledger.session, asking.policy.matching)
    crowd = Crowd(directory.find([prepared.keys for prepared, _ in ready]))
    holders = directory.holders({fold_login(prepared.login) for prepared, _ in ready})
    matches = [correlate(asking.policy.matching, prepared.keys, crowd.near(prepared.keys)) for prepared, _ in ready]
    users = people.users(ledger.session, {user_id for match in matches for user_id in match.user_ids})
    claims, changes = Claims(), list[Change]()
    for row, ((prepared, account), match) in enumerate(zip(ready, matches, strict=True)):
        found = Found(match, users, holders.get(fold_login(prepared.login)))
        changes.append(plan_unlinked(asking, prepared, account, found))
        stake(claims, row, changes[row], prepared, found)
    for row, lost in claims.losers().items():
        give_up(changes[row], lost)
    places = zip(ready, changes, strict=True)
    moved = [(account, change) for (_, account), change in places if not _stands(account, after) and _place(change) != _stood(account)]
    ledger.load_accounts([account.id for account, _ in moved])
    return sum(_move(ledger, account, change) for account, change in moved)


def _stands(account: Account, after: tables.ImportRun | None) -> bool:
    """Whether another record's claim keeps the row where it is until the next run."""
    looked_at = after is None or account.app_id != after.app_id or account.last_run_id == after.id
    return looked_at and account.reason in _CLAIMED


def _place(change: Change) -> tuple[Any, ...]:
    return (change.decision.situation.value, change.decision.reason, change.candidates)


def _stood(account: Account) -> tuple[Any, ...]:
    return (account.situation, account.reason, account.candidates)


def _move(ledger: Ledger, seen: Account, change: Change) -> bool:
    """Give a row its place, unless somebody has changed it since it was looked at: who did has matched it again."""
    mine = ledger.accounts.get(seen.id)
    if mine is None or mine.history_seq != seen.history_seq or mine.user_id is not None or not mine.waits:
        return False
    mine.situation, mine.reason, mine.candidates = _place(change)
    ledger.note_account(mine, Why(rule=Rule.needs_review.value, reason=change.decision.reason), "account.wait")
    return True
