"""What stands behind a user: the hold, the masters and the history (API.md, /users/{id}/hold, masters, history)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from litestar import Controller, Request, Response, delete, get, post, put
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK
from msgspec import Meta, Struct

from api.app_users import AccountView, account_view
from api.auth import actor_of
from api.instants import Instant, zoned
from api.paging import LAST_OF_A_CHAIN, linked
from api.users import HoldView, hold_in_force, hold_view
from mastering import asof, erasure, holds, masters, users
from mastering.clock import now, wire
from mastering.holds import Terms
from mastering.store.documents import load
from mastering.store.tables import HistoryEvent


class NewHold(Struct, forbid_unknown_fields=True):
    """A hold to be set: why, and until when; null is until it is lifted."""

    reason: str
    until: Instant | None = None


class ErasureReason(Struct, forbid_unknown_fields=True):
    """Why somebody is erased. It stays in the history: no word about the person belongs here."""

    reason: Annotated[str, Meta(max_length=1_000)] | None = None


class Erasure(Struct, rename="camel"):
    """What was erased: the values of so many events, what so many rows of plans and reports said; and whether the disk has nothing of it."""

    user_id: str
    at: str
    events: int
    rows: int
    from_disk: bool


class AppRef(Struct, rename="camel"):
    """An app by id and label."""

    app_id: str
    label: str


class VoiceView(Struct, rename="camel"):
    """A linked account: its app's rank, whether it has authority, why it has no say, and the way out where a dead one still speaks."""

    app_id: str
    label: str
    rank: int | None
    authority: bool
    silent: str | None
    way_out: str | None
    account: AccountView


class AttributeView(Struct, rename="camel"):
    """An attribute: value, master (null: the directory), why that one, and whether admins may write it."""

    value: Any
    master: AppRef | None
    why: str
    read_only: bool


class StandingView(Struct, rename="camel"):
    """A word of a master that was not followed: what it asks for, and what stops it; null where nothing does any more."""

    app_id: str
    label: str
    app_user_id: str
    trigger: str
    reason: str | None


class MastersView(Struct, rename="camel"):
    """Who is right about a user."""

    user_id: str
    hold: HoldView | None
    """The admin hold in force, against which no master moves the status."""
    authority: AppRef | None
    assignments: list[VoiceView]
    others: list[VoiceView]
    attributes: dict[str, AttributeView]
    disagreements: list[StandingView]
    refused: list[str]
    """Why the masters' last word on the profile is not in it, attribute by attribute."""


def masters_view(found: masters.Masters, at: str) -> MastersView:
    """The view as the wire shows it: ranked assignments first, links without a say beside them."""
    labels = {voice.account.app_id: voice.label for voice in found.voices}
    voices = [_voice_view(voice) for voice in found.voices]
    speaking = found.authority
    return MastersView(
        user_id=found.user.id,
        hold=hold_in_force(found.user, at),
        authority=_ref(speaking.account.app_id, labels) if speaking else None,
        assignments=[voice for voice in voices if voice.silent is None],
        others=[voice for voice in voices if voice.silent is not None],
        attributes={
            name: AttributeView(each.value, _ref(each.app_id, labels) if each.app_id else None, each.why, each.read_only)
            for name, each in found.attributes.items()
        },
        disagreements=[
            StandingView(each.account.app_id, labels[each.account.app_id], each.account.id, each.trigger, each.reason)
            for each in found.disagreements
        ],
        refused=list(found.refused),
    )


def _voice_view(voice: masters.Voice) -> VoiceView:
    account = voice.account
    return VoiceView(account.app_id, voice.label, voice.rank, voice.authority, voice.silent, voice.way_out, account_view(account))


def _ref(app_id: str, labels: dict[str, str]) -> AppRef:
    return AppRef(app_id, labels[app_id])


def event_view(event: HistoryEvent) -> dict[str, Any]:
    """An event with the full decision record: what the chain hashes, the values that lie beside it, and the hash."""
    told: dict[str, Any] = {**load(event.body), **(load(event.values_json) if event.values_json else {})}
    told.pop("salt", None)
    told["valuesHash"] = told.pop("values", None)
    told["hash"] = event.hash.hex()
    told["erased"] = told["valuesHash"] is not None and event.values_json is None
    return told


class UserViewController(Controller):
    """`/users/{id}/hold`, `/users/{id}/masters`, `/users/{id}/history`."""

    path = "/api/v1/users/{user_id:str}"
    tags = ("Users",)

    @get("/hold", summary="A user's hold", sync_to_thread=True)
    def read_hold(self, request: Request[Any, Any, Any], user_id: FromPath[str]) -> HoldView:
        """The hold in force; 404 where there is none."""
        return hold_view(holds.read_hold(request.app.state.engine, now(), user_id))

    @put("/hold", summary="Set a hold", sync_to_thread=True)
    def set_hold(self, request: Request[Any, Any, Any], user_id: FromPath[str], data: JSONBody[NewHold]) -> HoldView:
        """Set a hold or replace the one there is: whatever a master says, the status stays."""
        terms = Terms(data.reason, data.until)
        return hold_view(holds.set_hold(request.app.state.engine, actor_of(request), now(), user_id, terms))

    @delete("/hold", summary="Lift a hold", sync_to_thread=True)
    def lift_hold(self, request: Request[Any, Any, Any], user_id: FromPath[str]) -> None:
        """Lift the hold. What masters said meanwhile is not acted on; it becomes a finding."""
        holds.lift_hold(request.app.state.engine, actor_of(request), now(), user_id)

    @post("/erasure", status_code=HTTP_200_OK, summary="Erase a person", sync_to_thread=True)
    def erase_user(self, request: Request[Any, Any, Any], user_id: FromPath[str], data: JSONBody[ErasureReason | None] = None) -> Erasure:
        """Take out every value of somebody who is deactivated, and is deleted by this, or was deleted before. What happened stays, and verifies."""
        found = erasure.erase(request.app.state.engine, actor_of(request), now(), user_id, data.reason if data else None)
        return Erasure(found.user_id, found.at, found.events, found.rows, found.from_disk)

    @get("/masters", summary="Who masters a user", sync_to_thread=True)
    def read_masters(
        self,
        request: Request[Any, Any, Any],
        user_id: FromPath[str],
        as_of: Annotated[datetime | None, QueryParameter(name="asOf")] = None,
    ) -> MastersView:
        """The ranked assignments, the authority, and for each attribute its value, its master and why; with `asOf` as they were then."""
        engine, then = request.app.state.engine, zoned("asOf", as_of)
        if then is not None:
            return masters_view(asof.masters(engine, user_id, then), wire(then))
        at = now()
        return masters_view(masters.masters_of(engine, at, user_id), wire(at))

    @get("/history", summary="A user's history", sync_to_thread=True)
    def list_history(
        self,
        request: Request[Any, Any, Any],
        user_id: FromPath[str],
        after: Annotated[int | None, QueryParameter(ge=0, le=LAST_OF_A_CHAIN)] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
    ) -> Response[list[dict[str, Any]]]:
        """Every event, newest first; also of a user who is deleted, by id."""
        found = users.history(request.app.state.engine, user_id, after, limit)
        return linked(request, [event_view(event) for event in found.events], str(found.events[-1].seq) if found.more else None)
