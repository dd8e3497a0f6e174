"""History to be taken away, as NDJSON for programs and as CSV for spreadsheets (API.md, /history/export; docs/proof.md).

A line of NDJSON has the very text that the chain hashes, so that whoever has it can verify it: `body` and `values` are copied as they are
kept, in that order and behind everything else. Of values that were erased only `erased` is left.

A cell of CSV never begins with what a spreadsheet would take for a formula: such a cell gets an apostrophe in front.

Both are made piece by piece; between two pieces no transaction is open, and what is written meanwhile is not part of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine, Row

from mastering.connectors.csvout import csv_rows
from mastering.proof import without_values
from mastering.store import exports as store
from mastering.store import people
from mastering.store.documents import dump, load
from mastering.store.engine import reading
from mastering.store.exports import Stretch, WantedEvents

_PAGE = 1_000


class Format(StrEnum):
    """How events are written."""

    ndjson = "ndjson"
    csv = "csv"


COLUMNS = (
    "position",
    "at",
    "type",
    "subject",
    "seq",
    "id",
    "actorType",
    "actorId",
    "actorName",
    "runId",
    "row",
    "trigger",
    "from",
    "to",
    "rule",
    "reason",
    "authority",
    "appId",
    "appUserId",
    "externalId",
    "account",
    "attributes",
    "facts",
    "erased",
    "hash",
)
"""The columns of CSV. `attributes` and `facts` are JSON; what is told of rare kinds of events alone is in NDJSON only."""


def export(engine: Engine, wanted: WantedEvents, form: Format) -> Iterator[bytes]:
    """The events that are wanted, in pieces of many lines."""
    write = {Format.ndjson: _lines, Format.csv: _rows}[form]
    if form is Format.csv:
        yield csv_rows([COLUMNS])
    for page in _pages(engine, wanted):
        yield write(page)


def _pages(engine: Engine, wanted: WantedEvents) -> Iterator[Sequence[Row[Any]]]:
    with reading(engine) as session:
        where = store.stretch(session, wanted)
    while True:
        with reading(engine) as session:
            found = store.page(session, wanted, where, _PAGE)
        if found:
            yield found
        if len(found) < _PAGE:
            return
        where = Stretch(found[-1].position, where.end)


def subject_of(engine: Engine, id_or_login: str) -> str:
    """The id of a user named by id or login; one who is gone is named by id."""
    with reading(engine) as session:
        return people.user_id_of(session, id_or_login) or id_or_login


def _lines(events: Sequence[Row[Any]]) -> bytes:
    return "".join(
        f'{{"position":{event.position},"hash":"{event.hash.hex()}","erased":{"true" if without_values(event) else "false"},'
        f'"body":{event.body},"values":{event.values_json or "null"}}}\n'
        for event in events
    ).encode()


def _rows(events: Sequence[Row[Any]]) -> bytes:
    return csv_rows([_row(event) for event in events])


def _row(event: Row[Any]) -> list[str]:
    body = load(event.body)
    values = load(event.values_json) if event.values_json else {}
    actor, account, told = body["actor"], body.get("account") or {}, values.get("attributes")
    cells = (
        event.position,
        event.at,
        event.type,
        event.subject,
        event.seq,
        event.id,
        actor["type"],
        actor["id"],
        actor["name"],
        event.run_id,
        *(body.get(name) for name in ("row", "trigger", "from", "to", "rule", "reason", "authority")),
        account.get("appId"),
        account.get("id"),
        values.get("externalId"),
        account.get("account"),
        dump(told) if told else None,
        dump(body["facts"]) if "facts" in body else None,
        "yes" if without_values(event) else None,
        event.hash.hex(),
    )
    return ["" if cell is None else str(cell) for cell in cells]
