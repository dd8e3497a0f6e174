"""How fast, as ratios in one run: `python make.py bench`, or `python -m bench [RECORDS]` (100,000 by default).

==================  =========================================================================================================
decide              records decided a second in memory, by the rules alone
expressions         evaluations a second of the expressions that mappings commonly have, compiled once
bare insert         users a second, the very rows that the first import wrote, into an empty database of the same schema
first import        users a second, from the first byte of the request to the committed run, over HTTP, on the embedded database
unchanged           records a second of the same body again
memory              growth of the server's peak over the empty server
==================  =========================================================================================================

`python -m bench scale` (or `python make.py bench scale`) measures how imports grow, on both databases: `bench/scale.py`.
`python -m bench push` measures how fast users are pushed to an app: `bench/push.py`.
`python -m bench history` measures what a long history costs those who ask it: `bench/history.py`.
`python -m bench reconcile` measures one pass of a reconciliation over everybody: `bench/reconcile.py`.
`python -m bench readapps` measures one that reads the users of a connected app: `bench/readapps.py`.
`python -m bench whatif` measures previews over everybody and over recorded runs: `bench/whatif.py`.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import bare, decide, expressions, history, push, readapps, reconcile, scale, server, whatif

_PACKAGES = ("sqlalchemy", "sqlmodel", "litestar", "msgspec", "uvicorn", "transitions")


def main() -> None:
    """Measure, and print figures, ratios, machine and versions."""
    apart = {
        "history": history.main,
        "push": push.main,
        "readapps": readapps.main,
        "reconcile": reconcile.main,
        "scale": scale.main,
        "whatif": whatif.main,
    }
    if len(sys.argv) > 1 and sys.argv[1] in apart:
        apart[sys.argv[1]](sys.argv[2:])
        return
    parser = argparse.ArgumentParser(prog="bench", description="How fast the service is, as ratios in one run.")
    parser.add_argument("records", nargs="?", type=int, default=100_000)
    count: int = parser.parse_args().records
    with tempfile.TemporaryDirectory() as folder:
        decided = decide.rate(count)
        evaluated = expressions.rate(max(count, 100_000))
        rows = Path(folder) / "rows"
        with tempfile.TemporaryDirectory() as home:
            imported = server.measure(Path(home), count)
            bare.keep(f"sqlite:///{home}/mastering.db", rows)
        inserted = bare.rate(rows, f"sqlite:///{folder}/bare.db")
    table = Table("what", "measured", "ratio or bound", "wanted", title=f"{count:,} records, embedded SQLite")
    table.add_row("decide in memory", f"{decided:,.0f} records/s", "", "≥ 150,000/s")
    table.add_row("evaluate expressions in memory", f"{evaluated:,.0f} evaluations/s", "", "≥ 300,000/s")
    table.add_row("bare bulk insert of the same rows", f"{inserted:,.0f} users/s", "1", "")
    table.add_row("first import over HTTP", f"{imported.first:,.0f} users/s", f"{imported.first / inserted:.2f}", "≥ 0.33 of bare")
    table.add_row("unchanged re-import over HTTP", f"{imported.unchanged:,.0f} records/s", "", "≥ 60,000/s")
    table.add_row("peak memory over the empty server", f"{imported.memory_mb:,.0f} MB", "", "< 300 MB")
    console = Console()
    console.print(table)
    versions = ", ".join(f"{package} {version(package)}" for package in _PACKAGES)
    console.print(f"Python {platform.python_version()} on {platform.machine()}, {_cores()} cores; {versions}")


def _cores() -> int:
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.read_text().count("processor\t") if cpuinfo.exists() else 0


if __name__ == "__main__":
    main()
