"""Undoing a run that was applied: one plan that takes back what it did, through safeguards, approval and history (SPEC §12; docs/decisions/0049).

The undo is an import run of the same app without records. Its plan is made of the run's own events: for everybody they tell of, the person
before them and after them is told from history, and laid beside the person now (`rules.undo`). What has been changed since is listed and
left alone; what is changed between the plan and its approval is skipped. Each row is applied through the ledger, so that whatever follows
from a change follows from an undo, and an undo can itself be undone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from copy import deepcopy
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple, cast

from sqlalchemy import Engine
from sqlmodel import Session

from mastering import replay
from mastering.errors import WrongState
from mastering.imports import runs
from mastering.imports.planning import Planned, Planner
from mastering.imports.reading import Survey
from mastering.ledger import Actor, Ledger, Why
from mastering.rules.change import Change
from mastering.rules.people import Account, User
from mastering.rules.record import Mode
from mastering.rules.runs import RunStatus
from mastering.rules.undo import Undoing, gone, plan_undo, plan_undo_waiting, restore_account
from mastering.store import befores, people, reconciliations, tables
from mastering.store import imports as store
from mastering.store import runs as run_store
from mastering.store.documents import load
from mastering.store.engine import writing

UNDO = "UNDO"
"""The source of a run that undoes another."""
_AT_ONCE = 1_000
_HARMLESS = ("account.word", "account.unheeded", "finding.made", "user.hold.", "user.remaster.rejected")
"""Others' events in the middle of a run that change nothing an undo restores."""


def start(engine: Engine, actor: Actor, now: datetime, run_id: str, *, dry_run: bool = False) -> str:
    """Have a run undone that was applied; the undoing run's id. Raises `NotFound`, `Invalid` and `WrongState`."""
    with writing(engine) as session:
        run = runs.get(session, run_id)
        app = runs.importable(session, run.app_id, lock=True)
        applied = run.status is RunStatus.COMPLETED or (run.status is RunStatus.FAILED and run.cursor > 0)
        if not applied:
            raise WrongState(f"Only an import run that was applied can be undone; this one is {run.status.value}")
        by = undone_by(session, run_id)
        if by is not None:
            raise WrongState(f"This import run has been undone already, or is about to be, by {by}")
        order = runs.Order(Mode.INCREMENTAL, UNDO, dry_run=dry_run, origin=run_id)
        return runs.begin_of_itself(session, actor, now, app, order).id


def undone_by(session: Session, run_id: str) -> str | None:
    """The run that has undone this one, or is about to, and has not been undone itself."""
    return next((undo.id for undo in run_store.undos_of(session, run_id) if undone_by(session, undo.id) is None), None)


class UndoPlanner(Planner):
    """Plans what takes a run back."""

    def plan(self) -> Planned | None:
        """A row for everybody whom the run changed, then the claims and the check as of any plan."""
        as_of = store.last_event(self._session)
        for subjects in befores.subjects(self._session, self._run.origin or "", _AT_ONCE):
            self._writer.lease.beat()
            self._plan_people([subject for subject in subjects if subject.startswith("00u")])
            self._plan_waiting_accounts([subject for subject in subjects if subject.startswith("0ua")])
        self._write_renames()
        self._writer.give_up({row: why for row, why in self._claims.losers().items() if row > 0})
        return self._checked(Survey(), as_of)

    def _plan_people(self, user_ids: list[str]) -> None:
        told = {user_id: _told(events, self._run.origin or "") for user_id, events in _chains(self._session, user_ids)}
        present = people.users(self._session, user_ids)
        touched = {account.id for each in told.values() for user in (each.before, each.after) if user for account in user.links}
        undoing = self._undoing(touched)
        planned = []
        for user_id, (before, after, meanwhile, erased) in told.items():
            now = present.get(user_id)
            change = plan_undo(undoing, before, after, now, meanwhile, erased=erased) if after is not None else None
            if change is None:
                continue
            if now is None or "undo" not in change.effect:
                self._writer.add(change)
            else:
                planned.append((change, now))
        self._take(planned)

    def _plan_waiting_accounts(self, account_ids: list[str]) -> None:
        undoing = self._undoing(account_ids)
        for account in undoing.accounts.values():
            self._writer.add(plan_undo_waiting(undoing, account))
        for account_id, events in _chains(self._session, [each for each in account_ids if each not in undoing.accounts]):
            values = events[-1].values_json
            self._writer.add(gone(account_id, load(values)["externalId"] if values else None))

    def _undoing(self, account_ids: Iterable[str]) -> Undoing:
        wanted, origin = set(account_ids), self._run.origin or ""
        was, accounts = befores.of(self._session, origin, wanted), people.accounts(self._session, wanted)
        untouched = {account.id for account in accounts.values() if self._is_last(account, origin)}
        return Undoing(origin, was, accounts, untouched, self._terms.at)

    def _is_last(self, account: Account, run_id: str) -> bool:
        """Whether a run was the last to write on an account, what has been undone since left out."""
        last = account.last_run_id
        while last is not None and last != run_id:
            run = self._session.get(tables.ImportRun, last)
            was = befores.of(self._session, run.origin or "", [account.id]) if run is not None and run.source == UNDO else {}
            last = was[account.id]["run"] if account.id in was else None
        return last == run_id


Chain = list[reconciliations.Event]


def _chains(session: Session, user_ids: list[str]) -> Iterable[tuple[str, Chain]]:
    for subject, events in groupby(reconciliations.chains(session, user_ids), key=lambda event: event.subject):
        yield subject, list(events)


class Told(NamedTuple):
    """A person before a run's first event and after its last, the types of what others did in between, and whether values of the run's events were erased."""

    before: User | None = None
    after: User | None = None
    meanwhile: Collection[str] = ()
    erased: bool = False


def _told(events: Chain, run_id: str) -> Told:
    mine = [at for at, event in enumerate(events) if event.run_id == run_id]
    if not mine:
        return Told()
    user: User | None = None
    before: User | None = None
    meanwhile: set[str] = set()
    erased = False
    for at, event in enumerate(events[: mine[-1] + 1]):
        if at == mine[0]:
            before = deepcopy(user)
        if at >= mine[0] and not event.type.startswith(_HARMLESS):
            if event.run_id == run_id:
                erased = erased or (event.values_json is None and "values" in load(event.body))
            else:
                meanwhile.add(event.type)
        user = replay.after(user, cast("tables.HistoryEvent", event))
    return Told(before, user, meanwhile, erased)


# -- applying ---------------------------------------------------------------------------------------------------------


def load_undone(ledger: Ledger, changes: Iterable[Change]) -> None:
    """Load the accounts that are nobody's now and would be somebody's again."""
    ledger.load_accounts({back["id"] for change in changes for back in change.effect.get("undo", {}).get("accounts", ())})


def apply_undo(ledger: Ledger, run_id: str, change: Change, why: Why) -> list[Any]:
    """Carry out one row; the accounts that it wrote on, as they were before it, for the undo of the undo."""
    undo, user = change.effect["undo"], ledger.users.get(change.user_id or "")
    overwritten = []
    for back in sorted(undo["accounts"], key=lambda each: bool(each["linked"])):  # a place is left before it is taken
        account = ledger.accounts[back["id"]]
        overwritten.append((account, account.profile, deepcopy(account)))
        restore_account(account, back)
        account.last_run_id, account.last_updated = run_id, ledger.at
        account.ways = ()
        if user is None or (not back["linked"] and account.user_id is None):
            ledger.note_account(account, why, "account.wait" if account.situation is not None else "account.withdraw")
        elif not back["linked"]:
            ledger.unlink(account, user, why)
        elif account.user_id is None:
            _relink(ledger, account, user, back, why)
        else:
            ledger.note_account(account, why, "account.restored")
    if user is not None:
        _restore_user(ledger, user, change, why)
    return overwritten


def _relink(ledger: Ledger, account: Any, user: User, back: dict[str, Any], why: Why) -> None:
    """Give an account back to the user from whom an undo had parted it."""
    seen, released, ignored = account.seen_active, account.released, account.ignored
    ledger.link(account, user, why)
    account.seen_active, account.ignored = seen, ignored
    if released:
        ledger.release(account, user, why)
    if back["was"]:
        account.situation, account.reason = back["was"]["waits"][0], back["was"]["waits"][1]


def _restore_user(ledger: Ledger, user: User, change: Change, why: Why) -> None:
    new, undo = change.effect.get("new"), change.effect["undo"]
    if change.decision.trigger is not None:
        ledger.move(user, change.decision.trigger, why, new=new, pending=undo["pending"])
    elif new:
        ledger.change_profile(user, new, why)
    if undo["removed"]:
        ledger.forget(user, undo["removed"], why)
