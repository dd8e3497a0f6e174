"""Whatever was done, the why of every event is found from history alone, and the rules asked again give what was done (SPEC §13)."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select
from sqlmodel import col

from mastering import why
from mastering.errors import MasteringError
from mastering.rules.policy import ImportPolicy
from mastering.store import tables
from mastering.store.documents import load
from mastering.store.engine import reading
from tests.store.test_serializable import POLICIES, STEPS, Org, Step
from tests.walks.imports_world import empty


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
