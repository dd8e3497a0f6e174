"""How it grows: `python -m bench scale [--records 10000 100000 …] [--database sqlite|postgresql …]`, all of it on both by default.

For each database a table of what `imports` measures, a column to each size; then `load`, and on PostgreSQL `workers`, with the largest size
up to `_MOST`. What is wanted stands beside what was measured, and the load of the machine stands above.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

from bench import imports, load, workers
from bench.databases import Kind, place
from bench.imports import Grown
from bench.load import Loaded

_MOST = 100_000
_SIZES = (10_000, 100_000, 1_000_000)


def main(arguments: Sequence[str]) -> None:
    """Measure what the arguments ask for, and print it as it becomes known."""
    parser = argparse.ArgumentParser(prog="bench scale", description="How imports grow, as ratios in one run.")
    parser.add_argument("--records", nargs="+", type=int, default=list(_SIZES))
    parser.add_argument("--database", nargs="+", choices=list(Kind), type=Kind, default=list(Kind))
    asked = parser.parse_args(arguments)
    console = Console(width=130)
    for kind in asked.database:
        _grow(console, kind, sorted(asked.records))
        most = min(_MOST, max(asked.records))
        _under_load(console, kind, most)
        if kind is Kind.postgresql:
            _two_workers(console, most)


def _grow(console: Console, kind: Kind, sizes: Sequence[int]) -> None:
    found = []
    for size in sizes:
        found.append(imports.measure(kind, size))
        console.print(f"{kind}: {size:,} records are measured; load {_load()}")
    table = Table(
        "what", *(f"{each.records:,}" for each in found), "wanted", title=f"{kind}, records a second unless said otherwise; load {_load()}"
    )
    for what, tell, wanted in _ROWS:
        table.add_row(what, *(tell(each, found[max(0, at - 1)]) for at, each in enumerate(found)), wanted)
    console.print(table)


def _grown(now: float, before: float) -> str:
    """A rate, and what part it is of the rate at the size before."""
    return f"{now:,.0f} ({now / before:.2f})"


def _over(took: float, yardstick: float) -> str:
    return f"{took / yardstick:.1f} (of {yardstick:.2f} s)"


_ROWS: tuple[tuple[str, Callable[[Grown, Grown], str], str], ...] = (
    ("bare bulk insert or COPY of the same rows", lambda now, then: _grown(now.bare, then.bare), ""),
    ("first import", lambda now, then: _grown(now.first, then.first), "≥ 0.80 of 100,000's"),
    ("first import over bare", lambda now, _: f"{now.first / now.bare:.2f}", "≥ 0.33"),
    ("unchanged again", lambda now, then: _grown(now.unchanged, then.unchanged), "≥ 0.80"),
    ("planning it", lambda now, _: f"{now.planning:.2f} s", ""),
    ("over reading its digests in one sweep", lambda now, _: _over(now.planning, now.digests[0]), "≤ 3"),
    ("over asking for them by external id", lambda now, _: _over(now.planning, now.digests[1]), "≤ 3"),
    ("one in a hundred changed", lambda now, then: _grown(now.changed, then.changed), "≥ 0.80"),
    ("a quarter missing, held", lambda now, then: _grown(now.held, then.held), "≥ 0.80"),
    ("approved, changes a second", lambda now, then: _grown(now.approved, then.approved), "≥ 0.80"),
    ("undone, changes a second", lambda now, then: _grown(now.undone, then.undone), ""),
    ("peak memory of the process", lambda now, _: f"{now.peak_mb:,.0f} MB", "< 600 MB at 1,000,000"),
)


def _under_load(console: Console, kind: Kind, count: int) -> None:
    heard = []
    for processes in (1, 2) if kind is Kind.postgresql else (1,):
        with place(kind) as where:
            heard.append(load.measure(where, processes, count))
    table = Table(
        "what", *(f"{each.processes} process(es)" for each in heard), "wanted", title=f"{kind}, while {count:,} people come; load {_load()}"
    )
    for what, tell, wanted in _LOADED:
        table.add_row(what, *map(tell, heard), wanted)
    console.print(table)


_LOADED: tuple[tuple[str, Callable[[Loaded], str], str], ...] = (
    ("questions, and errors", lambda heard: f"{heard.asked:,}, {heard.errors:,}", "no error"),
    ("one user, p50 and p99", lambda heard: f"{heard.people[0]:,.0f} ms, {heard.people[1]:,.0f} ms", ""),
    ("a page of 200 users, p50 and p99", lambda heard: f"{heard.pages[0]:,.0f} ms, {heard.pages[1]:,.0f} ms", ""),
    ("first import meanwhile, people a second", lambda heard: f"{heard.rate:,.0f}", ""),
)


def _two_workers(console: Console, count: int) -> None:
    found = workers.compare(count)
    table = Table("what", "records a second", "together", "wanted", title=f"two apps of {count:,} people each; load {_load()}")
    for many, name in ((1, "one worker"), (2, "two workers")):
        table.add_row(name, ", ".join(f"{rate:,.0f}" for rate in found.rates[many]), f"{found.rate(many):,.0f}", "")
    table.add_row("two over one", "", f"{found.ratio:.2f}", "≥ 1.6 where two cores are free")
    console.print(table)


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
