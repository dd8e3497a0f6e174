"""Two workers on two apps, against one: `mastering worker` processes on PostgreSQL, beside a server that only receives.

Both runs have been received when the clock starts; a lease of nobody's keeps them from being taken before. The workers have started and
found nothing to do by then, so that their start is not timed. Nor is the checkpoint of a day, which a new database is due as soon as there
is something to sign: it is made beforehand.

Every measurement has a database server of its own, and one worker is measured first and last, two in between. On one server the second of
two measurements finds its buffers full of the first one's pages, and its files in memory that this machine never used before, which a
virtual machine is given page by page: at 200,000 people each that took 20 microseconds of the kernel for a person from whoever came second.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import harmonic_mean
from time import perf_counter

from sqlalchemy import Engine, text

from bench.databases import Kind, Place, engine_of, place
from bench.people import lines_of
from bench.server import Service, blocks, running, serving
from mastering.rules.runs import ENDED
from mastering.store.engine import reading, writing

_READY = "Working as"
_LOOK_EVERY = 0.2
"""How often it is asked whether both have ended: rarely, as who asks takes from the cores that are measured."""
_NOBODY, _FAR = "nobody", "2999-01-01T00:00:00.000Z"


_TURNS = (1, 2, 2, 1)
"""How many workers are measured, one measurement after the other: what changes with time falls on both alike."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Records a second by how many workers there were, one to a measurement."""

    rates: dict[int, list[float]] = field(default_factory=lambda: {workers: [] for workers in _TURNS})

    def rate(self, workers: int) -> float:
        """Records a second of all measurements together."""
        return harmonic_mean(self.rates[workers])

    @property
    def ratio(self) -> float:
        """How many times as fast two are as one."""
        return self.rate(2) / self.rate(1)


def compare(count: int) -> Compared:
    """One worker and two, each on two apps of so many people, in turns."""
    compared = Compared()
    for workers in _TURNS:
        with place(Kind.postgresql) as where:
            compared.rates[workers].append(_rate(where, count, workers))
    return compared


def _rate(where: Place, count: int, workers: int) -> float:
    """Records a second of two first imports of so many people each, on a new database."""
    url = where.new()
    engine = engine_of(url)
    with ExitStack() as stack:
        service = stack.enter_context(serving(where.folder, MASTERING_DATABASE_URL=url, MASTERING_WORK="no"))
        received = [_receive(service, f"HR {half}", range(half * count, half * count + count)) for half in range(2)]
        service.client.post("/api/v1/history/checkpoints").raise_for_status()
        with writing(engine) as session:
            session.execute(text("UPDATE import_runs SET owner = :nobody, lease_until = :far"), {"nobody": _NOBODY, "far": _FAR})
        log = where.folder / "process.log"
        before = log.read_text().count(_READY)
        for _ in range(workers):
            stack.enter_context(running(where.folder, ["-m", "mastering.cli", "worker"], MASTERING_DATABASE_URL=url))
        while log.read_text().count(_READY) < before + workers:
            time.sleep(0.05)
        started = perf_counter()
        with writing(engine) as session:
            session.execute(text("UPDATE import_runs SET lease_until = NULL"))
        while not _ended(engine, received):
            time.sleep(_LOOK_EVERY)
        took = perf_counter() - started
    engine.dispose()
    return 2 * count / took


def _receive(service: Service, label: str, numbers: range) -> str:
    run_id: str = service.send(service.make_app(label), blocks(lines_of(numbers)), wait=False)[0]["id"]
    return run_id


def _ended(engine: Engine, runs: list[str]) -> bool:
    with reading(engine) as session:
        states = session.execute(
            text("SELECT status, error FROM import_runs WHERE id IN (:one, :two)"), dict(zip(("one", "two"), runs, strict=True))
        ).all()
    failed = [error for status, error in states if status in ENDED and status != "COMPLETED"]
    if failed:
        raise SystemExit(f"An import failed: {failed}")
    return all(status == "COMPLETED" for status, _ in states)
