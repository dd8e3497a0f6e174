"""History as a whole: whether it is whole, and the checkpoints that say so later (API.md, /history; docs/proof.md).

What may be long is streamed, piece by piece, and no transaction is open between two pieces.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from litestar import Controller, Request, Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Stream
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED
from msgspec import Meta, Struct

from api.auth import actor_of
from api.instants import zoned
from api.negotiation import OTHER_THAN_JSON
from api.paging import LAST_OF_A_CHAIN, linked
from mastering import asof, checkpoints, exports
from mastering.clock import now, wire
from mastering.errors import Invalid
from mastering.exports import Format
from mastering.proof import Kept, Report, Signed, verify
from mastering.store.engine import reading
from mastering.store.exports import WantedEvents

NDJSON = "application/x-ndjson"
_MEDIA = {Format.ndjson: NDJSON, Format.csv: "text/csv; charset=utf-8"}
_NAME = r"^[0-9A-Za-z_]{1,64}$"
_LONGEST = 1_000
_POINTS = 1_000
_LOOK_BACK = timedelta(days=30)
_PAGE = 200
_DIGITS = 10
"""A checkpoint's number has fewer."""


class KeptElsewhere(Struct, forbid_unknown_fields=True):
    """Checkpoints that were kept outside, to hold the history against: each statement with its signature, as they were handed out."""

    checkpoints: Annotated[list[Signed], Meta(max_length=_PAGE)] = []


class FaultView(Struct, rename="camel"):
    """Something that was done to history: what, to which chain, at which of its events; or to which checkpoint."""

    fault: str
    subject: str | None
    seq: int | None
    event_id: str | None
    checkpoint: int | None


class ReportView(Struct, rename="camel"):
    """What was looked at, and what was found: so many faults, of which the first are named."""

    whole: bool
    events: int
    chains: int
    checkpoints: int
    found: int
    faults: list[FaultView]


class CountView(Struct):
    """How many users had each status at an instant, in our words."""

    at: str
    counts: dict[str, int]


class StepView(Struct):
    """A hash beside the way from a leaf to the root, and on which side it stands."""

    hash: str
    side: str


class InclusionView(Struct):
    """That a chain ended so at a checkpoint: its last event, the leaf's number, and the way from there to the root."""

    checkpoint: Signed
    subject: str
    seq: int
    hash: str
    index: int
    path: list[StepView]


class HistoryController(Controller):
    """`/history`."""

    path = "/api/v1/history"
    tags = ("History",)

    @get("/export", opt=OTHER_THAN_JSON, media_type=NDJSON, summary="Export the history", sync_to_thread=True)
    def export_history(
        self,
        request: Request[Any, Any, Any],
        *,
        format: FromQuery[Format] = Format.ndjson,
        since: FromQuery[datetime | None] = None,
        until: FromQuery[datetime | None] = None,
        user: Annotated[str | None, QueryParameter(max_length=_LONGEST)] = None,
        app_id: Annotated[str | None, QueryParameter(name="appId", pattern=_NAME)] = None,
        run_id: Annotated[str | None, QueryParameter(name="runId", pattern=_NAME)] = None,
        rule: Annotated[str | None, QueryParameter(pattern=_NAME)] = None,
    ) -> Stream:
        """All events in the order in which they were written, or those of a time, a user, an app, a run, a rule.

        A line of NDJSON holds the text that the chain hashes, so that it can be verified (docs/proof.md). Cells of CSV are never formulas.
        """
        engine = request.app.state.engine
        since, until = zoned("since", since), zoned("until", until)
        wanted = WantedEvents(
            since=wire(since) if since else None,
            until=wire(until) if until else None,
            user=exports.subject_of(engine, user) if user is not None else None,
            app=app_id,
            run=run_id,
            rule=rule,
        )
        name = f"history-{wire(now())[:19].replace(':', '')}Z.{format}"
        headers = {"Content-Type": _MEDIA[format], "Content-Disposition": f'attachment; filename="{name}"'}
        return Stream(exports.export(engine, wanted, format), headers=headers)

    @get("/counts", summary="Users by status over time", sync_to_thread=True)
    def count_users(
        self,
        request: Request[Any, Any, Any],
        since: FromQuery[datetime | None] = None,
        until: FromQuery[datetime | None] = None,
        hours: Annotated[int, QueryParameter(ge=1, le=24 * 366)] = 24,
    ) -> list[CountView]:
        """How many users had each status at `since`, and every so many hours from there up to `until`: the last thirty days if not said."""
        end = zoned("until", until) or now()
        begin = zoned("since", since) or end - _LOOK_BACK
        step = timedelta(hours=hours)
        if not 0 <= (end - begin) // step < _POINTS:
            cause = f"since: lies after until, or so far before it that there are more than {_POINTS} counts; choose more hours"
            raise Invalid("Api validation failed: since", cause)
        found = asof.counts(request.app.state.engine, begin, end, step)
        return [CountView(at, {status.value: count for status, count in counts.items()}) for at, counts in found]

    @post("/verify", status_code=HTTP_200_OK, summary="Verify the history", sync_to_thread=True)
    def verify_history(self, request: Request[Any, Any, Any], data: JSONBody[KeptElsewhere | None] = None) -> ReportView:
        """Read all of it: every chain, every end, every checkpoint, and those that the caller has kept. An auditor may ask, too."""
        kept = [Kept(signed) for signed in data.checkpoints] if data else []
        with reading(request.app.state.engine) as session:
            return _report(verify(session, request.app.state.vault, kept))

    @get("/checkpoints", summary="Checkpoints", sync_to_thread=True)
    def list_checkpoints(
        self,
        request: Request[Any, Any, Any],
        after: Annotated[int | None, QueryParameter(ge=0, le=LAST_OF_A_CHAIN)] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=_PAGE)] = _PAGE,
    ) -> Response[list[Signed]]:
        """What was signed about the history, newest first. `key` is the public key to check the signature of `statement` with."""
        found = checkpoints.page(request.app.state.engine, after, limit + 1)
        return linked(request, found[:limit], str(found[limit - 1].statement.number) if len(found) > limit else None)

    @post("/checkpoints", status_code=HTTP_201_CREATED, summary="Make a checkpoint", sync_to_thread=True)
    def make_checkpoint(self, request: Request[Any, Any, Any]) -> Signed:
        """Sign what the history is by now. One is made every day by itself, if something has happened."""
        state = request.app.state
        return checkpoints.make(state.engine, state.vault, actor_of(request), now())

    @get("/checkpoints/{number:str}", summary="A checkpoint", sync_to_thread=True)
    def read_checkpoint(self, request: Request[Any, Any, Any], number: FromPath[str]) -> Signed:
        """Statement and signature."""
        return _found(request, number)

    @get("/checkpoints/{number:str}/export", opt=OTHER_THAN_JSON, media_type=NDJSON, summary="Export a checkpoint", sync_to_thread=True)
    def export_checkpoint(self, request: Request[Any, Any, Any], number: FromPath[str]) -> Stream:
        """To be kept elsewhere: a line of statement and signature, and one for the head of each chain. `mastering verify` reads it."""
        found = _found(request, number)
        headers = {"Content-Disposition": f'attachment; filename="checkpoint-{found.statement.number}.ndjson"'}
        return Stream(checkpoints.exported(request.app.state.engine, found), media_type=NDJSON, headers=headers)

    @get("/checkpoints/{number:str}/chains/{subject:str}", summary="Prove the end of a chain", sync_to_thread=True)
    def prove(self, request: Request[Any, Any, Any], number: FromPath[str], subject: FromPath[str]) -> InclusionView:
        """How the chain of a user, an account, an app or the org ended at a checkpoint, and the way from there to the root that was signed."""
        found = checkpoints.inclusion(request.app.state.engine, _found(request, number), subject)
        steps = [StepView(step.hash.hex(), "left" if step.left else "right") for step in found.path]
        return InclusionView(found.signed, found.head.subject, found.head.seq, found.head.hash.hex(), found.index, steps)


def _found(request: Request[Any, Any, Any], number: str) -> Signed:
    if not (number.isascii() and number.isdigit() and len(number) < _DIGITS):
        raise checkpoints.not_found(number)
    return checkpoints.read(request.app.state.engine, int(number))


def _report(found: Report) -> ReportView:
    faults = [FaultView(each.fault, each.subject, each.seq, each.event_id, each.checkpoint) for each in found.faults]
    return ReportView(found.whole, found.events, found.chains, found.checkpoints, found.found, faults)
