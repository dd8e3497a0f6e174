"""Import runs and the rows of their plans as the wire shows them (API.md, own resources)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field
from sqlmodel import Session

from api.instants import milliseconds
from api.users import HoldView, hold_view
from mastering.imports.rows import effect_of, told_beside
from mastering.rules.people import Hold
from mastering.rules.runs import RunStatus
from mastering.store import runs as run_store
from mastering.store import tables
from mastering.store.documents import load


class Run(Struct, rename="camel"):
    """An import run as API.md shows it."""

    id: str
    app_id: str
    mode: str
    source: str
    status: str
    dry_run: bool
    plan_hash: str | None
    records: int
    situations: dict[str, int]
    actions: dict[str, int]
    safeguard: dict[str, Any] | None
    hook: dict[str, Any] | None
    origin: str | None
    """The reconciliation that the run repairs, or the run that it undoes; null for a run of records."""
    pull: dict[str, Any] | None
    blocked_by: str | None
    superseded_by: str | None
    error: str | None
    started_by: dict[str, str]
    approved_by: dict[str, str] | None
    created: str
    planned: str | None
    completed: str | None
    duration_ms: int | None


class Change(Struct, rename="camel"):
    """A row of a plan, and of what was applied."""

    seq: int
    external_id: str | None
    line: int | None
    situation: str
    action: str
    user_id: str | None
    app_user_id: str | None
    login: str | None
    from_: str | None = field(name="from")
    to: str | None
    trigger: str | None
    rule: str
    reason: str | None
    authority: dict[str, str] | None
    attributes: dict[str, dict[str, Any]]
    candidates: list[dict[str, str]]
    hook: dict[str, Any] | None
    hold: HoldView | None
    """The admin hold in force on the user."""
    conflict: dict[str, dict[str, Any]] | None
    """Why an undo leaves the row alone: by what was changed since, what the run `left` and what is `now`."""
    state: str
    error: str | None


def run_view(session: Session, run: tables.ImportRun) -> Run:
    """A run, with whom it waits for."""
    return Run(
        id=run.id,
        app_id=run.app_id,
        mode=run.mode,
        source=run.source,
        status=run.status,
        dry_run=run.dry_run,
        plan_hash=run.plan_hash,
        records=run.records,
        situations=load(run.situations),
        actions=load(run.actions),
        safeguard=load(run.safeguard) if run.safeguard else None,
        hook=load(run.hook) if run.hook else None,
        origin=run.origin,
        pull=load(run.pull) if run.pull else None,
        blocked_by=run_store.blocker(session, run),
        superseded_by=run.superseded_by,
        error=run.error,
        started_by=load(run.started_by),
        approved_by=load(run.approved_by) if run.approved_by else None,
        created=run.created,
        planned=run.planned,
        completed=run.completed,
        duration_ms=milliseconds(run.created, run.completed) if run.completed else None,
    )


def change_view(row: tables.RunChange, run: tables.ImportRun, labels: dict[str, str], holds: Mapping[str, Hold]) -> Change:
    """A row; its state is told from the run's cursor unless something else became of it. `holds` are those in force, by user."""
    effect = effect_of(row.effect)
    created = {name: {"old": None, "new": value} for name, value in effect.get("create", {}).items()}
    updated = {name: {"old": effect["old"].get(name), "new": value} for name, value in effect.get("new", {}).items()}
    applied = run.status in {RunStatus.APPLYING, RunStatus.COMPLETED} and row.seq <= run.cursor
    return Change(
        seq=row.seq,
        external_id=row.external_id,
        line=row.line,
        situation=row.situation,
        action=row.action,
        user_id=row.user_id,
        app_user_id=row.app_user_id,
        login=row.login,
        from_=row.from_status,
        to=row.to_status,
        trigger=row.trigger,
        rule=row.rule,
        reason=row.reason,
        authority={"appId": row.authority, "label": labels.get(row.authority, "")} if row.authority else None,
        attributes=created or updated,
        candidates=[{"userId": user_id} for user_id in effect["candidates"]],
        hook={name: effect["hook"][name] for name in ("id", "outcome", "tries")} if "hook" in effect else None,
        conflict=effect.get("conflict"),
        hold=hold_view(hold) if (hold := holds.get(row.user_id or "")) else None,
        state=row.state or ("APPLIED" if applied else "PLANNED"),
        error=told_beside(row),
    )
