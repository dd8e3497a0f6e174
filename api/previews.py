"""What if: a preview of changed options, over everybody or over a recorded run, with nothing applied (decision 0055).

A preview is asked for, computed by a worker, and read row by row or taken away whole. It takes the documents that saving takes, so that what
was previewed can be saved as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Stream
from litestar.status_codes import HTTP_202_ACCEPTED
from msgspec import Struct, field
from sqlalchemy import Engine
from sqlmodel import Session

from api.auth import actor_of
from api.instants import milliseconds
from api.mappings import WantedProperty, edit
from api.negotiation import OTHER_THAN_JSON
from api.org import OrgSafeguard
from api.paging import linked
from api.policies import Policy, policy_from
from api.users import HoldView, hold_view
from mastering.clock import now, wire
from mastering.connectors.csvout import csv_rows
from mastering.errors import Invalid
from mastering.rules import policy as rules
from mastering.rules.people import Hold
from mastering.rules.schema import AttributeMaster, MasterKind
from mastering.store import previews as store
from mastering.store import users as user_store
from mastering.store.documents import dump, load
from mastering.store.engine import reading
from mastering.whatif import previews
from mastering.whatif.rows import Kind, When
from mastering.whatif.world import Wishes, mapping_wished

_MOST = 2**31 - 1
_AT_ONCE = 2_000
_MOST_CHANGES = 200


class Format(StrEnum):
    """How rows are written when they are taken away."""

    ndjson = "ndjson"
    csv = "csv"


class WantedMaster(Struct, forbid_unknown_fields=True):
    """Who masters an attribute; an OVERRIDE has its apps, by id, the highest first."""

    type: MasterKind
    priority: list[str] = field(default_factory=list)


class Changes(Struct, rename="camel", forbid_unknown_fields=True):
    """What is to be different, as saving takes it; a part that is left out stays as it is."""

    import_policies: dict[str, Policy] = field(default_factory=dict)
    """By app id, each the whole policy."""
    profile_masters: list[str] | None = None
    """The whole order, by app id."""
    mappings: dict[str, dict[str, WantedProperty | None]] = field(default_factory=dict)
    """By the id of a mapping that leads to the directory: the attributes to set; null takes one out."""
    attributes: dict[str, WantedMaster] = field(default_factory=dict)
    """By attribute of the user schema."""
    safeguard: OrgSafeguard | None = None
    """The org's options, whole."""


class WantedPreview(Struct, rename="camel", forbid_unknown_fields=True):
    """What is to be previewed: over everybody, or over a recorded run."""

    changes: Changes
    run_id: str | None = None


class Preview(Struct, rename="camel"):
    """A preview. `counts` by kind of row; `safeguard` of a recorded run: what was said, and what would have been."""

    id: str
    run_id: str | None
    changes: dict[str, Any]
    status: str
    rows: int
    counts: dict[str, int]
    safeguard: dict[str, Any] | None
    error: str | None
    started_by: dict[str, str]
    created: str
    completed: str | None
    duration_ms: int | None


class PreviewRow(Struct, rename="camel"):
    """Somebody or something that would be otherwise. `effect` says when: on saving, with the next import, by a repair, or in the past."""

    seq: int
    kind: str
    effect: str
    user_id: str | None
    login: str | None
    app_id: str | None
    app_user_id: str | None
    external_id: str | None
    from_: str | None = field(name="from")
    to: str | None
    trigger: str | None
    reason: str | None
    attributes: dict[str, Any]
    candidates: list[str]
    detail: str | None
    hold: HoldView | None
    """The admin hold in force on the user: whatever the options, a master's word does not move the status."""


COLUMNS = tuple(each.encode_name for each in msgspec.structs.fields(PreviewRow))


class PreviewController(Controller):
    """`/previews`."""

    path = "/api/v1/previews"
    tags = ("Previews",)

    @post(status_code=HTTP_202_ACCEPTED, summary="Preview changed options", sync_to_thread=True)
    def start(self, request: Request[Any, Any, Any], data: JSONBody[WantedPreview]) -> Response[Preview]:
        """Have computed who would change, and how, if these options were saved, or had been in force for a recorded run. Nothing is applied."""
        engine: Engine = request.app.state.engine
        with reading(engine) as session:
            wishes = _wishes(session, data.changes)
        asked = msgspec.to_builtins(data.changes)
        row = previews.start(engine, actor_of(request), now(), wishes, asked, run_id=data.run_id)
        request.app.state.worker.wake()
        return Response(view(row), headers={"Location": f"/api/v1/previews/{row.id}"})

    @get(summary="Previews", sync_to_thread=True)
    def list_previews(
        self,
        request: Request[Any, Any, Any],
        after: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
    ) -> Response[list[Preview]]:
        """All previews that are kept, newest first."""
        rows = previews.page(request.app.state.engine, after, limit + 1)
        views = [view(row) for row in rows[:limit]]
        return linked(request, views, views[-1].id if len(rows) > limit else None)

    @get("/{preview_id:str}", summary="A preview", sync_to_thread=True)
    def read_preview(self, request: Request[Any, Any, Any], preview_id: FromPath[str]) -> Preview:
        """One preview, as far as it is."""
        return view(previews.read(request.app.state.engine, preview_id))

    @get("/{preview_id:str}/rows", summary="Who would change, and how", sync_to_thread=True)
    def list_rows(
        self,
        request: Request[Any, Any, Any],
        preview_id: FromPath[str],
        kind: FromQuery[Kind | None] = None,
        effect: FromQuery[When | None] = None,
        user_id: Annotated[str | None, QueryParameter(name="user")] = None,
        app_id: Annotated[str | None, QueryParameter(name="appId")] = None,
        after: Annotated[int, QueryParameter(ge=0, le=_MOST)] = 0,
        limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 200,
    ) -> Response[list[PreviewRow]]:
        """The rows in their order, filtered by what is given."""
        wanted = _filters(kind, effect, user_id, app_id)
        with reading(request.app.state.engine) as session:
            previews.get(session, preview_id)
            views = _views(session, rows := store.row_page(session, preview_id, after, limit + 1, **wanted))[:limit]
        return linked(request, views, str(views[-1].seq) if len(rows) > limit else None)

    @get(
        "/{preview_id:str}/export", opt=OTHER_THAN_JSON, media_type="application/x-ndjson", summary="Export a preview", sync_to_thread=True
    )
    def export_rows(
        self,
        request: Request[Any, Any, Any],
        preview_id: FromPath[str],
        *,
        format: FromQuery[Format] = Format.ndjson,
        kind: FromQuery[Kind | None] = None,
        effect: FromQuery[When | None] = None,
        user_id: Annotated[str | None, QueryParameter(name="user")] = None,
        app_id: Annotated[str | None, QueryParameter(name="appId")] = None,
    ) -> Stream:
        """All rows that are wanted, as lines of JSON or of CSV; cells of CSV are never formulas."""
        engine: Engine = request.app.state.engine
        previews.read(engine, preview_id)
        media = {Format.ndjson: "application/x-ndjson", Format.csv: "text/csv; charset=utf-8"}[format]
        headers = {"Content-Type": media, "Content-Disposition": f'attachment; filename="preview-{preview_id}.{format}"'}
        return Stream(_exported(engine, preview_id, format, _filters(kind, effect, user_id, app_id)), headers=headers)


def _filters(kind: Kind | None, effect: When | None, user_id: str | None, app_id: str | None) -> dict[str, str | None]:
    return {
        "kind": kind.value if kind else None,
        "effect": effect.value if effect else None,
        "user_id": user_id,
        "app_id": app_id,
    }


def _wishes(session: Session, changes: Changes) -> Wishes:
    named = len(changes.import_policies) + len(changes.mappings) + len(changes.attributes)
    if not named and changes.profile_masters is None and changes.safeguard is None:
        raise Invalid("Api validation failed: changes", "changes: name at least one thing that is to be different")
    if named > _MOST_CHANGES:
        raise Invalid("Api validation failed: changes", f"changes: at most {_MOST_CHANGES} policies, mappings and attributes at a time")
    return Wishes(
        policies={app_id: policy_from(policy) for app_id, policy in changes.import_policies.items()},
        ranking=tuple(changes.profile_masters) if changes.profile_masters is not None else None,
        mappings=dict(
            mapping_wished(session, mapping_id, {target: edit(each) for target, each in edits.items()})
            for mapping_id, edits in changes.mappings.items()
        ),
        attributes={name: AttributeMaster(master.type, tuple(master.priority)) for name, master in changes.attributes.items()},
        org=msgspec.convert(changes.safeguard, rules.OrgSafeguard, from_attributes=True) if changes.safeguard is not None else None,
    )


def view(row: store.Preview) -> Preview:
    """A preview as the wire shows it."""
    return Preview(
        id=row.id,
        run_id=row.run_id,
        changes=load(row.asked),
        status=row.status,
        rows=row.found,
        counts=load(row.counts),
        safeguard=load(row.verdict) if row.verdict else None,
        error=row.error,
        started_by=load(row.started_by),
        created=row.created,
        completed=row.completed,
        duration_ms=milliseconds(row.created, row.completed) if row.completed else None,
    )


def _views(session: Session, rows: Sequence[store.PreviewRow]) -> list[PreviewRow]:
    holds = user_store.holds(session, {row.user_id for row in rows if row.user_id}, wire(now()))
    return [row_view(row, holds) for row in rows]


def row_view(row: store.PreviewRow, holds: Mapping[str, Hold]) -> PreviewRow:
    """A row as the wire shows it. `holds` are those in force, by user."""
    return PreviewRow(
        seq=row.seq,
        kind=row.kind,
        effect=row.effect,
        user_id=row.user_id,
        login=row.login,
        app_id=row.app_id,
        app_user_id=row.app_user_id,
        external_id=row.external_id,
        from_=row.from_value,
        to=row.to_value,
        trigger=row.trigger,
        reason=row.reason,
        attributes=load(row.attributes),
        candidates=load(row.candidates),
        detail=row.detail,
        hold=hold_view(hold) if (hold := holds.get(row.user_id or "")) else None,
    )


def _exported(engine: Engine, preview_id: str, form: Format, wanted: Mapping[str, str | None]) -> Iterator[bytes]:
    """The rows in pieces; between two pieces no transaction is open."""
    if form is Format.csv:
        yield csv_rows([COLUMNS])
    after = 0
    while True:
        with reading(engine) as session:
            views = _views(session, rows := store.row_page(session, preview_id, after, _AT_ONCE, **wanted))
        if form is Format.ndjson:
            yield b"".join(msgspec.json.encode(each) + b"\n" for each in views)
        else:
            yield csv_rows([_cells(each) for each in views])
        if len(rows) < _AT_ONCE:
            return
        after = rows[-1].seq


def _cells(row: PreviewRow) -> list[str]:
    told = msgspec.to_builtins(row)
    return [_cell(told[name]) for name in COLUMNS]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return dump(value) if isinstance(value, dict | list) else str(value)
