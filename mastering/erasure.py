"""Erasing a person: the values go, the account of what happened stays (SPEC §13; docs/decisions/0053).

Who is erased is deactivated, and is deleted in the same transaction, or was deleted before. Then every value of theirs that history,
plans, reports and what past runs received hold is taken out. What remains are the events: when, which move, by whom and why; their chain
verifies, since it commits to values by their salted hash alone; and a last event says who erased and when.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import Engine
from sqlmodel import Session

from mastering.acts import settle
from mastering.clock import wire
from mastering.errors import IllegalMove, NotFound, WrongState
from mastering.imports import kept
from mastering.ledger import Actor, Ledger, Why
from mastering.rules.lifecycle import Status
from mastering.store import erasure as store
from mastering.store import history, people
from mastering.store.documents import load
from mastering.store.engine import reading, writing
from mastering.store.locks import Lock, hold

_log = structlog.get_logger("mastering.erasure")


@dataclass(frozen=True, slots=True)
class Erased:
    """What was taken out: the values of so many events, what so many rows of plans and reports and lines of runs said; and whether it left the disk as well."""

    user_id: str
    at: str
    events: int
    rows: int
    from_disk: bool


@dataclass(slots=True)
class _Gone:
    """The chain of somebody who has no row any more."""

    id: str
    history_seq: int
    history_hash: bytes


@dataclass(frozen=True, slots=True)
class _Traces:
    accounts: set[str]
    known: set[tuple[str, str]]


def erase(engine: Engine, actor: Actor, now: datetime, id_or_login: str, reason: str | None = None) -> Erased:
    """Erase somebody who is deactivated or deleted; the latter is named by id.

    Raises `NotFound`, `IllegalMove` for who may still work, and `WrongState` while a run that has not ended is about to change them, or an app is still to be told of them.
    """
    why = Why(reason=reason)
    with reading(engine) as session:
        before = _traces(session, people.user_id_of(session, id_or_login) or id_or_login)
        clean = kept.not_about(session, before.known)
    with writing(engine) as session:
        hold(session.connection(), Lock.OPTIONS)
        ledger = Ledger(session, now, actor)
        user_id = people.user_id_of(session, id_or_login) or id_or_login
        traces = _traces(session, user_id)
        _refuse_unfinished(ledger, user_id, traces)
        lines = kept.take_out(session, traces.known, clean if traces.known == before.known else ())
        subject = _deleted(ledger, user_id, why, now)
        _refuse_undelivered(ledger, user_id)
        subjects = {user_id, *store.without_a_row(session, traces.accounts)}
        events = store.values_of(session, subjects)
        rows = lines + store.plans_of(session, user_id, traces.accounts, traces.known)
        rows += store.reports_of(session, user_id, traces.accounts, traces.known)
        rows += store.tasks_of(session, user_id, traces.accounts)
        ledger.note(subject, "user.erase", {"events": events, "rows": rows}, why)
        ledger.flush()
    from_disk = store.empty_the_log(engine)
    _log.info("erased", user=user_id, events=events, rows=rows, from_disk=from_disk)
    return Erased(user_id, wire(now), events, rows, from_disk)


def _traces(session: Session, user_id: str) -> _Traces:
    """The accounts that the person's events tell of, and by what their apps know them; raises `NotFound` where there never was such a person."""
    traces = _Traces(set(), set())
    there = False
    for account, external_id in _told(session, user_id):
        there = True
        if account is not None:
            traces.accounts.add(account["id"])
            if external_id is not None:
                traces.known.add((account["appId"], external_id))
    if not there:
        raise NotFound(f"Not found: Resource not found: {user_id} (User)")
    return traces


def _told(session: Session, user_id: str) -> Iterator[tuple[dict[str, str] | None, str | None]]:
    for event in history.chain(session, user_id):
        values = load(event.values_json) if event.values_json else {}
        yield load(event.body).get("account"), values.get("externalId")


def _refuse_unfinished(ledger: Ledger, user_id: str, traces: _Traces) -> None:
    runs = store.unfinished_runs(ledger.session, user_id, traces.accounts, traces.known)
    if runs:
        told = ", ".join(runs)
        raise WrongState("The person is part of an import that has not ended", f"import {told}: approve it, cancel it, or let it end first")


def _refuse_undelivered(ledger: Ledger, user_id: str) -> None:
    """An app that has not been told yet that the person is gone could not be told any more."""
    apps = store.undelivered(ledger.session, user_id)
    if apps:
        cause = f"app {', '.join(apps)}: let it be delivered, or see why it is not, first"
        raise WrongState("There are tasks about the person that have not been delivered", cause)


def _deleted(ledger: Ledger, user_id: str, why: Why, now: datetime) -> _Gone:
    """Whose chain goes on with the erasure: the person's, who is deleted now if that is still to be done."""
    if people.user_id_of(ledger.session, user_id) is not None:
        user = ledger.user(user_id)
        if user.status is not Status.DEACTIVATED:
            raise IllegalMove(
                f"This operation is not allowed in the user's current status: only who is deactivated is erased, not {user.status}"
            )
        ledger.delete(user, why)
        settle(ledger, user, now)
        return _Gone(user.id, user.history_seq, user.history_hash)
    last = store.last_of(ledger.session, user_id)
    if last is None:
        raise NotFound(f"Not found: Resource not found: {user_id} (User)")
    return _Gone(user_id, last.seq, last.hash)
