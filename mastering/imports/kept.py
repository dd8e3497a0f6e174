"""What planned runs received, once they have ended: deflated, forgotten in time, and rid of who is erased (decision 0057).

An import's own path writes its lines once and reads them while it is planned; nothing here is on it. The household (`mastering.schedule`)
deflates what ended runs have left, some pieces at a tick, each in a transaction of its own, so that nobody waits for more than one piece.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from sqlalchemy import Engine
from sqlmodel import Session

from mastering.errors import WrongState
from mastering.imports.lines import glance
from mastering.imports.spool import pack as packed
from mastering.imports.spool import unpack
from mastering.store import received as store
from mastering.store.engine import reading, writing

_PACK_AT_ONCE = 40
"""Pieces that a tick deflates at the most: 200,000 lines, a second or two of one processor."""
_FORGET_AT_ONCE = 20

Known = Collection[tuple[str, str]]
"""By what apps know somebody: app and external id."""


def pack(engine: Engine) -> int:
    """Deflate the next pieces of what ended runs received; how many."""
    done = 0
    with reading(engine) as session:
        found = store.unpacked(session, _PACK_AT_ONCE)
    for place in found:
        with reading(engine) as session:
            piece = store.piece(session, place)
        if piece is not None:
            deflated = store.deflated(piece.payload)
            with writing(engine) as session:
                done += store.pack(session, place, piece.lines, deflated)
    return done


def forget(engine: Engine, before: str) -> int:
    """Forget what runs received that ended before an instant, some pieces to a transaction; how many pieces."""
    forgotten = 0
    with reading(engine) as session:
        over = list(store.runs_over(session, before))
    for run_id in over:
        while True:
            with writing(engine) as session:
                gone = store.forget(session, run_id, _FORGET_AT_ONCE)
            forgotten += gone
            if gone < _FORGET_AT_ONCE:
                break
    return forgotten


def not_about(session: Session, known: Known) -> set[store.Place]:
    """The pieces of these apps' runs in which nobody known so has a line. All are read, so it is asked before the transaction that erases."""
    names = _names(known)
    return {
        place
        for place in store.places(session, names)
        if (piece := store.piece(session, place)) is not None and not _names_any(piece.payload, names[place.app_id])
    }


def take_out(session: Session, known: Known, clean: Collection[store.Place]) -> int:
    """Take the lines of who is known so out of everything that is kept, but for the pieces that are `clean`; how many lines.

    Raises `WrongState` where a run that has no plan yet brings one: it would be about somebody who is gone.
    """
    names, taken, unplanned = _names(known), 0, set[str]()
    for place in store.places(session, names):
        piece = store.piece(session, place) if place not in clean else None
        if piece is None or not _names_any(piece.payload, names[place.app_id]):
            continue
        if not place.planned:
            unplanned.add(place.run_id)
            continue
        left = [line for line in unpack(piece.payload) if glance(line.payload)[0] not in names[place.app_id]]
        store.rewrite(session, place, len(left), b"".join(map(packed, left)))
        taken += piece.lines - len(left)
    if unplanned:
        told = ", ".join(sorted(unplanned))
        raise WrongState("The person is part of an import that has not ended", f"import {told}: let it be planned, or cancel it, first")
    return taken


def _names(known: Known) -> dict[str, set[str]]:
    names: dict[str, set[str]] = defaultdict(set)
    for app_id, external_id in known:
        names[app_id].add(external_id)
    return dict(names)


def _names_any(payload: bytes, names: Collection[str]) -> bool:
    """Whether a line has one of these external ids. Lines are decoded only where the id, or anything that is written escaped, is among the bytes."""
    if b"\\" not in payload and not any(name.encode() in payload for name in names):
        return False
    return any(glance(line.payload)[0] in names for line in unpack(payload))
