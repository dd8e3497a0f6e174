"""One server to an embedded database: whoever starts takes over what the last one left, and would take it from one that still works.

The lock is SQLite's own, on a file of its own beside the database, so that it is there on every system and ends with its process, however
that ends. On PostgreSQL there are as many servers as one likes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from sqlalchemy.engine import make_url

from mastering.errors import SettingInvalid


@contextmanager
def sole_server(database_url: str) -> Iterator[None]:
    """Be the only server of this database while the block runs; raises `SettingInvalid` if there is one already."""
    url = make_url(database_url)
    if url.get_backend_name() != "sqlite":
        yield
        return
    with closing(sqlite3.connect(f"{url.database}.server", timeout=0, isolation_level=None, check_same_thread=False)) as lock:
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as fault:
            if fault.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            raise SettingInvalid(
                f"MASTERING_DATABASE_URL: another server works on {url.database}; stop it first, or use PostgreSQL, where there may be many"
            ) from fault
        yield
