"""What `mastering why` reads of the API's answers (API.md): the fields it shows, and no others."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from mastering.cli.wire import Event


class Voice(Struct, rename="camel"):
    """A linked account as it was."""

    label: str
    rank: int | None
    account: str
    released: bool
    silent: str | None
    spoke: bool


class Flip(Struct, rename="camel"):
    """One thing, otherwise."""

    what: str
    app_id: str | None
    label: str | None
    user_id: str | None
    from_: Any = field(name="from")
    to: Any


class Alternative(Struct, rename="camel"):
    """What would have come of it."""

    flips: list[Flip]
    action: str
    trigger: str | None
    to: str | None
    reason: str | None
    user_id: str | None
    attributes: list[str]
    moves: bool


class Candidate(Struct, rename="camel"):
    """Somebody who was considered."""

    user_id: str
    login: str | None
    lost: str | None


class Limit(Struct, rename="camel"):
    """What a safeguard looked at."""

    unassigned: int
    assigned: int
    limit: int
    in_force: bool
    would_hold_at: int | None


class Row(Struct):
    """The row of the plan."""

    line: int | None
    detail: str | None


class Why(Struct, rename="camel"):
    """Why an event came about."""

    user_id: str
    event: Event
    step: list[Event]
    decided_by: str
    status_before: str | None
    held: bool
    voices: list[Voice]
    candidates: list[Candidate]
    agrees: bool
    safeguards: dict[str, Limit]
    approved_by: dict[str, str] | None
    row: Row | None
    would_change: list[Alternative]
    unasked: str | None
    open_moves: list[str]
    refused_since: list[Event]


class Considered(Struct, rename="camel"):
    """Somebody whom a record could mean."""

    user_id: str
    login: str
    status: str
    match: str
    agrees: list[str]
    lost: str


class Rival(Struct, rename="camel"):
    """Another record that claims the same."""

    external_id: str


class WaitingWhy(Struct, rename="camel"):
    """Why an account waits."""

    app_id: str
    external_id: str
    situation: str | None
    reason: str | None
    ignored: bool
    would_be: str | None
    fault: str | None
    considered: list[Considered]
    cut: bool
    rivals: list[Rival]
    would_change: list[Alternative]
