"""The last part of a reconciliation that reads apps: the accounts of each app against what was read of it, a thousand at a time (SPEC §12).

First the accounts, by id, then who is there and unknown here. An account that changed after the reading began is left to the next
reconciliation: what was read may be older than the account.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlmodel import Session

from mastering.connectors.scimbody import place_of
from mastering.reconcile.comparing import AT_ONCE, Batch, pasts_of
from mastering.rules.connected import There, against_app, not_read, unknown
from mastering.rules.people import Account
from mastering.rules.reconciliation import Cause, Difference
from mastering.store import accounts as account_store
from mastering.store import outbound, people, readings
from mastering.store import reconciliations as store
from mastering.store.documents import load

_ACCOUNTS, _STRANGERS = "accounts", "strangers"
_CONNECTED = ("connection.create", "connection.update", "connection.activate")
Reading = Mapping[str, Any]
"""How an app was read: `appId`, `began`, and `error` or `users` and `unreadable`."""


def compare(reconciliation_id: str, read: Sequence[Reading], session: Session, now: datetime, app_id: str | None, after: str) -> Batch:  # noqa: ARG001 - a part as the others
    """The next accounts, or the next strangers, of the next app. The cursor: which app, which half, and the last id."""
    number, half, last = after.split(" ", 2) if after else ("0", _ACCOUNTS, "")
    if int(number) >= len(read):
        return Batch()
    reading = read[int(number)]
    onward = f"{int(number) + 1} {_ACCOUNTS} "
    batch = Batch(cursor=onward)
    if reading.get("error") is not None:
        batch.found.append((_of_the_app(session, not_read(reading["appId"], Cause.could_not_read, reading["error"])), None))
        return batch
    if half == _ACCOUNTS:
        page = account_store.page(session, reading["appId"], last, AT_ONCE)
        batch.accounts = len(page)
        batch.found += [(each, None) for each in _accounts(session, reconciliation_id, reading, page)]
        batch.cursor = f"{number} {_ACCOUNTS} {page[-1].id}" if page else f"{number} {_STRANGERS} "
        return batch
    strangers = readings.unknown(session, reconciliation_id, reading["appId"], last, AT_ONCE)
    imported = store.last_told(session, reading["appId"], ("import.completed",)) if strangers else None
    batch.found += [(replace(unknown(reading["appId"], row.external_id, _there(row, ())), event_id=imported), None) for row in strangers]
    if strangers:
        batch.cursor = f"{number} {_STRANGERS} {strangers[-1].external_id}"
    elif reading["unreadable"]:
        told = f"{reading['unreadable']} of {reading['users']}"
        batch.found.append((_of_the_app(session, not_read(reading["appId"], Cause.users_unreadable, told)), None))
    return batch


def _of_the_app(session: Session, difference: Difference) -> Difference:
    """With the event by which the app is connected as it is."""
    return replace(difference, event_id=store.last_told(session, difference.app_id or "", _CONNECTED))


def _accounts(session: Session, reconciliation_id: str, reading: Reading, page: Sequence[Account]) -> list[Difference]:
    ids = [account.id for account in page]
    links = outbound.links(session, ids)
    names = {account.id: links[account.id].scim_id if account.id in links else account.external_id for account in page}
    found = readings.of(session, reconciliation_id, reading["appId"], set(names.values()))
    untold = {task.account_id for task in outbound.unsettled(session, ids)}
    logins = {user.id: user.login for user in people.users(session, {each.user_id for each in page if each.user_id}).values()}
    differences: list[Difference] = []
    for account in page:
        if account.last_updated > reading["began"]:
            continue
        row = found.get(names[account.id])
        there = _there(row, account.profile) if row is not None else None
        waits, whole = account.id in untold, not reading["unreadable"]
        differences += against_app(account, logins.get(account.user_id or ""), there, untold=waits, whole=whole)
    return _with_events(session, differences)


def _there(row: readings.ReadUser, known: Sequence[str] | Mapping[str, Any]) -> There:
    """What was read. An attribute of a SCIM user that the app does not carry has no value there (RFC 7643 §2.5); of any other it says nothing."""
    if row.profile is None:
        return There(row.active, None)
    return There(row.active, {name: None for name in known if place_of(name) is not None} | load(row.profile))


def _with_events(session: Session, differences: list[Difference]) -> list[Difference]:
    """Each with the event that it goes back to: when the account was last linked or heard, else the first of whom it concerns."""
    pasts = pasts_of(session, {each.user_id or each.account_id or "" for each in differences})
    told = []
    for each in differences:
        past = pasts[each.user_id or each.account_id or ""]
        seen = past.words.get(each.account_id or "") or past.begun
        told.append(replace(each, event_id=seen.id if seen else None))
    return told
