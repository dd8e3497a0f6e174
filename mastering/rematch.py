"""Waiting rows, matched again when people appear, change or go (SPEC §6).

The situation and the candidates of a waiting row are brought up to date at once; nothing is confirmed here: that is for a run or a
reviewer. As in a run, rows that want the same person or login stand in each other's way. A row that waits because of another record's
claim stands as it is until the next run of its app, which at its end looks at the rows it had no records of. So
does one that an inline hook's word has led where it is.

A queue may be as long as an organisation is large, and one person concerns few of its rows. So each row is kept with the *ways* to it:
what it would be matched by, the login it asks for, and the people it might be. Who changed leads by these ways to the rows concerned, and
they lead to those that share a claim with them: what became of a claim is told to its neighbours, and judged knowing the neighbours of
those. Only what concerns everybody (options, mappings, a large run) is asked of the whole queue, a part of it at a time: if what rows are
matched by has changed, the ways to all of them are found first, and then all are matched.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlmodel import Session

from mastering.ledger import Ledger, Why
from mastering.rules.change import Change, Prepared, Terms, prepare_again
from mastering.rules.claims import Claims, Lost
from mastering.rules.decision import Rule, Situation
from mastering.rules.hooked import stands_by_hook
from mastering.rules.matching import Crowd, Match, correlate, keys_of_user, way_to_login, way_to_user, ways_of
from mastering.rules.people import Account, User
from mastering.rules.policy import Confirmation, Matching
from mastering.rules.record import Mode
from mastering.rules.stakes import give_up, stake
from mastering.rules.text import fold_login
from mastering.rules.unlinked import Found, plan_unlinked
from mastering.store import catalog, people, tables, waiting
from mastering.store import imports as store
from mastering.store.looks import looked
from mastering.terms import terms_of

_CLAIMED = {Lost.login_claimed_twice.value, Lost.user_claimed_twice.value}
_Place = tuple[str, str | None, tuple[str, ...]]
"""Where a row stands in the queue: situation, reason and candidates."""
_AT_ONCE = 5_000
"""Rows of the queue to a transaction, where all of it is looked at."""
_MANY = 2_000
"""Events of a run from which on the whole queue is asked: finding the rows concerned would cost as much."""


@dataclass(frozen=True, slots=True)
class Ripple:
    """What has changed: people, by id and, where they still are, as they are now; logins that became free; rows of the queue."""

    user_ids: Collection[str] = ()
    users: Collection[User] = ()
    logins: Collection[str] = ()
    rows: Collection[str] = ()

    @classmethod
    def of(cls, ledger: Ledger, *, gone: Collection[str] = (), rows: Collection[str] = ()) -> Ripple:
        """Everybody whom a ledger has loaded, whatever logins were given up in it, who went, and rows of the queue that others decided on."""
        return cls(gone, ledger.users.values(), ledger.freed, rows)

    def ways(self, matching: Matching) -> set[str]:
        """By what rows of an app are found that this concerns."""
        found = {way_to_user(user_id) for user_id in self.user_ids} | {way_to_login(login) for login in self.logins}
        for user in self.users:
            found.update(ways_of(matching, keys_of_user(matching, user.login, user.profile)), [way_to_user(user.id)])
        return found


def rematch(ledger: Ledger, now: datetime, ripple: Ripple) -> int:
    """Match the waiting rows again that a change concerns; how many changed their place. The caller has flushed it, and flushes this."""
    return _spread(ledger, now, ripple, None)


def find_ways(ledger: Ledger, now: datetime, after: str) -> str | None:
    """Find the ways to the next rows of the whole queue anew, from behind an id: what all of them are matched by has changed.

    Returns behind which id to go on, `None` at the end. Nobody else may look for waiting rows meanwhile: the caller holds `Lock.OPTIONS`.
    """
    ids = waiting.next_ids(ledger.session, after, _AT_ONCE)
    ledger.load_accounts(ids)
    rows = [ledger.accounts[account_id] for account_id in ids if account_id in ledger.accounts]
    terms = {app_id: _asking(ledger, now, app_id) for app_id in {account.app_id for account in rows}}
    waiting.write(ledger.session, {account.id: (account.app_id, ways_to(terms[account.app_id], account)) for account in rows})
    return _behind(ids)


def rematch_next(ledger: Ledger, now: datetime, after: str, run: tables.ImportRun | None = None) -> tuple[int, str | None]:
    """Match the next rows of the whole queue again, from behind an id, each judged knowing who shares a claim with it.

    Returns how many have moved, and behind which id to go on, `None` at the end. `run`: as in `rematch_after`.
    """
    session, moved = ledger.session, 0
    since = store.last_event(session)
    ids = waiting.next_ids(session, after, _AT_ONCE)
    apps = waiting.apps_of(session, ids)
    for app_id in sorted(set(apps.values())):
        queue = _Queue(ledger, _asking(ledger, now, app_id))
        queue.take([account_id for account_id in ids if apps.get(account_id) == app_id])
        placed = list(queue.rows)
        queue.take(queue.neighbours())
        moved += queue.place(placed, run)
        looked(session, since, queue.stands)
    return moved, _behind(ids)


def _behind(ids: Sequence[str]) -> str | None:
    return ids[-1] if len(ids) == _AT_ONCE else None


def rematch_after(ledger: Ledger, now: datetime, run: tables.ImportRun, *, alone: bool) -> str | None:
    """The same after a run has been applied: what it said of its records stands, what earlier runs of its app said does not any more.

    `alone`: nobody else has acted since it was planned. Otherwise its rows were placed on facts that are no more, and all are looked at:
    a part at a time, behind the run's `queue_cursor`. Returns behind which id to go on, `None` where all is done.
    """
    if run.queue_cursor is not None:
        return rematch_next(ledger, now, run.queue_cursor, run)[1]
    apps = waiting.apps(ledger.session)
    told = waiting.told_by(ledger.session, run, _MANY) if apps and alone else None
    if apps and told is None:
        return rematch_next(ledger, now, "", run)[1]
    if told is None:
        return None
    subjects, logins = told
    users = people.users(ledger.session, subjects).values()
    rows = subjects | waiting.kept_by_claims(ledger.session, run)
    ripple = Ripple(subjects, users, {fold_login(login) for login in logins}, rows)
    _spread(ledger, now, ripple, run)
    return None


def ways_to(terms: Terms, account: Account) -> tuple[str, ...]:
    """By what a row that begins to wait, or waits for others now, will be found; none for one that does not wait, or is invalid by now."""
    prepared = prepare_again(terms, account) if account.situation is not None and account.user_id is None else None
    return _ways(terms, prepared, account) if isinstance(prepared, Prepared) else ()


def _ways(terms: Terms, prepared: Prepared, account: Account) -> tuple[str, ...]:
    return (*ways_of(terms.policy.matching, prepared.keys), *map(way_to_user, account.candidates))


def _asking(ledger: Ledger, now: datetime, app_id: str) -> Terms:
    """The app's terms of now, under which nothing is confirmed."""
    terms = terms_of(ledger.session, app_id, Mode.INCREMENTAL, now)
    return replace(terms, policy=replace(terms.policy, confirmation=Confirmation()))


def _spread(ledger: Ledger, now: datetime, ripple: Ripple, after: tables.ImportRun | None) -> int:
    """Match the rows again that a change concerns, app by app, and see to it that by the end of the transaction these still are all."""
    session, moved, queues = ledger.session, 0, dict[str, _Queue]()
    since = store.last_event(session)
    for app_id in waiting.apps(session):
        ids = _near(session, app_id, ripple).union(ripple.rows)
        if ids:
            queues[app_id] = queue = _Queue(ledger, _asking(ledger, now, app_id))
            queue.take(ids)
            queue.take(queue.neighbours())
            placed = list(queue.rows)
            queue.take(queue.neighbours())
            moved += queue.place(placed, after)

    def stands(others: set[str]) -> bool:
        known = {app_id: queues[app_id].known if app_id in queues else frozenset[str]() for app_id in waiting.apps(session)}
        joined = any(not _near(session, app_id, ripple) <= ids for app_id, ids in known.items())
        return not joined and all(queue.stands(others) for queue in queues.values())

    looked(session, since, stands)
    return moved


def _near(session: Session, app_id: str, ripple: Ripple) -> set[str]:
    matching = catalog.policy_of(session.get_one(tables.App, app_id)).matching
    return waiting.near(session, app_id, ripple.ways(matching))


@dataclass(slots=True)
class _Row:
    """A waiting row as it would be matched now."""

    account: Account
    prepared: Prepared
    match: Match


@dataclass(slots=True)
class _Queue:
    """Some rows of one app's queue, and their claims."""

    ledger: Ledger
    terms: Terms
    rows: list[_Row] = field(default_factory=list)
    known: set[str] = field(default_factory=set)

    def take(self, ids: Collection[str]) -> None:
        """Match the rows of these ids, unless they are here already or wait no more."""
        fresh = [account_id for account_id in ids if account_id not in self.known]
        self.known.update(fresh)
        accounts = people.accounts(self.ledger.session, fresh).values() if fresh else ()
        self.match([account for account in accounts if account.app_id == self.terms.app_id])

    def match(self, accounts: Sequence[Account]) -> None:
        """Correlate rows with the directory."""
        terms, matching = self.terms, self.terms.policy.matching
        asked = [account for account in accounts if account.user_id is None and account.waits]
        ready = [(account, prepared) for account in asked if isinstance(prepared := prepare_again(terms, account), Prepared)]
        if ready:
            crowd = Crowd(store.Directory(self.ledger.session, matching).find([prepared.keys for _, prepared in ready]))
            self.rows += [
                _Row(account, prepared, correlate(matching, prepared.keys, crowd.near(prepared.keys))) for account, prepared in ready
            ]

    def neighbours(self) -> set[str]:
        """The ids of the rows that claim, or claimed, what rows here claim or claimed: a login, or somebody whom they are led to."""
        ways = {way_to_login(fold_login(row.prepared.login)) for row in self.rows}
        ways |= {way_to_user(user_id) for row in self.rows for user_id in row.account.candidates}
        ways |= store.Directory(self.ledger.session, self.terms.policy.matching).ways(
            {each for row in self.rows for each in row.match.user_ids}
        )
        return waiting.near(self.ledger.session, self.terms.app_id, ways) - self.known

    def stands(self, others: set[str]) -> bool:
        """Whether the rows here would be placed as they were, although others have told of these people and rows meanwhile."""
        asked = {user_id for row in self.rows for user_id in (*row.match.user_ids, *row.account.candidates)}
        if not others.isdisjoint(asked | self.known):
            return False
        directory = store.Directory(self.ledger.session, self.terms.policy.matching)
        return not directory.lead_to([row.prepared.keys for row in self.rows], others)

    def place(self, rows: Iterable[_Row], after: tables.ImportRun | None) -> int:
        """Give these rows the places that all rows' claims leave them; how many moved."""
        wanted = {row.account.id for row in rows}
        session = self.ledger.session
        holders = store.Directory(session, self.terms.policy.matching).holders({fold_login(row.prepared.login) for row in self.rows})
        users = people.users(session, {user_id for row in self.rows for user_id in row.match.user_ids})
        claims, changes = Claims(), []
        for number, row in enumerate(self.rows):
            found = Found(row.match, users, holders.get(fold_login(row.prepared.login)))
            change = plan_unlinked(self.terms, row.prepared, row.account, found)
            stake(claims, number, change, row.prepared, found)
            changes.append(change)
        for number, lost in claims.losers().items():
            give_up(changes[number], lost)
        places = [(row, place_of(change)) for row, change in zip(self.rows, changes, strict=True) if row.account.id in wanted]
        moving = [(row, place) for row, place in places if moves(row.account, place, after)]
        self.ledger.load_accounts([row.account.id for row, _ in moving])
        return sum(self._move(row, place, after) for row, place in moving)

    def _move(self, row: _Row, place: _Place, after: tables.ImportRun | None) -> bool:
        """Give a row its place, unless somebody has changed it since it was looked at: who did has matched it again."""
        mine = self.ledger.accounts.get(row.account.id)
        if mine is None or mine.history_seq != row.account.history_seq or mine.user_id is not None or not mine.waits:
            return False
        moving = moves(mine, place, after)
        if moving:
            mine.situation, mine.reason, mine.candidates = place
            facts = {"situation": mine.situation, **({"candidates": list(mine.candidates)} if mine.candidates else {})}
            self.ledger.note_account(mine, Why(rule=Rule.needs_review.value, reason=mine.reason, facts=facts), "account.wait")
        mine.ways = _ways(self.terms, row.prepared, mine)
        self.ledger.touch(mine)
        return moving


def place_of(change: Change) -> _Place:
    """Where the row of a record stands in the queue: situation, reason and candidates."""
    return (change.decision.situation.value, change.decision.reason, change.candidates)


def moves(account: Account, place: _Place, after: tables.ImportRun | None) -> bool:
    """Whether a waiting row is given another place. `after`: a run that has just been applied, if one has."""
    stands = _stands(account, after) or stands_by_hook(account.reason, Situation(place[0]))
    return not stands and place != (account.situation, account.reason, account.candidates)


def _stands(account: Account, after: tables.ImportRun | None) -> bool:
    """Whether another record's claim keeps the row where it is until the next run."""
    looked_at = after is None or account.app_id != after.app_id or account.last_run_id == after.id
    return looked_at and account.reason in _CLAIMED
