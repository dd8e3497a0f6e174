"""Admin holds: this status stays as it is, whatever a master says (SPEC §7).

A hold binds from the moment it is set until it is lifted or its end has come, to the millisecond: who asks compares with the clock, and
does not wait for the sweep. The sweep only tidies up: it writes that the hold has ended and asks the masters' unheeded words again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from mastering.acts import again_if_overtaken, changing, find, heed, see
from mastering.clock import wire
from mastering.disagreements import review_disagreements
from mastering.errors import Invalid, NotFound
from mastering.ledger import Actor
from mastering.rules.people import Hold, User
from mastering.store import users as store
from mastering.store.engine import reading

SWEEPER = Actor("system", "holds", "end of holds")
"""Who ends a hold whose time has come."""

_AT_ONCE = 500
_MAX_REASON = 1_000


@dataclass(frozen=True, slots=True)
class Terms:
    """A hold as an admin asks for it: why, and until when; without an end it lasts until it is lifted."""

    reason: str | None
    until: datetime | None


def hold_from(terms: Terms, actor: Actor, now: datetime) -> Hold:
    """The hold an admin sets now; raises `Invalid` without a reason, or with an end that is not ahead."""
    causes = []
    reason = (terms.reason or "").strip()
    if not reason:
        causes.append("reason: a hold needs a reason")
    if len(reason) > _MAX_REASON:
        causes.append(f"reason: has {len(reason)} characters, the most is {_MAX_REASON}")
    if terms.until is not None and terms.until <= now:
        causes.append("until: must be in the future")
    if causes:
        raise Invalid("Api validation failed: hold", *causes)
    return Hold(reason, wire(terms.until) if terms.until else None, wire(now), actor.name)


def read_hold(engine: Engine, now: datetime, id_or_login: str) -> Hold:
    """The hold in force; raises `NotFound` where there is none."""
    with reading(engine) as session:
        return _in_force(see(session, id_or_login), now)


@again_if_overtaken
def set_hold(engine: Engine, actor: Actor, now: datetime, id_or_login: str, terms: Terms) -> Hold:
    """Set a hold, or replace the one there is."""
    with changing(engine, now, actor) as ledger:
        user = find(ledger, id_or_login)
        hold = hold_from(terms, actor, now)
        ledger.set_hold(user, hold)
        heed(ledger, user)
    return hold


@again_if_overtaken
def lift_hold(engine: Engine, actor: Actor, now: datetime, id_or_login: str) -> None:
    """Lift a hold; raises `NotFound` where there is none in force."""
    with changing(engine, now, actor) as ledger:
        user = find(ledger, id_or_login)
        _in_force(user, now)
        ledger.set_hold(user, None)
        heed(ledger, user)


def expire_holds(engine: Engine, now: datetime) -> int:
    """End every hold whose time has come; the number ended. Run it as often as findings should appear."""
    ended = 0
    while True:
        with changing(engine, now, SWEEPER) as ledger:
            ids = store.ids_with_ended_holds(ledger.session, wire(now), _AT_ONCE)
            ledger.load_users(ids)
            for user in ledger.users.values():
                if user.hold is not None and not user.hold.binds(
                    wire(now)
                ):  # another process may have been quicker, or an admin set a new one
                    ledger.set_hold(user, None, expired=True)
            review_disagreements(ledger, list(ledger.users.values()))
            ledger.flush()
        ended += len(ids)
        if len(ids) < _AT_ONCE:
            return ended


def _in_force(user: User, now: datetime) -> Hold:
    if user.hold is None or not user.hold.binds(wire(now)):
        raise NotFound(f"Not found: Resource not found: {user.id} (Hold)")
    return user.hold
