"""The review queue and what a reviewer decides (API.md, /review; SPEC §6)."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Controller, Request, Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK
from msgspec import Meta, Struct

from api.auth import actor_of
from api.errors import code_of
from api.paging import linked
from api.users import HoldView, hold_in_force
from mastering import review
from mastering.clock import now, wire
from mastering.review import Item, Result, Verdict, Waiting
from mastering.rules.decision import Situation
from mastering.rules.people import User

MAX_DECISIONS = 1_000


class Candidate(Struct, rename="camel"):
    """A user that a waiting account might be."""

    user_id: str
    login: str
    status: str
    first_name: str | None
    last_name: str | None
    email: str | None
    hold: HoldView | None
    """The admin hold in force: a link moves the status of nobody who is held."""


class WaitingAccount(Struct, rename="camel"):
    """An account that waits, why, and who it might be."""

    app_user_id: str
    app_id: str
    external_id: str
    user_id: str | None
    account: str
    released: bool
    ignored: bool
    situation: str | None
    reason: str | None
    last_run_id: str | None
    profile: dict[str, Any]
    candidates: list[Candidate]


class Decision(Struct, rename="camel", forbid_unknown_fields=True):
    """One decision: LINK (to `userId`, or to the one proposed match), CREATE (and activate or not), IGNORE, UNIGNORE."""

    app_user_id: str
    action: Verdict
    user_id: str | None = None
    activate: bool = False


class Decisions(Struct, forbid_unknown_fields=True):
    """Decisions, each carried out on its own."""

    decisions: Annotated[list[Decision], Meta(min_length=1, max_length=MAX_DECISIONS)]


class Outcome(Struct, rename="camel", omit_defaults=True):
    """What became of one decision."""

    app_user_id: str
    ok: bool
    user_id: str | None = None
    status: str | None = None
    error_code: str | None = None
    error_summary: str | None = None


class Outcomes(Struct):
    """One result per decision, in their order."""

    results: list[Outcome]


class ReviewController(Controller):
    """`/review`: what waits, and deciding about it."""

    path = "/api/v1/review"
    tags = ("Review",)

    @get(summary="Accounts that wait for review", sync_to_thread=True)
    def list_waiting(
        self,
        request: Request[Any, Any, Any],
        app_id: Annotated[str | None, QueryParameter(name="appId")] = None,
        situation: FromQuery[Situation | None] = None,
        ignored: FromQuery[bool] = False,
        after: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=200)] = 200,
    ) -> Response[list[WaitingAccount]]:
        """The queue, oldest account first."""
        wanted = situation.value if situation else None
        rows = review.queue(request.app.state.engine, app_id=app_id, situation=wanted, ignored=ignored, after=after or "", limit=limit + 1)
        at = wire(now())
        views = [waiting_view(row, at) for row in rows[:limit]]
        return linked(request, views, views[-1].app_user_id if len(rows) > limit else None)

    @get("/{app_user_id:str}", summary="One waiting account", sync_to_thread=True)
    def read_waiting(self, request: Request[Any, Any, Any], app_user_id: FromPath[str]) -> WaitingAccount:
        """One row of the queue with its candidates."""
        return waiting_view(review.waiting(request.app.state.engine, app_user_id), wire(now()))

    @post("/decisions", status_code=HTTP_200_OK, summary="Decide about waiting accounts", sync_to_thread=True)
    def decide(self, request: Request[Any, Any, Any], data: JSONBody[Decisions]) -> Outcomes:
        """Carry out each decision on its own; 200 with a result for each, refused ones included."""
        items = [Item(each.app_user_id, each.action, each.user_id, each.activate) for each in data.decisions]
        results = review.decide(request.app.state.engine, actor_of(request), now(), items)
        return Outcomes([_outcome(result) for result in results])


CONTROLLERS = [ReviewController]


def waiting_view(row: Waiting, at: str) -> WaitingAccount:
    """A waiting account as the wire shows it, with the holds that bind at an instant."""
    account = row.account
    return WaitingAccount(
        app_user_id=account.id,
        app_id=account.app_id,
        external_id=account.external_id,
        user_id=account.user_id,
        account=account.account.value,
        released=account.released,
        ignored=account.ignored,
        situation=account.situation,
        reason=account.reason,
        last_run_id=account.last_run_id,
        profile=account.profile,
        candidates=[_candidate(user, at) for user in row.candidates],
    )


def _candidate(user: User, at: str) -> Candidate:
    def text(name: str) -> str | None:
        value = user.profile.get(name)
        return value if isinstance(value, str) else None

    names = text("firstName"), text("lastName"), text("email")
    return Candidate(user.id, user.login, user.status.value, *names, hold_in_force(user, at))


def _outcome(result: Result) -> Outcome:
    if result.error is not None:
        summary = "; ".join(result.error.causes) or result.error.summary
        return Outcome(result.account_id, ok=False, error_code=code_of(result.error), error_summary=summary)
    user = result.user
    return Outcome(result.account_id, ok=True, user_id=user.id if user else None, status=user.status.value if user else None)
