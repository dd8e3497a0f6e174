"""Inline hooks, and what they were asked about the records of a run that is being planned."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import delete, func, select
from sqlmodel import Session, col

from mastering.rules.hook import HookTerms, HookWord, word_from
from mastering.store import bulk
from mastering.store.catalog import policy_of
from mastering.store.documents import dump, load
from mastering.store.people import slices
from mastering.store.tables import App, HookCall, HookStatus, InlineHook


class Asked(NamedTuple):
    """One record that a hook is to be asked about: the app profile and the mapped user, and whether its login is wanted by somebody else."""

    external_id: str
    app: dict[str, Any]
    user: dict[str, Any]
    contested: bool


def hook(session: Session, hook_id: str, *, lock: bool = False) -> InlineHook | None:
    """One hook; `lock` keeps others from changing it until the transaction ends."""
    query = select(InlineHook).where(col(InlineHook.id) == hook_id)
    found: InlineHook | None = session.execute(query.with_for_update() if lock else query).scalar()
    return found


def hooks(session: Session) -> list[InlineHook]:
    """All hooks, ascending by id."""
    return list(session.execute(select(InlineHook).order_by(col(InlineHook.id))).scalars())


def active(session: Session, hook_id: str | None) -> InlineHook | None:
    """The hook that a policy names, if it is there and switched on."""
    found = hook(session, hook_id) if hook_id else None
    return found if found is not None and found.status is HookStatus.ACTIVE else None


def terms_of_hook(row: InlineHook) -> HookTerms:
    """A hook as planning knows it."""
    return HookTerms(row.id, row.name, row.on_failure)


def apps_with(session: Session, hook_id: str) -> list[App]:
    """The apps whose policy names a hook."""
    return [app for app in session.execute(select(App).order_by(col(App.id))).scalars() if policy_of(app).hook_id == hook_id]


def delete_hook(session: Session, hook_id: str) -> None:
    """Delete a hook with its secret."""
    session.execute(delete(InlineHook).where(col(InlineHook.id) == hook_id))


# -- what a run asks --------------------------------------------------------------------------------------------------


def add_calls(session: Session, run_id: str, asked: Sequence[Asked]) -> None:
    """Note records to be asked about."""
    rows = [(run_id, one.external_id, dump({"app": one.app, "user": one.user}), one.contested, None) for one in asked]
    bulk.insert(session, HookCall, ("run_id", "external_id", "asked", "contested", "word"), rows)


def contest(session: Session, run_id: str, external_ids: Collection[str]) -> None:
    """Note that somebody else wants the logins of these records, too."""
    bulk.update(session, HookCall, ("contested",), [(True, run_id, each) for each in external_ids], keys=("run_id", "external_id"))


def unanswered(session: Session, run_id: str, after: str, limit: int) -> list[Asked]:
    """The next records that nothing has been heard about, ascending by external id."""
    call = HookCall
    query = select(call).where(col(call.run_id) == run_id, col(call.external_id) > after, col(call.word).is_(None))
    rows = session.execute(query.order_by(col(call.external_id)).limit(limit)).scalars()
    return [Asked(row.external_id, **load(row.asked), contested=row.contested) for row in rows]


def left_to_ask(session: Session, run_id: str) -> int:
    """How many records nothing has been heard about."""
    query = select(func.count()).select_from(HookCall).where(col(HookCall.run_id) == run_id, col(HookCall.word).is_(None))
    return int(session.execute(query).scalar() or 0)


def add_words(session: Session, run_id: str, words: Sequence[tuple[str, HookWord]]) -> None:
    """Keep what was heard, by external id."""
    rows = [(dump(word.document()), run_id, external_id) for external_id, word in words]
    bulk.update(session, HookCall, ("word",), rows, keys=("run_id", "external_id"))


def words(session: Session, run_id: str, external_ids: Collection[str]) -> dict[str, HookWord | None]:
    """What was heard about these records; `None` where a record is to be asked about and has not been yet."""
    query = select(col(HookCall.external_id), col(HookCall.word)).where(col(HookCall.run_id) == run_id)
    found: dict[str, HookWord | None] = {}
    for part in slices(external_ids):
        for external_id, word in session.execute(query.where(col(HookCall.external_id).in_(part))):
            found[external_id] = word_from(load(word)) if word else None
    return found


def drop_calls(session: Session, run_id: str) -> None:
    """Forget what a run asked and heard; what came of it is in its plan."""
    session.execute(delete(HookCall).where(col(HookCall.run_id) == run_id))
