"""What every test shares: how Hypothesis looks for counterexamples, and a PostgreSQL server for those that want one.

On CI the search is the same every time and prints how to repeat a failure; elsewhere it looks at new cases in every run. Nowhere does the
clock decide: the first text of a fresh clone waits for a table of all characters to be made, and a busy machine is no counterexample.
"""

import os
from collections.abc import Iterator
from weakref import WeakSet

import freezegun
import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import Connection, Engine, event

from mastering.store.engine import open_database
from tests.postgres import Databases, Postgres, engine_url

UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("ci", UNTIMED, derandomize=True, print_blob=True)
settings.register_profile("here", UNTIMED)
settings.load_profile("ci" if os.environ.get("CI") else "here")

# Okta's SDK loads its models when they are first looked at, which freezing does; made of a frozen clock's classes they would not work.
freezegun.configure(extend_ignore_list=["okta"])


_engines: list[Engine] = []
_seen: WeakSet[Engine] = WeakSet()


@event.listens_for(Engine, "engine_connect")
def _note_engine(connection: Connection) -> None:
    if connection.engine not in _seen:
        _seen.add(connection.engine)
        _engines.append(connection.engine)


@pytest.fixture(autouse=True)
def no_connection_is_left_open() -> Iterator[None]:
    """Close the connections of every database that a test was the first to use: Python 3.13 tells of those that are forgotten.

    That of a whole session may be among them; it opens others when it is asked again.
    """
    yield
    while _engines:
        _engines.pop().dispose()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Databases]:
    """Databases on the server that MASTERING_TEST_POSTGRES_URL names, else on one that is started here."""
    given = os.environ.get("MASTERING_TEST_POSTGRES_URL")
    server = None if given else Postgres()
    if server is not None:
        server.make()
        server.start()
    databases = Databases(given or (server.url("postgres") if server else ""))
    try:
        yield databases
    finally:
        databases.close()
        if server is not None:
            server.remove()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: Databases) -> str:
    """The name of a database of today's tables, to be cloned."""
    name = postgres_server.new()
    open_database(engine_url(postgres_server.url(name))).dispose()
    return name
