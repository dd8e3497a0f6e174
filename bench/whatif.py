"""How long previews take, over everybody and over recorded runs, and what is kept for them: `python -m bench whatif [PEOPLE]` (100,000 by default).

The people are imported into an embedded database first, then one in a hundred leaves by a delta, as for `bench reconcile`. What those runs received
is deflated. Then each preview is computed in a process of its own, so that its peak of memory is the preview's alone.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import func, select
from sqlmodel import col

from bench.reconcile import fill, peak_mb
from mastering.clock import now
from mastering.imports import kept
from mastering.imports.worker import Worker
from mastering.ledger import SERVICE
from mastering.rules.mapping import MappingRule
from mastering.rules.policy import Matching
from mastering.store import catalog, tables
from mastering.store.documents import dump, load
from mastering.store.engine import open_database, reading
from mastering.store.received import KeptChunk
from mastering.whatif import previews
from mastering.whatif.world import Wishes

_OVER = {"everybody": None, "the first import": 0, "the delta of the leavers": 1}
"""What is previewed: the place of a run, or no run."""


def main(arguments: list[str]) -> None:
    """Import, preview, and print time, rows and peak memory."""
    parser = argparse.ArgumentParser(prog="bench whatif", description="Previews over everybody and over recorded runs.")
    parser.add_argument("people", nargs="?", type=int, default=100_000)
    parser.add_argument(
        "--on", nargs=2, help="The database and what to preview, in a process of its own; what the command calls itself with."
    )
    asked = parser.parse_args(arguments)
    if asked.on is not None:
        _preview(*asked.on)
        return
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/mastering.db"
        fill(url, asked.people)
        sizes = _deflate(url)
        table = Table("preview over", "seconds", "rows", "peak memory before and after", title=f"{asked.people:,} people, embedded SQLite")
        for over in _OVER:
            command = [sys.executable, "-m", "bench", "whatif", "--on", url, over]
            told = load(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            table.add_row(over, f"{told['seconds']:,.1f}", f"{told['rows']:,}", f"{told['empty_mb']:,.0f} MB, {told['peak_mb']:,.0f} MB")
    Console().print(table)
    Console().print(sizes)


def _deflate(url: str) -> str:
    engine = open_database(url)
    began, pieces = time.perf_counter(), 0
    with reading(engine) as session:
        came = session.execute(select(func.sum(func.length(col(tables.RunChunk.payload))))).scalar() or 0
    while done := kept.pack(engine):
        pieces += done
    seconds = time.perf_counter() - began
    with reading(engine) as session:
        left = session.execute(select(func.sum(func.length(col(KeptChunk.payload))))).scalar() or 0
    engine.dispose()
    return f"what came: {came / 1e6:,.1f} MB in {pieces} pieces, deflated to {left / 1e6:,.1f} MB in {seconds:,.2f} s"


def _wishes(url: str) -> tuple[Wishes, list[str]]:
    """Another matching and another mapping; and the runs there are."""
    engine = open_database(url)
    with reading(engine) as session:
        (app,) = catalog.all_apps(session)
        rules = {rule.target: rule for rule in catalog.mapping_rules(session, app.id)}
        rules["title"] = MappingRule("title", "'The ' + appuser.title", create_only=False)
        policy = replace(catalog.policy_of(app), matching=Matching(username=False, email=True))
        runs = list(session.execute(select(col(tables.ImportRun.id)).order_by(col(tables.ImportRun.id))).scalars())
    engine.dispose()
    return Wishes(policies={app.id: policy}, mappings={app.id: tuple(rules.values())}), runs


def _preview(url: str, over: str) -> None:
    wishes, runs = _wishes(url)
    place = _OVER[over]
    engine = open_database(url)
    worker, before, asked = Worker(engine), peak_mb(), dict[str, Any]()
    row = previews.start(engine, SERVICE, now(), wishes, asked, run_id=runs[place] if place is not None else None)
    began = time.perf_counter()
    while worker.turn():
        pass
    seconds = time.perf_counter() - began
    done = previews.read(engine, row.id)
    if done.error:
        raise SystemExit(done.error)
    print(dump({"seconds": seconds, "rows": done.found, "peak_mb": peak_mb(), "empty_mb": before}))
    engine.dispose()
