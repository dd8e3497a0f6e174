"""The worlds of the import stories: one database to a process, emptied before each story."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from mastering.store.engine import open_database
from tests.walks.imports_world import World, empty


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A database of today's tables. Making one takes longer than most stories."""
    engine = open_database(f"sqlite:///{tmp_path_factory.mktemp('world') / 'world.db'}")
    yield engine
    engine.dispose()


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
