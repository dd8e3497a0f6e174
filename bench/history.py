"""What a long history costs those who ask it: `python -m bench history [--events 1000000] [--database sqlite|postgresql …]`.

Half as many people as events are made by the ledger itself, as an import would make them, each with two events. Then, each in a new process
so that its memory is its own: a checkpoint, the verification of everything, an export of everything; and the past: one user of all, a page
of a common and of a rare status, the counts of a month, and one user with ten thousand events.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine

from bench.databases import Kind, engine_of, place
from bench.people import profile
from mastering import asof, checkpoints, exports
from mastering.ledger import Actor, Ledger
from mastering.proof import verify
from mastering.rules.lifecycle import Status, Trigger
from mastering.store.engine import reading, writing
from mastering.store.exports import WantedEvents
from mastering.vault import Vault

_ACTOR = Actor("service", "bench", "bench")
_START = datetime(2026, 1, 1, tzinfo=UTC)
_AT_ONCE = 5_000
_RARE = 1_000
"""Of so many one is suspended."""
_LONG = 10_000
_ASKED = 200
_KEY = "the key of a measurement that lasts for minutes"


def main(arguments: Sequence[str]) -> None:
    """Measure what the arguments ask for, and print it."""
    parser = argparse.ArgumentParser(prog="bench history", description="What a long history costs those who ask it.")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--database", nargs="+", choices=list(Kind), type=Kind, default=list(Kind))
    asked = parser.parse_args(arguments)
    console = Console(width=130)
    for kind in asked.database:
        with place(kind) as where:
            url = where.new()
            ids = _fill(url, asked.events // 2)
            table = Table("what", "measured", "peak of its process", title=f"{kind}, {asked.events:,} events")
            for what, work in _WORK.items():
                told, peak = _apart(work, url, ids)
                table.add_row(what, told, f"{peak:,.0f} MB")
            console.print(table)


def _fill(url: str, people: int) -> list[str]:
    """Make the people, a batch an hour; the ids of some, and of the one with the long history."""
    engine, chance = engine_of(url), Random(1)
    some: list[str] = []
    for start in range(0, people, _AT_ONCE):
        with writing(engine) as session:
            ledger = Ledger(session, _START + timedelta(hours=start // _AT_ONCE), _ACTOR)
            for number in range(start, min(start + _AT_ONCE, people)):
                user = ledger.create({**profile(number), "login": f"person.{number}@example.com"})
                ledger.move(user, Trigger.activate)
                if number % _RARE == 0:
                    ledger.move(user, Trigger.suspend)
                if chance.random() < _ASKED * 2 / people:
                    some.append(user.id)
            ledger.flush()
    for start in range(0, _LONG, 1_000):
        with writing(engine) as session:
            ledger = Ledger(session, _START + timedelta(days=300, hours=start), _ACTOR)
            user = ledger.user(some[-1])
            for number in range(1_000):
                ledger.change_profile(user, {"title": f"Title {start + number}"})
            ledger.flush()
    engine.dispose()
    return some


def _apart(work: Callable[[Engine, list[str]], str], url: str, ids: list[str]) -> tuple[str, float]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measured, work, url, ids).result()


def _measured(work: Callable[[Engine, list[str]], str], url: str, ids: list[str]) -> tuple[str, float]:
    engine = engine_of(url)
    told = work(engine, ids)
    engine.dispose()
    status = Path("/proc/self/status").read_text()
    return told, int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _checkpoint(engine: Engine, _: list[str]) -> str:
    began = perf_counter()
    made = checkpoints.make(engine, Vault([_KEY]), _ACTOR, _START + timedelta(days=400))
    return f"{perf_counter() - began:.1f} s for {made.statement.chains:,} chains"


def _verify(engine: Engine, _: list[str]) -> str:
    began = perf_counter()
    with reading(engine) as session:
        report = verify(session, Vault([_KEY]))
    took = perf_counter() - began
    assert report.whole  # noqa: S101 - or there is nothing to tell
    return f"{report.events / took:,.0f} events/s ({took:.1f} s)"


def _export(engine: Engine, _: list[str]) -> str:
    began, size, count = perf_counter(), 0, 0
    for part in exports.export(engine, WantedEvents(), exports.Format.ndjson):
        size, count = size + len(part), count + part.count(b"\n")
    took = perf_counter() - began
    return f"{count / took:,.0f} events/s ({size / took / 1024**2:,.0f} MB/s)"


def _times(asks: Sequence[Callable[[], Any]]) -> str:
    found = []
    for ask in asks:
        began = perf_counter()
        ask()
        found.append((perf_counter() - began) * 1_000)
    return f"{median(found):.1f} ms, the slowest of {len(found)} {max(found):.1f} ms"


def _one(engine: Engine, ids: list[str]) -> str:
    return _times([partial(asof.read, engine, user_id, _START + timedelta(days=200)) for user_id in ids[:-1]])


def _masters(engine: Engine, ids: list[str]) -> str:
    return _times([partial(asof.masters, engine, user_id, _START + timedelta(days=200)) for user_id in ids[:-1]])


def _long(engine: Engine, ids: list[str]) -> str:
    return _times([lambda: asof.read(engine, ids[-1], _START + timedelta(days=399))] * 5)


def _page(engine: Engine, ids: list[str]) -> str:
    return _pages(engine, ids, Status.ACTIVE)


def _rare_page(engine: Engine, ids: list[str]) -> str:
    return _pages(engine, ids, Status.SUSPENDED)


def _pages(engine: Engine, ids: list[str], status: Status) -> str:
    at = _START + timedelta(days=200)
    return _times([partial(asof.page, engine, at, [status], after, 200) for after in ["", *ids[:20]]])


def _counts(engine: Engine, _: list[str]) -> str:
    began = perf_counter()
    found = list(asof.counts(engine, _START, _START + timedelta(days=30), timedelta(days=1)))
    return f"{perf_counter() - began:.2f} s for {len(found)} days"


_WORK: dict[str, Callable[[Engine, list[str]], str]] = {
    "a first checkpoint over everything": _checkpoint,
    "verification of everything": _verify,
    "export of everything, NDJSON": _export,
    "one user as of an instant": _one,
    "one user's masters as of an instant": _masters,
    "one user with 10,000 events": _long,
    "a page of 200 active users": _page,
    "a page of suspended users, one in 1,000": _rare_page,
    "counts by status, a month of days": _counts,
}
