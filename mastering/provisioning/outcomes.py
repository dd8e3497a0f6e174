"""Writing down what came of deliveries: task, account and history in one transaction, under the fence of the claim (SPEC §§10, 13).

What an app was told is what it is known to have, from the moment it has said so: the account's profile and state are then as an import would
find them, so that the next import of the same app finds nothing new. Whoever lost a task meanwhile writes nothing of it: it is delivered again by
whoever has it now.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from random import random
from typing import Any

import structlog
from sqlalchemy import Engine
from sqlmodel import Session

from mastering.clock import wire
from mastering.connectors.peerfaults import CredentialsRefused, NotCallable, PeerFailed, Temporary
from mastering.connectors.scimuser import read_user
from mastering.disagreements import review_disagreements
from mastering.ledger import SERVICE, Ledger, Why
from mastering.provisioning.calls import Made, Told
from mastering.provisioning.jobs import Impossible, Overtaken
from mastering.rules.people import Account
from mastering.rules.record import AccountState, external_id_of, merge
from mastering.rules.tasks import ENDED, TaskKind, TaskStatus, TaskTrigger, after_failure, next_task_status, pause
from mastering.store import deliveries, people, tables
from mastering.store import outbound as store
from mastering.store.documents import canonical
from mastering.store.engine import writing
from mastering.store.locks import LOCKED
from mastering.store.outbound import OutboundTask

_log = structlog.get_logger("mastering.provisioning")

_EVENTS = {
    Made.CREATED: "account.push.created",
    Made.ADOPTED: "account.push.adopted",
    Made.UPDATED: "account.push.updated",
    Made.DEACTIVATED: "account.push.deactivated",
    Made.REACTIVATED: "account.push.reactivated",
    Made.PASSWORD: "account.push.password",
}
_Key = tuple[str, str]
"""An app, and a key by which it knows an account."""
_BREATH = timedelta(seconds=5)
"""How long an app is left alone that did not answer, if it does not say itself."""


@dataclass(frozen=True, slots=True)
class GivenBack:
    """A task that was claimed and not begun: the process is to stop."""


@dataclass(frozen=True, slots=True)
class NoConnection:
    """The app cannot be called before an admin has seen to its connection."""

    reason: str


Outcome = Told | Overtaken | Impossible | PeerFailed | NoConnection | GivenBack


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one task that was claimed at an instant, and the fence that it was claimed with."""

    task: OutboundTask
    fence: int
    outcome: Outcome
    claimed: str

    @property
    def seq(self) -> int:
        """The task's number."""
        return self.task.seq or 0


def record(engine: Engine, owner: str, now: datetime, results: Sequence[Result]) -> None:
    """Write down what came of these tasks, in one transaction."""
    with writing(engine) as session:
        ledger = Ledger(session, now, SERVICE)
        ledger.load_users({result.task.user_id for result in results})
        held = deliveries.held(session, {result.seq: result.fence for result in results}, owner)
        told: dict[str, dict[str, str]] = {}
        taken = _taken(session, [result for result in results if result.seq in held])
        for result in results:
            task = held.get(result.seq)
            if task is None:
                _log.warning("a delivery was taken over", task=result.task.id, app=result.task.app_id)
                continue
            _write(ledger, task, result.outcome, now, taken)
            if isinstance(result.outcome, Told) and result.outcome.scim_id is not None:
                told.setdefault(task.app_id, {})[task.account_id] = result.outcome.scim_id
            session.add(task)
        review_disagreements(ledger, list(ledger.users.values()))
        ledger.flush()
        session.flush()
        deliveries.supersede_dead(session, _made_good(held.values()), ledger.at)
        for app_id, scim_ids in told.items():
            store.keep_links(session, app_id, scim_ids, ledger.at)
        store.forget_links(session, _nobodys(ledger, held.values()))
        _look_after_apps(ledger, now, [result for result in results if result.seq in held])
        ledger.flush()


def _made_good(tasks: Collection[OutboundTask]) -> set[str]:
    """The accounts of which by now the app has been told what there is to tell."""
    return {task.account_id for task in tasks if task.status is TaskStatus.DONE and task.kind is not TaskKind.PASSWORD}


def _nobodys(ledger: Ledger, tasks: Collection[OutboundTask]) -> set[str]:
    """The accounts of people who are deleted here, once nothing more is to be told of them."""
    ended = {task.account_id for task in tasks if task.status in ENDED and task.account_id not in ledger.accounts}
    return ended - {task.account_id for task in store.unsettled(ledger.session, ended)}


def _write(ledger: Ledger, task: OutboundTask, outcome: Outcome, now: datetime, taken: set[_Key]) -> None:
    task.owner = task.lease_until = None
    match outcome:
        case Told():
            _finish(ledger, task, TaskTrigger.finish)
            _tell(ledger, task, outcome, taken)
        case Overtaken():
            _finish(ledger, task, TaskTrigger.supersede)
        case GivenBack():
            _put_back(task, now)
        case CredentialsRefused() | NotCallable() | NoConnection():
            _put_back(task, now)
            task.error = _sentence(outcome)
        case PeerFailed() | Impossible():
            _fail(ledger, task, outcome, now)


def _finish(ledger: Ledger, task: OutboundTask, trigger: TaskTrigger) -> None:
    task.status, task.finished = next_task_status(task.status, trigger), ledger.at
    task.secret = task.error = task.login = None


def _put_back(task: OutboundTask, now: datetime) -> None:
    """Let a task wait that has not been refused for its own sake: this was no attempt."""
    task.status, task.attempts, task.due = next_task_status(task.status, TaskTrigger.put_off), task.attempts - 1, wire(now)


def _fail(ledger: Ledger, task: OutboundTask, outcome: PeerFailed | Impossible, now: datetime) -> None:
    task.error = _sentence(outcome)
    task.status = next_task_status(task.status, after_failure(task.attempts))
    if task.status is TaskStatus.DEAD:
        task.secret = None
        account = ledger.accounts.get(task.account_id)
        _log.warning("a task is dead", task=task.id, app=task.app_id, kind=task.kind.value)
        if account is not None:
            why = Why(facts={"task": task.id, "kind": task.kind, "attempts": task.attempts})
            ledger.note_account(account, why, "account.push.failed", {"error": task.error})
        return
    asked = outcome.retry_after if isinstance(outcome, PeerFailed) else None
    task.due = wire(now + timedelta(seconds=pause(task.attempts, random(), asked)))  # noqa: S311 - it spreads attempts


def _sentence(outcome: PeerFailed | Impossible | NoConnection) -> str:
    if isinstance(outcome, PeerFailed):
        return f"{outcome}: {outcome.said}" if outcome.said else str(outcome)
    return outcome.reason


# -- what the app has now ---------------------------------------------------------------------------------------------------


def _tell(ledger: Ledger, task: OutboundTask, told: Told, taken: set[_Key]) -> None:
    """Bring the account to what the app has now, and tell of it."""
    account = ledger.accounts.get(task.account_id)
    if account is None:
        if told.made is not Made.NOTHING:
            _tell_app(ledger, task, told)
        return
    known = merge(account.profile, told.sent)
    if told.resource is not None:
        shown: dict[str, Any] = read_user(told.resource).profile
        known = merge(known, {name: value for name, value in shown.items() if value is not None or name in known})
    changes = {
        name: {"old": account.profile.get(name), "new": value} for name, value in known.items() if account.profile.get(name) != value
    }
    account.profile = known
    if told.active is not None and told.scim_id is not None:
        account.account = AccountState.ACTIVE if told.active else AccountState.INACTIVE
    _know_by(account, told, taken)
    if account.last_run_id is None:
        account.digest = sha256(canonical(known)).digest()  # complete: an import that brings the same finds it unchanged
    account.last_updated = ledger.at
    event = _EVENTS.get(told.made)
    if event is not None:
        values = {"appAttributes": changes} if changes else {}
        ledger.note_account(account, Why(facts={"task": task.id, "kind": task.kind}), event, values)
    else:
        ledger.touch(account)


def _taken(session: Session, results: Sequence[Result]) -> set[_Key]:
    """Of the keys that the apps have told, those by which an account is known already; asked once for all results."""
    told: dict[str, set[str]] = {}
    for result in results:
        key = external_id_of(result.outcome.scim_id) if isinstance(result.outcome, Told) else None
        if key is not None:
            told.setdefault(result.task.app_id, set()).add(key)
    return {(app_id, key) for app_id, keys in told.items() for key in people.accounts_of_app(session, app_id, keys)}


def _know_by(account: Account, told: Told, taken: set[_Key]) -> None:
    """Take over the key by which the next pull will know the account, its SCIM id, where it is nobody else's."""
    key = external_id_of(told.scim_id)
    if key is None or key == account.external_id or account.last_run_id is not None:
        return
    if (account.app_id, key) not in taken:
        account.external_id = key
        taken.add((account.app_id, key))


def _tell_app(ledger: Ledger, task: OutboundTask, told: Told) -> None:
    """The person is deleted: what was done in the app is told of in the app's own history."""
    app = ledger.session.get_one(tables.App, task.app_id, with_for_update=LOCKED)
    ledger.note(app, _EVENTS[told.made], {"task": task.id, "kind": task.kind, "userId": task.user_id})
    ledger.session.add(app)


# -- the app as a whole -------------------------------------------------------------------------------------------------------


def _look_after_apps(ledger: Ledger, now: datetime, results: Sequence[Result]) -> None:
    """Stop the queue of an app that refuses us, and leave one alone that does not answer or asks for it."""
    stopped: dict[str, tuple[str, str]] = {}
    until: dict[str, str] = {}
    for result in results:
        app_id, outcome = result.task.app_id, result.outcome
        match outcome:
            case CredentialsRefused() | NotCallable() | NoConnection():
                stopped[app_id] = max(stopped.get(app_id, ("", "")), (result.claimed, _sentence(outcome)))
            case Temporary():
                pause_until = wire(now + (_BREATH if outcome.retry_after is None else timedelta(seconds=outcome.retry_after)))
                until[app_id] = max(until.get(app_id, ""), pause_until)
    for app_id in sorted(until):
        deliveries.leave_alone(ledger.session, app_id, until[app_id])
    for app_id in sorted(stopped):
        at, reason = stopped[app_id]  # refused with the credentials of that instant, and not with later ones
        if deliveries.pause(ledger.session, app_id, at, reason):
            _note_app(ledger, app_id, "provisioning.paused", {"reason": reason})


def _note_app(ledger: Ledger, app_id: str, kind: str, body: Mapping[str, Any]) -> None:
    app = ledger.session.get_one(tables.App, app_id, with_for_update=LOCKED)
    ledger.note(app, kind, body)
    ledger.session.add(app)
    _log.warning("a queue is stopped", app=app_id)


def guard_of(session: Session, task: OutboundTask, scim_id: str, external_id: Any) -> str | None:
    """Why an account that was found in the app cannot be this person's, if it cannot: it is another's, or a reviewer is to say whose."""
    if store.linked_elsewhere(session, task.app_id, scim_id, task.account_id):
        return "the app's account of this user name is another user's"
    keys = [key for key in (external_id_of(external_id), scim_id) if key is not None]
    for account in people.accounts_of_app(session, task.app_id, keys).values():
        if account.id != task.account_id and account.user_id not in {None, task.user_id}:
            return "the app's account of this user name is another user's"
        if account.id != task.account_id and (account.situation is not None or account.ignored):
            return "the app's account of this user name waits for review; decide there whose it is"
    return None
