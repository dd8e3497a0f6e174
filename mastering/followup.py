"""What follows from a change of the catalog: profiles mapped again, then waiting rows matched again (SPEC §§3, 4, 6; docs/decisions/0036).

The transaction of the change notes that this is owed; who changed carries it out, batch by batch, and has it done when the caller is
answered. Every batch commits what it did, how far it has come and the fence of its lease in one transaction. So whoever dies in the middle
leaves something that any process takes over when the lease has run out, and that goes on behind the last batch.

Where so many people are concerned that a caller would wait too long, the caller is answered at once and a worker carries it out.

=========  ==========================================================================================================
PROFILES   of each app in turn, the users whose profiles change, by id; those whose logins depend on each other last
WAYS       the whole queue, by id: what its rows are found by
PLACES     the whole queue, by id: whom its rows match
=========  ==========================================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec
import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel import Session

from mastering.clock import now as clock_now
from mastering.clock import wire
from mastering.ids import new_id
from mastering.ledger import Actor, Ledger
from mastering.remaster import remaster_batch, survey
from mastering.rematch import find_ways, rematch_next
from mastering.settings import LEASE
from mastering.store import owed as store
from mastering.store import users as user_store
from mastering.store.documents import dump, load
from mastering.store.engine import reading, writing
from mastering.store.locks import Lock, hold, let_go_after, share
from mastering.store.looks import OvertakenError
from mastering.store.outage import is_outage

EVERY_APP = "*"
MANY = 20_000
"""Users from which on a caller is answered before it is done."""
_TOGETHER = "~"
"""Behind every user's id: only those whose logins depend on each other are left."""
_TRIES = 6
_PAUSES = tuple(timedelta(seconds=seconds) for seconds in (1, 5, 30, 120, 600))
"""How long it is left alone after a fault of its own, time after time."""
_log = structlog.get_logger("mastering.catalog")


class Step(StrEnum):
    """How far it has come; the table above."""

    PROFILES = "PROFILES"
    WAYS = "WAYS"
    PLACES = "PLACES"


class LostError(Exception):
    """It is somebody else's by now, or done."""


class StoppedError(Exception):
    """The owner is to stop; whoever comes next goes on behind the last batch."""


def _never() -> bool:
    return False


@dataclass(slots=True)
class Claim:
    """One owner's lease of what is owed, for `length` from each sign of life; `stopping` says whether the owner is to stop."""

    engine: Engine
    id: str
    owner: str
    fence: int = 0
    length: timedelta = LEASE
    stopping: Callable[[], bool] = _never
    renewed: datetime = field(default_factory=clock_now)

    def hold(self, session: Session) -> store.OwedWork:
        """The row, locked for the caller's transaction and leased for longer; raises `LostError`."""
        let_go_after(session, self.length)
        owed = store.locked(session, self.id)
        if owed is None or (owed.owner, owed.fence) != (self.owner, self.fence):
            raise LostError(self.id)
        self.renewed = clock_now()
        owed.lease_until = wire(self.renewed + self.length)
        session.add(owed)
        return owed

    def beat(self) -> None:
        """Make the lease longer in time, from within work that writes nothing for a while; raises `StoppedError`."""
        if self.stopping():
            raise StoppedError(self.id)
        if clock_now() - self.renewed >= self.length / 3:
            with writing(self.engine) as session:
                self.hold(session)

    def give_back(self, pause: timedelta = timedelta(), *, failed: bool = False) -> None:
        """Let another have it after a pause; `failed` counts the attempt."""
        with writing(self.engine) as session:
            owed = self.hold(session)
            owed.owner, owed.lease_until = None, wire(clock_now() + pause)
            owed.attempts += failed


def owe(session: Session, actor: Actor, now: datetime, apps: Collection[str]) -> Claim:
    """Note, in the transaction of a change, what has to follow from it; the caller's own claim of it, for who commits and goes on."""
    claim = Claim(session.get_bind().engine, new_id("owd"), new_id("own"), length=LEASE)
    wanted = [EVERY_APP] if EVERY_APP in apps else sorted(apps)
    session.add(
        store.OwedWork(
            id=claim.id,
            actor=dump(actor.document()),
            apps=dump(wanted),
            step=Step.PROFILES,
            owner=claim.owner,
            lease_until=wire(clock_now() + claim.length),
            created=wire(now),
        )
    )
    return claim


def follow_up(claim: Claim, now: datetime, apps: Collection[str]) -> None:
    """Carry out at once what the caller has just noted, or leave it to a worker where it concerns too many.

    What fails here fails for the caller too, and is tried again by the workers.
    """
    with reading(claim.engine) as session:
        many = user_store.is_many(session, None if EVERY_APP in apps else apps, MANY) if apps else False
    if many:
        claim.give_back()
        return
    try:
        _carry_out(claim, now)
    except LostError:
        return
    except Exception as fault:
        with suppress(LostError, DBAPIError):  # where even that fails, it is free when its lease has run out
            claim.give_back(failed=not is_outage(fault))
        raise


def take_turn(engine: Engine, owner: str, length: timedelta, stopping: Callable[[], bool]) -> bool:
    """Claim what has been owed longest and carry it out to its end, or as far as it goes until the owner is to stop; whether there was any."""
    now = clock_now()
    with reading(engine) as session:
        if not store.is_free(session, wire(now)):
            return False
    with writing(engine) as session:
        owed = store.claim(session, owner, wire(now), wire(now + length))
        if owed is None:
            return False
    claim = Claim(engine, owed.id, owner, owed.fence, length, stopping)
    _log.info("taken up", owed=owed.id, step=owed.step, fence=owed.fence, takeovers=owed.takeovers)
    try:
        _carry_out(claim, now)
    except LostError:
        _log.warning("lost to another", owed=owed.id)
    except StoppedError:
        claim.give_back()
    except Exception as fault:
        if is_outage(fault):
            raise
        _log.exception("what follows from a change failed", owed=owed.id, attempts=owed.attempts + 1)
        claim.give_back(_PAUSES[min(owed.attempts, len(_PAUSES) - 1)], failed=True)
    return True


def _carry_out(claim: Claim, now: datetime) -> None:
    """Batch after batch, until nothing is left; raises `StoppedError` where the owner is to stop."""
    while True:
        claim.beat()
        with reading(claim.engine) as session:
            owed = session.get(store.OwedWork, claim.id)
        if owed is None:
            return
        match Step(owed.step):
            case Step.PROFILES if load(owed.apps):
                _map_profiles(claim, owed, now)
            case Step.PROFILES:
                _one(claim, now, _to_the_queue)
            case Step.WAYS:
                _one(claim, now, _find_ways)
            case Step.PLACES:
                _one(claim, now, _place_rows)


def _one(claim: Claim, now: datetime, batch: Callable[[Ledger, store.OwedWork, datetime], None]) -> None:
    """One batch, again where somebody was quicker with a login or with a person whom it should have seen."""
    for tries in range(_TRIES):
        try:
            with writing(claim.engine) as session:
                owed = claim.hold(session)
                (hold(session.connection(), Lock.OPTIONS) if owed.step == Step.WAYS else share(session, Lock.OPTIONS))
                ledger = Ledger(session, now, msgspec.convert(load(owed.actor), Actor))
                batch(ledger, owed, now)
                ledger.flush()
                return
        except (OvertakenError, IntegrityError):
            if tries == _TRIES - 1:
                raise


def _map_profiles(claim: Claim, owed: store.OwedWork, now: datetime) -> None:
    """The profiles of one app's users: first all are read, so that logins are given out knowing every claim, then batches are written."""
    app_id = load(owed.apps)[0]
    with reading(claim.engine) as session:
        found = survey(session, now, None if app_id == EVERY_APP else app_id, claim.beat)
    changed, rejected = 0, list[str]()

    def write(ids: set[str], cursor: str) -> Callable[[Ledger, store.OwedWork, datetime], None]:
        def batch(ledger: Ledger, mine: store.OwedWork, now: datetime) -> None:
            nonlocal changed
            report = remaster_batch(ledger, now, ids, found)
            mine.cursor = cursor
            changed += report.changed
            rejected.extend(each.user_id for each in report.rejected)

        return batch

    for ids in found.batches(after=owed.cursor):
        claim.beat()
        _one(claim, now, write(ids, max(ids)))
    if found.together and owed.cursor < _TOGETHER:
        _one(claim, now, write(found.together, _TOGETHER))
    _one(claim, now, _next_app)
    _log.info("remastered", app=app_id, changed=changed, rejected=rejected, at=wire(now))


def _next_app(_: Ledger, owed: store.OwedWork, __: datetime) -> None:
    owed.apps, owed.cursor = dump(load(owed.apps)[1:]), ""


def _to_the_queue(_: Ledger, owed: store.OwedWork, __: datetime) -> None:
    owed.step, owed.cursor = Step.WAYS, ""


def _find_ways(ledger: Ledger, owed: store.OwedWork, now: datetime) -> None:
    after = find_ways(ledger, now, owed.cursor)
    owed.step, owed.cursor = (Step.PLACES, "") if after is None else (Step.WAYS, after)


def _place_rows(ledger: Ledger, owed: store.OwedWork, now: datetime) -> None:
    _, after = rematch_next(ledger, now, owed.cursor)
    if after is None:
        ledger.session.delete(owed)
    else:
        owed.cursor = after
