"""A world with apps that are pushed to: each has a SCIM server of its own, and what waits is delivered at once, without a thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, select
from sqlmodel import col

from mastering import assignments, connections
from mastering.catalog import apps, mappings, provisioning
from mastering.clock import now
from mastering.connections import Form, Peers
from mastering.connectors.outbound import Door
from mastering.provisioning.deliverer import Deliverer
from mastering.rules.mapping import MappingRule
from mastering.rules.people import Account
from mastering.rules.policy import ImportPolicy, PasswordChange, PasswordSeed, PasswordSync, ProvisioningPolicy
from mastering.store import outbound, people
from mastering.store.connections import Method
from mastering.store.engine import reading, writing
from mastering.store.outbound import OutboundTask
from mastering.vault import Vault
from tests.scim_peer import ScimServer
from tests.walks.imports_world import ADMIN, World

ALL_ON = ProvisioningPolicy(create_users=True, update_attributes=True, deactivate_users=True)
DIRECTORY = PasswordSync(enabled=True, seed=PasswordSeed.OKTA, change=PasswordChange.CHANGE)
KEY = "the-key-of-the-tests-which-is-long-enough"


@dataclass
class PushWorld(World):
    """One org on one database, its door open, and what waits for its apps."""

    door: Door = field(default_factory=Door)
    vault: Vault = field(default_factory=lambda: Vault([KEY]))

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peers = Peers(self.engine, self.vault, self.door)
        self.deliverer = Deliverer(self.engine, self.peers.open, self.vault)

    def target(self, server: ScimServer, policy: ProvisioningPolicy = ALL_ON, *, label: str = "Target") -> str:
        """An app that is pushed to; its id."""
        app = apps.create(self.engine, ADMIN, now(), apps.Form(label, label.lower(), "BOOKMARK"))
        self.connect(app.id, server)
        self.switch(app.id, policy)
        return app.id

    def connect(self, app_id: str, server: ScimServer, token: str = "first-token") -> None:
        """Tell where the app's server is, and what to show there."""
        form = Form(server.url, Method.HEADER, {}, token)
        connections.save(self.engine, self.vault, ADMIN, now(), app_id, form, activate=True)

    def switch(self, app_id: str, policy: ProvisioningPolicy) -> None:
        """Set what goes out to an app."""
        provisioning.revise(self.engine, ADMIN, now(), app_id, lambda _: policy)

    def importing(self, app_id: str, policy: ImportPolicy) -> None:
        """Set what an import of an app does."""
        self.set_policy(app_id, policy)

    def map(self, app_id: str, *rules: MappingRule) -> None:
        """Change rules of the outbound mapping."""
        (mapping,) = mappings.page(self.engine, None, app_id, "", 10)
        edits = {rule.target: mappings.Edit(rule.expression_text, rule.create_only) for rule in rules}
        mappings.update(self.engine, ADMIN, now(), mapping.id, edits)

    def assign(self, app_id: str, user_id: str, **more: Any) -> Account:
        """Assign a user by hand."""
        return assignments.assign(self.engine, ADMIN, now(), app_id, user_id, **more)

    def unassign(self, app_id: str, user_id: str) -> None:
        """Take the assignment away."""
        assignments.unassign(self.engine, ADMIN, now(), app_id, user_id)

    def deliver(self) -> int:
        """Deliver all that is due; how many tasks."""
        return self.deliverer.turn()

    def tasks(self, app_id: str) -> list[OutboundTask]:
        """Every task of an app, oldest first."""
        with reading(self.engine) as session:
            return list(
                session.execute(select(OutboundTask).where(col(OutboundTask.app_id) == app_id).order_by(col(OutboundTask.seq))).scalars()
            )

    def kinds_and_statuses(self, app_id: str) -> list[tuple[str, str]]:
        """What each task is and where it stands."""
        return [(task.kind.value, task.status.value) for task in self.tasks(app_id)]

    def due_now(self) -> None:
        """Let the time pass that tasks and apps wait."""
        with writing(self.engine) as session:
            for task in session.execute(select(OutboundTask)).scalars():
                task.due = task.created
                session.add(task)
            for queue in session.execute(select(outbound.OutboundQueue)).scalars():
                queue.not_before = None
                session.add(queue)

    def account_of(self, app_id: str, user_id: str) -> Account:
        """A user's account in an app."""
        with reading(self.engine) as session:
            account = people.users(session, [user_id])[user_id].account_in(app_id)
        assert account is not None
        return account


@contextmanager
def push_world(engine: Engine) -> Iterator[PushWorld]:
    """A world whose door is closed in the end."""
    world = PushWorld(engine)
    world.set_org(enabled=False)
    try:
        yield world
    finally:
        world.door.close()
