"""A database of the first version, with people in it, brought up to date by a start of today's program: nothing is lost, and work goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, MetaData, create_engine, delete, select, text, update
from sqlalchemy.engine import make_url
from sqlmodel import SQLModel, col

from mastering.store import tables
from mastering.store.documents import load
from mastering.store.engine import open_database, reading, writing
from mastering.store.tables import ImportRun, RunChunk
from tests.faults.checker import check
from tests.store.test_migrations import MIGRATIONS
from tests.walks.imports_world import World, calm, person

STAFF = [person(f"E{number}", department="Sales") for number in range(30)]
Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def migrate_to(engine: Engine, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def rows(engine: Engine) -> Rows:
    """All that is in a database, table by table, parents first."""
    with engine.connect() as connection:
        return {
            table.name: [dict(row) for row in connection.execute(select(table)).mappings()] for table in SQLModel.metadata.sorted_tables
        }


def put(engine: Engine, kept: Rows) -> None:
    """Write rows into the tables that are there, with the columns that they have."""
    there = MetaData()
    there.reflect(engine)
    with engine.begin() as connection:
        for table in reversed(there.sorted_tables):
            if table.name != "alembic_version":
                connection.execute(table.delete())
        for name, found in kept.items():
            if name in there.tables and found:
                columns = there.tables[name].columns.keys()
                connection.execute(there.tables[name].insert(), [{column: row[column] for column in columns} for row in found])
        if engine.dialect.name == "postgresql":  # positions go on from there, as they would have
            connection.execute(text("SELECT setval(pg_get_serial_sequence('history', 'position'), (SELECT max(position) FROM history))"))


def same(before: Rows, after: Rows) -> bool:
    """Whether all that was there is there, as it was; a migration adds a mapping to each app. What runs overwrote, the first version did not keep."""
    return all(
        all(row in after[name] for row in found) and (len(after[name]) == len(found) or name == "mappings")
        for name, found in before.items()
        if name != "run_befores"
    )


@pytest.fixture
def old(nowhere: str, world: World) -> tuple[World, str]:
    """A world of thirty people, one of them gone, of which `nowhere` is made a copy as the first version had it; and its app."""
    app_id = world.app("HR", calm())
    world.send(app_id, STAFF)
    world.send(app_id, STAFF[1:])
    with writing(world.engine) as session:  # what the first version did not keep
        session.execute(delete(RunChunk))
        session.execute(update(ImportRun).values(planned_as_of=None, planned_now=None))
    file = make_url(nowhere).database
    if file is not None and nowhere.startswith("sqlite"):
        Path(file).parent.mkdir(parents=True)
    first = create_engine(nowhere)
    migrate_to(first, "0001")
    put(first, rows(world.engine))
    first.dispose()
    return world, app_id


def test_the_first_versions_people_are_all_there_and_the_next_import_goes_on_with_them(old: tuple[World, str], nowhere: str) -> None:
    before, app_id = old
    engine = open_database(nowhere)
    try:
        assert same(rows(before.engine), rows(engine))
        with reading(engine) as session:
            assert {user.search_department for user in session.execute(select(tables.User)).scalars()} == {"sales"}
            mapped = session.execute(select(tables.MappingRow).where(col(tables.MappingRow.target_id) == app_id)).scalars().all()
            assert len(mapped) == 1
        check(engine)
        world = World(engine)
        run = world.send(app_id, [*STAFF[1:29], person("E29", department="Marketing"), person("N1")])
        assert (run.status, run.error, load(run.actions)) == ("COMPLETED", None, {"create": 1, "update": 1})
        check(engine)
    finally:
        engine.dispose()
