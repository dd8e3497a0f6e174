"""What the database itself refuses, whatever the program believes."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from mastering.ids import new_id
from mastering.rules.record import AccountState, Mode
from mastering.rules.runs import RunStatus
from mastering.store import bulk, people, tables
from mastering.store.engine import writing
from tests.walks.imports_world import World, person

_ENUMS = [
    ("users", "status", "RETIRED"),
    ("apps", "status", "GONE"),
    ("app_users", "account", "LOST"),
    ("import_runs", "status", "HALFWAY"),
    ("import_runs", "mode", "SOME"),
    ("tokens", "role", "root"),
]


@pytest.mark.parametrize(("table", "column", "value"), _ENUMS)
def test_a_word_that_is_none_of_an_enumeration_is_refused(world: World, table: str, column: str, value: str) -> None:
    app_id = world.app("HR")
    world.send(app_id, [person("E1")])
    with writing(world.engine) as session:
        session.add(tables.Token(id="tok", name="t", role=tables.Role.admin, secret_hash=b"x", created="now"))
    with pytest.raises(IntegrityError), writing(world.engine) as session:
        session.execute(text(f'UPDATE "{table}" SET "{column}" = :value'), {"value": value})


def test_a_person_has_one_unreleased_account_of_an_app(world: World) -> None:
    app_id, user = world.app("HR"), world.by_hand("jane")
    _account(world.engine, app_id, user.id, "E1")
    _account(world.engine, app_id, user.id, "E2", released=True)
    with pytest.raises(IntegrityError):
        _account(world.engine, app_id, user.id, "E3")
    _account(world.engine, world.app("AD"), user.id, "E1")


def test_an_external_id_is_one_account_of_its_app(world: World) -> None:
    app_id = world.app("HR")
    _account(world.engine, app_id, None, "E1")
    with pytest.raises(IntegrityError):
        _account(world.engine, app_id, None, "E1")
    _account(world.engine, app_id, None, "e1")  # exact strings


def test_an_account_has_an_app_and_a_user_that_exist(world: World) -> None:
    with pytest.raises(IntegrityError):
        _account(world.engine, "nowhere", None, "E1")
    with pytest.raises(IntegrityError):
        _account(world.engine, world.app("HR"), "nobody", "E1")


def test_a_login_is_one_users(world: World) -> None:
    user = world.by_hand("jane")
    columns = ", ".join(people.USER_COLUMNS[:-1])
    with pytest.raises(IntegrityError), writing(world.engine) as session:
        session.execute(text(f"INSERT INTO users ({columns}, id) SELECT {columns}, 'other' FROM users WHERE id = :id"), {"id": user.id})


def test_a_chain_has_one_event_of_a_number(world: World) -> None:
    user = world.by_hand("jane")
    columns = "subject, seq, at, type, body, hash"
    with pytest.raises(IntegrityError), writing(world.engine) as session:
        session.execute(
            text(f"INSERT INTO history (id, {columns}) SELECT 'x', {columns} FROM history WHERE subject = :id"), {"id": user.id}
        )


def test_a_piece_of_a_run_needs_its_run(engine: Engine) -> None:
    with pytest.raises(IntegrityError), writing(engine) as session:
        bulk.insert(session, tables.RunChunk, ("run_id", "seq", "lines", "payload"), [("none", 0, 1, b"x")])


def _account(engine: Engine, app_id: str, user_id: str | None, external_id: str, **more: Any) -> None:
    row = tables.AppUser(
        id=new_id("0ua"),
        app_id=app_id,
        external_id=external_id,
        user_id=user_id,
        account=AccountState.ACTIVE,
        profile="{}",
        created="now",
        last_updated="now",
        **more,
    )
    with writing(engine) as session:
        session.add(row)


def test_what_the_tables_name_is_what_the_rules_name() -> None:
    for column, kind in ((tables.ImportRun.status, RunStatus), (tables.ImportRun.mode, Mode), (tables.AppUser.account, AccountState)):
        told: Any = column
        assert told.type.enums == [member.value for member in kind] == [member.name for member in kind]
