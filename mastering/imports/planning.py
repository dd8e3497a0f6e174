"""Planning a run: every row decided on one snapshot of the database, then what rows want from each other, then the check (SPEC §5.2-5.7).

The order is the rules' order, not the body's: linked records and absences first; then unlinked records, against the links and statuses
as the first part leaves them and the profiles as they were before the run. Nothing of the org is written here, only the plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, islice
from types import MappingProxyType
from typing import Any, TypeVar

from sqlmodel import Session

from mastering.errors import WrongState
from mastering.imports.asking import Asking, Question
from mastering.imports.reading import Path, Survey, records, survey
from mastering.imports.rows import PlanWriter
from mastering.rules.change import PLACE_TAKEN, Change, Prepared, Terms, prepare, prepare_again
from mastering.rules.claims import Claims
from mastering.rules.decision import Action, Situation
from mastering.rules.hook import HookTerms
from mastering.rules.hooked import is_asked_about, link_of, plan_heard
from mastering.rules.lifecycle import Status
from mastering.rules.linked import invalid, plan_absence, plan_leaver, plan_linked, plan_return
from mastering.rules.matching import Crowd, Keys, correlate
from mastering.rules.people import Account, User
from mastering.rules.record import AccountState, Mode, Record, Unusable
from mastering.rules.safeguard import Tally, Verdict, check
from mastering.rules.stakes import new_login, stake
from mastering.rules.text import fold_login
from mastering.rules.unlinked import Found, plan_unknown, plan_unlinked, plan_withdrawal
from mastering.store import imports as store
from mastering.store import people, tables
from mastering.store.heads import Head, known_accounts

T = TypeVar("T")

_AT_ONCE = 2_000
_RENAMES = 1
"""The bundle of users who take logins that others in the run give up: applied in one transaction, so that swaps work."""

_FIRST = frozenset({Path.LINKED, Path.UNUSABLE, Path.TWICE})
"""An unusable row comes first, too: it may be a leaver's (SPEC §5.2)."""
_THEN = frozenset({Path.UNLINKED})
NO_LINKS: Mapping[str, str] = MappingProxyType({})
NOTHING_NEW: Mapping[str, Any] = MappingProxyType({})


@dataclass(slots=True)
class Planned:
    """What planning gives: the verdict of the check, the counts, the hash and how many rows there are."""

    verdict: Verdict
    situations: dict[str, int]
    actions: dict[str, int]
    plan_hash: str
    changes: int
    records: int
    as_of_event: int
    hook: dict[str, int] | None
    """How often the run's hook had which outcome; `None` without a hook."""


@dataclass(frozen=True, slots=True)
class _Left:
    """In what the plan leaves a user other than he was: kept for everybody whom a run moves, and so no more than that."""

    status: Status
    pending: bool
    accounts: Mapping[str, tuple[AccountState, bool]]
    new: Mapping[str, Any]

    def of(self, user: User) -> User:
        """The user, as he is left."""
        links = [
            replace(account, account=found[0], released=found[1]) if (found := self.accounts.get(account.id)) else account
            for account in user.links
        ]
        return replace(
            user,
            status=self.status,
            pending_when_deactivated=self.pending,
            links=links,
            profile={**user.profile, **self.new},
            login=str(self.new.get("login") or user.login),
        )


class Planner:
    """One planning of one run, on the snapshot that `session` reads."""

    def __init__(self, session: Session, run: tables.ImportRun, terms: Terms, writer: PlanWriter, hook: HookTerms | None = None) -> None:
        self._session = session
        self._run = run
        self._terms = terms
        self._writer = writer
        self._claims = Claims()
        self._directory = store.Directory(session, terms.policy.matching)
        self._after: dict[str, _Left] = {}
        self._renames: list[tuple[Change, User, str, str]] = []
        self._behind: list[Record] = []
        self._absences = 0
        self._asking = Asking(session, writer.lease, hook, terms) if hook else None

    def plan(self) -> Planned | None:
        """Plan, settle the claims, check; `None` if the run's hook has to be asked about somebody first, who is noted then."""
        found = survey(self._session, self._run, self._writer.lease.beat)
        if found.lines != self._run.records:
            raise WrongState(f"{self._run.records} records were received and {found.lines} are in the database")
        as_of = store.last_event(self._session)
        for part in records(self._session, self._run.id, found, _FIRST):
            self._writer.lease.beat()
            self._plan_linked([row for row in part if isinstance(row, Record)], [row for row in part if isinstance(row, Unusable)])
        self._plan_standing()
        if self._run.mode is Mode.FULL:
            self._plan_absences(found)
        self._plan_released()
        if self._run.mode is Mode.INCREMENTAL:
            self._plan_waiting_returns(found)
        self._write_renames()
        if self._run.mode is Mode.FULL:
            found.forget()  # who is absent is known; the claims of newcomers are to have the room
        for rows in records(self._session, self._run.id, found, _THEN):
            self._writer.lease.beat()
            self._plan_others(rows)
        if self._run.mode is Mode.INCREMENTAL:
            self._plan_waiting(found)
        losers = self._claims.losers()
        if self._asking is not None and self._asking.is_open(losers):
            return None
        self._writer.give_up({row: why for row, why in losers.items() if row > 0})
        return self._checked(found, as_of)

    def _plan_standing(self) -> None:
        """Rows that no record asks for: a repair has them (`repairing`)."""

    # -- linked records and absences ----------------------------------------------------------------------------------

    def _plan_linked(self, usable: list[Record], unusable: list[Unusable]) -> None:
        self._plan_unusable(unusable)
        accounts, users = self._known(usable)
        planned = []
        for record in usable:
            account = accounts[record.external_id]
            user = users[account.user_id or ""]
            if account.released and (self._returns(record, account) or _has_another(user, account)):
                self._behind.append(record)
            else:
                planned += self._planned(record, account, user)
        self._take(planned)

    def _returns(self, record: Record, account: Account) -> bool:
        return account.account is not AccountState.ACTIVE and record.says_active(self._terms.mode, account.account)

    def _plan_released(self) -> None:
        """Released accounts that come back, when it is known who leaves: whether their places are free, and who speaks, depends on that.

        And those beside another account of the app, whose row may have moved the person whom theirs tells of.
        """
        planned = []
        for told in _batches(self._behind):
            accounts, users = self._known(told)
            for record in told:
                account = accounts[record.external_id]
                user = users[account.user_id or ""]
                planned += self._planned(record, account, self._now(user))
        self._take(planned)

    def _plan_waiting_returns(self, found: Survey) -> None:
        """Returns that wait, without a record in the run: such a row appears only if its place is free by now, and nobody else waits for it."""
        linked = people.waiting_accounts(self._session, self._run.app_id, linked=True)
        waiting = [account for account in linked if account.waits and account.external_id not in found.seen]
        alone = Counter(account.user_id for account in waiting)
        for accounts in _batches(waiting):
            users = people.users(self._session, {account.user_id for account in accounts if account.user_id})
            planned = []
            for account in (account for account in accounts if alone[account.user_id] == 1):
                user = users[account.user_id or ""]
                change = plan_return(self._terms, account, self._now(user))
                if change is not None and "relink" in change.effect:
                    planned.append((change, user))
            self._take(planned)

    def _planned(self, record: Record, account: Account, user: User) -> list[tuple[Change, User]]:
        change = plan_linked(self._terms, record, account, user)
        if change is None:
            self._writer.situations[Situation.UNCHANGED.value] += 1
        return [(change, user)] if change is not None else []

    def _known(self, told: Iterable[Record]) -> tuple[dict[str, Account], dict[str, User]]:
        """The accounts of these records by external id, and the users they are linked to."""
        accounts = people.accounts_of_app(self._session, self._run.app_id, {record.external_id for record in told})
        return accounts, people.users(self._session, {account.user_id for account in accounts.values() if account.user_id})

    def _plan_absences(self, found: Survey) -> None:
        """Every linked or waiting account that the snapshot did not carry. *Could not read* is never *gone*: an invalid row was carried."""
        for heads in _batches(self._absent(found)):
            accounts = people.accounts_of_app(self._session, self._run.app_id, {head.external_id for head in heads})
            users = people.users(self._session, {account.user_id for account in accounts.values() if account.user_id})
            planned = []
            for account in (accounts[head.external_id] for head in heads):
                if account.user_id is not None:
                    planned.append((plan_absence(self._terms, account, users[account.user_id]), users[account.user_id]))
                else:
                    self._writer.add(plan_withdrawal(account))
            self._take(planned)

    def _absent(self, found: Survey) -> Iterator[Head]:
        """The snapshot says nothing of whom a delta linked or brought to the queue after the snapshot was accepted.

        Where it carried every account there is, none of them is looked at again.
        """
        if found.known == found.accounts:
            return
        cutoff = self._run.snapshot_at or self._run.created
        for head in known_accounts(self._session, self._run.app_id):
            if head.created > cutoff or found.carried(head):
                continue
            if head.waiting:
                self._absences += 1
                yield head
            elif head.ignored:
                yield head
            elif head.released or head.account != AccountState.ACTIVE:
                self._writer.situations[Situation.UNCHANGED.value] += 1
            elif head.linked_at is None or head.linked_at <= cutoff:
                self._absences += 1
                yield head

    def _take(self, planned: list[tuple[Change, User]]) -> None:
        """Write rows of linked accounts, note their claims, and remember how they leave the users for the second part."""
        moving = {change.external_id: key for change, user in planned if (key := new_login(change, user)) is not None}
        holders = self._directory.holders(set(moving.values())) if moving else {}
        for change, user in planned:
            self._remember(change, user)
            key = moving.get(change.external_id)
            holder = holders.get(key) if key else None
            if key and holder and holder != user.id:
                self._renames.append((change, user, key, holder))
                continue
            seq = self._writer.add(change)
            if key:
                self._claims.move(seq, user.id, key, holder)
            self._claim_return(seq, change, user)

    def _write_renames(self) -> None:
        for change, user, key, holder in self._renames:
            seq = self._writer.add(change, _RENAMES)
            self._claims.move(seq, user.id, key, holder)
            self._claim_return(seq, change, user)

    def _claim_return(self, seq: int, change: Change, user: User) -> None:
        back = change.decision.situation is Situation.CAME_BACK and change.decision.action is not Action.ignore
        if back or change.decision.reason == PLACE_TAKEN:
            self._claims.come_back(seq, user.id)

    def _remember(self, change: Change, user: User) -> None:
        effect = change.effect
        if change.decision.trigger is None and not ({"account", "release", "relink"} & effect.keys()):
            return
        before = self._after.get(user.id, _Left(user.status, user.pending_when_deactivated, {}, NOTHING_NEW))
        status, pending = change.decision.to or before.status, before.pending
        if change.decision.trigger is not None:
            pending = before.status is Status.PENDING_ACTIVATION and status is Status.DEACTIVATED
        mine = [_left(account, change) for account in self._now(user).links if account.id == change.app_user_id]
        told = {account.id: (account.account, account.released) for account in mine}
        self._after[user.id] = _Left(status, pending, {**before.accounts, **told}, {**before.new, **effect.get("new", {})} or NOTHING_NEW)

    def _now(self, user: User) -> User:
        """A user as the first part of the plan leaves him."""
        left = self._after.get(user.id)
        return left.of(user) if left is not None else user

    # -- unlinked records ---------------------------------------------------------------------------------------------

    def _plan_others(self, rows: list[Record | Unusable]) -> None:
        self._plan_unusable([row for row in rows if isinstance(row, Unusable)])
        fresh = [row for row in rows if isinstance(row, Record)]
        known = people.accounts_of_app(self._session, self._run.app_id, {record.external_id for record in fresh})
        ready: list[tuple[Prepared, Account | None]] = []
        for record in fresh:
            account = known.get(record.external_id)
            if not record.says_active(self._terms.mode, account.account if account else None):
                self._writer.add(plan_unknown(record, account))
                continue
            prepared = prepare(self._terms, record, account.profile if account else {})
            if isinstance(prepared, Unusable):
                self._writer.add(invalid(prepared, account))
            else:
                ready.append((prepared, account))
        for change, prepared, found in self._arriving(ready):
            self._stake(self._writer.add(change), change, prepared, found)

    def _stake(self, row: int, change: Change, prepared: Prepared, found: Found) -> None:
        stake(self._claims, row, change, prepared, found)
        if self._asking is not None:
            self._asking.place(row, change)

    def _plan_waiting(self, found: Survey) -> None:
        """Waiting rows without a record are matched again too; they appear in the plan only if they are confirmed now (SPEC §6).

        All of them make their claims first, unseen; those that are confirmed and have lost none are then written.
        """
        unseen, confirmed = 0, dict[int, str | None]()
        waiting = people.waiting_accounts(self._session, self._run.app_id)
        for accounts in _batches(account for account in waiting if account.external_id not in found.seen):
            for change, prepared, matched in self._matched_again(accounts):
                unseen -= 1
                self._stake(unseen, change, prepared, matched)
                if change.decision.action in {Action.create, Action.link}:
                    confirmed[unseen] = change.app_user_id
        lost = self._claims.losers()
        for ids in _batches(sorted(account_id for row, account_id in confirmed.items() if account_id and row not in lost)):
            found_again = people.accounts(self._session, ids)
            for change, _, _ in self._matched_again(found_again[account_id] for account_id in ids):
                self._writer.add(change)

    def _matched_again(self, accounts: Iterable[Account]) -> Iterator[tuple[Change, Prepared, Found]]:
        prepared = ((prepare_again(self._terms, account), account) for account in accounts)
        return self._arriving([(usable, account) for usable, account in prepared if isinstance(usable, Prepared)])

    def _arriving(self, ready: list[tuple[Prepared, Account | None]]) -> Iterator[tuple[Change, Prepared, Found]]:
        """The rows of unlinked records, with what they were correlated with; those that the hook was asked about after its word."""
        plain = [
            (plan_unlinked(self._terms, prepared, account, found), prepared, found._replace(holder=holder))
            for (prepared, account), (found, holder) in zip(ready, self._correlated(ready), strict=True)
        ]
        return iter(plain if self._asking is None else self._after_the_hook(self._asking, ready, plain))

    def _after_the_hook(
        self, asking: Asking, ready: list[tuple[Prepared, Account | None]], rows: list[tuple[Change, Prepared, Found]]
    ) -> list[tuple[Change, Prepared, Found]]:
        concerned = [at for at, (change, _, _) in enumerate(rows) if is_asked_about(self._terms, change)]
        heard = asking.heard([Question(rows[at][0], *ready[at]) for at in concerned])
        words = {at: word for at, word in zip(concerned, heard, strict=True) if word is not None}
        links = {word.prepared.record.external_id: link for word in words.values() if (link := word.word.link)}
        again = self._correlated([(word.prepared, ready[at][1]) for at, word in words.items()], links)
        for (at, word), (found, holder) in zip(words.items(), again, strict=True):
            change = plan_heard(self._terms, asking.hook, word, ready[at][1], found)
            rows[at] = (change, word.prepared, found._replace(holder=holder))
        return rows

    def _correlated(
        self, ready: list[tuple[Prepared, Account | None]], links: Mapping[str, str] = NO_LINKS
    ) -> Iterator[tuple[Found, str | None]]:
        """For each record whom it matches, and who has its login at present; `links` are matches that the hook made, by external id."""
        known = self._directory.find([prepared.keys for prepared, _ in ready])
        crowd = Crowd(known)
        holders = self._holders(known, {fold_login(prepared.login) for prepared, _ in ready})
        matching = self._terms.policy.matching
        linked = [links.get(prepared.record.external_id) for prepared, _ in ready]
        by_themselves = [correlate(matching, prepared.keys, crowd.near(prepared.keys)) for prepared, _ in ready]
        matches = [link_of(link, match) if link else match for match, link in zip(by_themselves, linked, strict=True)]
        users = people.users(self._session, set(chain.from_iterable(match.user_ids for match in matches)))
        users.update({user_id: self._now(users[user_id]) for user_id in users.keys() & self._after.keys()})
        for (prepared, _), match in zip(ready, matches, strict=True):
            holder = holders.get(fold_login(prepared.login))
            staying = None if holder is not None and self._claims.moves_away(holder) else holder
            yield Found(match, users, staying), holder

    def _holders(self, known: Mapping[str, Keys], logins: set[str]) -> Mapping[str, str]:
        """Who has these logins. Where records are matched by their login, whoever has it has been found already."""
        if self._terms.policy.matching.username and not self._terms.policy.matching.attributes:
            return {keys.login: user_id for user_id, keys in known.items() if keys.login in logins}
        return self._directory.holders(logins)

    def _plan_unusable(self, rows: list[Unusable]) -> None:
        named = {row.external_id for row in rows if row.external_id}
        accounts = people.accounts_of_app(self._session, self._run.app_id, named) if named else {}
        users = people.users(self._session, {account.user_id for account in accounts.values() if account.user_id}) if accounts else {}
        for row in rows:
            account = accounts.get(row.external_id or "")
            user = users.get(account.user_id or "") if account else None
            if account and user and row.leaver:
                self._take([(plan_leaver(self._terms, row, account, user), user)])
            else:
                self._writer.add(invalid(row, account, user))

    # -- the check ----------------------------------------------------------------------------------------------------

    def _checked(self, found: Survey, as_of_event: int) -> Planned:
        run, terms, writer = self._run, self._terms, self._writer
        assigned = store.active_assignments(self._session)
        tally = Tally(
            mode=run.mode,
            records=found.lines,
            unidentified=found.unidentified,
            absences=self._absences,
            waiting=found.waiting,
            unassigned=writer.unassigned,
            assigned=assigned[run.app_id],
            assigned_in_org=assigned.total(),
            allow_empty=run.allow_empty,
        )
        writer.situations[Situation.UNCHANGED.value] += found.unchanged
        return Planned(
            verdict=check(tally, terms.policy.safeguard, terms.org),
            situations=_counted(writer.situations),
            actions=_counted(writer.actions),
            plan_hash=writer.hash(),
            changes=writer.count,
            records=found.lines,
            as_of_event=as_of_event,
            hook=self._asking.tally() if self._asking is not None else None,
        )


def _has_another(user: User, account: Account) -> bool:
    return any(other.app_id == account.app_id and other.id != account.id for other in user.links)


def _left(account: Account, change: Change) -> Account:
    effect: Any = change.effect
    released = bool(effect.get("release")) or (account.released and not effect.get("relink"))
    return replace(account, account=AccountState(effect.get("account", account.account)), released=released)


def _counted(counts: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in sorted(counts.items()) if count}


def _batches(values: Iterable[T]) -> Iterator[list[T]]:
    source = iter(values)
    while batch := list(islice(source, _AT_ONCE)):
        yield batch
