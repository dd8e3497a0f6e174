"""The user schema where it meets many users, and databases made before there were outbound mappings (SPEC §4)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text

from mastering.catalog import user_schema
from mastering.ledger import Ledger
from mastering.replay import replay
from mastering.rules.mapping import Direction, default_rules
from mastering.rules.schema import default_schema
from mastering.rules.schema_change import Wish
from mastering.store import catalog, engine
from mastering.store.engine import migrate, reading, writing
from tests.walks.world import ADMIN, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    database = engine.open_database(f"sqlite:///{tmp_path}/m.db")
    yield World(database)
    database.dispose()


BADGE = {"title": "Badge", "type": "integer"}


def test_an_attribute_is_taken_from_everybody_batch_by_batch_in_one_transaction(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_schema, "_AT_ONCE", 2)
    user_schema.update(world.engine, ADMIN, world.tick(), Wish({}, {"badge": BADGE, "badge_2": BADGE}))
    ids = [world.user(f"user{number}") for number in range(7)]
    with writing(world.engine) as session:
        ledger = Ledger(session, world.tick(), ADMIN)
        for user_id in ids[:5]:
            ledger.change_profile(ledger.user(user_id), {"badge": 1, "badge_2": 2})
        ledger.change_profile(ledger.user(ids[5]), {"department": '"badge":'})
        ledger.flush()
    user_schema.update(world.engine, ADMIN, world.tick(), Wish({}, {"badge": None}))
    for user_id in ids:
        user, rebuilt = world.see(user_id), replay(world.history(user_id))
        assert "badge" not in user.profile
        assert user.profile.get("badge_2") == (2 if user_id in ids[:5] else None)
        assert rebuilt is not None
        assert (rebuilt.profile, rebuilt.version, rebuilt.history_hash) == (user.profile, user.version, user.history_hash)
        assert (world.told(user_id)[-1] == "user.attributes.removed") is (user_id in ids[:5])


def test_a_change_that_fails_half_way_has_taken_nothing_from_anybody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    user_schema.update(world.engine, ADMIN, world.tick(), Wish({}, {"badge": BADGE}))
    user_id = world.user("jane", badge=1)

    def fail(*_: object) -> str:
        raise RuntimeError("the lights went out")

    monkeypatch.setattr(catalog, "schema_text", fail)
    with pytest.raises(RuntimeError):
        user_schema.update(world.engine, ADMIN, world.tick(), Wish({}, {"badge": None}))
    assert (world.see(user_id).profile["badge"], world.told(user_id)) == (1, ["user.create", "user.activate"])
    assert "badge" in user_schema.read(world.engine).schema.attributes


def test_what_is_kept_of_a_schema_is_the_schema(world: World) -> None:
    ad = world.app("ad", rank=1)
    wish = Wish(
        {
            "login": {"pattern": "[a-z\\@\\.]+"},
            "firstName": {"required": False, "permissions": [{"principal": "SELF", "action": "HIDE"}]},
            "department": {"master": {"type": "OVERRIDE", "priority": [{"type": "APP", "value": ad}]}},
        },
        {
            "badge": {**BADGE, "enum": [1, 2], "oneOf": [{"const": 1, "title": "one"}, {"const": 2, "title": "two"}], "required": True},
            "tags": {"title": "Tags", "type": "array", "items": {"type": "string", "enum": ["a"]}, "master": {"type": "OKTA"}},
            "mail": {
                "title": "Mail",
                "type": "string",
                "format": "email",
                "minLength": 6,
                "maxLength": 60,
                "scope": "SELF",
                "description": "x",
            },
        },
    )
    made = user_schema.update(world.engine, ADMIN, world.tick(), wish)
    assert user_schema.read(world.engine) == made
    assert len(made.schema.attributes) == len(default_schema().attributes) + 3


def test_an_app_of_the_first_version_gets_its_outbound_mapping(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    old = create_engine(url)
    config = Config()
    config.set_main_option("script_location", str(Path(engine.__file__).parent / "migrations"))
    with old.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(
            text(
                "INSERT INTO apps (id, name, label, status, sign_on_mode, settings, policy, arrivals, version, created, last_updated, "
                "history_seq, history_hash) VALUES ('0oa1', 'hr', 'HR', 'ACTIVE', 'BOOKMARK', '{}', '{}', 0, 1, 'then', 'then', 0, '')"
            )
        )
    migrate(old)
    migrate(old)
    with reading(old) as session:
        assert catalog.outbound_rules(session, "0oa1") == default_rules(default_schema(), Direction.OUTBOUND)
        (row,) = catalog.all_mappings(session)
        assert (row.created, catalog.direction_of(row), catalog.app_of(row)) == ("then", Direction.OUTBOUND, "0oa1")
    with old.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
        assert connection.execute(text("SELECT count(*) FROM mappings")).scalar() == 0
    old.dispose()
