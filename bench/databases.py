"""The databases that are measured: an SQLite file, and a PostgreSQL server that is started here (docs/decisions/0006) and kept on its disk.

The server is set up as one would be that matters to somebody: it waits for the disk at every commit.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from pathlib import Path

from sqlalchemy import Engine

from mastering.settings import Settings
from mastering.store.engine import open_database
from tests.postgres import Databases, Postgres

_IN_EARNEST = {
    "fsync": "on",
    "full_page_writes": "on",
    "shared_buffers": "512MB",
    "wal_buffers": "64MB",
    "max_wal_size": "4GB",
    "deadlock_timeout": "1s",
    "autovacuum": "on",
}


class Kind(StrEnum):
    """Which database."""

    sqlite = "sqlite"
    postgresql = "postgresql"


@dataclass(frozen=True, slots=True)
class Place:
    """Where databases are made, and a folder for what else there is to keep."""

    folder: Path
    databases: Databases | None
    _names: Iterator[int]

    def new(self) -> str:
        """The address of a new, empty database."""
        if self.databases is not None:
            return self.databases.url(self.databases.new())
        return f"sqlite:///{self.folder / f'{next(self._names)}.db'}"


@contextmanager
def place(kind: Kind) -> Iterator[Place]:
    """A place of its own, gone at the end."""
    with tempfile.TemporaryDirectory() as folder:
        if kind is Kind.sqlite:
            yield Place(Path(folder), None, count())
            return
        server = Postgres(options=_IN_EARNEST)
        try:
            server.make()
            server.start()
            yield Place(Path(folder), Databases(server.url("postgres")), count())
        finally:
            server.remove()


def engine_of(url: str) -> Engine:
    """An engine on a database, its schema made if it is empty."""
    return open_database(Settings.from_environment({"MASTERING_DATABASE_URL": url}).database_url)
