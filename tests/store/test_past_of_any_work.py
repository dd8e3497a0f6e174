"""A past run under any wishes comes out as the same file would have on a twin of the organisation: after any work, before and after more of it.

The twin is a copy of every row, made at the moment at which the run is planned. On one copy the file is a dry run as the organisation is, on another
one with the wishes written into its options; what differs between the two plans is what a preview over the run has to say, neither more nor less.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select
from sqlmodel import Session, SQLModel, col

from mastering import erasure
from mastering.catalog import policies
from mastering.clock import now
from mastering.errors import MasteringError
from mastering.imports import kept, rows
from mastering.rules.policy import ImportPolicy, Matching, Username, UsernameFormat, WhenDeactivated
from mastering.rules.record import Mode
from mastering.store import catalog, history, previews, tables
from mastering.store.documents import dump, load
from mastering.store.engine import open_scratch, reading, writing
from mastering.users import Act
from mastering.whatif import again
from mastering.whatif import previews as walk
from mastering.whatif.scratch import scratch, sweep
from mastering.whatif.world import Wishes, World
from mastering.whatif.world import check as refuse
from tests.store.test_serializable import PEOPLE, POLICIES, STEPS, Org, Step, by_hand, moved, record, records, removed
from tests.store.test_whatif_of_any_work import (
    WISHES,
    Wanted,
    another_mapping,
    another_master,
    another_policy,
    everything,
    other_order,
    preview,
)
from tests.walks.imports_world import ADMIN, calm, empty, master
from tests.walks.imports_world import World as Walks

Told = dict[str, tuple[Any, ...]]
"""By external id what a row comes to: who, which action, and why."""
NOTHING = ("none", None, None, ())


@contextmanager
def twin(engine: Engine) -> Iterator[Engine]:
    """A copy of every row of a database."""
    with tempfile.TemporaryDirectory() as folder:
        copy = open_scratch(Path(folder) / "twin.db")
        try:
            with engine.connect() as source, copy.begin() as target:
                for table in SQLModel.metadata.sorted_tables:
                    found = [dict(row) for row in source.execute(select(table)).mappings()]
                    if found:
                        target.execute(table.insert(), found)
            yield copy
        finally:
            copy.dispose()


def wish(engine: Engine, wishes: Wishes) -> None:
    """Write wishes into the options as they stand, and let nothing follow from it."""
    with writing(engine) as session:
        after = World.load(session).wished(wishes)
        for app in catalog.all_apps(session):
            app.policy = catalog.policy_text(after.policies[app.id])
            app.rank = after.ranking.index(app.id) if app.id in after.ranking else None
            mapping = catalog.inbound_mapping(session, app.id)
            mapping.properties = dump(catalog.properties_of(after.mappings[app.id]))
            session.add_all([app, mapping])
        org = catalog.org(session)
        org.safeguard, org.user_schema = dump(after.org), catalog.schema_text(after.schema, org.last_updated)
        session.add(org)


def tried(engine: Engine, app_id: str, sent: list[dict[str, Any]], mode: Mode) -> Told:
    """What a dry run says of each record that it says anything of."""
    world = Walks(engine)
    run = world.send(app_id, sent, mode, dry_run=True)
    assert run.status == "PLANNED", run.error
    return planned(engine, run.id)


def planned(engine: Engine, run_id: str) -> Told:
    with reading(engine) as session:
        row = tables.RunChange
        found = session.execute(select(row).where(col(row.run_id) == run_id).order_by(col(row.seq))).scalars()
        return {
            each.external_id or "": (
                each.action,
                each.trigger,
                each.reason,
                tuple(rows.effect_of(each.effect)["candidates"]),
                essence(each),
            )
            for each in found
        }


def essence(row: tables.RunChange) -> Any:
    """What else a row decides."""
    effect = rows.effect_of(row.effect)
    written = {name: effect.get(name) for name in ("create", "new", "link", "relink", "release", "account", "unheeded", "successor")}
    decided = (row.situation, row.user_id, row.app_user_id, row.login, row.from_status, row.to_status, row.rule, row.detail, row.authority)
    return decided, written


def foreseen(found: list[previews.PreviewRow]) -> tuple[dict[str, tuple[Any, ...]], set[str | None]]:
    """What a preview says of each record; and of which it says that it does not know."""
    assert {row.kind for row in found} <= {"RECORD"}
    doubtful = {row.external_id for row in found if row.detail == again.UNDECIDED}
    sure = [row for row in found if row.detail != again.UNDECIDED]
    return {
        row.external_id or "": (row.from_value, row.to_value, row.trigger, row.reason, tuple(load(row.candidates))) for row in sure
    }, doubtful


def difference(before: Told, after: Told) -> dict[str, tuple[Any, ...]]:
    """What a preview has to say: what differs between two plans."""
    return {
        who: (before.get(who, NOTHING)[0], *after.get(who, NOTHING)[:4]) for who in {**before, **after} if before.get(who) != after.get(who)
    }


def erased(org: Org, name: str) -> None:
    for user_id in org.ids(name):
        with suppress(MasteringError):
            moved(Act.deactivate)(org, user_id)
        with reading(org.engine) as session:
            told = [(load(event.body).get("account"), load(event.values_json or "{}")) for event in history.chain(session, user_id)]
        erasure.erase(org.engine, ADMIN, now(), user_id)
        org.erased |= {(account["appId"], values["externalId"]) for account, values in told if account and "externalId" in values}


Found = dict[str, tuple[Any, ...]]


def check(org: Org, app_id: str, sent: list[dict[str, Any]], mode: Mode, wanted: Sequence[Wanted], later: list[Step]) -> list[Found]:
    """Run it, preview it under each of the wishes, before and after later work, and compare; what was found under each."""
    wishes = [make(org)[0] for make in wanted]
    try:
        with reading(org.engine) as session:
            for each in wishes:
                refuse(session, each, now())
    except MasteringError:
        assume(False)
    with twin(org.engine) as same:
        before = tried(same, app_id, sent, mode)
    expected = [difference(before, wished(org, each, app_id, sent, mode)) for each in wishes]
    run = org.world.send(app_id, sent, mode)
    assert planned(org.engine, run.id) == before
    assert [foreseen(preview(org, each, run_id=run.id)) for each in wishes] == [(each, set()) for each in expected], "just after"
    for step in later:
        with suppress(MasteringError):
            step(org)
        kept.pack(org.engine)
    org.world.work()
    state = everything(org.engine)
    told = [foreseen(preview(org, each, run_id=run.id)) for each in wishes]
    assert everything(org.engine) == state, "a preview changes nothing"
    assert [found for found, _ in told] == [
        {who: row for who, row in each.items() if who not in doubtful and (app_id, who) not in org.erased}
        for each, (_, doubtful) in zip(expected, told, strict=True)
    ], "later on"
    assert not any(doubtful for _, doubtful in told) or somebody_is_gone(org), "whoever is there can be decided again"
    return [found for found, _ in told]


def wished(org: Org, wishes: Wishes, app_id: str, sent: list[dict[str, Any]], mode: Mode) -> Told:
    """What a dry run says on a twin that has the wishes for its options."""
    with twin(org.engine) as other:
        wish(other, wishes)
        return tried(other, app_id, sent, mode)


def somebody_is_gone(org: Org) -> bool:
    with reading(org.engine) as session:
        event = tables.HistoryEvent
        kinds = ("user.delete", "user.erase")
        return session.execute(select(col(event.id)).where(col(event.type).in_(kinds)).limit(1)).first() is not None


LATER = st.lists(
    st.one_of(STEPS, STEPS, STEPS, st.builds(by_hand, st.sampled_from(PEOPLE), st.just(lambda org, _: erased(org, "eve")))), max_size=12
)


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate))
@given(
    POLICIES,
    POLICIES,
    st.lists(STEPS, max_size=10),
    st.sampled_from(("HR", "AD")),
    st.sampled_from((Mode.FULL, Mode.INCREMENTAL)),
    st.lists(records(), min_size=2, max_size=6, unique_by=lambda told: told["externalId"]),
    WISHES,
    LATER,
)
def test_a_past_run_under_any_wishes_is_what_the_same_file_would_have_come_to(
    database: Engine,
    hr_policy: ImportPolicy,
    ad_policy: ImportPolicy,
    work: list[Step],
    label: str,
    mode: Mode,
    sent: list[dict[str, Any]],
    wanted: Wanted,
    later: list[Step],
) -> None:
    empty(database)
    org = Org.of(database, hr_policy, ad_policy)
    for step in work:
        with suppress(MasteringError):
            step(org)
    org.world.work()
    for run in org.held():
        org.world.cancel(run.id)
    org.world.work()
    check(org, org.apps[label], sent, mode, [wanted], later)


def staff(org: Org) -> list[dict[str, Any]]:
    """What a run brings: a newcomer who matches somebody by the address alone, a namesake, a leaver, a newcomer whose name is no address, a change."""
    org.world.by_hand("gus.smith", email="gus@example.com")
    org.world.by_hand("hal.smith", firstName="hal", lastName="Doe")
    return [record("ann", title="Lead"), record("bob", active=False), record("gus"), record("hal"), record("ivy", title="Clerk")]


def by_address(label: str) -> Wanted:
    return another_policy(label, calm(mastering=master(), matching=Matching(username=False, email=True)))


EACH: dict[str, tuple[Wanted, set[str]]] = {
    "matching by the address": (by_address("HR"), {"g1"}),
    "matching by the name": (another_policy("HR", calm(mastering=master(), matching=Matching(allow_partial=True))), {"h1"}),
    "a username of its own": (
        another_policy("HR", calm(mastering=master(), username=Username(UsernameFormat.CUSTOM, "appuser.firstName + '@x.org'"))),
        {"g1", "h1", "i1", "a1"},
    ),
    "another mapping": (another_mapping("HR", "title", "'The ' + appuser.title"), {"i1", "a1"}),
    "another master of an attribute": (another_master("title", "AD"), {"a1"}),
    "another policy": (another_policy("HR", calm(mastering=master(WhenDeactivated.SUSPEND))), {"b1", "c1", "d1"}),
    "another order": (other_order, {"a1", "b1", "c1", "d1"}),
}


def test_each_kind_of_wish_makes_a_difference_to_a_past_run_whatever_has_become_of_its_people_since(database: Engine) -> None:
    """So that the comparison does not pass by comparing nothing."""
    empty(database)
    by_login = calm(mastering=master())
    org = Org.of(database, by_login, by_login)
    sent = staff(org)
    later: list[Step] = [
        lambda org: org.world.send(org.apps["HR"], [record("gus", title="Boss"), record("hal", active=False), record("new")]),
        lambda org: org.world.send(org.apps["AD"], [record("ann", title="by AD"), record("ivy")]),
        lambda org: policies.replace(org.engine, ADMIN, now(), org.apps["HR"], calm(mastering=master(WhenDeactivated.DO_NOTHING))),
        lambda org: other_order(org)[1](),
        lambda org: another_mapping("HR", "lastName", "appuser.title")(org)[1](),
        lambda org: another_master("email", None)(org)[1](),
        by_hand("gus.smith", moved(Act.suspend)),
        by_hand("ann", moved(Act.deactivate)),
    ]
    found = check(org, org.apps["HR"], sent, Mode.FULL, [make for make, _ in EACH.values()], later)
    assert dict(zip(EACH, map(set, found), strict=True)) == {kind: whom for kind, (_, whom) in EACH.items()}


def test_who_has_been_erased_is_not_told_of_and_who_has_been_deleted_is_told_to_be_unknown(database: Engine) -> None:
    empty(database)
    org = Org.of(database, calm(mastering=master()), calm(mastering=master()))
    sent = staff(org)
    later: list[Step] = [
        lambda org: org.world.send(org.apps["HR"], [record("gus")]),
        lambda org: erased(org, "bob"),
        by_hand("ann", removed),
    ]
    wishes = another_mapping("HR", "title", "'The ' + appuser.title")(org)[0]
    run = org.world.send(org.apps["HR"], sent)
    for step in later:
        step(org)
    found = preview(org, wishes, run_id=run.id)
    assert {row.external_id: row.detail for row in found} == {"a1": again.UNDECIDED, "i1": None}


def test_who_has_been_erased_is_not_told_of_whatever_the_wish_would_have_made_of_them(database: Engine) -> None:
    empty(database)
    by_login = calm(mastering=master())
    org = Org.of(database, by_login, by_login)
    org.world.by_hand("eve.smith", email="eve@example.com")
    sent = [record("eve", 2), record("ann", title="Lead"), record("fay")]
    found = check(org, org.apps["HR"], sent, Mode.INCREMENTAL, [by_address("HR")], [])
    assert set(found[0]) == {"e2"}
    later: list[Step] = [lambda org: erased(org, "eve")]
    again_sent = [record("eve", 2, title="Lead"), record("fay", title="Lead")]
    found = check(org, org.apps["HR"], again_sent, Mode.INCREMENTAL, [another_mapping("HR", "title", "'The ' + appuser.title")], later)
    assert org.erased == {(org.apps["HR"], "e2")}
    assert set(found[0]) == {"f1"}


def test_the_scratch_database_is_private_and_gone_whatever_happens(
    database: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty(database)
    org = Org.of(database, calm(mastering=master()), calm(mastering=master()))
    wishes, run = by_address("HR")(org)[0], org.world.send(org.apps["HR"], staff(org))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    modes = list[int]()
    gather, fails = again.PlannedAgain.gather, [False]

    def watched(self: again.PlannedAgain, session: Session) -> None:
        gather(self, session)
        modes.extend(path.stat().st_mode & 0o77 for path in (*tmp_path.iterdir(), *tmp_path.glob("*/scratch.db")))
        if fails[0]:
            raise ZeroDivisionError

    monkeypatch.setattr(again.PlannedAgain, "gather", watched)
    assert preview(org, wishes, run_id=run.id)
    fails[0] = True
    failed = walk.start(org.engine, ADMIN, now(), wishes, {}, run_id=run.id)
    org.world.work()
    assert walk.read(org.engine, failed.id).status == "FAILED"
    assert (modes, list(tmp_path.iterdir())) == ([0] * 4, [])


def test_what_a_process_left_that_was_killed_is_swept_away_and_what_is_used_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = tmp_path / "mastering-scratch-left"
    left.mkdir()
    for name in ("lock", "scratch.db"):
        (left / name).touch()
    with scratch():
        sweep()
        (used,) = tmp_path.iterdir()
        assert used != left
    assert list(tmp_path.iterdir()) == []
