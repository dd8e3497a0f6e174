"""Whoever tampers with history in the database is found, and what they did is named (SPEC §13; docs/proof.md)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine, text

from mastering import checkpoints, users
from mastering.clock import now
from mastering.errors import Invalid
from mastering.ledger import Actor
from mastering.merkle import root_by
from mastering.proof import MOST, Fault, Kept, Signed, leaf_of, verify
from mastering.store.documents import canonical, load
from mastering.store.engine import reading, writing
from mastering.users import Act
from mastering.vault import Vault
from tests.walks.imports_world import ADMIN, World, calm, person

VAULT = Vault(["the key of these tests, long enough for anybody"])
SERVICE = Actor("system", "mastering", "service")


def checkpoint(engine: Engine, vault: Vault = VAULT) -> Signed:
    return checkpoints.make(engine, vault, ADMIN, now())


def exported(engine: Engine, signed: Signed) -> Kept:
    """A checkpoint as somebody kept it in a file."""
    return checkpoints.kept_from(iter(b"".join(checkpoints.exported(engine, signed)).splitlines()))


def faults(engine: Engine, *kept: Kept, vault: Vault = VAULT) -> list[Fault]:
    with reading(engine) as session:
        report = verify(session, vault, kept)
    assert report.whole == (report.faults == [])
    return report.faults


def sql(engine: Engine, *statements: str, **values: Any) -> None:
    """What somebody does who has the database and not the program; indexes are no obstacle to them."""
    with writing(engine) as session:
        for statement in statements:
            session.execute(text(statement), values)


@pytest.fixture
def jane(world: World) -> str:
    """A user with four events, among others that have some, too."""
    hr = world.app("HR", calm())
    world.send(hr, [person("E1"), person("E2")])
    jane = users.create(
        world.engine, ADMIN, now(), {"login": "j@x.org", "email": "j@x.org", "firstName": "J", "lastName": "D"}, activate=True
    )
    users.update(world.engine, ADMIN, now(), jane.id, {"title": "Lead"}, replace=False)
    users.act(world.engine, ADMIN, now(), jane.id, Act.suspend)
    return jane.id


def test_an_untouched_history_is_whole_before_a_checkpoint_and_after_several(engine: Engine, jane: str) -> None:
    assert faults(engine) == []
    first = checkpoint(engine)
    users.act(engine, ADMIN, now(), jane, Act.unsuspend)
    second = checkpoint(engine)
    third = checkpoint(engine)
    assert faults(engine, Kept(first), exported(engine, second), Kept(third)) == []
    assert [each.statement.number for each in (first, second, third)] == [1, 2, 3]
    assert (second.statement.events, third.statement.events) == (1, 0)
    assert second.statement.root != first.statement.root == first.statement.root
    with reading(engine) as session:
        report = verify(session, VAULT)
    told = checkpoints.read(engine, 3).statement
    assert (report.chains, report.checkpoints) == (told.chains, 3)
    assert report.events == first.statement.events + 1


# -- what a chain shows by itself -------------------------------------------------------------------------------------------

_AT_3 = "WHERE subject = :user AND seq = 3"
TAMPERED: dict[str, tuple[list[str], set[int], str]] = {
    "altered": ([f"UPDATE history SET body = replace(body, 'admin', 'nobody') {_AT_3}"], {3}, "the body does not have the hash"),
    "altered column": ([f"UPDATE history SET at = '2020-01-01T00:00:00.000Z' {_AT_3}"], {3}, "the columns do not say"),
    "altered values": ([f"UPDATE history SET values_json = replace(values_json, 'Lead', 'Boss') {_AT_3}"], {3}, "the values are not those"),
    "values taken away": ([f"UPDATE history SET values_json = NULL {_AT_3}"], {3}, "its values are gone, and nobody was erased"),
    "no event any more": ([f"UPDATE history SET body = '{{}}' {_AT_3}"], {3}, "the body does not have the hash"),
    "dropped": ([f"DELETE FROM history {_AT_3}"], {3}, "event 3 is missing"),
    "the beginning dropped": (["DELETE FROM history WHERE subject = :user AND seq <= 2"], {1}, "events 1 to 2 are missing"),
    "reordered": (
        [
            "UPDATE history SET seq = 99 WHERE subject = :user AND seq = 2",
            "UPDATE history SET seq = 2 WHERE subject = :user AND seq = 3",
            "UPDATE history SET seq = 3 WHERE subject = :user AND seq = 99",
        ],
        {2, 3, 4},
        "the body does not have the hash",
    ),
    "written in another order": (
        [
            "UPDATE history SET position = -1 WHERE subject = :user AND seq = 3",
            "UPDATE history SET position = (SELECT position + 1000 FROM history WHERE subject = :user AND seq = 4) WHERE position = -1",
        ],
        {4},
        "it stands before the event that it follows",
    ),
    "inserted": (
        [
            "UPDATE history SET seq = seq + 1000 WHERE subject = :user AND seq > 2",
            "UPDATE history SET seq = seq - 999 WHERE subject = :user AND seq > 1000",
            "INSERT INTO history (id, subject, seq, at, type, body, hash)"  # noqa: ISC003
            + " SELECT 'evt0', subject, 3, at, type, body, hash FROM history WHERE subject = :user AND seq = 2",
        ],
        {3, 4, 5},
        "the body does not have the hash",
    ),
    "the tail cut": (["DELETE FROM history WHERE subject = :user AND seq >= 3"], {4}, "the end of the chain is missing"),
    "all of it cut": (["DELETE FROM history WHERE subject = :user"], {4}, "the end of the chain is missing"),
    "the subject gone": (["DELETE FROM users WHERE id = :user"], {4}, "the chain ends here without a deletion"),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_what_is_done_to_a_chain_is_named_with_the_chain_and_the_event(engine: Engine, jane: str, what: str) -> None:
    statements, places, said = TAMPERED[what]
    sql(engine, *statements, user=jane)
    found = faults(engine)
    assert {fault.subject for fault in found} == {jane}
    assert {fault.seq for fault in found} <= places
    assert found[0].seq in places
    assert any(said in fault.fault for fault in found), found


def test_a_table_that_was_emptied_is_named_chain_by_chain(engine: Engine, jane: str) -> None:
    checkpoint(engine)
    sql(engine, "DELETE FROM history")
    found = faults(engine)
    assert jane in {fault.subject for fault in found if "the end of the chain is missing" in fault.fault}
    assert {fault.checkpoint for fault in found} == {None, 1}


def test_a_report_names_so_many_faults_and_counts_the_others(world: World) -> None:
    world.send(world.app("HR", calm()), [person(f"E{number}") for number in range(MOST)])
    sql(world.engine, "UPDATE history SET body = replace(body, '\"seq\":', '\"seq\": ') WHERE subject LIKE '00u%'")
    with reading(world.engine) as session:
        report = verify(session, VAULT)
    assert (len(report.faults), report.found) == (MOST, 2 * MOST)


# -- what only a checkpoint shows -------------------------------------------------------------------------------------------


def write_anew(engine: Engine, user: str, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    """Tell another story with hashes that fit, and have the user's own row say so, too."""
    with writing(engine) as session:
        rows = session.execute(text("SELECT position, body FROM history WHERE subject = :user ORDER BY seq"), {"user": user}).all()
        told, chained = change([load(row.body) for row in rows]), b""
        for number, (row, body) in enumerate(zip(rows, told, strict=False), 1):
            raw = canonical({**body, "seq": number})
            chained = sha256(chained + raw).digest()
            values = {"hash": chained, "body": raw.decode(), "seq": number, "type": body["type"], "position": row.position}
            session.execute(
                text("UPDATE history SET hash = :hash, body = :body, seq = :seq, type = :type WHERE position = :position"), values
            )
        for row in rows[len(told) :]:
            session.execute(text("DELETE FROM history WHERE position = :position"), {"position": row.position})
        session.execute(
            text("UPDATE users SET history_seq = :seq, history_hash = :hash WHERE id = :user"),
            {"seq": len(told), "hash": chained, "user": user},
        )


def without_values(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "values"}


def another_actor(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [*told[:3], {**told[3], "actor": {**told[3]["actor"], "name": "somebody else"}}]


def no_last_event(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return told[:-1]


REWRITTEN = {"another actor": (another_actor, "written anew"), "no last event": (no_last_event, "is missing")}


@pytest.mark.parametrize("how", REWRITTEN)
def test_a_chain_written_anew_with_hashes_that_fit_is_found_by_a_checkpoint_alone(engine: Engine, jane: str, how: str) -> None:
    change, said = REWRITTEN[how]
    kept = Kept(checkpoint(engine))
    users.act(engine, ADMIN, now(), jane, Act.unsuspend)
    users.act(engine, ADMIN, now(), jane, Act.suspend)
    sql(engine, "DELETE FROM history WHERE subject = :user AND seq > 4", user=jane)
    write_anew(engine, jane, change)
    found = faults(engine, kept)
    assert any((fault.subject, fault.seq, fault.checkpoint) == (jane, 4, 1) and said in fault.fault for fault in found), found
    assert any(fault.checkpoint == 1 and "are not those that were signed" in fault.fault for fault in found)
    sql(engine, "DELETE FROM checkpoint_heads", "DELETE FROM checkpoints")
    assert faults(engine) == [], "without a checkpoint nobody would know"
    assert faults(engine, kept)[0] == Fault("the checkpoint is missing", checkpoint=1)


def test_a_copy_with_its_heads_names_the_chain_though_every_checkpoint_here_was_made_to_fit(engine: Engine, jane: str) -> None:
    signed = checkpoint(engine)
    kept = exported(engine, signed)
    assert kept.heads is not None
    heads = list(kept.heads)
    write_anew(engine, jane, another_actor)
    sql(engine, "DELETE FROM checkpoint_heads", "DELETE FROM checkpoints")
    checkpoint(engine)
    assert faults(engine) == []
    found = faults(engine, Kept(signed, heads))
    assert [fault.checkpoint for fault in found] == [1, 1]
    assert "another one than was handed out" in found[0].fault
    assert (found[1].subject, found[1].seq) == (jane, 4)


def test_a_copy_that_was_edited_shows_by_its_own_signature(engine: Engine, jane: str) -> None:
    signed = checkpoint(engine)
    lines = b"".join(checkpoints.exported(engine, signed)).splitlines()
    dropped = [line for line in lines if jane.encode() not in line]
    told = [fault.fault for fault in faults(engine, checkpoints.kept_from(iter(dropped)))]
    assert told == ["the heads that were kept with it are not those that were signed"]
    renamed = [lines[0].replace(b"admin", b"nobody"), *lines[1:]]
    assert faults(engine, checkpoints.kept_from(iter(renamed)))[0].fault == "the signature does not fit the statement"
    for broken in ([b"nonsense"], [lines[0], b"{}"], [lines[0], lines[1].replace(b'"hash":"', b'"hash":"x')]):
        with pytest.raises(Invalid):
            faults(engine, checkpoints.kept_from(iter(broken)))


def test_events_of_several_chains_that_changed_places_are_found_by_the_order_that_was_signed(engine: Engine, jane: str) -> None:
    checkpoint(engine)
    last, before = "SELECT max(position) FROM history", "SELECT max(position) FROM history WHERE subject <> :user"
    sql(engine, f"UPDATE history SET position = -1 WHERE position = ({before})", user=jane)
    sql(engine, f"UPDATE history SET position = ({last}) + 1 WHERE position = -1")
    assert [(fault.checkpoint, "are not those that were signed" in fault.fault) for fault in faults(engine)] == [(1, True)]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "UPDATE checkpoints SET statement = replace(statement, 'admin', 'nobody') WHERE number = 2",
            "the signature does not fit",
        ),
        ("UPDATE checkpoints SET statement = 'nonsense' WHERE number = 2", "it is no statement"),
        ("UPDATE checkpoints SET position = position + 1 WHERE number = 2", "the columns do not say"),
        ("DELETE FROM checkpoints WHERE number = 1", "one or several are missing"),
        ("UPDATE checkpoint_heads SET seq = seq + 1 WHERE number = 1", "the heads that are kept here are not those"),
    ],
)
def test_what_is_done_to_a_checkpoint_is_found(engine: Engine, jane: str, statement: str, said: str) -> None:
    checkpoint(engine)
    users.act(engine, ADMIN, now(), jane, Act.unsuspend)
    checkpoint(engine)
    sql(engine, statement)
    found = faults(engine)
    assert any(said in fault.fault for fault in found), found


def test_a_checkpoint_signed_with_another_key_is_not_taken_for_ours(engine: Engine, jane: str) -> None:
    assert jane
    checkpoint(engine, Vault(["a key that somebody else has, long enough too"]))
    assert [fault.fault for fault in faults(engine)] == ["it was signed with a key that this service does not have"]
    old_and_new = Vault(["the new key, which is long enough as well", "a key that somebody else has, long enough too"])
    assert faults(engine, vault=old_and_new) == []


def test_a_checkpoint_that_was_replaced_shows_at_the_next_one(engine: Engine, jane: str) -> None:
    first = checkpoint(engine)
    checkpoint(engine)
    other = msgspec.structs.replace(first.statement, by={"type": "token", "id": "x", "name": "eve"})
    sql(
        engine,
        "UPDATE checkpoints SET statement = :text, signature = :signature WHERE number = 1",
        text=other.text.decode(),
        signature=VAULT.sign(other.text),
    )
    assert [(fault.checkpoint, fault.fault) for fault in faults(engine)] == [
        (2, "the checkpoint before it is another one than it was signed after")
    ]
    assert jane


# -- making them ------------------------------------------------------------------------------------------------------------


def test_a_checkpoint_that_was_begun_and_not_finished_is_finished_by_the_next_one(engine: Engine, jane: str) -> None:
    row = checkpoints._begin(engine, ADMIN, now() - timedelta(hours=1))
    users.act(engine, ADMIN, now(), jane, Act.unsuspend)
    made = checkpoint(engine)
    assert (row.number, made.statement.number, made.statement.events) == (1, 2, 1)
    assert checkpoints.read(engine, 1).statement.at == row.at
    assert faults(engine) == []


def test_one_is_due_once_a_day_and_only_when_something_was_written(engine: Engine, jane: str) -> None:
    def due(at: Any) -> int | None:
        made = checkpoints.make_if_due(engine, VAULT, SERVICE, at)
        return made.statement.number if made else None

    start = now()
    assert [due(start), due(start + timedelta(hours=23))] == [1, None]
    assert due(start + timedelta(days=2)) is None
    users.act(engine, ADMIN, now(), jane, Act.unsuspend)
    assert [due(start + timedelta(hours=23)), due(start + timedelta(days=1, seconds=1))] == [None, 2]


def test_of_an_empty_history_none_is_due(engine: Engine) -> None:
    assert checkpoints.make_if_due(engine, VAULT, SERVICE, now()) is None


def test_the_way_from_a_chain_to_the_root_that_was_signed_can_be_walked_by_anybody(engine: Engine, jane: str) -> None:
    checkpoint(engine)
    users.act(engine, ADMIN, now(), jane, Act.unsuspend)
    signed = checkpoint(engine)
    for number, seq in ((1, 4), (2, 5)):
        found = checkpoints.inclusion(engine, checkpoints.read(engine, number), jane)
        assert (found.head.seq, found.signed.statement.number) == (seq, number)
        assert root_by(leaf_of(found.head), found.path).hex() == found.signed.statement.root
    assert signed.holds
