"""The worlds of the import stories: one database of each kind to a process, emptied before each story. Every story is told on each."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from tests.databases import KINDS, a_database
from tests.walks.imports_world import World, empty


@pytest.fixture(scope="session", params=KINDS)
def database(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A database of today's tables. Making one takes longer than most stories."""
    with a_database(request.param, tmp_path_factory, request) as engine:
        yield engine


@pytest.fixture
def world(database: Engine) -> World:
    """An empty world."""
    empty(database)
    return World(database)


@pytest.fixture
def org(world: World) -> World:
    """A world whose org-wide safeguard is off; with `calm` policies nobody's leaving holds a run."""
    world.set_org(enabled=False)
    return world
