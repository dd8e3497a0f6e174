"""The System Log, in Okta's shape: what history says, in the order it was written, without anybody's personal values (API.md, /logs).

With `until` it is a bounded question that comes to an end. Without, in ascending order, it can be polled: every page has a next one, also
an empty page, which begins behind all that was looked at: a filter that nothing fits is not asked about the same events again. Who follows
by `after` is given everything behind it, however long ago that was. An event of ours that Okta knows has Okta's name; the others keep their
own. `filter` is the language of `search`, over what `_FILTERED` lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from litestar import Controller, Request, Response, get
from litestar.params import FromQuery, QueryParameter
from msgspec import Struct

from api.filters import filtered
from api.instants import zoned
from api.paging import LAST, linked
from mastering.clock import EPOCH, now, wire
from mastering.errors import Invalid
from mastering.rules.filters import ORDERED, Property, Vocabulary
from mastering.store import events as store
from mastering.store.documents import load
from mastering.store.engine import reading
from mastering.store.tables import HistoryEvent

_DEFAULT_PAGE = 100
_PAGE = 1000
_LOOK_BACK = timedelta(days=7)
_MOST_WORDS, _LONGEST_WORD = 10, 40

OKTA_EVENT = {
    "user.create": "user.lifecycle.create",
    "user.activate": "user.lifecycle.activate",
    "user.suspend": "user.lifecycle.suspend",
    "user.unsuspend": "user.lifecycle.unsuspend",
    "user.deactivate": "user.lifecycle.deactivate",
    "user.reactivate": "user.lifecycle.reactivate",
    "user.delete": "user.lifecycle.delete.initiated",
    "user.update": "user.account.update_profile",
    "app.create": "application.lifecycle.create",
    "app.update": "application.lifecycle.update",
    "app.activate": "application.lifecycle.activate",
    "app.deactivate": "application.lifecycle.deactivate",
    "app.delete": "application.lifecycle.delete",
    "account.assign": "application.user_membership.add",
    "account.link": "application.user_membership.add",
    "account.unassign": "application.user_membership.remove",
    "account.release": "application.user_membership.remove",
    "user.remaster": "user.account.update_profile",
    "user.password": "user.account.update_password",
    "account.push.created": "application.provision.user.push",
    "account.push.adopted": "application.provision.user.push",
    "account.push.updated": "application.provision.user.push_profile",
    "account.push.deactivated": "application.provision.user.deactivate",
    "account.push.reactivated": "application.provision.user.reactivate",
    "account.push.password": "application.provision.user.push_password",
    "account.push.failed": "application.provision.user.push",
    "import.start": "system.import.start",
    "import.completed": "system.import.complete",
    "import.held": "system.import.roadblock",
    "hook.create": "inline_hook.created",
    "hook.update": "inline_hook.updated",
    "hook.activate": "inline_hook.activated",
    "hook.deactivate": "inline_hook.deactivated",
    "hook.delete": "inline_hook.deleted",
    "token.create": "system.api_token.create",
    "token.revoke": "system.api_token.revoke",
}
_TARGET = {"00u": "User", "0ua": "AppUser", "0oa": "AppInstance", "00o": "Org"}
_ACTOR = {"token": "PublicClientApp", "app": "AppInstance"}
_NOT_DONE = {
    "account.unheeded": "SKIPPED",
    "account.word": "SKIPPED",
    "schedule.skipped": "SKIPPED",
    "user.remaster.rejected": "FAILURE",
    "import.failed": "FAILURE",
}
_SHOWN = store.Shown(OKTA_EVENT, _NOT_DONE, dict.fromkeys(_NOT_DONE, "WARN"))
_WORDS = frozenset({"eq", "ne", "sw", "co"})
_SAME = frozenset({"eq", "ne"})
_FILTERED: Mapping[str, Property] = {
    "eventType": Property("exact", _WORDS),
    "target.id": Property("exact", _SAME),
    "actor.id": Property("exact", _SAME),
    "transaction.id": Property("exact", _SAME),
    "uuid": Property("exact", _SAME),
    "published": Property("instant", ORDERED - {"pr"}),
    "outcome.result": Property("exact", _SAME, frozenset({"SUCCESS", "FAILURE", "SKIPPED", "ALLOW", "DENY", "CHALLENGE", "UNKNOWN"})),
    "severity": Property("exact", _SAME, frozenset({"DEBUG", "INFO", "WARN", "ERROR"})),
}
_VOCABULARY = Vocabulary(_FILTERED.get, f"{', '.join(_FILTERED)} can be")
_TOLD = ("trigger", "from", "to", "rule", "authority", "row")


class SortOrder(StrEnum):
    """Oldest first, or newest first."""

    ASCENDING = "ASCENDING"
    DESCENDING = "DESCENDING"


class LogActor(Struct, rename="camel"):
    """Who did it."""

    id: str
    type: str
    alternate_id: str
    display_name: str


class LogTarget(Struct, rename="camel"):
    """What it was done to."""

    id: str
    type: str
    alternate_id: str
    display_name: str | None


class LogOutcome(Struct):
    """Whether it was done, and why not."""

    result: str
    reason: str | None


class LogEvent(Struct, rename="camel"):
    """An event in Okta's shape."""

    uuid: str
    published: str
    event_type: str
    version: str
    severity: str
    display_message: str
    actor: LogActor
    target: list[LogTarget]
    outcome: LogOutcome
    debug_context: dict[str, dict[str, Any]]
    transaction: dict[str, Any]


class LogController(Controller):
    """`/logs`."""

    path = "/api/v1/logs"
    tags = ("System Log",)

    @get(summary="The System Log", sync_to_thread=True)
    def list_events(
        self,
        request: Request[Any, Any, Any],
        *,
        since: FromQuery[datetime | None] = None,
        until: FromQuery[datetime | None] = None,
        filter: FromQuery[str | None] = None,
        q: FromQuery[str | None] = None,
        sort_order: Annotated[SortOrder, QueryParameter(name="sortOrder")] = SortOrder.ASCENDING,
        after: Annotated[int | None, QueryParameter(ge=0, le=LAST)] = None,
        limit: Annotated[int, QueryParameter(ge=0, le=_PAGE)] = _DEFAULT_PAGE,
    ) -> Response[list[LogEvent]]:
        """Events since a week ago, or behind `after`, unless asked otherwise, narrowed by `filter` and by words that occur in them."""
        began_before = after is not None and sort_order is SortOrder.ASCENDING
        look_back = EPOCH if began_before else now() - _LOOK_BACK
        wanted = _wanted(zoned("since", since) or look_back, zoned("until", until), filter, q)
        newest_first = sort_order is SortOrder.DESCENDING
        with reading(request.app.state.engine) as session:
            began = store.start(session, wanted.since) if after is None else after
            newest = store.last(session)
            found = store.page(session, wanted, _SHOWN, after, limit + 1, newest_first=newest_first)
        shown = found[:limit]
        polled = until is None and not newest_first
        more = len(found) > limit > 0
        last = max(began, newest) if len(found) <= limit else shown[-1].position if shown else began
        return linked(request, [log_event(event) for event in shown], str(last) if polled or more else None)


def log_event(event: HistoryEvent) -> LogEvent:
    """An event as Okta shows it. Of a decision it tells rule, reason and move; what admins wrote by hand stays in the user's history."""
    body = load(event.body)
    actor, run = body["actor"], body.get("run") or {}
    result = _NOT_DONE.get(event.type, "SUCCESS")
    known = OKTA_EVENT.get(event.type, event.type)
    told = {name: body[name] for name in _TOLD if name in body}
    return LogEvent(
        uuid=event.id,
        published=event.at,
        event_type=known,
        version="0",
        severity="INFO" if result == "SUCCESS" else "WARN",
        display_message=event.type,
        actor=LogActor(actor["id"], _ACTOR.get(actor["type"], "SystemPrincipal"), actor["id"], actor["name"]),
        target=[LogTarget(event.subject, _TARGET.get(event.subject[:3], "Unknown"), event.subject, None)],
        outcome=LogOutcome(result, body.get("reason") if "rule" in body else None),
        debug_context={"debugData": {**told, **{f"run{name[:1].upper()}{name[1:]}": value for name, value in run.items()}}},
        transaction={"id": event.run_id or event.id, "type": "JOB" if event.run_id else "WEB", "detail": {}},
    )


def _wanted(since: datetime, until: datetime | None, expression: str | None, q: str | None) -> store.WantedEvents:
    words = tuple((q or "").split())
    if len(words) > _MOST_WORDS or any(len(word) > _LONGEST_WORD for word in words):
        raise Invalid("The log cannot be searched so", f"q: at most {_MOST_WORDS} words of at most {_LONGEST_WORD} characters each")
    return store.WantedEvents(
        since=wire(since),
        until=wire(until) if until else None,
        filter=None if expression is None else filtered("filter", expression, _VOCABULARY),
        words=words,
    )
