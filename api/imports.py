"""Imports: start a run, follow it, read its plan, approve or cancel it (API.md, starting an import and own resources).

The body is streamed: it is decoded as it arrives and stored in chunks, so that memory does not grow with it. The handler is the one
asynchronous place of the program; everything that touches the database runs in a thread.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

import anyio
import structlog
from anyio.to_thread import run_sync
from litestar import Controller, Request, Response, get, post
from litestar.datastructures import State
from litestar.exceptions import ClientException
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK, HTTP_202_ACCEPTED
from msgspec import Struct, field
from sqlalchemy import Engine
from sqlmodel import Session

from api.auth import actor_of, importable_apps, require_app
from api.instants import zoned
from api.paging import linked
from api.users import HoldView, hold_view
from mastering.catalog import apps
from mastering.clock import now, wire
from mastering.connectors.intake import open_intake
from mastering.connectors.lines import Line
from mastering.errors import Busy, Invalid, MalformedBody
from mastering.imports import runs, undoing
from mastering.imports.pulling import start_pull
from mastering.imports.rows import effect_of
from mastering.imports.spool import LINES_PER_CHUNK, Spool
from mastering.ledger import Actor
from mastering.rules.decision import Action, Situation
from mastering.rules.people import Hold
from mastering.rules.policy import Csv
from mastering.rules.record import Mode
from mastering.rules.runs import ENDED, RunStatus
from mastering.store import catalog, tables
from mastering.store import imports as store
from mastering.store import runs as run_store
from mastering.store import users as user_store
from mastering.store.documents import load
from mastering.store.engine import reading
from mastering.terms import source_names

MAX_BODY = 2 * 1024**3
MOST_UPLOADS = 16
"""Bodies that a process receives at a time. Each has some megabytes of lines in memory, and a thread while they are written down."""
_MOST_RECORDS = 2**31 - 1
_QUESTIONS = {"mode", "expectedCount", "dryRun", "allowEmpty", "snapshotAt"}
PATIENCE = 60.0
"""Seconds that the next part of a body is waited for."""
_POLL, _SELDOM = 0.02, 0.25
"""Seconds between two looks at a run that is waited for: often in the beginning, as most are short, and less often the longer it takes."""
_RESTS = ENDED | {RunStatus.HELD}


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


class Approval(Struct, rename="camel", forbid_unknown_fields=True):
    """Who approves quotes the hash of the plan that was reviewed."""

    plan_hash: str


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


def milliseconds(since: str, until: str) -> int:
    """How long something took, from one instant of the wire to another."""
    return round((datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds() * 1000)


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
        error=row.error or row.detail,
    )


class AppImportController(Controller):
    """`/apps/{id}/imports`: start a run, list an app's runs."""

    path = "/api/v1/apps/{app_id:str}/imports"
    tags = ("Imports",)

    @post(
        request_max_body_size=MAX_BODY,
        status_code=HTTP_202_ACCEPTED,
        summary="Start an import",
        responses={HTTP_200_OK: ResponseSpec(Run, description="The run, which has come to its end or is held", generate_examples=False)},
    )
    async def start(
        self,
        request: Request[Any, Any, Any],
        app_id: FromPath[str],
        mode: FromQuery[Mode],
        expected_count: Annotated[int | None, QueryParameter(name="expectedCount", ge=0, le=_MOST_RECORDS)] = None,
        dry_run: Annotated[bool, QueryParameter(name="dryRun")] = False,
        allow_empty: Annotated[bool, QueryParameter(name="allowEmpty")] = False,
        snapshot_at: Annotated[datetime | None, QueryParameter(name="snapshotAt")] = None,
        prefer: Annotated[str | None, HeaderParameter(name="Prefer")] = None,
    ) -> Response[Run]:
        """Receive a body and start a run of it; without a body and its type, pull from the app's connection.

        202 with the run, or, with `Prefer: wait=SECONDS`, the run as it stands after its end.
        """
        require_app(request, app_id)
        _refuse_unheard(request)
        patience = _patience(prefer)
        snapshot_at = zoned("snapshotAt", snapshot_at)
        taken_at = wire(snapshot_at) if snapshot_at else None
        order = runs.Order(mode, "PUSH", dry_run, allow_empty, expected_count, taken_at)
        engine, actor = request.app.state.engine, actor_of(request)
        if _brings_nothing(request):
            run_id = await run_sync(_pull, engine, actor, app_id, order)
            request.app.state.puller.wake()
        else:
            with _room(request.app.state):
                run_id = await _receive(request, engine, actor, app_id, order)
            request.app.state.worker.wake()
        view = await _await_end(engine, run_id, patience)
        status = HTTP_200_OK if view.status in _RESTS else HTTP_202_ACCEPTED
        return Response(view, status_code=status, headers={"Location": f"/api/v1/imports/{run_id}"})

    @get(summary="An app's import runs", sync_to_thread=True)
    def list_runs(
        self,
        request: Request[Any, Any, Any],
        app_id: FromPath[str],
        after: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
    ) -> Response[list[Run]]:
        """The runs of one app, newest first."""
        require_app(request, app_id)
        apps.read(request.app.state.engine, app_id)
        return _runs_page(request, app_id, after, limit)


class ImportController(Controller):
    """`/imports`: runs of all apps, their plans, and what an admin decides about held ones."""

    path = "/api/v1/imports"
    tags = ("Imports",)

    @get(summary="Import runs", sync_to_thread=True)
    def list_runs(
        self,
        request: Request[Any, Any, Any],
        app_id: Annotated[str | None, QueryParameter(name="appId")] = None,
        after: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
    ) -> Response[list[Run]]:
        """Runs of every app that the token may read, newest first."""
        return _runs_page(request, app_id, after, limit)

    @get("/{run_id:str}", summary="An import run", sync_to_thread=True)
    def read_run(self, request: Request[Any, Any, Any], run_id: FromPath[str]) -> Run:
        """One run."""
        with reading(request.app.state.engine) as session:
            run = runs.get(session, run_id)
            require_app(request, run.app_id)
            return run_view(session, run)

    @get("/{run_id:str}/changes", summary="The plan, row by row", sync_to_thread=True)
    def list_changes(
        self,
        request: Request[Any, Any, Any],
        run_id: FromPath[str],
        situation: FromQuery[Situation | None] = None,
        action: FromQuery[Action | None] = None,
        user_id: Annotated[str | None, QueryParameter(name="user")] = None,
        after: Annotated[int, QueryParameter(ge=0, le=_MOST_RECORDS)] = 0,
        limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 200,
    ) -> Response[list[Change]]:
        """Rows of the plan, in its order. UNCHANGED records are counted in the run and have no rows."""
        with reading(request.app.state.engine) as session:
            run = runs.get(session, run_id)
            require_app(request, run.app_id)
            labels = {app.id: app.label for app in catalog.masters(session)}
            rows = store.change_page(session, run_id, after, limit + 1, situation=situation, action=action, user_id=user_id)
            holds = user_store.holds(session, {row.user_id for row in rows if row.user_id}, wire(now()))
            views = [change_view(row, run, labels, holds) for row in rows[:limit]]
        more = str(views[-1].seq) if len(rows) > limit else None
        return linked(request, views, more)

    @post("/{run_id:str}/lifecycle/approve", status_code=HTTP_200_OK, summary="Approve a held run", sync_to_thread=True)
    def approve(self, request: Request[Any, Any, Any], run_id: FromPath[str], data: JSONBody[Approval]) -> Run:
        """Let the held plan be applied, exactly as it was reviewed."""
        engine: Engine = request.app.state.engine
        runs.approve(engine, actor_of(request), now(), run_id, data.plan_hash)
        request.app.state.worker.wake()
        return _view(engine, run_id)

    @post("/{run_id:str}/lifecycle/cancel", status_code=HTTP_200_OK, summary="Cancel a held or waiting run", sync_to_thread=True)
    def cancel(self, request: Request[Any, Any, Any], run_id: FromPath[str]) -> Run:
        """Give the run up; nothing of it is applied."""
        engine: Engine = request.app.state.engine
        runs.cancel(engine, actor_of(request), now(), run_id)
        request.app.state.worker.wake()
        return _view(engine, run_id)

    @post("/{run_id:str}/lifecycle/undo", status_code=HTTP_202_ACCEPTED, summary="Undo a run that was applied", sync_to_thread=True)
    def undo(
        self,
        request: Request[Any, Any, Any],
        run_id: FromPath[str],
        dry_run: Annotated[bool, QueryParameter(name="dryRun")] = False,
    ) -> Response[Run]:
        """Start a run that takes back what this one did. What has been changed since is listed in its plan, and left alone."""
        engine: Engine = request.app.state.engine
        undo_id = undoing.start(engine, actor_of(request), now(), run_id, dry_run=dry_run)
        request.app.state.worker.wake()
        return Response(_view(engine, undo_id), headers={"Location": f"/api/v1/imports/{undo_id}"})


CONTROLLERS = [AppImportController, ImportController]


# -- receiving --------------------------------------------------------------------------------------------------------


@contextmanager
def _room(state: State) -> Iterator[None]:
    """One of the places for uploads, while the block lasts; raises `Busy` where none is free. Asked by the event loop alone, so it needs no lock."""
    if state.uploads >= MOST_UPLOADS:
        raise Busy(f"{MOST_UPLOADS} imports are being received already; nothing was read of this one. Send it again a little later")
    state.uploads += 1
    try:
        yield
    finally:
        state.uploads -= 1


async def _receive(request: Request[Any, Any, Any], engine: Engine, actor: Actor, app_id: str, order: runs.Order) -> str:
    """Stream the body into a new run and seal it. Whatever goes wrong on the way fails the run, and nothing of the org has changed."""
    csv, names = await run_sync(_reading_options, engine, app_id)
    intake = open_intake(request.headers.get("content-type", ""), csv, names)
    run_id = await run_sync(runs.start, engine, actor, now(), app_id, order)
    structlog.contextvars.bind_contextvars(run_id=run_id)
    spool, lines = Spool(engine, run_id), list[Line]()
    try:
        async for data in _in_time(request.stream()):
            lines += intake.feed(data)
            if len(lines) >= LINES_PER_CHUNK or spool.due:
                await run_sync(spool.add, lines)
                lines = []
        await run_sync(spool.add, lines + intake.close())
        count = await run_sync(spool.close)
    except MalformedBody as fault:
        await run_sync(runs.give_up, engine, actor, now(), run_id, f"The body could not be read: {fault.summary}; nothing was changed")
        raise
    except ClientException:
        await run_sync(runs.give_up, engine, actor, now(), run_id, "The body was too large or broke off; nothing was changed")
        raise
    except BaseException:
        with anyio.CancelScope(shield=True):
            await run_sync(runs.give_up, engine, actor, now(), run_id, "The upload broke off before its end; nothing was changed")
        raise
    await run_sync(runs.seal, engine, actor, now(), run_id, count)
    return run_id


def _brings_nothing(request: Request[Any, Any, Any]) -> bool:
    """Whether a request has neither a body nor says what it would be. An empty body of a type is an upload that failed to bring any."""
    headers = request.headers
    return "content-type" not in headers and "transfer-encoding" not in headers and headers.get("content-length", "0").strip() == "0"


def _pull(engine: Engine, actor: Actor, app_id: str, order: runs.Order) -> str:
    """Order a pull; raises `Invalid` for what only a sender can know."""
    if order.snapshot_at is not None:
        raise Invalid("Import refused", "snapshotAt: is for a snapshot that is sent; a pull knows when it reads")
    return start_pull(engine, actor, now(), app_id, order)


def _refuse_unheard(request: Request[Any, Any, Any]) -> None:
    """A misspelt `dryRun` would be an import in earnest: what is not heard, or said twice, is refused."""
    asked = [name for name, _ in request.query_params.multi_items()]
    causes = [
        f"{name[:100]}: is not a parameter; {', '.join(sorted(_QUESTIONS))} are" for name in dict.fromkeys(asked) if name not in _QUESTIONS
    ]
    causes += [f"{name}: is given twice" for name in sorted(_QUESTIONS) if asked.count(name) > 1]
    if causes:
        raise Invalid("Api validation failed: query", *causes)


async def _in_time(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A body as it comes in; raises `MalformedBody` where nothing more comes: its sender is gone and nobody has told us."""
    parts = aiter(stream)
    while True:
        with anyio.move_on_after(PATIENCE) as waiting:
            part = await anext(parts, None)
        if waiting.cancelled_caught:
            raise MalformedBody(f"nothing more came for {PATIENCE:.0f} seconds")
        if part is None:
            return
        yield part


def _reading_options(engine: Engine, app_id: str) -> tuple[Csv, frozenset[str]]:
    """How the app's CSV is read, and the attributes that its mapping asks for."""
    with reading(engine) as session:
        app = session.get(tables.App, app_id)
        return (catalog.policy_of(app).csv, source_names(session, app_id)) if app else (Csv(), frozenset())


def _patience(prefer: str | None) -> float:
    """The seconds of `Prefer: wait=SECONDS`; 0 without it, 600 at the most."""
    for preference in (prefer or "").split(","):
        name, _, value = preference.strip().partition("=")
        if name.lower() == "wait" and value.isascii() and value.isdigit():
            return min(float(value), 600.0)
    return 0.0


async def _await_end(engine: Engine, run_id: str, patience: float) -> Run:
    pause = _POLL
    with anyio.move_on_after(patience):
        while patience and not await run_sync(_rests, engine, run_id):
            await anyio.sleep(pause)
            pause = min(pause * 1.2, _SELDOM)
    return await run_sync(_view, engine, run_id)


def _rests(engine: Engine, run_id: str) -> bool:
    """Whether nothing will come of a run before somebody decides: about it, or about the held run that it waits for."""
    with reading(engine) as session:
        run = runs.get(session, run_id)
        blocker = run_store.blocker(session, run)
        return run.status in _RESTS or (blocker is not None and runs.get(session, blocker).status is RunStatus.HELD)


def _view(engine: Engine, run_id: str) -> Run:
    with reading(engine) as session:
        return run_view(session, runs.get(session, run_id))


def _runs_page(request: Request[Any, Any, Any], app_id: str | None, after: str | None, limit: int) -> Response[list[Run]]:
    allowed: Sequence[str] | None = importable_apps(request)
    with reading(request.app.state.engine) as session:
        found = run_store.page(session, app_id, allowed, after, limit + 1)
        views = [run_view(session, run) for run in found[:limit]]
    return linked(request, views, views[-1].id if len(found) > limit else None)
