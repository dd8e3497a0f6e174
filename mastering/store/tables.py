"""What is kept, table by table (SPEC §§1, 13).

Conventions, the same everywhere:

* Instants are text as the wire writes them (`clock.wire`): fixed width, so they sort and compare, and the bulk path copies them as they are.
* Documents (profiles, policies, plans' facts) are JSON text made by msgspec; only this package and the ledger look inside.
* Enumerations are text with a CHECK; member name and value are the same word.
* Every chain of history has its head (`history_seq`, `history_hash`) on the row it tells of, so that an event and its head are written together.
* Ids ascend with time (`mastering.ids`), so that new rows append to every index.

The rows are for single-user commands; imports write the same tables in bulk (`mastering.store.bulk`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Enum, Index, Integer, LargeBinary, String, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from mastering.rules.hook import OnFailure
from mastering.rules.lifecycle import Status
from mastering.rules.record import AccountState, Mode
from mastering.rules.runs import RunStatus


class AppStatus(StrEnum):
    """Whether an app takes part: an inactive one is not imported, ranks nowhere and says nothing."""

    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"


class HookStatus(StrEnum):
    """Whether an inline hook is called."""

    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"


class Role(StrEnum):
    """What a token may do (API.md, habits)."""

    admin = "admin"
    importer = "importer"
    auditor = "auditor"


SEARCHED_ATTRIBUTES = {
    "firstName": "search_first_name",
    "lastName": "search_last_name",
    "department": "search_department",
    "employeeNumber": "search_employee_number",
}
"""Profile attributes with a folded column and an index of their own; the two names first, as together they are a key, too."""
SEARCHED_INSTANTS = {
    "created": "created",
    "activated": "coalesce(activated, '')",
    "status_changed": "coalesce(status_changed, '')",
    "last_updated": "last_updated",
}
"""Instants with an index, and what it is over."""

_key: Any = String().with_variant(String(collation="C"), "postgresql")  # compared by its characters, as SQLite does everywhere


_SOMEBODYS = text("user_id IS NOT NULL")
_TAKEN_OVER = text("takeovers > 0")


def _enum(kind: type[StrEnum]) -> Any:
    return Enum(kind, native_enum=False, create_constraint=True, name=kind.__name__.lower(), length=32)


class Org(SQLModel, table=True):
    """The one row of the org: its safeguard, its user schema and the head of its own history."""

    __tablename__: ClassVar[Any] = "org"
    id: str = Field(primary_key=True)
    safeguard: str = Field(sa_type=Text)
    user_schema: str = Field(sa_type=Text)
    version: int = 1
    last_updated: str
    history_seq: int = 0
    history_hash: bytes = Field(default=b"", sa_type=LargeBinary)


class App(SQLModel, table=True):
    """A connected application: Okta's generic fields, the policies of both directions, and its rank among the masters."""

    __tablename__: ClassVar[Any] = "apps"
    __table_args__ = (Index("ix_apps_label", "label"),)
    id: str = Field(primary_key=True)
    name: str
    label: str
    status: AppStatus = Field(sa_type=_enum(AppStatus))
    sign_on_mode: str = "BOOKMARK"
    settings: str = Field(default="{}", sa_type=Text)
    policy: str = Field(sa_type=Text)
    provisioning: str = Field(default="{}", sa_type=Text)
    rank: int | None = None
    arrivals: int = 0
    version: int = 1
    created: str
    last_updated: str
    history_seq: int = 0
    history_hash: bytes = Field(default=b"", sa_type=LargeBinary)


class MappingRow(SQLModel, table=True):
    """A profile mapping from an app to the directory, or back (SPEC §4)."""

    __tablename__: ClassVar[Any] = "mappings"
    __table_args__ = (
        UniqueConstraint("source_id", "target_id"),
        Index("ix_mappings_source", "source_id", "id"),
        Index("ix_mappings_target", "target_id", "id"),
    )
    id: str = Field(primary_key=True)
    source_id: str
    target_id: str
    properties: str = Field(sa_type=Text)
    version: int = 1
    created: str
    last_updated: str


class User(SQLModel, table=True):
    """The person's account in the directory. `login_key`, `email_key` and `name_key` are what matching compares (SPEC §§4, 6).

    The columns `search_…` hold the profile attributes that lists are most searched by, folded; empty where there is none. With them, and
    with every index over (value, id), a search looks up what it wants and goes on where a page ended.
    """

    __tablename__: ClassVar[Any] = "users"
    __table_args__ = (
        Index("ix_users_login_key", "login_key", unique=True),
        Index("ix_users_email_key", "email_key", "id"),
        Index("ix_users_name_key", "name_key"),
        Index("ix_users_status", "status", "id"),
        Index("ix_users_hold_until", "hold_until", sqlite_where=text("held"), postgresql_where=text("held")),
        *(Index(f"ix_users_{column}", value if value == column else text(value), "id") for column, value in SEARCHED_INSTANTS.items()),
        *(Index(f"ix_users_{column}", column, "id") for column in SEARCHED_ATTRIBUTES.values()),
    )
    id: str = Field(primary_key=True)
    status: Status = Field(sa_type=_enum(Status))
    login: str
    login_key: str = Field(sa_type=_key)
    email_key: str | None = Field(default=None, sa_type=_key)
    name_key: str | None = None
    search_first_name: str = Field(default="", sa_type=_key)
    search_last_name: str = Field(default="", sa_type=_key)
    search_department: str = Field(default="", sa_type=_key)
    search_employee_number: str = Field(default="", sa_type=_key)
    profile: str = Field(sa_type=Text)
    pending_when_deactivated: bool = False
    held: bool = False
    hold_reason: str | None = None
    hold_until: str | None = None
    hold_since: str | None = None
    hold_by: str | None = None
    created: str
    activated: str | None = None
    status_changed: str | None = None
    last_updated: str
    version: int = 1
    history_seq: int = 0
    history_hash: bytes = Field(default=b"", sa_type=LargeBinary)


class AppUser(SQLModel, table=True):
    """The app's account of a person (SPEC §1). Linked when it has a user; waiting when it has a situation."""

    __tablename__: ClassVar[Any] = "app_users"
    __table_args__ = (
        Index("ux_app_users_external", "app_id", "external_id", unique=True),
        Index("ix_app_users_app", "app_id", "id"),
        Index("ix_app_users_user", "user_id"),
        Index(
            "ux_app_users_place",
            "app_id",
            "user_id",
            unique=True,
            sqlite_where=text("user_id IS NOT NULL AND NOT released"),
            postgresql_where=text("user_id IS NOT NULL AND NOT released"),
        ),
        Index(
            "ix_app_users_queue",
            "id",
            sqlite_where=text("situation IS NOT NULL"),
            postgresql_where=text("situation IS NOT NULL"),
        ),
        Index(
            "ix_app_users_waiting",
            "app_id",
            "id",
            sqlite_where=text("situation IS NOT NULL"),
            postgresql_where=text("situation IS NOT NULL"),
        ),
    )
    id: str = Field(primary_key=True)
    app_id: str = Field(foreign_key="apps.id")
    external_id: str
    user_id: str | None = Field(default=None, foreign_key="users.id")
    account: AccountState = Field(sa_type=_enum(AccountState))
    released: bool = False
    seen_active: bool = False
    ignored: bool = False
    profile: str = Field(sa_type=Text)
    digest: bytes | None = Field(default=None, sa_type=LargeBinary)
    situation: str | None = None
    reason: str | None = None
    candidates: str = Field(default="[]", sa_type=Text)
    unheeded: str | None = None
    unheeded_reason: str | None = None
    linked_at: str | None = None
    last_run_id: str | None = None
    created: str
    last_updated: str
    history_seq: int = 0
    history_hash: bytes = Field(default=b"", sa_type=LargeBinary)


class WaitingWay(SQLModel, table=True):
    """A text by which a waiting row is found when a person appears, changes or goes: a login, an address, a name, a candidate (SPEC §6)."""

    __tablename__: ClassVar[Any] = "waiting_ways"
    __table_args__ = (Index("ix_waiting_ways_account", "account_id"),)
    app_id: str = Field(primary_key=True)
    way: str = Field(primary_key=True)
    account_id: str = Field(primary_key=True, foreign_key="app_users.id")


class ImportRun(SQLModel, table=True):
    """One import of one app, its plan's verdict, and the lease of whoever works on it. `received`: when a session was last loaded.

    `origin`: the reconciliation that it repairs, or the run that it undoes.
    `pull`: how the records were fetched, where they were.
    `planned_as_of`, `planned_now`: the last event that planning saw, and the instant that it took for the present. `as_of_event` is the
    first of these until the plan is applied, and moves on with it.

    `takeovers`: how often it was taken from an owner whose lease had run out, or who was known to be dead. `queue_cursor`: behind which
    waiting row to go on matching, where the whole queue has to be matched after its last row.
    """

    __tablename__: ClassVar[Any] = "import_runs"
    __table_args__ = (
        Index("ix_import_runs_app", "app_id", "arrival"),
        Index("ix_import_runs_page", "app_id", "id"),
        Index("ix_import_runs_status", "status", "arrival"),
        Index("ix_import_runs_taken_over", "takeovers", sqlite_where=_TAKEN_OVER, postgresql_where=_TAKEN_OVER),
    )
    id: str = Field(primary_key=True)
    app_id: str = Field(foreign_key="apps.id")
    mode: Mode = Field(sa_type=_enum(Mode))
    source: str
    status: RunStatus = Field(sa_type=_enum(RunStatus))
    dry_run: bool = False
    allow_empty: bool = False
    expected_count: int | None = None
    snapshot_at: str | None = None
    origin: str | None = Field(default=None, index=True)
    arrival: int | None = None
    policy: str | None = Field(default=None, sa_type=Text)
    plan_hash: str | None = None
    records: int = 0
    changes: int = 0
    situations: str = Field(default="{}", sa_type=Text)
    actions: str = Field(default="{}", sa_type=Text)
    safeguard: str | None = Field(default=None, sa_type=Text)
    hook: str | None = Field(default=None, sa_type=Text)
    pull: str | None = Field(default=None, sa_type=Text)
    error: str | None = None
    blocked_by: str | None = None
    superseded_by: str | None = None
    started_by: str = Field(sa_type=Text)
    approved_by: str | None = Field(default=None, sa_type=Text)
    created: str
    received: str | None = None
    sealed: str | None = None
    planned: str | None = None
    completed: str | None = None
    as_of_event: int = Field(default=0, sa_type=BigInteger)
    planned_as_of: int | None = Field(default=None, sa_type=BigInteger)
    planned_now: str | None = None
    cursor: int = 0
    queue_cursor: str | None = None
    owner: str | None = None
    lease_until: str | None = None
    fence: int = 0
    takeovers: int = 0
    version: int = 1


class RunChunk(SQLModel, table=True):
    """A piece of what a run received: numbered record lines, in order, as `imports.spool` packs them; and their marks (`received`).

    The marks come first, so that SQLite reads them without the lines.
    """

    __tablename__: ClassVar[Any] = "run_chunks"
    run_id: str = Field(primary_key=True, foreign_key="import_runs.id")
    seq: int = Field(primary_key=True)
    lines: int
    marks: bytes | None = Field(default=None, sa_type=LargeBinary)
    payload: bytes = Field(sa_type=LargeBinary)


class RunChange(SQLModel, table=True):
    """One row of a plan. `effect` is what applying it writes; `state` is told apart from PLANNED by the run's cursor."""

    __tablename__: ClassVar[Any] = "run_changes"
    __table_args__ = (
        Index("ix_run_changes_user", "user_id", sqlite_where=_SOMEBODYS, postgresql_where=_SOMEBODYS),
        {"sqlite_with_rowid": False},  # read and written in the order of its key, and nothing refers to a row
    )
    run_id: str = Field(primary_key=True, foreign_key="import_runs.id")
    seq: int = Field(primary_key=True)
    external_id: str | None = None
    line: int | None = None
    situation: str
    action: str
    user_id: str | None = None
    app_user_id: str | None = None
    login: str | None = None
    from_status: str | None = None
    to_status: str | None = None
    trigger: str | None = None
    rule: str
    reason: str | None = None
    detail: str | None = None
    authority: str | None = None
    effect: str = Field(sa_type=Text)
    bundle: int | None = None
    state: str | None = None
    error: str | None = None


class InlineHook(SQLModel, table=True):
    """An inline hook: where it is called, and the header that proves who calls, sealed by `mastering.vault` (SPEC §8)."""

    __tablename__: ClassVar[Any] = "inline_hooks"
    id: str = Field(primary_key=True)
    name: str
    status: HookStatus = Field(sa_type=_enum(HookStatus))
    uri: str
    method: str
    headers: str = Field(default="[]", sa_type=Text)
    auth_key: str | None = None
    auth_value: str | None = Field(default=None, sa_type=Text)
    on_failure: OnFailure = Field(sa_type=_enum(OnFailure))
    version: int = 1
    created: str
    last_updated: str


class HookCall(SQLModel, table=True):
    """A record that a hook is asked about while its run is being planned, and what was heard. Gone when the plan is made."""

    __tablename__: ClassVar[Any] = "hook_calls"
    run_id: str = Field(primary_key=True, foreign_key="import_runs.id")
    external_id: str = Field(primary_key=True)
    asked: str = Field(sa_type=Text)
    contested: bool = False
    word: str | None = Field(default=None, sa_type=Text)


class HistoryEvent(SQLModel, table=True):
    """One event. `body` is what the chain hashes; `values_json` holds what a person could ask to have erased, and `body` commits to it."""

    __tablename__: ClassVar[Any] = "history"
    __table_args__ = (
        Index("ux_history_subject", "subject", "seq", unique=True),
        Index("ix_history_run", "run_id", sqlite_where=text("run_id IS NOT NULL"), postgresql_where=text("run_id IS NOT NULL")),
        Index("ix_history_at", "at"),
    )
    position: int | None = Field(default=None, primary_key=True, sa_type=BigInteger().with_variant(Integer, "sqlite"))
    id: str
    subject: str
    seq: int
    at: str
    type: str
    run_id: str | None = None
    body: str = Field(sa_type=Text)
    values_json: str | None = Field(default=None, sa_type=Text)
    hash: bytes = Field(sa_type=LargeBinary)


class Finding(SQLModel, table=True):
    """A reconciliation finding: a word once heard and not followed, whose obstacle is gone (SPEC §3, standing disagreement)."""

    __tablename__: ClassVar[Any] = "findings"
    __table_args__ = (Index("ix_findings_user", "user_id"),)
    id: str = Field(primary_key=True)
    user_id: str
    app_id: str
    app_user_id: str
    trigger: str
    cause: str
    created: str


class Token(SQLModel, table=True):
    """An access token, as a hash. `apps` names what an importer may import."""

    __tablename__: ClassVar[Any] = "tokens"
    id: str = Field(primary_key=True)
    name: str
    role: Role = Field(sa_type=_enum(Role))
    apps: str = "[]"
    secret_hash: bytes = Field(sa_type=LargeBinary, unique=True)
    created: str
    last_used: str | None = None
    revoked: str | None = None


class IdempotencyKey(SQLModel, table=True):
    """The answer once given under a key, for 24 hours."""

    __tablename__: ClassVar[Any] = "idempotency_keys"
    token_id: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    request_hash: bytes = Field(sa_type=LargeBinary)
    status: int | None = None
    answer: bytes | None = Field(default=None, sa_type=LargeBinary)
    headers: str = "{}"
    created: str
