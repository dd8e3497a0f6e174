"""What the command line reads of the API's answers (API.md): the fields it shows, and no others."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field


class Share(Struct):
    """Unassignments against active assignments, and the limit in percent."""

    unassigned: int
    assigned: int
    percent: float
    limit: int


class Verdict(Struct):
    """What the safeguards said of a plan."""

    tripped: bool
    reason: str | None
    app: Share
    org: Share


class Hook(Struct, rename="camel"):
    """The inline hook that a run asked, and what came of it."""

    name: str
    asked: int
    outcomes: dict[str, int]
    gave_up: str | None


class Run(Struct, rename="camel"):
    """An import run."""

    id: str
    app_id: str
    mode: str
    status: str
    dry_run: bool
    plan_hash: str | None
    records: int
    situations: dict[str, int]
    actions: dict[str, int]
    safeguard: Verdict | None
    blocked_by: str | None
    superseded_by: str | None
    error: str | None
    created: str
    duration_ms: int | None
    hook: Hook | None = None


class AppRef(Struct, rename="camel"):
    """An app, named."""

    app_id: str
    label: str


class Attribute(Struct):
    """An attribute's change."""

    old: Any = None
    new: Any = None


class Hold(Struct):
    """An admin hold in force."""

    reason: str
    until: str | None
    by: str


class Change(Struct, rename="camel"):
    """A row of a plan."""

    seq: int
    external_id: str | None
    line: int | None
    situation: str
    action: str
    user_id: str | None
    login: str | None
    from_: str | None = field(name="from")
    to: str | None
    rule: str
    reason: str | None
    authority: AppRef | None
    attributes: dict[str, Attribute]
    candidates: list[dict[str, str]]
    state: str
    error: str | None
    hold: Hold | None = None
    conflict: dict[str, dict[str, Any]] | None = None


class App(Struct):
    """An app."""

    id: str
    label: str
    status: str


class Outgoing(Struct, rename="camel"):
    """What waits to go out to an app."""

    waiting: int
    delivering: int
    dead: int
    paused: str | None
    reason: str | None


class ProvisioningTask(Struct, rename="camel"):
    """One thing to tell an app."""

    id: str
    user_id: str
    kind: str
    status: str
    attempts: int
    next_attempt: str | None
    error: str | None
    created: str


class Retried(Struct):
    """How many tasks are tried again."""

    retried: int


class Master(Struct, rename="camel"):
    """A ranked master; rank 1 is the highest."""

    app_id: str
    rank: int


class Masters(Struct):
    """The ranked list."""

    masters: list[Master]


class User(Struct):
    """A user, in Okta's words."""

    id: str
    status: str
    profile: dict[str, Any]
    embedded: dict[str, Hold] = field(name="_embedded", default_factory=dict)


class Candidate(Struct, rename="camel"):
    """A user that a waiting account might be."""

    user_id: str
    login: str
    status: str
    hold: Hold | None = None


class Waiting(Struct, rename="camel"):
    """An account that waits for review."""

    app_user_id: str
    app_id: str
    external_id: str
    situation: str | None
    reason: str | None
    profile: dict[str, Any]
    candidates: list[Candidate]


class Result(Struct, rename="camel"):
    """What became of a reviewer's decision."""

    ok: bool
    status: str | None = None
    error_summary: str | None = None


class Results(Struct):
    """Of several, in their order."""

    results: list[Result]


class Standing(Struct):
    """A master's word that was heard and not followed."""

    label: str
    trigger: str
    reason: str | None


class Standings(Struct):
    """What of a user's masters is asked for here: the words that stand unheeded."""

    disagreements: list[Standing]


class Actor(Struct):
    """Who did it."""

    type: str
    id: str
    name: str


class Account(Struct, rename="camel"):
    """The account that an event tells of, as it was left."""

    app_id: str
    account: str
    released: bool


class RunRef(Struct):
    """The run that an event is part of."""

    id: str


class Event(Struct, rename="camel"):
    """One event of a history."""

    seq: int
    at: str
    type: str
    actor: Actor
    from_: str | None = field(name="from", default=None)
    to: str | None = None
    rule: str | None = None
    reason: str | None = None
    authority: str | None = None
    row: int | None = None
    run: RunRef | None = None
    account: Account | None = None
    external_id: str | None = None
    facts: dict[str, Any] = {}
    attributes: dict[str, Attribute] = {}


class Erasure(Struct, rename="camel"):
    """What was erased of a person."""

    user_id: str
    events: int
    rows: int
    from_disk: bool


class Statement(Struct):
    """What was signed about the history."""

    number: int
    at: str
    chains: int
    root: str
    key: str


class Checkpoint(Struct):
    """A checkpoint."""

    statement: Statement


class Cause(Struct, rename="camel"):
    """One fault of a refused request."""

    error_summary: str


class Problem(Struct, rename="camel"):
    """The error envelope."""

    error_code: str
    error_summary: str
    error_causes: list[Cause] = []
    error_id: str = ""


class Checked(Struct):
    """How much a reconciliation looked at."""

    users: int
    accounts: int
    events: int


class Reconciliation(Struct, rename="camel"):
    """A reconciliation."""

    id: str
    status: str
    checked: Checked
    differences: dict[str, int]
    repairable: int
    respected: int
    runs: list[str]
    error: str | None
    duration_ms: int | None


class Difference(Struct, rename="camel"):
    """One thing that a reconciliation found."""

    kind: str
    cause: str
    because: str
    detail: str
    respected: bool
    repairable: bool
    app_id: str | None
    user_id: str | None
    external_id: str | None
    login: str | None
    expected: dict[str, Any]
    actual: dict[str, Any]
    event_id: str | None
    hold: Hold | None = None
