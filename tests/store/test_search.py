"""Searches in SQL, held against the same searches done one user at a time; and the plans that the database makes of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, event, false, select
from sqlmodel import Session, col

from mastering.rules.filters import Comparison, Denial, Either, Every, Node
from mastering.rules.lifecycle import OKTA_STATUS, Status
from mastering.rules.people import User
from mastering.rules.schema import Attribute, default_schema
from mastering.rules.text import fold_login, fold_name
from mastering.store import bulk, people, search, tables
from mastering.store.catalog import USER_TYPE_ID
from mastering.store.engine import _MIGRATIONS, open_database, reading, writing
from mastering.store.search import BY_ID, Cursor, NotIndexed, Sort, look

SCHEMA = default_schema().with_custom(
    Attribute("level", "Level", "integer"),
    Attribute("rate", "Rate", "number"),
    Attribute("remote", "Remote", "boolean"),
    Attribute("skills", "Skills", "array"),
)

DAYS = [f"2026-01-0{day}T00:00:00.000Z" for day in range(1, 7)]
WORDS = ["Ada", "ada", "ADÁ", "Straße", "strasse", "50% off_", "a\\b", 'say "x"', "zoë", "Z", "李"]
ORDER = {"gt": lambda a, b: a > b, "ge": lambda a, b: a >= b, "lt": lambda a, b: a < b, "le": lambda a, b: a <= b}


def somebody(number: int, chance: random.Random) -> User:
    profile: dict[str, Any] = {"login": f"{chance.choice('abc')}{number}@Example.com", "email": f"{number}@example.com"}
    profile |= {name: chance.choice(WORDS) for name in ("firstName", "lastName")}
    optional: dict[str, Any] = {
        "department": chance.choice(WORDS),
        "employeeNumber": str(number % 7),
        "city": chance.choice(WORDS),
        "level": chance.randrange(-2, 3),
        "rate": chance.choice([1.5, 2, -0.25]),
        "remote": chance.choice([True, False]),
        "skills": chance.sample(WORDS, chance.randrange(3)) or [3],
        "title": None,
    }
    profile |= {name: value for name, value in optional.items() if chance.random() < 0.7}
    user = User(
        f"00u{number:017d}",
        chance.choice(list(Status)),
        profile["login"],
        profile,
        created=chance.choice(DAYS),
        last_updated=chance.choice(DAYS),
    )
    user.activated = chance.choice([None, *DAYS])
    user.status_changed = chance.choice(DAYS)
    return user


@pytest.fixture(scope="module")
def everybody() -> list[User]:
    chance = random.Random(7)
    return [somebody(number, chance) for number in range(80)]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, everybody: list[User]) -> Iterator[Engine]:
    engine = open_database(f"sqlite:///{tmp_path_factory.mktemp('search')}/m.db")
    with writing(engine) as session:
        bulk.insert(session, tables.User, people.USER_COLUMNS, [people.user_row(user) for user in everybody])
    yield engine
    engine.dispose()


# -- the same search, one user at a time ----------------------------------------------------------------------------------


def value_of(user: User, name: str) -> Any:
    """What a user has, folded as it is compared; empty where there is none."""
    if name.startswith("profile."):
        value = user.profile.get(name[8:])
        fold = fold_login if name in {"profile.login", "profile.email"} else fold_name
        return "" if value is None else fold(value) if isinstance(value, str) else value
    top = {"id": user.id, "status": OKTA_STATUS[user.status], "created": user.created, "activated": user.activated}
    return {**top, "statusChanged": user.status_changed, "lastUpdated": user.last_updated, "type.id": USER_TYPE_ID}[name] or ""


def holds(user: User, node: Node) -> bool:
    match node:
        case Every(parts):
            return all(holds(user, part) for part in parts)
        case Either(parts):
            return any(holds(user, part) for part in parts)
        case Denial(_, part):
            return not holds(user, part)
        case Comparison(_, name, operator, wanted):
            found = value_of(user, name)
            if isinstance(found, list):
                return any(one(fold_name(str(item)), operator, fold_name(str(wanted))) for item in found)
            fold = fold_login if name in {"profile.login", "profile.email"} else fold_name
            return one(found, operator, fold(wanted) if isinstance(wanted, str) and name.startswith("profile.") else wanted)


def one(found: Any, operator: str, wanted: Any) -> bool:
    if found == "":
        return False
    match operator:
        case "pr":
            return True
        case "eq":
            return bool(found == wanted)
        case "sw":
            return bool(found.startswith(wanted))
        case "co":
            return wanted in found
    return bool(ORDER[operator](found, wanted))


TEXTS = ("firstName", "lastName", "login", "email", "department", "employeeNumber", "city", "title")
INSTANTS = ("created", "activated", "statusChanged", "lastUpdated")
ORDERED = st.sampled_from(["eq", "gt", "ge", "lt", "le", "pr"])
words = st.sampled_from([*WORDS, "a", "b1", "3", "%", "_", "example"])


def term(names: st.SearchStrategy[str], operators: st.SearchStrategy[str], values: st.SearchStrategy[Any]) -> st.SearchStrategy[Node]:
    return st.builds(lambda n, o, v: Comparison(0, n, o, None if o == "pr" else v), names, operators, values)


TERMS = st.one_of(
    term(st.sampled_from([f"profile.{name}" for name in TEXTS]), ORDERED | st.sampled_from(["sw", "co"]), words),
    term(st.sampled_from(INSTANTS), ORDERED, st.sampled_from(DAYS)),
    term(st.just("status"), ORDERED, st.sampled_from([*OKTA_STATUS.values(), "LOCKED_OUT"])),
    term(st.just("id"), ORDERED, st.sampled_from(["00u00000000000000040", "x"])),
    term(st.just("type.id"), st.sampled_from(["eq", "pr"]), st.sampled_from([USER_TYPE_ID, "other"])),
    term(st.sampled_from(["profile.level", "profile.rate"]), ORDERED, st.sampled_from([-1, 0, 1, 1.5, 2])),
    term(st.just("profile.remote"), st.sampled_from(["eq", "pr"]), st.booleans()),
    term(st.just("profile.skills"), st.sampled_from(["eq", "sw", "pr"]), st.sampled_from([*WORDS, "3"])),
)
NODES: st.SearchStrategy[Node] = st.recursive(
    TERMS,
    lambda inner: st.one_of(
        st.builds(Denial, st.just(0), inner),
        st.builds(lambda *parts: Every(parts), inner, inner),
        st.builds(lambda *parts: Either(parts), inner, inner),
    ),
    max_leaves=6,
)
SORTS = st.builds(
    Sort,
    st.sampled_from(["id", "status", *INSTANTS, *(f"profile.{name}" for name in (*TEXTS, "level", "remote"))]),
    st.booleans(),
)


def sort_key(user: User, sort: Sort) -> tuple[Any, str]:
    value = value_of(user, sort.name)
    if sort.name == "profile.level":
        return (-(10**9) if value == "" else value), user.id
    return (str(int(value)) if isinstance(value, bool) else value), user.id


def pages(session: Session, node: Node | None, sort: Sort, size: int) -> list[str]:
    """Every id, page by page."""
    found: list[str] = []
    after = None
    while True:
        page = look(session, SCHEMA, [], false(), node, sort, after, size)
        found += [user_id for user_id, _ in page]
        if len(page) < size:
            return found
        after = Cursor(page[-1][1], page[-1][0])


@pytest.mark.parametrize("few", [5_000, 5], ids=["looked up and sorted", "walked in order"])
@settings(max_examples=150)
@given(node=NODES, sort=SORTS, size=st.sampled_from([7, 100]))
def test_a_search_finds_who_a_look_at_everybody_finds_in_that_order(
    engine: Engine, everybody: list[User], few: int, node: Node, sort: Sort, size: int
) -> None:
    with pytest.MonkeyPatch.context() as patch, reading(engine) as session:
        patch.setattr(search, "SORTED", few)
        found = pages(session, node, sort, size)
    expected = sorted((user for user in everybody if holds(user, node)), key=lambda user: sort_key(user, sort), reverse=sort.descending)
    assert found == [user.id for user in expected]


# -- the bound ------------------------------------------------------------------------------------------------------------


def test_a_search_without_an_index_is_refused_where_too_many_would_have_to_be_looked_at(
    engine: Engine, everybody: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "LOOK_THROUGH", 40)
    city = Comparison(9, "profile.city", "eq", "Z")
    number = Comparison(0, "profile.employeeNumber", "eq", "3")
    with reading(engine) as session:
        for node in (city, Denial(0, city), Either((number, city)), Denial(9, number)):
            with pytest.raises(NotIndexed) as refused:
                look(session, SCHEMA, [], false(), node, BY_ID, None, 10)
            assert refused.value.name in {"profile.city", "profile.employeeNumber"}
        with pytest.raises(NotIndexed) as refused:
            look(session, SCHEMA, [], false(), None, Sort("profile.city"), None, 10)
        assert (refused.value.name, refused.value.position) == ("profile.city", None)
        narrowed = look(session, SCHEMA, [], false(), Every((city, number)), Sort("profile.city"), None, 100)
    assert {user_id for user_id, _ in narrowed} == {user.id for user in everybody if holds(user, Every((city, number)))}


# -- the plans ------------------------------------------------------------------------------------------------------------

CURSOR = Cursor("m", "00u00000000000000040")
INDEXED: list[tuple[Node | None, Sort, int, str]] = [
    (None, Sort("profile.lastName"), 5, "ix_users_search_last_name"),
    (None, Sort("lastUpdated", descending=True), 5, "ix_users_last_updated"),
    (None, Sort("activated"), 5, "ix_users_activated"),
    (None, Sort("status"), 5, "ix_users_status"),
    (Comparison(0, "status", "eq", "ACTIVE"), Sort("profile.lastName"), 5, "ix_users_search_last_name"),
    (Comparison(0, "lastUpdated", "gt", DAYS[0]), Sort("profile.department", descending=True), 5, "ix_users_search_department"),
    (Comparison(0, "profile.employeeNumber", "eq", "3"), BY_ID, 5_000, "ix_users_search_employee_number"),
    (Comparison(0, "profile.firstName", "sw", "a"), BY_ID, 5_000, "ix_users_search_first_name"),
    (Comparison(0, "profile.login", "ge", "b"), BY_ID, 5_000, "ix_users_login_key"),
    (Comparison(0, "created", "lt", DAYS[3]), BY_ID, 5_000, "ix_users_created"),
    (Comparison(0, "activated", "ge", DAYS[3]), BY_ID, 5_000, "ix_users_activated"),
    (Comparison(0, "statusChanged", "eq", DAYS[3]), BY_ID, 5_000, "ix_users_status_changed"),
    (Denial(0, Comparison(0, "profile.department", "pr")), BY_ID, 5_000, "ix_users_search_department"),
]


@pytest.mark.parametrize(("node", "sort", "few", "index"), INDEXED)
def test_every_page_is_found_by_an_index_and_where_many_match_nothing_is_sorted(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, node: Node | None, sort: Sort, few: int, index: str
) -> None:
    monkeypatch.setattr(search, "SORTED", few)
    plans = list(plans_of(engine, node, sort))
    assert [step for plan in plans for step in plan if step.startswith("SCAN users")] == []
    page = plans[-1]
    assert any(index in step for step in page), page
    assert not [step for step in page if "TEMP B-TREE" in step], page


def plans_of(engine: Engine, node: Node | None, sort: Sort) -> Iterator[list[str]]:
    """What SQLite says it will do, for each statement of one page, with a cursor set."""
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _k: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    with reading(engine) as session:
        event.listen(engine, "before_cursor_execute", note)
        look(session, SCHEMA, [], false(), node, sort, Cursor(CURSOR.id, CURSOR.id) if sort.name == "id" else CURSOR, 10)
        event.remove(engine, "before_cursor_execute", note)
        for statement, parameters in asked:
            rows = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            yield [row[-1] for row in rows]


# -- the users of before --------------------------------------------------------------------------------------------------


def test_users_who_were_there_before_there_were_indexes_are_found_by_them(tmp_path: Path, everybody: list[User]) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/m.db")
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    columns = tuple(name for name in people.USER_COLUMNS if not name.startswith("search_"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        rows = [dict(zip(people.USER_COLUMNS, people.user_row(user), strict=True)) for user in everybody]
        bulk.insert(Session(connection), tables.User, columns, [tuple(row[name] for name in columns) for row in rows])
        command.upgrade(config, "head")
        with Session(connection) as session:
            after = {row["id"]: row["search_department"] for row in rows}
            assert dict(session.execute(select(col(tables.User.id), col(tables.User.search_department))).all()) == after
    engine.dispose()
