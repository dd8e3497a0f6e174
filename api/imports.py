"""Imports: start a run, follow it, read its plan, approve or cancel it (API.md, starting an import and own resources).

How a body is received is told in `uploads`, how a run and its plan are shown in `import_views`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import anyio
from anyio.to_thread import run_sync
from litestar import Controller, Request, Response, get, post
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK, HTTP_202_ACCEPTED
from msgspec import Struct
from sqlalchemy import Engine

from api.auth import actor_of, importable_apps, require_app
from api.import_views import Change, Run, change_view, run_view
from api.instants import zoned
from api.paging import linked
from api.uploads import MAX_BODY, receive, room
from mastering.catalog import apps
from mastering.clock import now, wire
from mastering.errors import Invalid
from mastering.imports import runs, undoing
from mastering.imports.pulling import start_pull
from mastering.ledger import Actor
from mastering.rules.decision import Action, Situation
from mastering.rules.record import Mode
from mastering.rules.runs import ENDED, RunStatus
from mastering.store import catalog
from mastering.store import imports as store
from mastering.store import runs as run_store
from mastering.store import users as user_store
from mastering.store.engine import reading

_MOST_RECORDS = 2**31 - 1
_QUESTIONS = {"mode", "expectedCount", "dryRun", "allowEmpty", "snapshotAt"}
_POLL, _SELDOM = 0.02, 0.25
"""Seconds between two looks at a run that is waited for: often in the beginning, as most are short, and less often the longer it takes."""
_RESTS = ENDED | {RunStatus.HELD}


class Approval(Struct, rename="camel", forbid_unknown_fields=True):
    """Who approves quotes the hash of the plan that was reviewed."""

    plan_hash: str


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
            with room(request.app.state):
                run_id = await receive(request, engine, actor, app_id, order)
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
