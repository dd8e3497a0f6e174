"""One transaction: what it sees, what it loses when it fails, and that nothing of it stays behind."""

from __future__ import annotations

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import QueuePool
from sqlmodel import Session, col

from mastering.clock import now
from mastering.errors import SettingInvalid
from mastering.ledger import Ledger
from mastering.proof import verify_chain
from mastering.store import history, people, tables
from mastering.store.engine import open_database, reading, writing
from mastering.store.sole import sole_server
from tests.walks.imports_world import ADMIN, World


def test_an_sqlite_file_is_opened_in_wal_with_foreign_keys_and_is_its_owners_alone(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'deep' / 'm.db'}")
    with engine.connect() as connection:
        told = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "foreign_keys", "synchronous")}
    engine.dispose()
    assert told == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 2}
    assert (tmp_path / "deep" / "m.db").stat().st_mode & 0o077 == 0


def test_the_log_of_a_large_transaction_does_not_stay_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mastering.store.engine._WAL_KEPT", 100_000)
    engine = open_database(f"sqlite:///{tmp_path / 'm.db'}")
    log = tmp_path / "m.db-wal"
    with writing(engine) as session:
        session.execute(text("CREATE TABLE blobs (content BLOB)"))
        session.execute(text("INSERT INTO blobs VALUES (zeroblob(5000000))"))
    grown = log.stat().st_size
    beside = sqlite3.connect(tmp_path / "m.db")
    beside.execute("PRAGMA wal_checkpoint")
    beside.close()
    with writing(engine) as session:
        session.execute(text("INSERT INTO blobs VALUES (x'00')"))
    kept = log.stat().st_size
    engine.dispose()
    assert grown > 5_000_000
    assert kept <= 100_000


def test_concurrent_writers_lose_no_update(world: World) -> None:
    user = world.by_hand("jane", department="0")

    def add_one(_: int) -> None:
        with writing(world.engine) as session:
            ledger = Ledger(session, now(), ADMIN)
            mine = ledger.user(user.id)
            ledger.change_profile(mine, {"department": str(int(str(mine.profile["department"])) + 1)})
            ledger.flush()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add_one, range(60)))
    found = world.user(user.id)
    assert found.profile["department"] == "60"
    assert verify_chain(world.events(user.id), (found.history_seq, found.history_hash)) is None


def test_writers_of_an_sqlite_file_have_their_turn_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'm.db'}")
    order: list[str] = []
    first_is_in, go_on = threading.Event(), threading.Event()

    def greedy() -> None:
        for number in range(5):
            with writing(engine):
                order.append(f"greedy {number}")
                first_is_in.set()
                go_on.wait(10)

    def patient() -> None:
        with writing(engine):
            order.append("patient")

    one, other = threading.Thread(target=greedy), threading.Thread(target=patient)
    one.start()
    first_is_in.wait(10)
    other.start()
    while not _somebody_waits(engine):
        time.sleep(0.001)
    go_on.set()
    one.join()
    other.join()
    engine.dispose()
    assert order[:2] == ["greedy 0", "patient"]


def _somebody_waits(engine: Engine) -> bool:
    from mastering.store import turns  # noqa: PLC0415 - what is inside is looked at here alone

    return bool(turns._queues[engine]._waiting)


def test_a_transaction_inside_another_is_refused_instead_of_waiting_for_itself(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'm.db'}")
    with writing(engine), pytest.raises(RuntimeError, match="would wait for itself"), writing(engine):
        pass
    engine.dispose()


def test_a_reader_sees_one_snapshot_however_long_it_reads(world: World) -> None:
    world.by_hand("jane")
    count = select(func.count()).select_from(tables.User)
    with reading(world.engine) as session:
        assert session.execute(count).scalar() == 1
        world.by_hand("john")
        assert session.execute(count).scalar() == 1
        assert len(session.execute(select(tables.HistoryEvent)).scalars().all()) == len(history.chain(session, _only(session)))
    with reading(world.engine) as session:
        assert session.execute(count).scalar() == 2


def _only(session: Session) -> str:
    (user_id,) = session.execute(select(col(tables.User.id))).scalars()
    return str(user_id)


def test_a_reader_cannot_keep_what_it_writes(world: World) -> None:
    world.by_hand("jane")
    refused = pytest.raises(DBAPIError, match="read-only") if world.engine.dialect.name == "postgresql" else nullcontext()
    with refused, reading(world.engine) as session:
        session.execute(text("DELETE FROM users"))
    assert world.by_login("jane@example.com") is not None


def test_no_connection_stays_out_whether_the_block_ends_or_raises(engine: Engine) -> None:
    assert isinstance(engine.pool, QueuePool)
    before = engine.pool.checkedout()
    for opened in (reading, writing):
        with opened(engine) as session:
            session.execute(text("SELECT 1"))
            assert engine.pool.checkedout() == before + 1
        assert engine.pool.checkedout() == before
        with pytest.raises(ZeroDivisionError):
            _select_and_raise(opened(engine))
        assert engine.pool.checkedout() == before
        with pytest.raises(Exception, match="nosuchtable"), opened(engine) as session:
            session.execute(text("SELECT * FROM nosuchtable"))
        assert engine.pool.checkedout() == before


def _select_and_raise(block: AbstractContextManager[Session]) -> None:
    with block as session:
        session.execute(text("SELECT 1"))
        raise ZeroDivisionError


def test_a_change_and_its_history_are_lost_together(world: World) -> None:
    user = world.by_hand("jane")
    before = [event.id for event in world.events(user.id)]
    with pytest.raises(ZeroDivisionError):
        _move_to_sales(world.engine, user.id, then_fail=True)
    assert [event.id for event in world.events(user.id)] == before
    assert world.user(user.id).profile.get("department") is None


def _move_to_sales(engine: Engine, user_id: str, *, then_fail: bool = False) -> None:
    with writing(engine) as session:
        ledger = Ledger(session, now(), ADMIN)
        ledger.change_profile(ledger.user(user_id), {"department": "Sales"})
        ledger.flush()
        if then_fail:
            raise ZeroDivisionError


def test_history_that_cannot_be_written_takes_the_change_with_it(world: World) -> None:
    user = world.by_hand("jane")
    with writing(world.engine) as session:
        row = session.get_one(tables.User, user.id)
        row.history_seq -= 1  # as if another writer had gone on from here: the next event's number is taken
        session.add(row)
    with pytest.raises(IntegrityError):
        _move_to_sales(world.engine, user.id)
    with reading(world.engine) as session:
        assert people.users(session, [user.id])[user.id].profile.get("department") is None


def test_an_embedded_database_has_one_server_and_the_next_one_when_that_is_gone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'm.db'}"
    with sole_server(url), pytest.raises(SettingInvalid, match="another server works on"), sole_server(url):
        pass
    with sole_server(url):
        pass
    with sqlite3.connect(tmp_path / "m.db.server") as left:
        assert left.execute("PRAGMA journal_mode").fetchone()
    left.close()
