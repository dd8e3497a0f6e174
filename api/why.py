"""Why: what decided an event of a person's history, or keeps an account waiting, and what would have changed it (decision 0054).

The answer is the decision record of the event with everything it was decided on, and the rules' own answers about its neighbours: each
flip names what would have had to be different, by the place of the option in the policy or by the fact.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from litestar import Controller, Request, get
from litestar.params import FromPath, QueryParameter
from msgspec import Struct, field

from api.instants import zoned
from api.user_views import event_view
from mastering import why, why_waiting
from mastering.clock import now
from mastering.errors import Invalid
from mastering.imports.rows import told_beside
from mastering.rules.decision import Action
from mastering.rules.lifecycle import WHO_MAY_FIRE, Actor, Trigger, may
from mastering.rules.neighbours import Alternative, Flip
from mastering.rules.why import Judged
from mastering.rules.why_waiting import Placed


class VoiceView(Struct, rename="camel"):
    """A linked account as it was: its app's rank, and why the app had no authority; null where it had. `spoke`: it was this one's word."""

    app_id: str
    label: str
    rank: int | None
    app_user_id: str
    account: str
    released: bool
    authority: bool
    silent: str | None
    spoke: bool


class CandidateView(Struct, rename="camel"):
    """Somebody who was considered, and what stood in the way; null where nothing did. `login` is null of who is deleted."""

    user_id: str
    login: str | None
    lost: str | None


class LimitView(Struct, rename="camel"):
    """What a safeguard looked at, its limit and whether that was in force, and the greatest one that would have held the run; null: none."""

    unassigned: int
    assigned: int
    limit: int
    in_force: bool
    would_hold_at: int | None


class FlipView(Struct, rename="camel"):
    """One thing, otherwise: an option by its place in the policy, or a fact. `appId` and `userId` say whose."""

    what: str
    app_id: str | None
    label: str | None
    user_id: str | None
    from_: Any = field(name="from")
    to: Any


class AlternativeView(Struct, rename="camel"):
    """What would have come of it. `moves`: the status would have moved differently; `distance` orders from the nearest."""

    flips: list[FlipView]
    action: str
    trigger: str | None
    to: str | None
    reason: str | None
    user_id: str | None
    attributes: list[str]
    moves: bool
    distance: int


class RowView(Struct, rename="camel"):
    """The row of the plan that decided, while plans are kept."""

    line: int | None
    detail: str | None
    state: str | None


class Why(Struct, rename="camel"):
    """Why an event of a user's history came about."""

    user_id: str
    event: dict[str, Any]
    """The event asked about, with its full decision record."""
    step: list[dict[str, Any]]
    """All events of the same decision, oldest first."""
    decided_by: str
    """`import`, `admin`, `reviewer` or `service`."""
    status_before: str | None
    held: bool
    voices: list[VoiceView]
    candidates: list[CandidateView]
    agrees: bool
    """The rules, asked again about these facts, give what was done. If not, nothing is concluded from them."""
    safeguards: dict[str, LimitView]
    approved_by: dict[str, str] | None
    row: RowView | None
    would_change: list[AlternativeView]
    unasked: str | None
    """Why no rule was asked, so that nothing is named that would have changed it; null where the rules were asked."""
    open_moves: list[str]
    """What an admin could have done instead, by the lifecycle's table."""
    refused_since: list[dict[str, Any]]
    """Words about the person that were heard later and not followed, newest first."""


class ConsideredView(Struct, rename="camel"):
    """Somebody whom a record could mean: how well it matches, by what it agrees, and what stands in the way."""

    user_id: str
    login: str
    status: str
    match: str
    agrees: list[str]
    lost: str


class RivalView(Struct, rename="camel"):
    """Another record of the app that claims the same login or person."""

    app_user_id: str
    external_id: str


class WaitingWhy(Struct, rename="camel"):
    """Why an account waits for a reviewer."""

    app_user_id: str
    app_id: str
    external_id: str
    situation: str | None
    reason: str | None
    ignored: bool
    would_be: str | None
    """Its situation by the rules of now; it may differ from the one it waits in until the next run of its app."""
    fault: str | None
    """Why its last record cannot be used any more."""
    considered: list[ConsideredView]
    cut: bool
    """More people have this name than are looked at."""
    rivals: list[RivalView]
    would_change: list[AlternativeView]


class WhyController(Controller):
    """`/users/{id}/why`, `/review/{appUserId}/why`."""

    path = "/api/v1"
    tags = ("Why",)

    @get("/users/{user_id:str}/why", summary="Why something happened to a user", sync_to_thread=True)
    def read_why(
        self,
        request: Request[Any, Any, Any],
        user_id: FromPath[str],
        event: Annotated[str | None, QueryParameter(max_length=64)] = None,
        at: Annotated[datetime | None, QueryParameter()] = None,
    ) -> Why:
        """Why the last change of status came about, or the last until an instant, or one event by its id or number; refused words as well."""
        if event is not None and at is not None:
            raise Invalid("Api validation failed: event", "event: name an event or an instant, not both")
        return why_view(why.explain(request.app.state.engine, user_id, event_id=event, at=zoned("at", at)))

    @get("/review/{app_user_id:str}/why", summary="Why an account waits for review", sync_to_thread=True)
    def read_why_waiting(self, request: Request[Any, Any, Any], app_user_id: FromPath[str]) -> WaitingWhy:
        """Why it waits just now, why each candidate lost, and what would confirm it."""
        return waiting_view(why_waiting.explain_waiting(request.app.state.engine, now(), app_user_id))


def why_view(told: why.Explained) -> Why:
    """The answer about an event."""
    status = told.before.status if told.before is not None else None
    trigger = told.judged.outcome.trigger if told.judged is not None else None
    decided_by = _decided_by(told)
    return Why(
        user_id=told.user_id,
        event=event_view(told.event),
        step=[event_view(event) for event in told.step],
        decided_by=decided_by,
        status_before=status.value if status is not None else None,
        held=told.before is not None and told.before.held(told.event.at),
        voices=[_voice(voice) for voice in told.voices],
        candidates=[CandidateView(each.user_id, each.login, each.lost) for each in told.candidates],
        agrees=told.agrees,
        safeguards={
            name: LimitView(each.unassigned, each.assigned, each.limit, each.in_force, each.would_hold_at)
            for name, each in told.safeguards.items()
        },
        approved_by=dict(told.approved_by) if told.approved_by else None,
        row=RowView(told.row.line, told_beside(told.row), told.row.state) if told.row is not None else None,
        would_change=[_alternative(each, told.labels, trigger) for each in told.alternatives],
        unasked=told.unasked,
        open_moves=_open_moves(told) if decided_by == "admin" else [],
        refused_since=[event_view(event) for event in told.refused_since],
    )


def _decided_by(told: why.Explained) -> str:
    body = event_view(told.event)
    if body.get("rule") == "reviewed" or any(event_view(event).get("rule") == "reviewed" for event in told.step):
        return "reviewer"
    return {"import": "import", "token": "admin"}.get(body["actor"]["type"], "service")


def _open_moves(told: why.Explained) -> list[str]:
    """The moves that an admin who moved the person could have made instead."""
    made = {event_view(event).get("trigger") for event in told.step} - {None}
    if told.before is None or not made:
        return []
    status = told.before.status
    return [each.value for each in Trigger if Actor.admin in WHO_MAY_FIRE[each] and may(status, each) and each not in made]


def _voice(voice: why.Voice) -> VoiceView:
    link = voice.link
    return VoiceView(
        link.app_id,
        voice.label,
        voice.rank,
        link.account_id,
        link.account.value,
        link.released,
        authority=voice.silent is None,
        silent=voice.silent,
        spoke=voice.spoke,
    )


def waiting_view(told: why_waiting.Waits) -> WaitingWhy:
    """The answer about a waiting account."""
    account = told.account
    return WaitingWhy(
        app_user_id=account.id,
        app_id=account.app_id,
        external_id=account.external_id,
        situation=account.situation,
        reason=account.reason,
        ignored=account.ignored,
        would_be=told.placed.situation.value if told.placed is not None else None,
        fault=told.fault,
        considered=[
            ConsideredView(each.user.id, each.user.login, each.user.status.value, each.kind.value, list(each.agrees), each.lost)
            for each in told.considered
        ],
        cut=told.cut,
        rivals=[RivalView(rival.id, rival.external_id) for rival in told.rivals],
        would_change=[_alternative(each, {}, None) for each in told.ways_out],
    )


def _alternative(each: Alternative[Judged] | Alternative[Placed], labels: dict[str, str] | Any, trigger: Trigger | None) -> AlternativeView:
    judged, outcome = each.judged, each.judged.outcome
    linked = judged.outcome.user_id if isinstance(judged, Placed) else None
    confirmed = isinstance(judged, Placed) and outcome.action in {Action.link, Action.create}
    return AlternativeView(
        flips=[_flip(flip, labels) for flip in each.flips],
        action=outcome.action.value,
        trigger=outcome.trigger.value if outcome.trigger is not None else None,
        to=outcome.to.value if outcome.to is not None else None,
        reason=judged.reason,
        user_id=linked,
        attributes=sorted(judged.outcome.supplies) if isinstance(judged, Judged) else [],
        moves=confirmed or (isinstance(judged, Judged) and outcome.trigger is not trigger),
        distance=each.distance,
    )


def _flip(flip: Flip, labels: dict[str, str]) -> FlipView:
    label = labels.get(flip.app_id) if flip.app_id is not None else None
    return FlipView(flip.knob.value, flip.app_id, label, flip.user_id, flip.was, flip.would)
