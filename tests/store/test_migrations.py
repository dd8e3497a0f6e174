"""The migrations make exactly the tables that the program declares, on each database, from nothing and by several at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Enum, Index, create_engine, inspect, text
from sqlmodel import SQLModel

import mastering.store.tables
from mastering.errors import SettingInvalid
from mastering.store.engine import open_database, writing

MIGRATIONS = Path(mastering.store.tables.__file__).parent / "migrations"


@pytest.mark.filterwarnings("ignore:.*expression-based index")
def test_the_migrations_make_what_the_tables_declare(nowhere: str) -> None:
    engine = open_database(nowhere)
    with engine.connect() as connection:
        drift = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), SQLModel.metadata)
    engine.dispose()
    assert drift == []


@pytest.mark.filterwarnings("ignore:.*expression-based index")
def test_every_enumeration_has_its_check_and_every_partial_index_its_condition(nowhere: str) -> None:
    engine = open_database(nowhere)
    told = inspect(engine)
    for table in SQLModel.metadata.sorted_tables:
        checks = " ".join(check["sqltext"] for check in told.get_check_constraints(table.name))
        for column in table.columns:
            if isinstance(column.type, Enum):
                assert all(f"'{member}'" in checks for member in column.type.enums), (table.name, column.name)
        partial = {str(index["name"]): index["dialect_options"] for index in told.get_indexes(table.name) if index.get("dialect_options")}
        declared = {str(index.name) for index in table.indexes if _condition(index, engine.dialect.name)}
        assert {name for name, options in partial.items() if options.get(f"{engine.dialect.name}_where") is not None} == declared
    engine.dispose()


def _condition(index: Index, dialect: str) -> object:
    return index.dialect_options[dialect].get("where") is not None


def test_there_is_one_line_of_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert len(ScriptDirectory.from_config(config).get_heads()) == 1


def test_every_migration_goes_back_the_way_it_came(nowhere: str) -> None:
    engine = open_database(nowhere)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert set(inspect(engine).get_table_names()) == {"alembic_version"}
    engine.dispose()
    open_database(nowhere).dispose()
    again = create_engine(nowhere)
    assert {table.name for table in SQLModel.metadata.sorted_tables} < set(inspect(again).get_table_names())
    again.dispose()


def test_several_processes_that_start_on_an_empty_database_at_once_all_get_it(nowhere: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        engines = list(pool.map(open_database, [nowhere] * 4))
    for engine in engines:
        with engine.connect() as connection:
            assert connection.execute(text("SELECT count(*) FROM alembic_version")).scalar() == 1
        engine.dispose()


def test_a_database_of_a_newer_program_is_refused_with_a_sentence(nowhere: str) -> None:
    engine = open_database(nowhere)
    with writing(engine) as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(SettingInvalid, match="made by a newer version"):
        open_database(nowhere)
