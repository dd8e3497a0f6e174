"""The two things every rule speaks of: the person in the directory, and the app's account of that person (SPEC §1).

Rules only read them. The ledger, which loads them and writes them back, is alone in changing them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mastering.rules.expressions import Value
from mastering.rules.lifecycle import Status
from mastering.rules.ranking import Link
from mastering.rules.record import AccountState

WITHDRAWN = "WITHDRAWN"
"""The situation of a linked account that is ignored, came back and went again: nothing waits once the ignoring is taken back."""


@dataclass(slots=True)
class Hold:
    """An admin hold: this status stays whatever a master says, while `now < until` (SPEC §7)."""

    reason: str
    until: str | None
    since: str
    by: str

    def binds(self, now: str) -> bool:
        """Whether the hold is in force at `now` (both as the wire writes instants)."""
        return self.until is None or now < self.until


@dataclass(slots=True)
class User:
    """A person: status, login, profile, hold, and the head of the person's history."""

    id: str
    status: Status
    login: str
    profile: dict[str, Value]
    created: str
    last_updated: str
    pending_when_deactivated: bool = False
    hold: Hold | None = None
    activated: str | None = None
    status_changed: str | None = None
    version: int = 1
    history_seq: int = 0
    history_hash: bytes = b""
    links: list[Account] = field(default_factory=list)
    """The accounts linked to this person, of every app, released ones included."""

    def account_in(self, app_id: str) -> Account | None:
        """The user's account of an app: the unreleased one, else the newest."""
        mine = [account for account in self.links if account.app_id == app_id]
        return next((account for account in mine if not account.released), max(mine, key=lambda each: each.id, default=None))

    def held(self, now: str) -> bool:
        """Whether an admin hold binds masters at `now`."""
        return self.hold is not None and self.hold.binds(now)


@dataclass(slots=True)
class Account:
    """An app user. Linked when `user_id` is set; waiting for review when `situation` is."""

    id: str
    app_id: str
    external_id: str
    account: AccountState
    profile: dict[str, Value]
    created: str
    last_updated: str
    user_id: str | None = None
    released: bool = False
    seen_active: bool = False
    ignored: bool = False
    digest: bytes | None = None
    situation: str | None = None
    reason: str | None = None
    candidates: tuple[str, ...] = ()
    unheeded: str | None = None
    unheeded_reason: str | None = None
    linked_at: str | None = None
    last_run_id: str | None = None
    history_seq: int = 0
    history_hash: bytes = b""
    ways: tuple[str, ...] | None = None
    """By what a person is found whom a change of this waiting row, or of that person, concerns; `None` where they are as they were kept."""

    @property
    def waits(self) -> bool:
        """Whether a reviewer is asked about the account. One that is ignored keeps its place in the queue, and is not asked about."""
        return self.situation is not None and not self.ignored

    @property
    def said(self) -> AccountState:
        """What the app last said of it. The return of a linked account that waits, or is ignored, is not carried out: its state stays behind."""
        kept_out = self.user_id is not None and self.situation not in {None, WITHDRAWN}
        return AccountState.ACTIVE if kept_out else self.account

    @property
    def link(self) -> Link:
        """The account as ranking sees it."""
        return Link(self.app_id, self.id, self.account, self.released, self.seen_active)
