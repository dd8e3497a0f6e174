"""A small world for the stories: one database, some apps, imports that are worked off at once, and questions about the outcome.

No server and no thread: `send` receives, seals and takes the turns itself, so that a story reads from top to bottom.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Engine, delete, select
from sqlmodel import SQLModel, col

from mastering import review, users
from mastering.clock import now, wire
from mastering.connectors.intake import open_intake
from mastering.ids import new_id
from mastering.imports import runs
from mastering.imports.spool import Spool
from mastering.imports.worker import Worker
from mastering.ledger import Actor, Ledger
from mastering.rematch import rematch_next
from mastering.rules.mapping import default_rules
from mastering.rules.people import Account, User
from mastering.rules.policy import Confirmation, ImportPolicy, Mastering, OrgSafeguard, Safeguard, WhenDeactivated
from mastering.rules.record import Mode
from mastering.rules.schema import default_schema
from mastering.store import catalog, people, tables
from mastering.store.documents import dump, load
from mastering.store.engine import reading, writing

ADMIN = Actor("token", "00Tadmin", "admin")
CONFIRM_ALL = Confirmation(auto_confirm_exact=True, auto_confirm_partial=True, auto_confirm_new=True, auto_activate_new=True)


def policy(**parts: Any) -> ImportPolicy:
    """A policy that confirms everything and masters users, unless `parts` say otherwise."""
    plain = ImportPolicy(confirmation=CONFIRM_ALL, mastering=Mastering(enabled=True))
    return replace(plain, **parts)


def master(when: WhenDeactivated = WhenDeactivated.DEACTIVATE, *, suspended: bool = False, deactivated: bool = False) -> Mastering:
    """The mastering part of a policy."""
    return Mastering(enabled=True, when_deactivated=when, reactivate_suspended=suspended, reactivate_deactivated=deactivated)


def calm(**parts: Any) -> ImportPolicy:
    """The same without the app's safeguard, for stories about something else; the org's is `World.set_org(enabled=False)`."""
    return policy(**{"safeguard": Safeguard(enabled=False), **parts})


def person(external_id: str, **profile: Any) -> dict[str, Any]:
    """A record of a person whose e-mail, and so login, follows from the external id unless given. `active` goes to the record."""
    record: dict[str, Any] = {"externalId": external_id}
    if "active" in profile:
        record["active"] = profile.pop("active")
    plain = {"email": f"{external_id.lower()}@example.com", "firstName": f"First-{external_id}", "lastName": f"Last-{external_id}"}
    return {**record, "profile": {**plain, **profile}}


@dataclass
class World:
    """One org on one database."""

    engine: Engine
    worker: Worker = field(init=False)

    def __post_init__(self) -> None:
        self.worker = Worker(self.engine)

    def app(self, label: str, app_policy: ImportPolicy | None = None) -> str:
        """A new app, ranked last if it masters users; its id."""
        chosen, app_id = app_policy or policy(), new_id("0oa")
        at = wire(now())
        with writing(self.engine) as session:
            rank = len(catalog.ranking(session)) + 1 if chosen.mastering.enabled else None
            row = tables.App(
                id=app_id, name=label.lower(), label=label, status=tables.AppStatus.ACTIVE, policy="", created=at, last_updated=at
            )
            row.policy, row.rank = catalog.policy_text(chosen), rank
            session.add(row)
            session.flush()
            session.add(
                tables.MappingRow(
                    id=new_id("prm"),
                    source_id=app_id,
                    target_id=catalog.USER_TYPE_ID,
                    properties=dump(catalog.properties_of(default_rules(default_schema()))),
                    created=at,
                    last_updated=at,
                )
            )
        return app_id

    def set_policy(self, app_id: str, app_policy: ImportPolicy) -> None:
        """Put another policy in place, as if by an admin, without what the catalog walk does besides."""
        with writing(self.engine) as session:
            row = session.get_one(tables.App, app_id)
            row.policy = catalog.policy_text(app_policy)
            session.add(row)

    def set_org(self, **options: Any) -> None:
        """Set options of the org's safeguard."""
        with writing(self.engine) as session:
            row = catalog.org(session)
            row.safeguard = dump(replace(OrgSafeguard(), **options))
            session.add(row)

    def begin(self, app_id: str, mode: Mode = Mode.FULL, **order: Any) -> str:
        """Accept an import of which nothing has come yet; the run's id."""
        return runs.start(self.engine, ADMIN, now(), app_id, runs.Order(mode, **order))

    def seal(self, run_id: str, records: Iterable[Mapping[str, Any] | bytes]) -> None:
        """Receive the records of a run that has begun, to the end."""
        spool, intake = Spool(self.engine, run_id), open_intake("application/x-ndjson", ImportPolicy().csv)
        body = b"".join((record if isinstance(record, bytes) else json.dumps(record).encode()) + b"\n" for record in records)
        spool.add(intake.feed(body))
        spool.add(intake.close())
        runs.seal(self.engine, ADMIN, now(), run_id, spool.close())

    def receive(self, app_id: str, records: Iterable[Mapping[str, Any] | bytes], mode: Mode = Mode.FULL, **order: Any) -> str:
        """Receive and seal an import without working it off; the run's id."""
        run_id = self.begin(app_id, mode, **order)
        self.seal(run_id, records)
        return run_id

    def moment(self) -> str:
        """An instant after everything that has happened and before everything to come."""
        at = wire(now())
        while wire(now()) <= at:
            pass
        at = wire(now())
        while wire(now()) <= at:
            pass
        return at

    def work(self) -> None:
        """Take turns until nothing is left to do."""
        while self.worker.turn():
            pass

    def send(self, app_id: str, records: Iterable[Mapping[str, Any] | bytes], mode: Mode = Mode.FULL, **order: Any) -> tables.ImportRun:
        """Import and work it off; the run as it stands then."""
        run_id = self.receive(app_id, records, mode, **order)
        self.work()
        return self.run(run_id)

    def approve(self, run: tables.ImportRun) -> None:
        """Let a held run go on, and work it off."""
        runs.approve(self.engine, ADMIN, now(), run.id, run.plan_hash or "")
        self.work()

    def cancel(self, run_id: str) -> None:
        """Give up a run, and work off what waited for it."""
        runs.cancel(self.engine, ADMIN, now(), run_id)
        self.work()

    def delta(self, app_id: str, records: Iterable[Mapping[str, Any] | bytes], **order: Any) -> tables.ImportRun:
        """An INCREMENTAL import."""
        return self.send(app_id, records, Mode.INCREMENTAL, **order)

    def run(self, run_id: str) -> tables.ImportRun:
        """A run."""
        with reading(self.engine) as session:
            return session.get_one(tables.ImportRun, run_id)

    def situations(self, run: tables.ImportRun) -> dict[str, int]:
        """How many rows of each situation."""
        counted: dict[str, int] = load(run.situations)
        return counted

    def changes(self, run: tables.ImportRun) -> list[tables.RunChange]:
        """The plan's rows, in order."""
        with reading(self.engine) as session:
            query = select(tables.RunChange).where(col(tables.RunChange.run_id) == run.id).order_by(col(tables.RunChange.seq))
            return list(session.execute(query).scalars())

    def change(self, run: tables.ImportRun, external_id: str) -> tables.RunChange:
        """The one row of an external id."""
        (found,) = [change for change in self.changes(run) if change.external_id == external_id]
        return found

    def account(self, app_id: str, external_id: str) -> Account:
        """An account."""
        with reading(self.engine) as session:
            return people.accounts_of_app(session, app_id, [external_id])[external_id]

    def user_of(self, app_id: str, external_id: str) -> User:
        """The user that an account is linked to."""
        user_id = self.account(app_id, external_id).user_id
        assert user_id is not None, f"{external_id} is not linked"
        return self.user(user_id)

    def user(self, user_id: str) -> User:
        """A user."""
        with reading(self.engine) as session:
            return people.users(session, [user_id])[user_id]

    def by_login(self, login: str) -> User | None:
        """The user with a login."""
        with reading(self.engine) as session:
            user_id = people.user_id_of(session, login)
        return self.user(user_id) if user_id else None

    def events(self, subject: str) -> list[tables.HistoryEvent]:
        """The events of one chain, oldest first."""
        with reading(self.engine) as session:
            query = select(tables.HistoryEvent).where(col(tables.HistoryEvent.subject) == subject).order_by(col(tables.HistoryEvent.seq))
            return list(session.execute(query).scalars())

    def by_hand(self, name: str, *, activate: bool = True, **profile: Any) -> User:
        """A new user whom an admin made; active unless said otherwise."""
        plain = {"login": f"{name}@example.com", "email": f"{name}@example.com", "firstName": f"First-{name}", "lastName": f"Last-{name}"}
        return users.create(self.engine, ADMIN, now(), {**plain, **profile}, activate=activate)

    def act(self, user_id: str, wanted: str) -> None:
        """Move a user by hand."""
        users.act(self.engine, ADMIN, now(), user_id, users.Act(wanted))

    def remove(self, user_id: str) -> None:
        """Deactivate a user by hand, or delete one who is deactivated."""
        users.remove(self.engine, ADMIN, now(), user_id)

    def rename(self, user_id: str, login: str) -> None:
        """Give a user whom no master supplies another login, by hand."""
        users.update(self.engine, ADMIN, now(), user_id, {"login": login}, replace=False)

    def queue(self, app_id: str, *, ignored: bool = False) -> dict[str, tuple[str | None, str | None, list[str]]]:
        """The review queue of an app: situation, reason and the candidates' logins by external id."""
        rows = review.queue(self.engine, app_id=app_id, ignored=ignored)
        return {
            row.account.external_id: (row.account.situation, row.account.reason, sorted(user.login for user in row.candidates))
            for row in rows
        }

    def review(self, app_id: str, external_id: str, verdict: review.Verdict, **more: Any) -> review.Result:
        """What becomes of a reviewer's decision about one account."""
        item = review.Item(self.account(app_id, external_id).id, verdict, **more)
        (result,) = review.decide(self.engine, ADMIN, now(), [item])
        return result

    def left_to_match(self) -> int:
        """How many rows of the queue are elsewhere than the people there are would have them, whoever looks at all of it. They are put there."""
        left = 0
        after: str | None = ""
        while after is not None:
            with writing(self.engine) as session:
                ledger = Ledger(session, now(), ADMIN)
                moved, after = rematch_next(ledger, now(), after)
                ledger.flush()
            left += moved
        return left

    def kinds(self, subject: str) -> list[str]:
        """The kinds of the events of one chain, oldest first."""
        return [event.type for event in self.events(subject)]


def empty(engine: Engine) -> None:
    """Forget everything."""
    with writing(engine) as session:
        for table in reversed(SQLModel.metadata.sorted_tables):
            session.execute(delete(table))
