"""A database of each kind, for suites that run on both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine

from mastering.store.engine import open_database
from tests.postgres import Databases, engine_url

KINDS = ("sqlite", "postgresql")


@contextmanager
def a_database(kind: str, folders: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A database of today's tables with nothing in them, until the block ends."""
    if kind == "sqlite":
        engine = open_database(f"sqlite:///{folders.mktemp('database') / 'm.db'}")
        yield engine
        engine.dispose()
        return
    server: Databases = request.getfixturevalue("postgres_server")
    name = server.new(request.getfixturevalue("postgres_template"))
    engine = open_database(engine_url(server.url(name)))
    yield engine
    engine.dispose()
    server.drop(name)
