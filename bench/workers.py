"""Two workers on two apps, against one: `mastering worker` processes on PostgreSQL, beside a server that only receives.

Both runs have been received when the clock starts; a lease of nobody's keeps them from being taken before. The workers have started and
found nothing to do by then, so that their start is not timed. Nor is the checkpoint of a day, which a new database is due as soon as there
is something to sign: it is made beforehand.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from time import perf_counter

from sqlalchemy import Engine, text

from bench.databases import Place, engine_of
from bench.people import lines_of
from bench.server import Service, blocks, running, serving
from mastering.rules.runs import ENDED
from mastering.store.engine import reading, writing

_READY = "Working as"
_LOOK_EVERY = 0.2
"""How often it is asked whether both have ended: rarely, as who asks takes from the cores that are measured."""
_NOBODY, _FAR = "nobody", "2999-01-01T00:00:00.000Z"


def rate(place: Place, count: int, workers: int) -> float:
    """Records a second of two first imports of so many people each, on a new database."""
    url = place.new()
    engine = engine_of(url)
    with ExitStack() as stack:
        service = stack.enter_context(serving(place.folder, MASTERING_DATABASE_URL=url, MASTERING_WORK="no"))
        received = [_receive(service, f"HR {half}", range(half * count, half * count + count)) for half in range(2)]
        service.client.post("/api/v1/history/checkpoints").raise_for_status()
        with writing(engine) as session:
            session.execute(text("UPDATE import_runs SET owner = :nobody, lease_until = :far"), {"nobody": _NOBODY, "far": _FAR})
        log = place.folder / "process.log"
        before = log.read_text().count(_READY)
        for _ in range(workers):
            stack.enter_context(running(place.folder, ["-m", "mastering.cli", "worker"], MASTERING_DATABASE_URL=url))
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
