"""A small org for the walks' tests: apps with policies, users with accounts, straight through the ledger.

Imports make accounts in the real service; here a test says at once what an import would have left.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, select
from sqlmodel import Session, col

from mastering.clock import wire
from mastering.ids import new_id
from mastering.ledger import BY_HAND, Actor, Ledger
from mastering.remaster import RemasterReport, remaster_batch, survey
from mastering.rematch import ways_to
from mastering.rules.lifecycle import Status, Trigger
from mastering.rules.mapping import default_rules
from mastering.rules.people import Account, User
from mastering.rules.policy import ImportPolicy, Mastering
from mastering.rules.record import AccountState, Mode
from mastering.rules.schema import default_schema
from mastering.store import catalog, history, people, tables
from mastering.store.documents import dump
from mastering.store.engine import reading, writing
from mastering.terms import terms_of

ADMIN = Actor("token", "tok", "ada")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ACTIVE, INACTIVE, MISSING = AccountState.ACTIVE, AccountState.INACTIVE, AccountState.MISSING
_HOW = {
    Status.PENDING_ACTIVATION: (),
    Status.ACTIVE: (Trigger.activate,),
    Status.SUSPENDED: (Trigger.activate, Trigger.suspend),
    Status.DEACTIVATED: (Trigger.activate, Trigger.deactivate),
}


@dataclass
class World:
    """A database, and a clock that each act moves on by a second."""

    engine: Engine
    now: datetime = NOW
    apps: dict[str, str] = field(default_factory=dict)

    def tick(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def app(self, label: str, rank: int | None = None, policy: ImportPolicy | None = None) -> str:
        """A connected app, ranked among the masters or not."""
        app_id = self.apps[label] = new_id("0oa")
        policy = policy or ImportPolicy(mastering=Mastering(enabled=rank is not None))
        rules = default_rules(default_schema())
        at = wire(self.now)
        with writing(self.engine) as session:
            session.add(
                tables.App(
                    id=app_id,
                    name=label,
                    label=label,
                    status=tables.AppStatus.ACTIVE,
                    policy=catalog.policy_text(policy),
                    rank=rank,
                    created=at,
                    last_updated=at,
                )
            )
            session.add(
                tables.MappingRow(
                    id=new_id("prm"),
                    source_id=app_id,
                    target_id=catalog.USER_TYPE_ID,
                    properties=dump(catalog.properties_of(rules)),
                    created=at,
                    last_updated=at,
                )
            )
        return app_id

    def change_app(self, label: str, **changes: Any) -> None:
        """Give columns of an app's row other values."""
        with writing(self.engine) as session:
            row = session.get_one(tables.App, self.apps[label])
            for name, value in changes.items():
                setattr(row, name, value)

    def user(self, name: str = "jane", status: Status = Status.ACTIVE, **profile: Any) -> str:
        """A user of this first name."""
        with writing(self.engine) as session:
            ledger = Ledger(session, self.tick(), ADMIN)
            user = ledger.create({**person(name), **profile})
            for trigger in _HOW[status]:
                ledger.move(user, trigger)
            ledger.flush()
        return user.id

    def account(
        self,
        label: str,
        user_id: str | None,
        state: AccountState = ACTIVE,
        *,
        external_id: str = "E1",
        unheeded: tuple[str, str] | None = None,
        profile: dict[str, Any] | None = None,
        **more: Any,
    ) -> str:
        """An account as an import would have left it; it has been active once."""
        at = wire(self.tick())
        account = Account(new_id("0ua"), self.apps[label], external_id, ACTIVE, profile or {}, created=at, last_updated=at, **more)
        with writing(self.engine) as session:
            ledger = Ledger(session, self.now, ADMIN)
            ledger.enlist(account)
            if user_id is not None:
                ledger.link(account, ledger.user(user_id), BY_HAND)
            account.account = state
            if unheeded:
                account.unheeded, account.unheeded_reason = unheeded
            account.ways = ways_to(terms_of(session, account.app_id, Mode.FULL, self.now), account)
            ledger.note_account(account, BY_HAND, "account.seen")
            ledger.flush()
        return account.id

    def crowd(self, label: str, count: int, **told: Any) -> list[str]:
        """Many users, each with an account that tells this."""
        at = wire(self.tick())
        with writing(self.engine) as session:
            ledger = Ledger(session, self.now, ADMIN)
            for number in range(count):
                user = ledger.create(person(f"user{number}"))
                profile = {**user.profile, **told}
                account = Account(new_id("0ua"), self.apps[label], f"C{number}", ACTIVE, profile, created=at, last_updated=at)
                ledger.enlist(account)
                ledger.link(account, user, BY_HAND)
            ids = list(ledger.users)
            ledger.flush()
        return ids

    def tell_account(self, user_id: str, **told: Any) -> None:
        """Have a user's one account tell something else."""
        with writing(self.engine) as session:
            ledger = Ledger(session, self.tick(), ADMIN)
            account = ledger.user(user_id).links[0]
            account.profile.update(told)
            account.ways = ways_to(terms_of(session, account.app_id, Mode.FULL, self.now), account)
            ledger.note_account(account, BY_HAND, "account.seen")
            ledger.flush()

    def remaster(self, actor: Actor, app_id: str | None = None) -> RemasterReport:
        """Map everybody's profile again, or only those with an account in one app."""
        now, total = self.tick(), RemasterReport()
        with reading(self.engine) as session:
            found = survey(session, now, app_id, lambda: None)
        for ids in (*found.batches(), found.together):
            with writing(self.engine) as session:
                ledger = Ledger(session, now, actor)
                report = remaster_batch(ledger, now, ids, found)
                ledger.flush()
            total.changed += report.changed
            total.rejected += report.rejected
        return total

    # -- looking ------------------------------------------------------------------------------------------------------

    def see(self, user_id: str) -> User:
        """The user as the database has it."""
        with reading(self.engine) as session:
            return people.users(session, [user_id])[user_id]

    def see_account(self, account_id: str) -> Account:
        """The account as the database has it."""
        with reading(self.engine) as session:
            return people.accounts(session, [account_id])[account_id]

    def history(self, subject: str) -> list[tables.HistoryEvent]:
        """Its events, oldest first."""
        with reading(self.engine) as session:
            return history.chain(session, subject)

    def told(self, subject: str) -> list[str]:
        """The types of its events, oldest first."""
        return [event.type for event in self.history(subject)]

    def findings(self) -> list[tuple[str, str, str]]:
        """Every finding as user, trigger and cause."""
        with reading(self.engine) as session:
            return [(row.user_id, row.trigger, row.cause) for row in _findings(session)]


def _findings(session: Session) -> list[tables.Finding]:
    return list(session.execute(select(tables.Finding).order_by(col(tables.Finding.id))).scalars())


def person(name: str) -> dict[str, Any]:
    """A complete profile."""
    return {
        "login": f"{name}@example.com",
        "email": f"{name}@example.com",
        "firstName": name.title(),
        "lastName": "Doe",
        "department": "Sales",
    }
