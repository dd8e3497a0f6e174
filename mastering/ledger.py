"""The ledger: the only writer of users, accounts and history (SPEC §13).

A walk opens a ledger inside its transaction, loads what it will touch, changes it through the few verbs below, and flushes once.
Every verb changes the values in memory *and* writes the event that tells of it, so there is no change without history and no history
without change; `flush` puts both into the same transaction, thousands of rows to a statement.

An event belongs to one chain: the user's if there is a user, else the account's, the app's or the org's. Its `body` is canonical JSON and
holds no personal data; what is personal (attribute values, logins, external ids) lies beside it in `values`, salted, and the body holds
only the SHA-256 of it. The event's hash is SHA-256 over the previous event's hash and the body, so that erasing a person's values leaves
a chain that still verifies.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Protocol

from msgspec import Raw
from sqlalchemy import delete
from sqlmodel import Session, col

from mastering.clock import wire
from mastering.errors import NotFound
from mastering.ids import Ids
from mastering.outgoing import Outgoing, Seal
from mastering.rules.expressions import Value
from mastering.rules.lifecycle import NOBODY, Status, Trigger, move, next_status
from mastering.rules.people import Account, Hold, User
from mastering.rules.ranking import Link
from mastering.rules.text import fold_login
from mastering.store import bulk, history, people, spans, tables, waiting
from mastering.store.documents import canonical

_SALT_BYTES = 16
_SALTS_AT_ONCE = 64


class Chained(Protocol):
    """Anything that is the head of a chain of history."""

    id: str
    history_seq: int
    history_hash: bytes


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it: an admin's token, an app and its run, the schedule, or the service itself."""

    type: str
    id: str
    name: str

    def document(self) -> dict[str, str]:
        """The actor as history and the wire show it."""
        return {"type": self.type, "id": self.id, "name": self.name}


SERVICE = Actor("service", "mastering", "mastering")
"""Who acts where nobody asked: recovery after a crash, retention, expiry, what goes out to apps."""


@dataclass(frozen=True, slots=True)
class Why:
    """The decision behind a change: rule, reason, authority and the facts it saw (SPEC §§5.5, 13). Empty for an admin's own act."""

    rule: str | None = None
    reason: str | None = None
    authority: str | None = None
    row: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """What of it there is to tell."""
        told: dict[str, Any] = {}
        if self.rule is not None:
            told["rule"] = self.rule
        if self.reason is not None:
            told["reason"] = self.reason
        if self.authority is not None:
            told["authority"] = self.authority
        if self.row is not None:
            told["row"] = self.row
        if self.facts:
            told["facts"] = dict(self.facts)
        return told


BY_HAND = Why()


class Ledger:
    """The working set of one transaction. Not shared between threads."""

    def __init__(
        self,
        session: Session,
        now: datetime,
        actor: Actor,
        *,
        run_id: str | None = None,
        plan_hash: str | None = None,
        ids: Ids | None = None,
    ) -> None:
        self.session = session
        self.at = wire(now)
        self.users: dict[str, User] = {}
        self.accounts: dict[str, Account] = {}
        self._actor = Raw(canonical(actor.document()))  # written into every event, encoded once
        self._run_id = run_id
        self._run = Raw(canonical({"id": run_id, "planHash": plan_hash})) if run_id else None
        self._new: set[str] = set()
        self._touched: dict[str, User | Account] = {}
        self._renamed: set[str] = set()
        self._parted: set[str] = set()
        self._reshaped: set[str] = set()
        """Whose profile has changed."""
        self._places: dict[str, bulk.Row] = {}
        """What the rows of loaded accounts say of their places."""
        self.freed: set[str] = set()
        """The keys of the logins that users have given up."""
        self._moved: dict[str, Status | None] = {}
        """Whose status has moved, and the status before; `None` for who was not there."""
        self._events: list[bulk.Row] = []
        self.ids = ids or Ids()
        self._salts = _salts()
        self._outgoing = Outgoing(session, self.at, self.ids)

    # -- loading ------------------------------------------------------------------------------------------------------

    def load_users(self, ids: Collection[str]) -> None:
        """Load these users and their accounts for changing, unless they are loaded already."""
        wanted = [user_id for user_id in ids if user_id not in self.users]
        for user in people.users(self.session, wanted, lock=True).values():
            self.users[user.id] = user
            self._places.update((account.id, people.place_of(account)) for account in user.links)
            user.links = [self.accounts.setdefault(account.id, account) for account in user.links]
        self._not_before(wanted)

    def _not_before(self, user_ids: Collection[str]) -> None:
        """Nobody's history goes back in time: who had to wait for somebody else's act comes after it, whatever the clock said beforehand."""
        latest = history.latest(self.session, user_ids, self.at) if user_ids else self.at
        if latest > self.at:
            self._keep_spans()  # of what came before, as it was
            self.at = self._outgoing.at = latest

    def load_accounts(self, ids: Collection[str]) -> None:
        """Load these accounts, and the users they are linked to. Users are locked before accounts, so whose they are is asked beforehand."""
        wanted = [account_id for account_id in ids if account_id not in self.accounts]
        self.load_users(people.owners(self.session, wanted))
        of_nobody = [account_id for account_id in wanted if account_id not in self.accounts]
        found = people.accounts(self.session, of_nobody, lock=True)
        self.accounts.update(found)
        self._places.update((account_id, people.place_of(account)) for account_id, account in found.items())
        self.load_users({account.user_id for account in found.values() if account.user_id})  # linked in the meantime

    def user(self, user_id: str) -> User:
        """A user, loaded if need be; raises `NotFound`."""
        self.load_users([user_id])
        if user_id not in self.users:
            raise NotFound(f"Not found: Resource not found: {user_id} (User)")
        return self.users[user_id]

    def account(self, account_id: str) -> Account:
        """An account, loaded if need be; raises `NotFound`."""
        self.load_accounts([account_id])
        if account_id not in self.accounts:
            raise NotFound(f"Not found: Resource not found: {account_id} (AppUser)")
        return self.accounts[account_id]

    def unload(self) -> None:
        """Let go of what is loaded and written: for walks over everybody, which would otherwise hold everybody at once."""
        self.users.clear()
        self.accounts.clear()
        self._places.clear()

    # -- users --------------------------------------------------------------------------------------------------------

    def create(self, profile: dict[str, Value], why: Why = BY_HAND, *, account: Account | None = None) -> User:
        """A new user, PENDING_ACTIVATION, with this complete profile; made from `account` where an import or a reviewer made it."""
        login = str(profile["login"])
        user = User(self.ids.new("00u"), next_status(NOBODY, Trigger.create), login, profile, created=self.at, last_updated=self.at)
        user.status_changed = self.at
        self.users[user.id] = user
        self._new.add(user.id)
        self._moved[user.id] = None
        if account is not None:
            self._attach(account, user, why)
            self._outgoing.made(account)
        values = {"attributes": {name: {"old": None, "new": value} for name, value in profile.items()}}
        self._user_event(user, "user.create", why, {"trigger": "create", "from": None, "to": user.status}, values, account)
        return user

    def move(
        self,
        user: User,
        trigger: Trigger,
        why: Why = BY_HAND,
        *,
        new: Mapping[str, Value] | None = None,
        account: Account | None = None,
        pending: bool | None = None,
    ) -> None:
        """Move a user's status through the machine, and map `new` attribute values in the same event; raises `IllegalMove`.

        `pending`: what an undo restores of whether the user was PENDING_ACTIVATION when deactivated; else the move itself says it.
        """
        before = user.status
        user.status = next_status(before, trigger)
        self._moved.setdefault(user.id, before)
        user.pending_when_deactivated = before is Status.PENDING_ACTIVATION and user.status is Status.DEACTIVATED
        user.status_changed = user.last_updated = self.at
        if user.status is Status.ACTIVE:
            user.activated = self.at
        values = {"attributes": self._assign(user, new)} if new else {}
        body: dict[str, Any] = {"trigger": trigger, "from": before, "to": user.status}
        if pending is not None:
            user.pending_when_deactivated = body["pendingWhenDeactivated"] = pending
        self._user_event(user, f"user.{trigger}", why, body, values, account)
        self._outgoing.moved(user, before, new or (), account)

    def change_profile(
        self, user: User, new: Mapping[str, Value], why: Why = BY_HAND, *, account: Account | None = None, kind: str = "user.update"
    ) -> None:
        """Give attributes new values, `None` clearing one. `account` has been changed in the same breath, if given."""
        attributes = self._assign(user, new)
        user.last_updated = self.at
        self._user_event(user, kind, why, {}, {"attributes": attributes}, account)
        self._outgoing.changed(user, new, account)

    def set_password(self, user: User, seal: Seal, why: Why = BY_HAND) -> None:
        """Tell that a user was given a password, and send it where it goes by the apps' options. It is kept nowhere (SPEC §10)."""
        self._user_event(user, "user.password", why, {}, {}, None)
        self._outgoing.password_set(user, seal)

    def forget(self, user: User, names: Collection[str], why: Why = BY_HAND) -> None:
        """Take attributes out of a user's profile altogether: the user schema has them no more."""
        self._reshaped.add(user.id)
        gone = [name for name in user.profile if name in names]
        attributes = {name: {"old": user.profile.pop(name), "new": None} for name in gone}
        user.last_updated = self.at
        self._user_event(user, "user.attributes.removed", why, {"removed": gone}, {"attributes": attributes}, None)

    def set_hold(self, user: User, hold: Hold | None, why: Why = BY_HAND, *, expired: bool = False) -> None:
        """Set, replace or lift an admin hold (SPEC §7)."""
        user.hold = hold
        user.last_updated = self.at
        kind = "user.hold.set" if hold else ("user.hold.expired" if expired else "user.hold.lifted")
        body = {"hold": {"until": hold.until, "since": hold.since, "by": hold.by} if hold else None}
        self._user_event(user, kind, why, body, {"holdReason": hold.reason} if hold else {}, None)

    def delete(self, user: User, why: Why = BY_HAND) -> None:
        """Delete a deactivated user: the links and their digests are forgotten, the history stays (SPEC §2)."""
        self._moved.setdefault(user.id, user.status)
        move(user, Trigger.delete)
        self._outgoing.deleted(user)
        self._user_event(user, "user.delete", why, {"trigger": "delete", "from": Status.DEACTIVATED.value, "to": "deleted"}, {}, None)
        self.freed.add(fold_login(user.login))
        self._touched.pop(user.id, None)
        for account in user.links:
            self._touched.pop(account.id, None)
        self.session.execute(delete(tables.Finding).where(col(tables.Finding.user_id) == user.id))
        self.session.execute(delete(tables.AppUser).where(col(tables.AppUser.user_id) == user.id))
        self.session.execute(delete(tables.User).where(col(tables.User.id) == user.id))
        del self.users[user.id]

    # -- accounts -----------------------------------------------------------------------------------------------------

    def enlist(self, account: Account) -> None:
        """Take a new account into the working set. The verb that says what it is for comes next."""
        self.accounts[account.id] = account
        self._new.add(account.id)
        self._touched[account.id] = account

    def touch(self, account: Account) -> None:
        """Have an account written whose bookkeeping changed (its digest, its last run) and nothing that history tells."""
        self._touched[account.id] = account

    def link(self, account: Account, user: User, why: Why, kind: str = "account.link", *, shown: bool = True) -> None:
        """Link an account to a user; who had its place is released first (SPEC §6). Links again what had been released.

        `shown`: an import has shown it, so that an active one counts as seen active.
        """
        for other in user.links:
            if other.app_id == account.app_id and other.id != account.id and not other.released:
                self.release(other, user, why, "account.replaced")
        again = account.user_id == user.id and account.released
        self._attach(account, user, why, shown=shown)
        self._user_event(user, kind, why, {}, {}, account)
        self._outgoing.linked(account, user, again=again)

    def release(self, account: Account, user: User, why: Why, kind: str = "account.release") -> None:
        """Take an account's say away; it stays linked and watched (SPEC §3)."""
        account.released = True
        account.unheeded = account.unheeded_reason = None
        self._user_event(user, kind, why, {}, {}, account)
        self._outgoing.released(account, user)

    def correct_account(self, account: Account, user: User, new: Mapping[str, Any], why: Why, kind: str = "account.profile") -> None:
        """Give attributes of the app's own other values, by an admin's hand; where the app is told of the person, it is told of these, too."""
        changes = {name: {"old": account.profile.get(name), "new": value} for name, value in new.items()}
        account.profile = {**account.profile, **new}
        account.last_updated = self.at
        self.note_account(account, why, kind, {"appAttributes": changes})
        self._outgoing.corrected(account, user, new)

    def unlink(self, account: Account, user: User, why: Why, kind: str = "account.unlink") -> None:
        """Part an account from its user altogether, as if it had never been linked: only undo does."""
        user.links.remove(account)
        account.released = True
        self._outgoing.released(account, user)  # as far as apps are told, who is parted is let go
        account.user_id, account.released, account.linked_at = None, False, None
        self._parted.add(account.id)
        self._user_event(user, kind, why, {}, {}, account)

    def note_account(self, account: Account, why: Why, kind: str, values: Mapping[str, Any] | None = None) -> None:
        """Tell of an account that the walk has changed: in its user's chain if it is linked, else in its own."""
        user = self.users.get(account.user_id) if account.user_id else None
        if user is not None:
            self._user_event(user, kind, why, {}, dict(values or {}), account)
        else:
            self._event(account, kind, why, {"account": _account_document(account)}, {"externalId": account.external_id, **(values or {})})
            self._touched[account.id] = account

    # -- the rest of the org ------------------------------------------------------------------------------------------

    def note(self, subject: Chained, kind: str, body: Mapping[str, Any], why: Why = BY_HAND) -> None:
        """Tell of a change of an app, a mapping, the ranking, the org, a token or a run. The caller saves the subject's row."""
        self._event(subject, kind, why, dict(body), {})

    # -- writing ------------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write all of it: releases first, so that a place is free before it is taken; then users, accounts and history."""
        users = [row for row in self._touched.values() if isinstance(row, User)]
        accounts = [row for row in self._touched.values() if isinstance(row, Account)]
        session, new = self.session, self._new
        self._free_logins(users)
        leaving = [(True, a.id) for a in accounts if (a.released or a.id in self._parted) and a.id not in new]
        bulk.update(session, tables.AppUser, ("released",), leaving)
        bulk.insert(session, tables.User, people.USER_COLUMNS, [u for u in users if u.id in new], people.user_row)
        self._update_users([u for u in users if u.id not in new])
        bulk.insert(session, tables.AppUser, people.ACCOUNT_COLUMNS, [a for a in accounts if a.id in new], people.account_row)
        self._update_accounts([a for a in accounts if a.id not in new])
        history.add(session, self._events)
        self._keep_spans()
        self._outgoing.flush()
        self._keep_ways(accounts)
        self._touched.clear()
        self._new.clear()
        self._renamed.clear()
        self._parted.clear()
        self._reshaped.clear()
        self._places.clear()
        self._events.clear()

    def _update_users(self, users: list[User]) -> None:
        """Profiles, and the many keys made of them, only where they have changed: SQLite takes every key that it is given for a new one."""
        session, reshaped = self.session, self._reshaped
        whole, standing = (*people.USER_PROFILE, *people.USER_STANDING), people.USER_STANDING
        bulk.update(session, tables.User, whole, [people.user_changes(u) for u in users if u.id in reshaped])
        bulk.update(session, tables.User, standing, [people.user_standing(u) for u in users if u.id not in reshaped])

    def _update_accounts(self, accounts: list[Account]) -> None:
        """The same of accounts."""
        session, standing = self.session, people.ACCOUNT_STANDING
        moved = {account.id for account in accounts if self._places.get(account.id) != people.place_of(account)}
        whole = (*people.ACCOUNT_PLACE, *standing)
        bulk.update(session, tables.AppUser, whole, [people.account_changes(a) for a in accounts if a.id in moved])
        bulk.update(session, tables.AppUser, standing, [people.account_standing(a) for a in accounts if a.id not in moved])

    def _free_logins(self, users: list[User]) -> None:
        """Logins may change hands within one flush: who gives one up steps aside first, since unique indexes look at every row as it comes."""
        aside = [(f"\x01{user.id}", user.id) for user in users if user.id in self._renamed and user.id not in self._new]
        if len(aside) > 1 or any(user.id in self._new for user in users):
            bulk.update(self.session, tables.User, ("login_key",), aside)

    def _keep_spans(self) -> None:
        """Which statuses have ended and begun."""
        spans.keep(self.session, self.at, {user_id: (before, *self._now(user_id)) for user_id, before in self._moved.items()})
        self._moved.clear()

    def _now(self, user_id: str) -> tuple[Status | None, int]:
        user = self.users.get(user_id)
        return (user.status, user.history_seq) if user is not None else (None, 0)

    def _keep_ways(self, accounts: list[Account]) -> None:
        """By what waiting rows are found, where that has changed."""
        moved = {account.id: (account.app_id, account.ways) for account in accounts if account.ways is not None}
        if moved:
            waiting.write(self.session, moved)
            for account_id in moved:
                self.accounts[account_id].ways = None

    # -- inside -------------------------------------------------------------------------------------------------------

    def _attach(self, account: Account, user: User, why: Why, *, shown: bool = True) -> None:
        """Make an account this user's, waiting and ignored no more; who had it before is told."""
        former = self.users.get(account.user_id) if account.user_id and account.user_id != user.id else None
        if former is not None:
            former.links.remove(account)
            self._user_event(former, "account.taken", why, {}, {}, account)
        account.user_id = user.id
        account.released = account.ignored = False
        account.seen_active = account.seen_active or (shown and account.account.value == "ACTIVE")
        account.ways = () if account.situation is not None else None
        account.situation = account.reason = None
        account.candidates = ()
        account.linked_at = self.at
        if account not in user.links:
            user.links.append(account)
        self._touched[account.id] = account

    def _assign(self, user: User, new: Mapping[str, Value] | None) -> dict[str, dict[str, Value]]:
        attributes = {}
        if new:
            self._reshaped.add(user.id)
        for name, value in (new or {}).items():
            attributes[name] = {"old": user.profile.get(name), "new": value}
            user.profile[name] = value
        login = user.profile.get("login")
        if isinstance(login, str) and login != user.login:
            if fold_login(login) != fold_login(user.login):
                self._renamed.add(user.id)
                self.freed.add(fold_login(user.login))
            user.login = login
        return attributes

    def _user_event(self, user: User, kind: str, why: Why, body: dict[str, Any], values: dict[str, Any], account: Account | None) -> None:
        if account is not None:
            body["account"] = _account_document(account)
            values["externalId"] = account.external_id
            self._touched[account.id] = account
        self._event(user, kind, why, body, values)
        user.version = user.history_seq
        self._touched[user.id] = user

    def _event(self, subject: Chained, kind: str, why: Why, body: dict[str, Any], values: dict[str, Any]) -> None:
        subject.history_seq += 1
        sealed: str | None = None
        if values:
            values["salt"] = next(self._salts)
            raw = canonical(values)
            body["values"] = sha256(raw).hexdigest()
            sealed = raw.decode()
        event_id = self.ids.new("evt")
        body.update(why.document(), id=event_id, subject=subject.id, seq=subject.history_seq, at=self.at, type=kind, actor=self._actor)
        if self._run:
            body["run"] = self._run
        encoded = canonical(body)
        subject.history_hash = sha256(subject.history_hash + encoded).digest()
        self._events.append(
            (event_id, subject.id, subject.history_seq, self.at, kind, self._run_id, encoded.decode(), sealed, subject.history_hash)
        )


def _salts() -> Iterator[str]:
    """Salts of 128 bits, fetched many at a time: asking the system for each would cost more than the event it is for."""
    width = 2 * _SALT_BYTES
    while True:
        many = secrets.token_hex(_SALT_BYTES * _SALTS_AT_ONCE)
        yield from (many[start : start + width] for start in range(0, len(many), width))


def _account_document(account: Account) -> dict[str, Any]:
    standing = {"unheeded": account.unheeded, "unheededReason": account.unheeded_reason} if account.unheeded is not None else {}
    return {
        "id": account.id,
        "appId": account.app_id,
        "userId": account.user_id,
        "account": account.account,
        "released": account.released,
        "ignored": account.ignored,
        "situation": account.situation,
        "seenActive": account.seen_active,
        **standing,
    }


def links_of(user: User) -> list[Link]:
    """The user's links as ranking sees them."""
    return [account.link for account in user.links]
