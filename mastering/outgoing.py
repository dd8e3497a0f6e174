"""What a transaction causes in other apps: noted while the ledger changes people, queued when it writes them (SPEC §10; docs/decisions/0040).

The ledger tells of every move, change, link and release. What follows in which app is the rules' to say (`rules.provisioning`); here is only
gathered what they need to know, for all accounts of a transaction at once. Where nothing goes out to any app, one question to the database is
all that this costs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property

from sqlmodel import Session

from mastering.ids import Ids
from mastering.rules.lifecycle import Status
from mastering.rules.people import Account, User
from mastering.rules.policy import ProvisioningPolicy
from mastering.rules.provisioning import (
    Event,
    Known,
    PasswordSent,
    event_of_move,
    password_sent,
    reads_of,
    task_after,
    wanted,
)
from mastering.rules.record import AccountState
from mastering.rules.tasks import TaskKind
from mastering.store import outbound as store
from mastering.store.documents import dump

Seal = Callable[[str], str]
"""Seals a password that is on its way, for the purpose that it is given."""
_NOTHING = store.Standing(open=False, creating=False, told=False)


def purpose(app_id: str, account_id: str) -> str:
    """What a password that waits belongs to, as the vault is told."""
    return f"password {app_id} {account_id}"


@dataclass(frozen=True, slots=True)
class _Happened:
    """An event as one account sees it. `names` are app attributes of the app's own, `seal` seals the password that was set."""

    event: Event
    account: Account
    user_id: str
    names: tuple[str, ...] = ()
    seal: Seal | None = None


class Outgoing:
    """What one transaction has caused so far. Belongs to its ledger."""

    def __init__(self, session: Session, at: str, ids: Ids) -> None:
        self._session, self.at, self._ids = session, at, ids
        self._happened: list[_Happened] = []
        self._made: set[str] = set()

    @cached_property
    def _receivers(self) -> dict[str, store.Receiver]:
        return store.receivers(self._session)

    def _places(self, user: User) -> list[Account]:
        """The person's assignments in apps that anything goes out to."""
        return [account for account in user.links if not account.released and account.app_id in self._receivers]

    # -- what happens -------------------------------------------------------------------------------------------------

    def made(self, account: Account) -> None:
        """A person was made of what an account says: its app need not be told any of it."""
        self._made.add(account.id)

    def moved(self, user: User, before: Status, changed: Collection[str], said: Account | None) -> None:
        """A status moved, and attributes changed in the same breath; `said` is the account whose word it was."""
        if not self._receivers:
            return
        event = event_of_move(before, user.status)
        if event is not None:
            self._happened += [_Happened(event, account, user.id) for account in self._places(user)]
        else:
            self.changed(user, changed, said)

    def changed(self, user: User, changed: Collection[str], said: Account | None) -> None:
        """Attributes changed."""
        if not changed or not self._receivers or not wanted(user.status, assigned=True):
            return
        for account in self._places(user):
            own = said is not None and said.app_id == account.app_id
            if reads_of(self._receivers[account.app_id].rules).concern(changed, own=own):
                self._happened.append(_Happened(Event.CHANGED, account, user.id))

    def linked(self, account: Account, user: User, *, again: bool) -> None:
        """An account became a person's, or became it `again`."""
        if account.app_id in self._receivers and wanted(user.status, assigned=True):
            self._happened.append(_Happened(Event.ASSIGNED_AGAIN if again else Event.ASSIGNED, account, user.id))

    def released(self, account: Account, user: User) -> None:
        """An account lost its say."""
        if account.app_id in self._receivers:
            self._happened.append(_Happened(Event.UNASSIGNED, account, user.id))

    def corrected(self, account: Account, user: User, names: Collection[str]) -> None:
        """An admin gave attributes of the app's own other values."""
        if account.app_id in self._receivers and not account.released and wanted(user.status, assigned=True):
            self._happened.append(_Happened(Event.CHANGED, account, user.id, tuple(sorted(names))))

    def password_set(self, user: User, seal: Seal) -> None:
        """Somebody gave a person a password. It is sealed for each app that is to get it, and kept nowhere else."""
        if self._receivers and wanted(user.status, assigned=True):
            self._happened += [_Happened(Event.PASSWORD_SET, account, user.id, seal=seal) for account in self._places(user)]

    def deleted(self, user: User) -> None:
        """A person is deleted; what apps are still to be told of them needs a name."""
        if self._receivers:
            store.keep_login(self._session, user.id, user.login)

    # -- what follows -------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Put into the queue what follows from all this, in its order."""
        if not self._happened:
            return
        standings = store.standings(self._session, {each.account.id for each in self._happened})
        tasks: list[store.NewTask] = []
        due: set[str] = set()
        superseded: set[str] = set()
        for each in self._happened:
            account, policy = each.account, self._receivers[each.account.app_id].policy
            standing = standings.get(account.id, _NOTHING)
            kind = task_after(each.event, policy, _known(account, standing, due=account.id in due))
            task = self._task(kind, each, policy, creating=standing.creating or account.id in due) if kind else None
            own = kind is TaskKind.UPDATE and account.id in self._made
            if task is None or own or _covered(task, tasks):
                continue
            tasks.append(task)
            due.add(account.id)
            if kind is TaskKind.PASSWORD:
                superseded.add(account.id)
        self._happened.clear()
        self._made.clear()
        store.forget_passwords(self._session, superseded, self.at)
        store.add(self._session, tasks, self.at)

    def _task(self, kind: TaskKind, each: _Happened, policy: ProvisioningPolicy, *, creating: bool) -> store.NewTask | None:
        account, secret = each.account, None
        if each.seal is not None:
            sent = password_sent(policy.password, creating=creating)
            if sent is PasswordSent.NONE:
                return None
            secret = each.seal(purpose(account.app_id, account.id)) if sent is PasswordSent.DIRECTORY else None
        names = dump(each.names) if each.names else "[]"
        return store.NewTask(self._ids.new("otk"), account.app_id, account.id, each.user_id, kind, names, secret)


def _known(account: Account, standing: store.Standing, *, due: bool) -> Known:
    """What is known of an account in the app itself: the last word, of an import or of our own delivery, unless something is on its way."""
    heard = account.last_run_id is not None or standing.told
    if not heard or standing.open or due:
        return Known.UNSURE
    return Known.ACTIVE if account.account is AccountState.ACTIVE else Known.INACTIVE


def _covered(task: store.NewTask, before: list[store.NewTask]) -> bool:
    """Whether what this transaction has queued for the account already says as much: whoever delivers it sends the person as they are."""
    if task.kind not in {TaskKind.UPDATE, TaskKind.CREATE} or task.names != "[]":
        return False
    last = next((each for each in reversed(before) if each.account_id == task.account_id), None)
    return last is not None and last.kind in {task.kind, TaskKind.CREATE, TaskKind.REACTIVATE}
