"""One batch of a reconciliation: people, accounts of nobody, or what is left, each held against the rules and its history (SPEC §12).

Each batch is read in one transaction that sees one moment. First the people are compared, then their chains are streamed: every chain is
verified, and of those who differ the events that explain it are picked out on the way. So the database is passed once, in the order of
the key, and memory holds one batch however many people and however long their histories are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, cast

from sqlmodel import Session

from mastering.clock import wire
from mastering.proof import Broken, verify_chain
from mastering.remaster import load_sources
from mastering.rules import reconciliation as rules
from mastering.rules.change import Change, Prepared, Terms, prepare_again
from mastering.rules.claims import Claims
from mastering.rules.decision import Action
from mastering.rules.matching import Crowd, correlate
from mastering.rules.people import Account, User
from mastering.rules.policy import ImportPolicy
from mastering.rules.profile import Sources
from mastering.rules.reconciliation import IN_WORDS, Cause, Difference, Kind, Past, Seen
from mastering.rules.record import Mode
from mastering.rules.stakes import stake
from mastering.rules.tasks import TaskStatus
from mastering.rules.text import fold_login
from mastering.rules.unlinked import Found, plan_unlinked
from mastering.store import catalog, outbound, people, schedules, tables
from mastering.store import imports as import_store
from mastering.store import reconciliations as store
from mastering.store import users as user_store
from mastering.store.documents import load
from mastering.store.history import LAST_WORDS
from mastering.terms import terms_of

GRACE = timedelta(minutes=5)
"""How late a firing may be before it counts as not kept: a process that starts anew takes what was missed within seconds."""
STUCK = timedelta(hours=1)
"""From when on something to tell an app counts as stuck that is still to be delivered."""
AT_ONCE = 1_000
"""People or accounts of one batch."""


@dataclass(slots=True)
class Batch:
    """What one batch looked at and found, and where the next one begins; no cursor: that part is done."""

    cursor: str | None = None
    users: int = 0
    accounts: int = 0
    events: int = 0
    found: list[tuple[Difference, str | None]] = field(default_factory=list)
    """Each with the finding that was made of the same word at the time, if one was."""
    doubtful: set[str] = field(default_factory=set)
    """Users whose history does not verify: nothing of theirs is repaired, as nobody knows what an admin decided."""

    def repairs(self, difference: Difference) -> bool:
        """Whether a repair would do away with a difference."""
        return difference.repairable and difference.user_id not in self.doubtful


Part = Callable[[Session, datetime, str | None, str], Batch]


@dataclass(frozen=True, slots=True)
class _Options:
    """What everybody is compared by, at one moment."""

    policies: Mapping[str, ImportPolicy]
    mastering: Mapping[str, bool]
    sources: Sources
    at: str

    @classmethod
    def load(cls, session: Session, now: datetime) -> _Options:
        apps = catalog.all_apps(session)
        policies = {app.id: catalog.policy_of(app) for app in apps}
        active = {app.id: app.status is tables.AppStatus.ACTIVE for app in apps if policies[app.id].mastering.enabled}
        return cls(policies, active, load_sources(session, now), wire(now))

    def differences(self, user: User, past: Past) -> list[Difference]:
        return rules.differences(self.policies, self.mastering, self.sources, user, self.at, past)


def users(session: Session, now: datetime, app_id: str | None, after: str) -> Batch:
    """The next people: status, profile and authority against the rules, and their histories."""
    ids = user_store.linked_ids(session, after, AT_ONCE, app_id) if app_id else store.user_ids(session, after, AT_ONCE)
    if not ids:
        return Batch()
    options = _Options.load(session, now)
    loaded = people.users(session, ids)
    pasts = {user.id: Past() for user in loaded.values() if options.differences(user, rules.NO_PAST)}
    batch = Batch(cursor=ids[-1], users=len(ids), accounts=sum(len(user.links) for user in loaded.values()))
    _verify(session, batch, {user.id: (user.history_seq, user.history_hash) for user in loaded.values()}, pasts)
    found = [difference for user_id, past in pasts.items() for difference in options.differences(loaded[user_id], past)]
    made = store.findings(session, pasts)
    for difference in found:
        if app_id in {None, difference.app_id}:
            finding = made.get((difference.account_id or "", difference.trigger or "")) if difference.cause is Cause.obstacle_gone else None
            batch.found.append((difference, finding))
    batch.found.sort(key=lambda each: (each[0].user_id or "", each[0].account_id or ""))
    return batch


def accounts(session: Session, now: datetime, app_id: str | None, after: str) -> Batch:
    """The next accounts that wait or were once apart: whether the next import would confirm them, and their own histories."""
    apart = store.accounts_apart(session, app_id, after, AT_ONCE)
    if not apart:
        return Batch()
    waiting = [account for account in apart if account.user_id is None and account.waits]
    batch = Batch(cursor=apart[-1].id, accounts=len(apart))
    pasts = {account.id: Past() for account in waiting}
    _verify(session, batch, {account.id: (account.history_seq, account.history_hash) for account in apart}, pasts)
    active = {app.id for app in catalog.all_apps(session) if app.status is tables.AppStatus.ACTIVE}
    for app in sorted({account.app_id for account in waiting} & active):
        mine = [account for account in waiting if account.app_id == app]
        terms = terms_of(session, app, Mode.INCREMENTAL, now)
        for account, change in _confirmed(session, terms, mine):
            batch.found.append((_waiting(account, change, pasts[account.id]), None))
    return batch


def tasks(session: Session, now: datetime, app_id: str | None, after: str) -> Batch:
    """The next things to tell apps that were given up, or have not been delivered in the time that this should take."""
    rows = outbound.overdue(session, app_id, wire(now - STUCK), int(after or 0), AT_ONCE)
    if not rows:
        return Batch()
    events = store.events_at(session, {(row.user_id, row.created) for row in rows})
    batch = Batch(cursor=str(rows[-1].seq))
    for row in rows:
        cause = Cause.given_up if row.status is TaskStatus.DEAD else Cause.stuck
        error = f": {row.error}" if row.error else ""
        difference = Difference(
            kind=Kind.failed_task,
            cause=cause,
            detail=f"{IN_WORDS[cause]}: {row.kind.value}, {row.attempts} attempts{error}",
            app_id=row.app_id,
            user_id=row.user_id,
            account_id=row.account_id,
            login=row.login,
            expected={"task": row.kind.value, "status": TaskStatus.DONE.value},
            actual={"task": row.id, "status": row.status.value},
            event_id=events.get((row.user_id, row.created)),
        )
        batch.found.append((difference, None))
    return batch


def rest(session: Session, now: datetime, app_id: str | None, after: str) -> Batch:  # noqa: ARG001 - a part as the others
    """The schedules, and the histories of the apps and of the org."""
    batch = Batch(found=[(difference, None) for difference in _schedules(session, now, app_id)])
    heads = {subject: (seq, head) for subject, seq, head in store.heads_apart(session) if app_id in {None, subject}}
    _verify(session, batch, heads, {})
    return batch


def gone(session: Session, now: datetime, app_id: str | None, after: str) -> Batch:  # noqa: ARG001 - a part as the others
    """The next histories of people and apps that are no more: each verifies, and ends with the word that its subject went."""
    if app_id is not None:
        return Batch()
    cursor, subjects = store.chains_without_a_row(session, after, AT_ONCE)
    batch = Batch(cursor=cursor)
    _verify(session, batch, dict.fromkeys(subjects), {})
    return batch


PARTS: tuple[Part, ...] = (users, accounts, tasks, rest, gone)
"""The parts of a reconciliation, in their order."""


def _schedules(session: Session, now: datetime, app_id: str | None) -> Iterator[Difference]:
    """Schedules that were not kept: firings that nobody took in time, or that started nothing."""
    late = wire(now - GRACE)
    for row in schedules.all_of(session, app_id):
        outcome = load(row.outcome) if row.outcome else {}
        cause, told = Cause.nothing_started, f"{row.last_due}: {outcome.get('skipped')}"
        if row.next_due is not None and row.next_due < late:
            cause, told = Cause.not_fired, row.next_due
        elif "skipped" not in outcome:
            continue
        yield Difference(
            kind=Kind.schedule_missed,
            cause=cause,
            detail=f"{IN_WORDS[cause]}: {row.kind} by {row.cron} ({row.timezone}), {told}",
            app_id=row.subject if row.subject.startswith("0oa") else None,
            expected={"due": row.next_due if cause is Cause.not_fired else row.last_due},
            actual={"lastDue": row.last_due, **outcome},
            event_id=_told_of(session, row, cause),
        )


def _told_of(session: Session, row: schedules.Schedule, cause: Cause) -> str | None:
    """The event that says why nothing was started; where nobody took the firing, the one by which it was due."""
    kinds = ("schedule.skipped",) if cause is Cause.nothing_started else ("app.policy.update", "org.reconciliation.update")
    return store.last_told(session, row.subject, kinds, f'"{row.kind}"' if cause is Cause.nothing_started else '"schedule"')


# -- history ----------------------------------------------------------------------------------------------------------


def _verify(session: Session, batch: Batch, heads: Mapping[str, tuple[int, bytes] | None], pasts: Mapping[str, Past]) -> None:
    """Verify these chains against their heads, noting each that is broken, and fill the pasts on the way. Of whom there is no row there is no head."""
    unseen = dict(heads)
    for subject, events in groupby(store.chains(session, heads), key=lambda event: event.subject):
        _check(batch, subject, unseen.pop(subject), events, pasts.get(subject))
    for subject, head in unseen.items():
        _check(batch, subject, head, (), None)


def _check(batch: Batch, subject: str, head: tuple[int, bytes] | None, events: Iterable[store.Event], past: Past | None) -> None:
    last: list[store.Event] = []

    def told() -> Iterator[Any]:
        for event in events:
            last[:] = [event]
            batch.events += 1
            yield event
            if past is not None:
                _see(past, event)

    broken = verify_chain(cast("Iterable[tables.HistoryEvent]", told()), head)
    if broken is None and head is None and last[0].type not in LAST_WORDS:
        broken = Broken(last[0].seq, "the chain ends here without a deletion, and its subject is gone")
    if broken is None:
        return
    batch.doubtful.add(subject)
    batch.found.append(
        (
            Difference(
                kind=Kind.history_broken,
                cause=Cause.chain_broken,
                detail=f"{IN_WORDS[Cause.chain_broken]}: {subject}, event {broken.seq}: {broken.fault}",
                user_id=subject if subject.startswith("00u") else None,
                account_id=subject if subject.startswith("0ua") else None,
                app_id=subject if subject.startswith("0oa") else None,
                event_id=last[0].id if last else None,
            ),
            None,
        )
    )


def pasts_of(session: Session, user_ids: Collection[str]) -> dict[str, Past]:
    """What history tells of how these people came to stand as they do."""
    pasts = {user_id: Past() for user_id in user_ids}
    for event in store.chains(session, user_ids):
        _see(pasts[event.subject], event)
    return pasts


def _see(past: Past, event: store.Event) -> None:
    body = load(event.body)
    by_hand = "run" not in body and "rule" not in body and body["actor"]["type"] == "token"
    written = load(event.values_json).get("attributes", ()) if event.values_json else ()
    past.see(Seen(event.id, event.seq, by_hand), event.type, body, written)


# -- the queue --------------------------------------------------------------------------------------------------------


def _confirmed(session: Session, terms: Terms, waiting: list[Account]) -> Iterator[tuple[Account, Change]]:
    """Those of an app's waiting accounts that its next run would link, or make a user of."""
    ready = [(account, prepared) for account in waiting if isinstance(prepared := prepare_again(terms, account), Prepared)]
    directory = import_store.Directory(session, terms.policy.matching)
    crowd = Crowd(directory.find([prepared.keys for _, prepared in ready]))
    holders = directory.holders({fold_login(prepared.login) for _, prepared in ready})
    matches = [correlate(terms.policy.matching, prepared.keys, crowd.near(prepared.keys)) for _, prepared in ready]
    known = people.users(session, {user_id for match in matches for user_id in match.user_ids})
    claims, rows = Claims(), list[tuple[Account, Change]]()
    for number, ((account, prepared), match) in enumerate(zip(ready, matches, strict=True)):
        found = Found(match, known, holders.get(fold_login(prepared.login)))
        change = plan_unlinked(terms, prepared, account, found)
        stake(claims, number, change, prepared, found)
        rows.append((account, change))
    lost = claims.losers()
    for number, (account, change) in enumerate(rows):
        if number not in lost and change.decision.action in {Action.link, Action.create}:
            yield account, change


def _waiting(account: Account, change: Change, past: Past) -> Difference:
    linking = change.decision.action is Action.link
    seen = past.words.get(account.id) or past.begun
    what = f"link it to {change.login}" if linking else f"create {change.login}"
    return Difference(
        kind=Kind.waiting_matches,
        cause=Cause.would_be_confirmed,
        detail=f"the account {account.external_id} waits as {account.situation}: {IN_WORDS[Cause.would_be_confirmed]}, and {what}",
        app_id=account.app_id,
        user_id=change.user_id,
        account_id=account.id,
        external_id=account.external_id,
        login=change.login,
        expected={"action": change.decision.action.value, "situation": change.decision.situation.value},
        actual={"action": Action.wait.value, "situation": account.situation},
        trigger=change.decision.trigger,
        event_id=seen.id if seen else None,
    )
