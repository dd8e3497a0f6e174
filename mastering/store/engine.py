"""Opening the database: an embedded SQLite file, or PostgreSQL, by one address.

Two ways in, and no third:

* `writing` opens a transaction that will write. On SQLite it begins IMMEDIATE: the default begin takes the write lock late and loses
  updates without a word.
* `reading` opens a transaction that sees one snapshot until it ends. A plan is computed in one.

Nothing outlives its `with` block, so no session leaks from one request to the next.

SQLite has one writer at a time and lets whoever asks at the right moment be the next one: beside an import, which begins its next batch
the moment the last one is committed, somebody else might wait for minutes. So the writers of a process queue up (`turns`), and an admin
waits for one batch and not for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlmodel import Session, SQLModel

from mastering.errors import SettingInvalid
from mastering.rules.text import fold_name
from mastering.store.history import keep_history
from mastering.store.locks import Lock, hold
from mastering.store.turns import turn_to_write

_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_SECONDS = 60
_WAL_KEPT = 64 * 1024 * 1024
"""Bytes of SQLite's log that stay on the disk when it is done with: while a large plan is made, the log grows as large as the plan."""
_READ = "mastering_read"


def open_database(url: str) -> Engine:
    """An engine on `url`, its schema brought up to date. A missing SQLite file is made, readable by its owner alone."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        _make_private(parsed.database)
        engine = create_engine(
            parsed,
            connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False},
            pool_size=20,
            max_overflow=40,
            pool_use_lifo=True,
            hide_parameters=True,
        )
        event.listen(engine, "connect", _on_sqlite_connect)
        event.listen(engine, "begin", _on_sqlite_begin)
    else:
        engine = create_engine(parsed, pool_size=20, max_overflow=20, pool_pre_ping=True, pool_use_lifo=True, hide_parameters=True)
    try:
        migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def open_scratch(file: Path) -> Engine:
    """An engine on an SQLite file of today's tables that is thrown away: nothing refers to anything in it, and it need not outlive the machine."""
    _make_private(str(file))
    engine = create_engine(f"sqlite:///{file}", connect_args={"check_same_thread": False}, hide_parameters=True)
    event.listen(engine, "connect", _on_sqlite_connect)
    event.listen(engine, "connect", _on_scratch_connect)
    event.listen(engine, "begin", _on_sqlite_begin)
    SQLModel.metadata.create_all(engine)
    return engine


def _on_scratch_connect(connection: Any, _: object) -> None:
    for pragma in ("foreign_keys=OFF", "synchronous=OFF", "secure_delete=OFF"):
        connection.execute(f"PRAGMA {pragma}")


def migrate(engine: Engine) -> None:
    """Bring the schema to the newest migration; a no-op where it is there already. Raises `SettingInvalid` where it is newer still."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with engine.begin() as connection:
        hold(connection, Lock.MIGRATION)  # of several processes that start at once, one migrates and the others find it done
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as fault:
            raise SettingInvalid(
                "MASTERING_DATABASE_URL: the database was made by a newer version of this program; start that version, or restore a backup"
            ) from fault


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """A transaction that writes: committed at the end of the block, rolled back if the block raises."""
    with turn_to_write(engine), Session(engine, expire_on_commit=False) as session:
        session.connection()
        yield session
        keep_history(session)
        session.commit()


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A transaction that reads one snapshot and is rolled back at the end of the block."""
    options: dict[str, Any] = {_READ: True}
    if engine.dialect.name == "postgresql":
        options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect().execution_options(**options) as connection, Session(connection, expire_on_commit=False) as session:
        session.connection()
        yield session


def _make_private(database: str | None) -> None:
    if not database or database == ":memory:":
        return
    file = Path(database)
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        file.touch(mode=0o600)


def _on_sqlite_connect(connection: Any, _: object) -> None:
    connection.isolation_level = None  # we begin ourselves
    for pragma in (
        "journal_mode=WAL",
        "foreign_keys=ON",
        "synchronous=FULL",
        "cache_size=-16000",
        "wal_autocheckpoint=8000",
        f"journal_size_limit={_WAL_KEPT}",
        "temp_store=MEMORY",
        "secure_delete=ON",  # what is erased is to be gone from the file as well
    ):
        connection.execute(f"PRAGMA {pragma}")
    connection.create_function("fold_name", 1, _fold, deterministic=True)


def _fold(value: object) -> object:
    """`rules.text.fold_name` for statements that look at attributes without a column of their own; what is no text is nothing."""
    return fold_name(value) if isinstance(value, str) else None


def _on_sqlite_begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    connection.exec_driver_sql("BEGIN" if options.get(_READ) else "BEGIN IMMEDIATE")
