"""What becomes of an import as it grows: first, unchanged, a hundredth changed, a quarter missing and held, approved, undone.

All on one app, one after the other, over HTTP. Of the same run are the two yardsticks: the time that the database needs to give out the digests
by which unchanged records are known again, and, at the end and on a database server of its own, the bare copy of the rows that the first
import wrote.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from datetime import datetime
from math import nan
from pathlib import Path
from time import perf_counter
from typing import Any

from sqlalchemy import bindparam, text

from bench import bare
from bench.databases import Kind, Place, engine_of, place
from bench.people import lines, lines_of
from bench.server import Service, blocks, expect, serving
from mastering.store.engine import reading

_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Grown:
    """One size on one database: rates in records a second, of the approval and its undo in changes a second; times in seconds; memory in megabytes."""

    records: int
    first: float
    unchanged: float
    planning: float
    digests: tuple[float, float]
    changed: float
    held: float
    approved: float
    undone: float
    peak_mb: float
    bare: float = nan
    """Not known before the rows are copied, which is last."""


def measure(kind: Kind, count: int) -> Grown:
    """All of it, the imports and the copy each on a database server of its own."""
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows"
        with place(kind) as where:
            grown = _imports(where, count, rows)
        with place(kind) as another:
            return replace(grown, bare=bare.rate(rows, another.new()))


def _imports(where: Place, count: int, rows: Path) -> Grown:
    """The imports, on a new database; what rows the first of them wrote is kept in this file."""
    url = where.new()
    with serving(where.folder, MASTERING_DATABASE_URL=url) as service:
        app, body = service.make_app(), blocks(lines(count))
        first = count / service.carry_out(app, body)[1]
        bare.keep(url, rows)
        run, took = service.carry_out(app, body)
        digests = _sweeping_digests(url, app), _asking_digests(url, app, count)
        changed = count / service.carry_out(app, blocks(lines_of(range(count), changed_every=100)))[1]
        missing, waited = service.carry_out(app, blocks(lines_of(range(count - count // 4), changed_every=100)), ends="HELD")
        approved = (count // 4) / _act(service, missing, "approve", planHash=missing["planHash"])
        undone = (count // 4) / _act(service, missing, "undo")
        planning = _planning(url, run["id"])
        return Grown(count, first, count / took, planning, digests, changed, count / waited, approved, undone, service.peak_mb())


def _sweeping_digests(url: str, app: str) -> float:
    """Seconds to read the external ids and digests of all accounts of an app in one sweep, and nothing more."""
    engine = engine_of(url)
    with reading(engine) as session:
        query = text("SELECT external_id, digest FROM app_users WHERE app_id = :app ORDER BY external_id")
        started = perf_counter()
        for _ in session.execute(query, {"app": app}, execution_options={"yield_per": _AT_ONCE}):
            pass
        took = perf_counter() - started
    engine.dispose()
    return took


def _asking_digests(url: str, app: str, count: int) -> float:
    """Seconds to ask for the digests of these records by their external ids, so many at a time, as who does not hold all accounts in memory has to."""
    engine = engine_of(url)
    with reading(engine) as session:
        query = text("SELECT external_id, digest FROM app_users WHERE app_id = :app AND external_id IN :ids").bindparams(
            bindparam("ids", expanding=True)
        )
        started = perf_counter()
        for start in range(0, count, _AT_ONCE):
            session.execute(query, {"app": app, "ids": [f"E{number}" for number in range(start, min(count, start + _AT_ONCE))]}).all()
        took = perf_counter() - started
    engine.dispose()
    return took


def _planning(url: str, run_id: str) -> float:
    """Seconds from the moment a run had been received to the moment its plan was decided and checked."""
    engine = engine_of(url)
    with reading(engine) as session:
        query = text("SELECT sealed, planned FROM import_runs WHERE id = :run")
        sealed, planned = session.execute(query, {"run": run_id}).one()
    engine.dispose()
    return (datetime.fromisoformat(planned) - datetime.fromisoformat(sealed)).total_seconds()


def _act(service: Service, run: dict[str, Any], verb: str, **told: str) -> float:
    """Seconds from asking for something to be done with a run to the end of the run that does it."""
    started = perf_counter()
    answer = service.client.post(f"/api/v1/imports/{run['id']}/lifecycle/{verb}", json=told or None)
    expect(service.ended(answer.raise_for_status().json()), "COMPLETED")
    return perf_counter() - started
