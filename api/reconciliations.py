"""Reconciliations: ask for one, follow it, and read what it found (API.md, /reconciliations; SPEC §12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from litestar import Controller, Request, Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.status_codes import HTTP_202_ACCEPTED
from msgspec import Struct, convert

from api.auth import actor_of
from api.instants import milliseconds
from api.paging import linked
from api.users import HoldView, hold_view
from mastering.clock import now, wire
from mastering.reconcile import passes
from mastering.rules.people import Hold
from mastering.rules.reconciliation import IN_WORDS, RESPECTED, Cause, Kind
from mastering.store import reconciliations as store
from mastering.store import users as user_store
from mastering.store.documents import load
from mastering.store.engine import reading

_KINDS = frozenset(kind.value for kind in Kind)
_MOST = 2**31 - 1


class WantedReconciliation(Struct, rename="camel", forbid_unknown_fields=True):
    """What is to be compared: everybody, or one app's people. `repair`: plan what would do away with the differences, app by app.

    `readApps`: read the users of the app, or of all connected apps, and report what differs there.
    """

    app_id: str | None = None
    repair: bool = False
    read_apps: bool = False


class AppRead(Struct, rename="camel"):
    """How an app was read: since when, how many users came, of how many no id could be read; or `error`, in words. Not yet: all are null."""

    app_id: str
    began: str | None = None
    users: int | None = None
    unreadable: int | None = None
    pages: int | None = None
    requests: int | None = None
    error: str | None = None


class Checked(Struct):
    """How much was looked at."""

    users: int
    accounts: int
    events: int


class Reconciliation(Struct, rename="camel"):
    """A reconciliation. `differences` counts by kind; `respected` are those that an admin or an option wants so. `runs` are its repairs."""

    id: str
    app_id: str | None
    repair: bool
    read_apps: bool
    source: str
    status: str
    checked: Checked
    differences: dict[str, int]
    repairable: int
    respected: int
    runs: list[str]
    readings: list[AppRead]
    error: str | None
    started_by: dict[str, str]
    created: str
    completed: str | None
    duration_ms: int | None


class Difference(Struct, rename="camel"):
    """One thing that is not as the rules expect; `because` says the cause in words, `eventId` is the event of history it goes back to."""

    seq: int
    kind: str
    cause: str
    because: str
    detail: str
    respected: bool
    repairable: bool
    app_id: str | None
    user_id: str | None
    app_user_id: str | None
    external_id: str | None
    login: str | None
    expected: dict[str, Any]
    actual: dict[str, Any]
    trigger: str | None
    event_id: str | None
    finding_id: str | None
    hold: HoldView | None
    """The admin hold in force on the user."""


class ReconciliationController(Controller):
    """`/reconciliations`."""

    path = "/api/v1/reconciliations"
    tags = ("Reconciliation",)

    @post(status_code=HTTP_202_ACCEPTED, summary="Start a reconciliation", sync_to_thread=True)
    def start(self, request: Request[Any, Any, Any], data: JSONBody[WantedReconciliation]) -> Response[Reconciliation]:
        """Compare what the rules expect with what is. It is carried out by a worker; nothing is changed, but what the plans of a repair do."""
        row = passes.start(
            request.app.state.engine, actor_of(request), now(), app_id=data.app_id, repair=data.repair, read_apps=data.read_apps
        )
        request.app.state.worker.wake()
        return Response(view(row), headers={"Location": f"/api/v1/reconciliations/{row.id}"})

    @get(summary="Reconciliations", sync_to_thread=True)
    def list_reconciliations(
        self,
        request: Request[Any, Any, Any],
        after: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
    ) -> Response[list[Reconciliation]]:
        """All reconciliations, newest first."""
        rows = passes.page(request.app.state.engine, after, limit + 1)
        views = [view(row) for row in rows[:limit]]
        return linked(request, views, views[-1].id if len(rows) > limit else None)

    @get("/{reconciliation_id:str}", summary="A reconciliation", sync_to_thread=True)
    def read_reconciliation(self, request: Request[Any, Any, Any], reconciliation_id: FromPath[str]) -> Reconciliation:
        """One reconciliation, as far as it is."""
        return view(passes.read(request.app.state.engine, reconciliation_id))

    @get("/{reconciliation_id:str}/differences", summary="What a reconciliation found", sync_to_thread=True)
    def list_differences(
        self,
        request: Request[Any, Any, Any],
        reconciliation_id: FromPath[str],
        kind: FromQuery[Kind | None] = None,
        app_id: Annotated[str | None, QueryParameter(name="appId")] = None,
        user_id: Annotated[str | None, QueryParameter(name="user")] = None,
        repairable: FromQuery[bool | None] = None,
        after: Annotated[int, QueryParameter(ge=0, le=_MOST)] = 0,
        limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 200,
    ) -> Response[list[Difference]]:
        """The differences, in the order in which they were found: people by id, then who waits, then the rest."""
        with reading(request.app.state.engine) as session:
            passes.get(session, reconciliation_id)
            wanted = {"kind": kind.value if kind else None, "app_id": app_id, "user_id": user_id}
            rows = store.difference_page(session, reconciliation_id, after, limit + 1, **wanted, repairable=repairable)
            holds = user_store.holds(session, {row.user_id for row in rows if row.user_id}, wire(now()))
            views = [difference_view(row, holds) for row in rows[:limit]]
        return linked(request, views, str(views[-1].seq) if len(rows) > limit else None)


def view(row: store.Reconciliation) -> Reconciliation:
    """A reconciliation as the wire shows it."""
    counts = load(row.counts)
    return Reconciliation(
        id=row.id,
        app_id=row.app_id,
        repair=row.repair,
        read_apps=row.read_apps,
        source=row.source,
        status=row.status,
        checked=Checked(row.users, row.accounts, row.events),
        differences={kind: count for kind, count in counts.items() if kind in _KINDS},
        repairable=counts.get("repairable", 0),
        respected=counts.get("respected", 0),
        runs=load(row.runs),
        readings=[convert(each, AppRead) for each in load(row.readings)],
        error=row.error,
        started_by=load(row.started_by),
        created=row.created,
        completed=row.completed,
        duration_ms=milliseconds(row.created, row.completed) if row.completed else None,
    )


def difference_view(row: store.Difference, holds: Mapping[str, Hold]) -> Difference:
    """A difference as the wire shows it. `holds` are those in force, by user."""
    cause = Cause(row.cause)
    return Difference(
        seq=row.seq,
        kind=row.kind,
        cause=row.cause,
        because=IN_WORDS[cause],
        detail=row.detail,
        respected=cause in RESPECTED,
        repairable=row.repairable,
        app_id=row.app_id,
        user_id=row.user_id,
        app_user_id=row.app_user_id,
        external_id=row.external_id,
        login=row.login,
        expected=load(row.expected),
        actual=load(row.actual),
        trigger=row.trigger,
        event_id=row.event_id,
        finding_id=row.finding_id,
        hold=hold_view(hold) if (hold := holds.get(row.user_id or "")) else None,
    )
