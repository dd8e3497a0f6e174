"""What must be true of a database after any fault, found out from the database alone.

Users equal a replay of their history, every chain is whole and ends where its subject says it does, no run of the past is half known, and
of each run every row that does something did it exactly once.
"""

from __future__ import annotations

from collections import Counter

from sqlalchemy import Engine, func, select
from sqlmodel import Session, col

from mastering.proof import verify_chain
from mastering.replay import replay
from mastering.rules.people import Account, User
from mastering.rules.runs import ENDED
from mastering.store import history, people, received, tables
from mastering.store.documents import load
from mastering.store.engine import reading

_QUIET = {"none", "reject", "wait", "withdraw", "ignore"}
"""What moves nobody: told in history only where it differs from what was known."""


def check(engine: Engine) -> None:
    """Raise `AssertionError` about the first thing that does not hold."""
    with reading(engine) as session:
        _chains_are_whole(session)
        _users_are_what_their_history_says(session)
        _runs_have_ended(session)
        for run_id in session.execute(select(col(tables.ImportRun.id)).where(col(tables.ImportRun.status) == "COMPLETED")).scalars():
            _every_row_was_applied_once(session, run_id)


def _chains_are_whole(session: Session) -> None:
    heads: dict[str, tuple[int, bytes]] = {}
    for table in (tables.User, tables.AppUser, tables.App, tables.Org):
        rows = session.execute(select(col(table.id), col(table.history_seq), col(table.history_hash)))
        heads.update((subject, (seq, head)) for subject, seq, head in rows)
    subjects = set(session.execute(select(col(tables.HistoryEvent.subject)).distinct()).scalars())
    assert {subject for subject, (seq, _) in heads.items() if seq} <= subjects
    for subject in subjects:
        assert verify_chain(history.chain(session, subject), heads.get(subject)) is None, subject


def _users_are_what_their_history_says(session: Session) -> None:
    ids = list(session.execute(select(col(tables.User.id))).scalars())
    for user in people.users(session, ids).values():
        rebuilt = replay(history.chain(session, user.id))
        assert rebuilt is not None
        assert _told(rebuilt) == _told(user), user.id


def _told(user: User) -> tuple[object, ...]:
    links = sorted(_account(account) for account in user.links)
    facts = (user.status, user.login, user.activated, user.status_changed, user.pending_when_deactivated, user.hold)
    return (*facts, {name: value for name, value in user.profile.items() if value is not None}, links, user.history_seq, user.history_hash)


def _account(account: Account) -> tuple[object, ...]:
    place = (account.id, account.app_id, account.external_id, account.account.value, account.released, account.ignored)
    return (*place, account.seen_active, account.unheeded or "", account.unheeded_reason or "")


def _runs_have_ended(session: Session) -> None:
    statuses = session.execute(select(col(tables.ImportRun.id), col(tables.ImportRun.status))).all()
    assert [each for each in statuses if each[1] not in {*ENDED, "HELD"}] == []
    for chunk in (tables.RunChunk, received.KeptChunk):
        without_plan = select(func.count()).select_from(chunk).join(tables.ImportRun).where(col(tables.ImportRun.planned).is_(None))
        assert session.execute(without_plan).scalar() == 0


def _every_row_was_applied_once(session: Session, run_id: str) -> None:
    run = session.get_one(tables.ImportRun, run_id)
    rows = {row.seq: row for row in session.execute(select(tables.RunChange).where(col(tables.RunChange.run_id) == run_id)).scalars()}
    assert run.cursor == run.changes == len(rows)
    told: Counter[tuple[int, str, str]] = Counter()
    events = session.execute(select(tables.HistoryEvent).where(col(tables.HistoryEvent.run_id) == run_id)).scalars()
    for event in events:
        body = load(event.body)
        if "row" in body:
            told[body["row"], event.subject, event.type] += 1
    assert [each for each, times in told.items() if times > 1] == []
    done = {row for row, _, _ in told}
    loud = {
        seq for seq, row in rows.items() if row.action not in _QUIET and row.state is None
    }  # decided again, it may have come to nothing
    assert loud <= done, f"not applied: {sorted(loud - done)}"
