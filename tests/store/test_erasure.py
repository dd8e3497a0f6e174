"""Whoever is erased is gone from every table and from the file, and the history still verifies (SPEC §13)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, update
from sqlmodel import Session, SQLModel, col

from mastering import asof, checkpoints, erasure, exports, holds, users
from mastering.clock import now
from mastering.connectors.lines import Line
from mastering.errors import IllegalMove, NotFound, WrongState
from mastering.exports import Format
from mastering.holds import Terms
from mastering.imports import kept as lines
from mastering.imports.lines import glance
from mastering.imports.spool import Spool, unpack
from mastering.proof import Kept, verify
from mastering.review import Verdict
from mastering.rules.policy import Confirmation
from mastering.rules.reconciliation import PassStatus
from mastering.rules.tasks import TaskKind, TaskStatus
from mastering.store import history
from mastering.store import received as store
from mastering.store.documents import load
from mastering.store.engine import open_database, reading, writing
from mastering.store.exports import WantedEvents
from mastering.store.outbound import OutboundLink, OutboundTask
from mastering.store.received import KeptChunk, Piece, Place, piece, places_of_run
from mastering.store.reconciliations import Difference, Reconciliation
from mastering.store.tables import HistoryEvent, ImportRun
from mastering.users import Act
from mastering.vault import Vault
from tests.walks.imports_world import ADMIN, World, calm, person

VAULT = Vault(["the key of these tests, long enough for anybody"])
SECRETS = ("Xanthippe", "Quuxington", "xq-4711", "Oberbefehlshaberin", "Unterbefehlshaberin", "kept for a lawsuit")
JANE = {"firstName": SECRETS[0], "lastName": SECRETS[1], "email": "xanthippe@quux.example", "title": SECRETS[3]}


def a_life(world: World) -> str:
    """Somebody who came by an import, changed, was held, left, and was reported about; and somebody else."""
    hr = world.app("HR", calm())
    world.send(hr, [person(SECRETS[2], **JANE), person("E2")])
    world.send(hr, [person(SECRETS[2], **{**JANE, "title": SECRETS[4]}), person("E2")])
    jane = world.user_of(hr, SECRETS[2])
    holds.set_hold(world.engine, ADMIN, now(), jane.id, Terms(SECRETS[5], now() + timedelta(days=1)))
    holds.lift_hold(world.engine, ADMIN, now(), jane.id)
    world.send(hr, [person("E2")])
    return str(jane.id)


def everything(engine: Engine) -> str:
    """Every text in every table, what is deflated inflated."""
    with reading(engine) as session:
        kept = [str(zlib.decompress(row)) for row in session.execute(select(col(KeptChunk.payload))).scalars()]
        return "\n".join([*(str(tuple(row)) for table in SQLModel.metadata.sorted_tables for row in session.execute(select(table))), *kept])


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


def found(text: str) -> list[str]:
    return [secret for secret in (*SECRETS, "xanthippe@") if secret in text]


@pytest.mark.parametrize("deflated", [False, True])
def test_nothing_of_the_person_is_in_any_table_and_all_chains_verify(world: World, deflated: bool) -> None:
    jane = a_life(world)
    assert not deflated or lines.pack(world.engine) == 3
    kept = Kept(checkpoints.make(world.engine, VAULT, ADMIN, now()))
    assert len(found(everything(world.engine))) == len(SECRETS) + 1
    done = erasure.erase(world.engine, ADMIN, now(), jane, "asked for by letter")
    assert found(everything(world.engine)) == []
    assert "E2@example.com".lower() in everything(world.engine).lower(), "others are still there"
    assert done.events >= 4
    assert done.rows >= 3 + 2, "two lines of what was received among them"
    with reading(world.engine) as session:
        report = verify(session, VAULT, [kept])
        last = history.chain(session, jane)[-1]
    assert report.whole, report.faults
    assert last.type == "user.erase"
    for told in ('"reason":"asked for by letter"', f'"name":"{ADMIN.name}"'):
        assert told in last.body


def test_what_happened_is_still_told_and_the_values_are_said_to_be_erased(world: World) -> None:
    jane = a_life(world)
    before = now()
    done = erasure.erase(world.engine, ADMIN, now() + timedelta(seconds=1), jane)
    exported = b"".join(exports.export(world.engine, WantedEvents(user=jane), Format.ndjson)).decode()
    assert exported.count('"erased":true') == done.events
    assert '"type":"user.deactivate"' in exported
    assert ",yes," in b"".join(exports.export(world.engine, WantedEvents(user=jane), Format.csv)).decode()
    was = asof.read(world.engine, jane, before)
    assert (was.status.value, was.login, was.profile) == ("DEACTIVATED", "", {})
    assert [link.external_id for link in was.links] == [""]
    assert asof.masters(world.engine, jane, before).authority is not None
    with pytest.raises(NotFound):
        asof.read(world.engine, jane, now() + timedelta(seconds=2))


def test_who_was_deleted_before_is_erased_by_id_and_again_without_harm(world: World) -> None:
    jane = a_life(world)
    users.remove(world.engine, ADMIN, now(), jane)
    assert found(everything(world.engine))
    assert erasure.erase(world.engine, ADMIN, now(), jane).events > 0
    assert found(everything(world.engine)) == []
    assert erasure.erase(world.engine, ADMIN, now(), jane).events == 0
    with reading(world.engine) as session:
        assert verify(session).whole


def test_who_may_still_work_is_not_erased_and_nothing_changes(world: World) -> None:
    hr = world.app("HR", calm())
    world.send(hr, [person("E1")])
    user = world.user_of(hr, "E1")
    before = everything(world.engine)
    for _ in range(2):
        with pytest.raises(IllegalMove):
            erasure.erase(world.engine, ADMIN, now(), user.id)
        assert everything(world.engine) == before
    with pytest.raises(NotFound):
        erasure.erase(world.engine, ADMIN, now(), "00uNobody")


def test_nobody_is_erased_who_is_part_of_a_plan_that_may_still_be_applied(world: World) -> None:
    hr = world.app("HR")
    world.send(hr, [person("E1"), person("E2")])
    held = world.send(hr, [person("E1")])
    assert held.status == "HELD"
    gone = world.user_of(hr, "E2")
    users.act(world.engine, ADMIN, now(), gone.id, Act.deactivate)
    with pytest.raises(WrongState) as refused:
        erasure.erase(world.engine, ADMIN, now(), gone.id)
    assert held.id in refused.value.causes[0]
    assert world.user_of(hr, "E2").status == "DEACTIVATED"


def test_a_line_is_taken_out_however_its_external_id_is_written_and_others_stay(world: World) -> None:
    hr, name = world.app("HR", calm()), 'Zo\u00eb "4711"'
    other = [f"{name} II", "E3"]
    world.send(hr, [person(name, title=SECRETS[3]), *(person(each, title="kept for others") for each in other)])
    world.send(hr, [person(each, title="kept for others") for each in other])
    lines.pack(world.engine)
    assert everything(world.engine).count("kept for others") > 4
    user = world.user_of(hr, name)
    erasure.erase(world.engine, ADMIN, now(), user.id)
    assert SECRETS[3] not in everything(world.engine)
    with reading(world.engine) as session:
        left = [line.payload for run in (1, 2) for line in unpack(pieces(session)[run - 1].payload)]
    assert [glance(payload)[0] for payload in left] == other * 2


def pieces(session: Session) -> list[Piece]:
    runs = session.execute(select(col(ImportRun.id)).order_by(col(ImportRun.id))).scalars()
    found = [piece(session, place) for run_id in runs for place in places_of_run(session, run_id)]
    return [each for each in found if each is not None]


def test_a_run_that_has_no_plan_yet_and_brings_the_person_stands_in_the_way(world: World) -> None:
    hr = world.app("HR", calm())
    world.send(hr, [person("E1"), person("E2")])
    gone = world.user_of(hr, "E2")
    users.act(world.engine, ADMIN, now(), gone.id, Act.deactivate)
    run_id = world.begin(hr)
    receiver = Spool(world.engine, run_id)
    receiver.add([Line(1, b'{"externalId": "E2", "profile": {}}')])
    receiver.close()
    with pytest.raises(WrongState) as refused:
        erasure.erase(world.engine, ADMIN, now(), gone.id)
    assert run_id in refused.value.causes[0]
    assert world.user_of(hr, "E2").status == "DEACTIVATED"


def test_a_piece_that_came_after_it_was_looked_for_is_looked_at_in_the_transaction_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    jane = a_life(world)
    looked = lines.not_about

    def meanwhile(session: Session, known: lines.Known) -> set[Place]:
        found = looked(session, known)
        (hr,) = {app_id for app_id, _ in known}
        world.send(hr, [person("E2"), person(SECRETS[2], active=False, **JANE)])
        return found

    monkeypatch.setattr(lines, "not_about", meanwhile)
    erasure.erase(world.engine, ADMIN, now(), jane)
    assert found(everything(world.engine)) == []


def test_a_piece_that_was_changed_while_it_was_deflated_stays_as_it_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    jane = a_life(world)
    deflated = store.deflated

    def slowly(payload: bytes) -> bytes:
        monkeypatch.undo()
        with suppress(NotFound):
            erasure.erase(world.engine, ADMIN, now(), jane)
        return deflated(payload)

    monkeypatch.setattr(store, "deflated", slowly)
    assert lines.pack(world.engine) == 2
    assert found(everything(world.engine)) == []
    assert lines.pack(world.engine) == 1


def test_reports_about_the_person_are_emptied(world: World) -> None:
    jane = a_life(world)

    with writing(world.engine) as session:
        session.add(Reconciliation(id="rec1", source="x", status=PassStatus.COMPLETED, started_by="{}", created="2026"))
        session.flush()
        told: dict[str, Any] = {"kind": "k", "cause": "c", "detail": SECRETS[3], "login": JANE["email"], "expected": SECRETS[4]}
        session.add(Difference(reconciliation_id="rec1", seq=1, user_id=jane, **told))
    erasure.erase(world.engine, ADMIN, now(), jane)
    assert found(everything(world.engine)) == []
    with reading(world.engine) as session:
        assert session.execute(select(func.count()).where(col(Difference.user_id) == jane)).scalar_one() == 1


def a_task(world: World, user_id: str, account_id: str, status: TaskStatus) -> None:
    app_id = world.app("Mail")
    with writing(world.engine) as session:
        told: dict[str, Any] = {"kind": next(iter(TaskKind)), "status": status, "login": JANE["email"], "error": f"no {SECRETS[0]} here"}
        session.add(OutboundTask(id="tsk1", app_id=app_id, account_id=account_id, user_id=user_id, due="2026", created="2026", **told))
        session.add(OutboundLink(account_id=account_id, app_id=app_id, scim_id=SECRETS[2], synced=SECRETS[3]))


def test_what_apps_were_told_of_the_person_is_emptied_and_what_is_still_to_be_told_stands_in_the_way(world: World) -> None:
    jane = a_life(world)
    with reading(world.engine) as session:
        account = load(history.chain(session, jane)[-1].body)["account"]["id"]
    a_task(world, jane, account, TaskStatus.PENDING)
    with pytest.raises(WrongState):
        erasure.erase(world.engine, ADMIN, now(), jane)
    with writing(world.engine) as session:
        session.execute(update(OutboundTask).values(status=TaskStatus.DONE))
    erasure.erase(world.engine, ADMIN, now(), jane)
    assert found(everything(world.engine)) == []


@contextmanager
def of_its_own(folder: Path) -> Iterator[World]:
    engine = open_database(f"sqlite:///{folder}/m.db")
    try:
        world = World(engine)
        world.set_org(enabled=False)
        yield world
    finally:
        engine.dispose()


def test_the_file_and_its_log_have_nothing_of_the_person_any_more(tmp_path: Path) -> None:
    with of_its_own(tmp_path) as world:
        jane = a_life(world)
        assert found(on_disk(tmp_path).decode("latin-1"))
        assert erasure.erase(world.engine, ADMIN, now(), jane).from_disk
        assert found(on_disk(tmp_path).decode("latin-1")) == []
    assert found(on_disk(tmp_path).decode("latin-1")) == []


def test_values_of_an_account_that_waited_go_with_the_person_it_became_and_with_nobody_else(world: World) -> None:
    hr = world.app("HR", calm(confirmation=Confirmation()))
    world.send(hr, [person(SECRETS[2], **JANE), person("E2")])
    jane = world.review(hr, SECRETS[2], Verdict.CREATE).user
    assert jane is not None
    users.act(world.engine, ADMIN, now(), jane.id, Act.deactivate)
    erasure.erase(world.engine, ADMIN, now(), jane.id)
    assert found(everything(world.engine)) == []
    with reading(world.engine) as session:
        assert verify(session).faults == []
    other = world.account(hr, "E2").id
    with writing(world.engine) as session:
        session.execute(update(HistoryEvent).where(col(HistoryEvent.subject) == other).values(values_json=None))
    with reading(world.engine) as session:
        (fault,) = verify(session).faults
    assert (fault.subject, fault.seq, fault.fault) == (other, 1, "its values are gone, and nobody was erased")
