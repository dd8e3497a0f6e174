"""The directory as it was when a run was planned, rebuilt beside the one there is (SPEC §13; decision 0058).

Everybody is copied as they are now, by the set. Whoever any event tells of since then is taken out again and put back as history tells of
them up to that event: people by replay, accounts of nobody by the last event of their own. What history does not tell of an account (its app
profile, what the app last sent) is what there is now, with what later runs overwrote of it, and admins corrected, taken back, the newest first.

Where that cannot be known any more, because a person was deleted or what a run overwrote is forgotten, the person and the account are `unknown`.
Who has been erased is nobody: of them nothing is put back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import Session

from mastering.replay import after as after_event
from mastering.rules.change import PLACE_TAKEN
from mastering.rules.people import Account, User
from mastering.rules.record import AccountState
from mastering.store import bulk, catalog, history, people, tables
from mastering.store import past as store
from mastering.store.documents import load

_AT_ONCE = 1_000
_USER, _ACCOUNT = "00u", "0ua"


@dataclass(slots=True)
class Directory:
    """One rebuilding: from where, into where, as of the event at which position. `beat` is called in between."""

    session: Session
    into: Session
    position: int
    beat: Callable[[], None]
    unknown: set[str] = field(default_factory=set)
    """People and accounts of whom not everything is known."""
    _erased: set[str] = field(default_factory=set)
    """Accounts of who has been erased."""
    _later: list[store.Overwriting] = field(default_factory=list)
    """The runs that have written on accounts since, the last one first."""

    def rebuild(self) -> None:
        """Copy everybody, and take back what has happened since."""
        self._later = store.overwriting(self.session, catalog.app_ids(self.session), self.position)
        for table, columns in ((tables.User, people.USER_COLUMNS), (tables.AppUser, people.ACCOUNT_COLUMNS)):
            for rows in store.rows(self.session, table, columns):
                self.beat()
                bulk.insert(self.into, table, columns, rows)
        store.make_list(self.into)
        self._list_touched()
        store.drop_listed(self.into)
        for ids in store.listed(self.into, _USER, _AT_ONCE):
            self.beat()
            self._put_people(ids)
        for ids in store.listed(self.into, _ACCOUNT, _AT_ONCE):
            self.beat()
            self._put_accounts(ids)

    def _list_touched(self) -> None:
        """Whom events tell of since, and whose accounts later runs have written on without a word."""
        for rows in store.since(self.session, self.position):
            self.beat()
            told = {row.subject for row in rows if row.subject[:3] in {_USER, _ACCOUNT}}
            accounts = {account["id"] for row in rows if (account := load(row.body).get("account")) is not None}
            store.list_ids(self.into, told | accounts)
        for run in self._later:
            for ids in store.overwritten(self.session, run.run_id, _AT_ONCE):
                self.beat()
                store.list_ids(self.into, ids)

    # -- people -------------------------------------------------------------------------------------------------------

    def _put_people(self, ids: Sequence[str]) -> None:
        chains: dict[str, list[tables.HistoryEvent]] = defaultdict(list)
        for event in history.before(self.session, ids, self.position):
            chains[event.subject].append(event)
        found = dict[str, tuple[User, dict[str, str]]]()
        for user_id, chain in chains.items():
            user, linked = _replayed(chain)
            if user is not None and any(event.values_json is None and "values" in load(event.body) for event in chain):
                self._erased.update(account.id for account in user.links)
            elif user is not None:
                found[user_id] = (user, linked)
        bulk.insert(self.into, tables.User, people.USER_COLUMNS, [people.user_row(user) for user, _ in found.values()])
        accounts = {account.id: (account, linked) for user, linked in found.values() for account in user.links}
        there = store.there(self.into, accounts)  # no event has told of them
        self._put([(account, linked[account.id]) for account, linked in accounts.values() if account.id not in there])

    def _put_accounts(self, ids: Sequence[str]) -> None:
        """Accounts of nobody; who had somebody then has been put back with their people."""
        left = set(ids) - store.there(self.into, ids) - self._erased
        last: dict[str, Account] = {}
        for event in history.before(self.session, left, self.position):
            body, values = load(event.body), load(event.values_json) if event.values_json else {}
            if "account" in body and body["account"]["userId"] is None and "externalId" in values:
                last[event.subject] = _of_nobody(event, body, values["externalId"])
        self._put([(account, None) for account in last.values()])

    # -- accounts -----------------------------------------------------------------------------------------------------

    def _put(self, accounts: list[tuple[Account, str | None]]) -> None:
        """Write accounts whose state history tells, completed by what they are now and what has been overwritten since."""
        ids = [account.id for account, _ in accounts]
        now, apps = people.accounts(self.session, ids), catalog.app_ids(self.session)
        overwritten: dict[str, list[tuple[int, str, dict[str, Any]]]] = defaultdict(list)
        for run in self._later:
            for account_id, was in run.was(self.session, ids).items():
                overwritten[account_id].append((run.ended, run.run_id, was))
        for position, account_id, was in store.corrected(self.session, accounts, self.position):
            overwritten[account_id].append((position, "", was))
        written = []
        for account, linked_at in accounts:
            if account.app_id not in apps:
                self._doubt(account)
                continue
            found = now.get(account.id)
            changes = sorted(overwritten[account.id], key=lambda each: -each[0])
            if found is None or (self._wrote_since(found.last_run_id) and found.last_run_id not in {run_id for _, run_id, _ in changes}):
                self._doubt(account)
            _complete(account, found, [was for _, _, was in changes])
            account.linked_at = linked_at
            written.append(account)
        bulk.insert(self.into, tables.AppUser, people.ACCOUNT_COLUMNS, [people.account_row(account) for account in written])

    def _wrote_since(self, run_id: str | None) -> bool:
        return any(run.run_id == run_id for run in self._later)

    def _doubt(self, account: Account) -> None:
        self.unknown.update({account.id, *([account.user_id] if account.user_id else [])})


def _replayed(chain: Collection[tables.HistoryEvent]) -> tuple[User | None, dict[str, str]]:
    """A person as these events leave them, and since when each account has been linked as it is."""
    user: User | None = None
    linked: dict[str, str] = {}
    before: set[str] = set()
    for event in chain:
        user = after_event(user, event)
        held = {account.id for account in user.links if not account.released} if user is not None else set()
        linked.update(dict.fromkeys(held - before, event.at))
        if user is not None:
            linked.update((account.id, event.at) for account in user.links if account.id not in linked)
        before = held
    return deepcopy(user), linked


def _of_nobody(event: tables.HistoryEvent, body: dict[str, Any], external_id: str) -> Account:
    told = body["account"]
    return Account(
        told["id"],
        told["appId"],
        external_id,
        AccountState(told["account"]),
        {},
        created=event.at,
        last_updated=event.at,
        released=told["released"],
        ignored=told["ignored"],
        situation=told["situation"],
        seen_active=told.get("seenActive", False),
        reason=body.get("reason"),
    )


def _complete(account: Account, now: Account | None, changes: Sequence[dict[str, Any]]) -> None:
    """What history does not tell of an account, `changes` being what was overwritten since, the newest first."""
    if now is not None:
        account.profile, account.digest, account.created = dict(now.profile), now.digest, now.created
        if (now.situation, now.user_id) == (account.situation, account.user_id):
            account.reason, account.candidates = now.reason, now.candidates
    for was in changes:
        for name in was["absent"]:
            account.profile.pop(name, None)
        account.profile.update(was["profile"])
        if "digest" in was:
            account.digest = bytes.fromhex(was["digest"]) if was["digest"] else None
            if was["waits"][0] == account.situation:
                account.reason, account.candidates = was["waits"][1], tuple(was["waits"][2])
    if account.user_id is not None and account.situation is not None and account.reason is None:
        account.reason, account.candidates = PLACE_TAKEN, (account.user_id,)
