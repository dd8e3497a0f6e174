"""Rebuilding a user from the user's own events (SPEC §13).

`replay` is a fold: each event changes what the ones before it left. Nothing else is read, so that what it gives is what the history says;
a test compares it with what the database says. Up to an instant it gives the user as of then.

Of the user's accounts the events tell what concerns the user: which app, whose external id, what state, released or not, whether an import
has shown it active, and which word of it stands unheeded. Their app profiles are the apps' own and not part of the user. Events of the first
versions do not say whether an account had been seen active: one that is active counts as seen, and has been seen from then on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mastering.rules.lifecycle import Status
from mastering.rules.people import Account, Hold, User
from mastering.rules.record import AccountState
from mastering.store.documents import load
from mastering.store.tables import HistoryEvent

_MOVES = frozenset(
    {
        "user.create",
        "user.activate",
        "user.suspend",
        "user.unsuspend",
        "user.deactivate",
        "user.reactivate",
        "user.require_activation",
        "user.restore",
    }
)
_HOLDS = frozenset({"user.hold.set", "user.hold.lifted", "user.hold.expired"})
_GONE = frozenset({"user.delete", "user.erase"})
ERASED = ""
"""What is told in the place of a text that was erased."""
_PARTED = frozenset({"account.taken", "account.forget", "account.unlink"})
"""The account is another user's from now on, or nobody's, as its app was deleted or its link undone."""


def replay(events: Iterable[HistoryEvent]) -> User | None:
    """The user that events in ascending order tell of; `None` before the first and after a deletion."""
    user: User | None = None
    for event in events:
        user = after(user, event)
    return user


def after(user: User | None, event: HistoryEvent) -> User | None:
    """The user after one more event, the one given being changed; `None` after a deletion."""
    body = load(event.body)
    values = load(event.values_json) if event.values_json else {}
    if event.type in _GONE:
        return None
    if user is None:
        user = User(event.subject, Status(body["to"]), "", {}, created=event.at, last_updated=event.at)
    _apply(user, event, body, values)
    return user


def _apply(user: User, event: HistoryEvent, body: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    user.history_seq = user.version = event.seq
    user.history_hash = event.hash
    if event.type in _MOVES:
        _move(user, event.at, body)
    if event.type in _HOLDS:
        hold = body["hold"]
        user.hold = Hold(values.get("holdReason", ERASED), hold["until"], hold["since"], hold["by"]) if hold else None
    if "attributes" in values:
        user.profile.update((name, change["new"]) for name, change in values["attributes"].items())
        user.login = str(user.profile.get("login", ERASED))
    for name in body.get("removed", ()):
        user.profile.pop(name, None)
    if event.type in _MOVES or event.type in _HOLDS or "attributes" in values:
        user.last_updated = event.at
    if "account" in body:
        _see_account(user, event, body["account"], values)


def _move(user: User, at: str, body: Mapping[str, Any]) -> None:
    user.status = Status(body["to"])
    user.status_changed = at
    came_so = body["from"] == Status.PENDING_ACTIVATION and user.status is Status.DEACTIVATED
    user.pending_when_deactivated = body.get("pendingWhenDeactivated", came_so)
    if user.status is Status.ACTIVE:
        user.activated = at


def _see_account(user: User, event: HistoryEvent, told: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    before = next((account for account in user.links if account.id == told["id"]), None)
    user.links = [account for account in user.links if account.id != told["id"]]
    if event.type in _PARTED:
        return
    user.links.append(
        Account(
            told["id"],
            told["appId"],
            values.get("externalId", ERASED),
            AccountState(told["account"]),
            {},
            created=event.at,
            last_updated=event.at,
            user_id=told["userId"],
            released=told["released"],
            ignored=told["ignored"],
            situation=told["situation"],
            seen_active=told.get("seenActive", told["account"] == AccountState.ACTIVE or (before is not None and before.seen_active)),
            unheeded=told.get("unheeded"),
            unheeded_reason=told.get("unheededReason"),
        )
    )
