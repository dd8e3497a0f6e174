"""Whatever was done, the why of every event is found from history alone, and the rules asked again give what was done (SPEC §13)."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select
from sqlmodel import col

from mastering import assignments, users, why
from mastering.clock import now
from mastering.errors import MasteringError
from mastering.review import Item, Verdict, decide
from mastering.rules.policy import Confirmation, ImportPolicy
from mastering.store import tables
from mastering.store.documents import load
from mastering.store.engine import reading
from tests.store.test_serializable import ALL_BY_EMAIL, PEOPLE, POLICIES, STEPS, Org, Step, record
from tests.walks.imports_world import ADMIN, World, calm, empty, master, person


def people_of(engine: Engine) -> list[str]:
    """Everybody history tells of, deleted people included."""
    subject = col(tables.HistoryEvent.subject)
    with reading(engine) as session:
        return list(session.execute(select(subject).where(subject.startswith("00u")).distinct()).scalars())


def check_every_event(org: Org) -> int:
    """How many events were explained by asking the rules again."""
    asked = 0
    for user_id in people_of(org.engine):
        for event in org.world.events(user_id):
            told = why.explain(org.engine, user_id, event_id=event.id)
            body = load(event.body)
            assert event.id in {each.id for each in told.step}
            assert told.agrees, (user_id, body, told)
            if told.judged is None:
                assert "rule" not in body or body["rule"] == "reviewed", body
                continue
            asked += 1
            speaking = [voice.link.app_id for voice in told.voices if voice.silent is None]
            if body.get("authority") is not None and event.type != "account.release":
                assert speaking == [body["authority"]], (user_id, body, told)
            assert all(each.judged.outcome != told.judged.outcome for each in told.alternatives)
    return asked


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate))
@given(POLICIES, POLICIES, st.lists(STEPS, min_size=10, max_size=30))
def test_the_rules_asked_again_about_any_event_give_what_was_done(
    database: Engine, hr_policy: ImportPolicy, ad_policy: ImportPolicy, work: list[Step]
) -> None:
    empty(database)
    org = Org.of(database, hr_policy, ad_policy)
    for step in work:
        with suppress(MasteringError):
            step(org)
    org.world.work()
    check_every_event(org)


def test_whom_another_account_makes_room_for_is_explained_by_the_account_that_came(database: Engine) -> None:
    empty(database)
    org = Org.of(database, ALL_BY_EMAIL, ALL_BY_EMAIL)
    hr, everybody = org.apps["HR"], [record(name) for name in PEOPLE]
    eve = org.world.by_hand("eve")
    assignments.assign(org.engine, ADMIN, now(), hr, eve.id, external_id="nobody has seen it")
    org.world.send(hr, everybody[:4])
    assert org.world.account(hr, "nobody has seen it").account == "MISSING"
    org.world.send(hr, everybody)
    replaced = next(event for event in org.world.events(eve.id) if event.type == "account.replaced")
    told = why.explain(org.engine, eve.id, event_id=replaced.id)
    assert [(voice.link.app_id, voice.link.account, voice.spoke) for voice in told.voices if voice.silent is None] == [(hr, "ACTIVE", True)]
    assert check_every_event(org) > 0


def test_an_account_that_a_reviewer_gave_to_another_leaves_nothing_to_ask_the_rules_about_who_had_it(database: Engine) -> None:
    empty(database)
    org = Org.of(database, ALL_BY_EMAIL, ALL_BY_EMAIL)
    (ann,), eve = org.ids("ann"), org.world.by_hand("eve")
    users.act(org.engine, ADMIN, now(), eve.id, users.Act.suspend)
    org.world.send(org.apps["HR"], [record("ann", email="else@example.com"), *map(record, PEOPLE[1:4])])
    assignments.unassign(org.engine, ADMIN, now(), org.apps["HR"], ann)
    assert org.world.review(org.apps["HR"], "a1", Verdict.LINK, user_id=eve.id).error is None
    assert org.world.user(eve.id).status == "PENDING_ACTIVATION"
    taken = next(event for event in org.world.events(ann) if event.type == "account.taken")
    told = why.explain(org.engine, ann, event_id=taken.id)
    assert (told.judged, told.agrees, told.alternatives, told.candidates) == (None, True, (), ())
    check_every_event(org)


@pytest.mark.parametrize("first", ["HR", "AD"])
def test_two_decisions_of_a_reviewer_about_one_person_in_one_request_are_explained_one_by_one(database: Engine, first: str) -> None:
    empty(database)
    world = World(database)
    cautious = calm(confirmation=Confirmation(), mastering=master(suspended=True))
    apps = {label: world.app(label, cautious) for label in ("HR", "AD")}
    eve = world.by_hand("eve")
    world.act(eve.id, "suspend")
    for app_id in apps.values():
        world.send(app_id, [person("E1", email="eve@example.com", title=app_id)])
    order = [first, *({"HR", "AD"} - {first})]
    items = [Item(world.account(apps[label], "E1").id, Verdict.LINK, eve.id) for label in order]
    assert [result.error for result in decide(database, ADMIN, now(), items)] == [None, None]
    links = [event for event in world.events(eve.id) if event.type == "account.link"]
    assert [event.at for event in links] == [links[0].at] * 2
    for event, label in zip(links, order, strict=True):
        told = why.explain(database, eve.id, event_id=event.id)
        assert (told.agrees, [voice.link.app_id for voice in told.voices if voice.spoke]) == (True, [apps[label]])
    for event in world.events(eve.id):
        assert why.explain(database, eve.id, event_id=event.id).agrees, event.type
