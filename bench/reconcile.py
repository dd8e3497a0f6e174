"""How long a reconciliation of everybody takes, and what it needs of memory: `python -m bench reconcile [PEOPLE]` (100,000 by default).

The people are imported into an embedded database first; then a process of its own makes one pass over all of them, so that its peak of
memory is the pass's alone. One in a hundred stands suspended where the option by now says deactivated.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import people
from mastering.clock import now, wire
from mastering.connectors.intake import open_intake
from mastering.ids import new_id
from mastering.imports import runs
from mastering.imports.spool import LINES_PER_CHUNK, Spool
from mastering.imports.worker import Worker
from mastering.ledger import SERVICE
from mastering.reconcile import passes
from mastering.rules.mapping import default_rules
from mastering.rules.policy import Confirmation, ImportPolicy, Mastering, Safeguard, WhenDeactivated
from mastering.rules.record import Mode
from mastering.rules.schema import default_schema
from mastering.store import catalog, tables
from mastering.store.documents import dump, load
from mastering.store.engine import open_database, writing

_EVERY = 100
"""One person in so many has drifted."""


def main(arguments: list[str]) -> None:
    """Import, reconcile, and print time, rate and peak memory."""
    parser = argparse.ArgumentParser(prog="bench reconcile", description="One pass over everybody.")
    parser.add_argument("people", nargs="?", type=int, default=100_000)
    parser.add_argument("--on", help="The database to pass over, in a process of its own; what the command calls itself with.")
    asked = parser.parse_args(arguments)
    if asked.on is not None:
        _pass(asked.on)
        return
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/mastering.db"
        fill(url, asked.people)
        command = [sys.executable, "-m", "bench", "reconcile", "--on", url]
        told = load(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        size = Path(f"{folder}/mastering.db").stat().st_size / 1024**2
    table = Table("what", "measured", title=f"{asked.people:,} people, embedded SQLite of {size:,.0f} MB")
    table.add_row("one pass", f"{told['seconds']:,.1f} s, {told['users'] / told['seconds']:,.0f} people/s")
    table.add_row("events verified", f"{told['events']:,}")
    table.add_row("differences found", f"{told['found']:,}")
    table.add_row("peak memory of the process", f"{told['peak_mb']:,.0f} MB, {told['empty_mb']:,.0f} MB before the pass")
    Console().print(table)


def fill(url: str, count: int) -> None:
    """Import so many people, and have one in a hundred leave."""
    engine = open_database(url)
    plain = ImportPolicy(
        confirmation=Confirmation(auto_confirm_new=True, auto_activate_new=True),
        mastering=Mastering(enabled=True, when_deactivated=WhenDeactivated.SUSPEND),
        safeguard=Safeguard(enabled=False),
    )
    app_id, at, worker = new_id("0oa"), wire(now()), Worker(engine)
    with writing(engine) as session:
        org = catalog.org(session)
        org.safeguard = dump({"enabled": False})
        app = tables.App(id=app_id, name="hr", label="HR", status=tables.AppStatus.ACTIVE, policy="", rank=1, created=at, last_updated=at)
        app.policy = catalog.policy_text(plain)
        session.add_all([org, app])
        session.flush()
        rules = dump(catalog.properties_of(default_rules(default_schema())))
        session.add(
            tables.MappingRow(
                id=new_id("prm"), source_id=app_id, target_id=catalog.USER_TYPE_ID, properties=rules, created=at, last_updated=at
            )
        )
    leavers = (line.replace(b'"active":true', b'"active":false') for line in people.lines_of(range(0, count, _EVERY)))
    for mode, lines in ((Mode.FULL, people.lines(count)), (Mode.INCREMENTAL, leavers)):
        run_id = runs.start(engine, SERVICE, now(), app_id, runs.Order(mode))
        spool, intake = Spool(engine, run_id), open_intake("application/x-ndjson", plain.csv)
        while part := list(islice(lines, LINES_PER_CHUNK)):
            spool.add(intake.feed(b"".join(part)))
        spool.add(intake.close())
        runs.seal(engine, SERVICE, now(), run_id, spool.close())
        while worker.turn():
            pass
    stricter = replace(plain, mastering=replace(plain.mastering, when_deactivated=WhenDeactivated.DEACTIVATE))
    with writing(engine) as session:
        app = session.get_one(tables.App, app_id)
        app.policy = catalog.policy_text(stricter)
        session.add(app)
    engine.dispose()


def _pass(url: str) -> None:
    engine = open_database(url)
    row, worker, before = passes.start(engine, SERVICE, now()), Worker(engine), peak_mb()
    began = time.perf_counter()
    while worker.turn():
        pass
    seconds = time.perf_counter() - began
    done = passes.read(engine, row.id)
    counted = {"users": done.users, "events": done.events, "found": done.found}
    print(dump({**counted, "seconds": seconds, "peak_mb": peak_mb(), "empty_mb": before}))
    engine.dispose()


def peak_mb() -> float:
    """Of this program alone: `ru_maxrss` remembers what the process was before it became another program."""
    told = Path("/proc/self/status").read_text(encoding="ascii")
    return int(told.partition("VmHWM:")[2].split()[0]) / 1024
