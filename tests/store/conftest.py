"""The persistence contract is one suite for both databases: every test that asks for a database runs on each of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.databases import KINDS, a_database
from tests.postgres import Databases, engine_url
from tests.walks.imports_world import World, empty


@pytest.fixture(scope="session", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of database."""
    kind: str = request.param
    return kind


@pytest.fixture
def nowhere(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a database in which there is nothing yet."""
    if kind == "sqlite":
        yield f"sqlite:///{tmp_path / 'new' / 'm.db'}"
        return
    server: Databases = request.getfixturevalue("postgres_server")
    name = server.new()
    yield engine_url(server.url(name))
    server.drop(name)


@pytest.fixture(scope="session")
def database(kind: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A database of today's tables."""
    with a_database(kind, tmp_path_factory, request) as engine:
        yield engine


@pytest.fixture
def engine(database: Engine) -> Engine:
    """A database of today's tables with nothing in them."""
    empty(database)
    return database


@pytest.fixture
def world(engine: Engine) -> World:
    """An empty world on it, in which nobody's leaving holds a run."""
    made = World(engine)
    made.set_org(enabled=False)
    return made
