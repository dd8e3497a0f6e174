"""The queue is brought up to date by looking at the few rows that a change concerns, and comes out as if all had been looked at (SPEC §6)."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event

from mastering import assignments, users
from mastering.clock import now
from mastering.errors import MasteringError
from mastering.review import Verdict
from mastering.rules.policy import AttributePair, Confirmation, Matching
from mastering.rules.record import Mode
from mastering.store.documents import load
from mastering.store.engine import open_database
from tests.walks.imports_world import ADMIN, World, calm, person

APPS = {
    "hr": Matching(username=True, allow_partial=True),
    "ad": Matching(username=False, email=True, allow_partial=True),
    "files": Matching(username=False, attributes=(AttributePair("title", "title"),)),
}
NAMES = ("ann", "bob", "cid")
EMAILS = ("ann@example.com", "bob@example.com", "cid@example.com")
ROWS = st.sampled_from(("E1", "E2", "E3", "E4"))


def told(external_id: str, name: str, email: str, title: str) -> dict[str, Any]:
    return person(external_id, firstName=name, lastName=name, email=email, title=title)


Step = Callable[[World, dict[str, str]], object]
RECORDS = st.builds(told, ROWS, st.sampled_from(NAMES), st.sampled_from(EMAILS), st.sampled_from(NAMES))


def sent(label: str, records: list[dict[str, Any]], whole: bool) -> Step:
    return lambda org, apps: (org.send if whole else org.delta)(apps[label], list({row["externalId"]: row for row in records}.values()))


def made(login: str, name: str, title: str) -> Step:
    return lambda org, _: org.by_hand(login.partition("@")[0], firstName=name, lastName=name, title=title)


def changed(login: str, profile: dict[str, str]) -> Step:
    return lambda org, _: users.update(org.engine, ADMIN, now(), login, profile, replace=False)


def removed(login: str) -> Step:
    def do(org: World, _: dict[str, str]) -> None:
        org.remove(login)
        org.remove(login)

    return do


def unassigned(label: str, login: str) -> Step:
    return lambda org, apps: assignments.unassign(org.engine, ADMIN, now(), apps[label], login)


def reviewed(label: str, row: str, verdict: Verdict) -> Step:
    return lambda org, apps: org.review(apps[label], row, verdict)


LABELS, LOGINS = st.sampled_from(list(APPS)), st.sampled_from(EMAILS)
CHANGES = st.fixed_dictionaries(
    {}, optional={"login": LOGINS, "email": LOGINS, "firstName": st.sampled_from(NAMES), "title": st.sampled_from(NAMES)}
)
STEPS = st.one_of(
    st.builds(sent, LABELS, st.lists(RECORDS, min_size=1, max_size=4), st.booleans()),
    st.builds(made, LOGINS, st.sampled_from(NAMES), st.sampled_from(NAMES)),
    st.builds(changed, LOGINS, CHANGES),
    st.builds(removed, LOGINS),
    st.builds(unassigned, LABELS, LOGINS),
    st.builds(reviewed, LABELS, ROWS, st.sampled_from(Verdict)),
)


@settings(max_examples=40)
@given(st.lists(STEPS, min_size=4, max_size=14))
def test_whatever_happens_nothing_is_left_to_do_for_who_looks_at_the_whole_queue(steps: list[Step]) -> None:
    with TemporaryDirectory() as folder:
        org = World(open_database(f"sqlite:///{Path(folder) / 'm.db'}"))
        org.set_org(enabled=False)
        apps = {label: org.app(label, calm(matching=matching, confirmation=Confirmation())) for label, matching in APPS.items()}
        for step in steps:
            with suppress(MasteringError, KeyError):
                step(org, apps)
            assert org.left_to_match() == 0
        org.engine.dispose()


@pytest.mark.parametrize("queue", [10, 400])
def test_who_appears_costs_the_same_however_long_the_queue_is(org: World, queue: int) -> None:
    hr = org.app("HR", calm(confirmation=Confirmation()))
    org.send(hr, [person(f"E{number}") for number in range(queue)])
    rows = rows_read(org.engine, lambda: org.by_hand("e7"))
    assert org.queue(hr)["E7"] == ("EXACT", "exact", ["e7@example.com"])
    assert rows < 10


def rows_read(engine: Engine, act: Callable[[], object]) -> int:
    """How many accounts are loaded by an act, told from the ids that it asks for."""
    asked: list[int] = []

    def note(*arguments: Any) -> None:
        statement, parameters = arguments[2], arguments[3]
        if "FROM app_users" in statement and "app_users.profile" in statement:
            asked.append(len(parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        act()
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return sum(asked)


# -- a full run that moves nobody ---------------------------------------------------------------------------------------

BY_EMAIL = calm(matching=Matching(username=False, email=True), confirmation=Confirmation())


def dan(external_id: str, **profile: Any) -> dict[str, Any]:
    return person(external_id, email="dan@example.com", **profile)


def deactivated(org: World) -> str:
    """An app in which D1 is the account of Dan, who has been deactivated: he stays what he is when it goes missing."""
    hr = org.app("HR", BY_EMAIL)
    user = org.by_hand("dan")
    org.send(hr, [dan("D1")])
    assert org.review(hr, "D1", Verdict.LINK).error is None
    org.act(user.id, "deactivate")
    return hr


def in_order(org: World, hr: str, before: list[dict[str, Any]], snapshot: list[dict[str, Any]]) -> dict[str, int]:
    """A delta is worked off when a snapshot has been accepted already; what the snapshot's run did."""
    org.receive(hr, before, Mode.INCREMENTAL)
    run_id = org.receive(hr, snapshot)
    org.work()
    actions: dict[str, int] = load(org.run(run_id).actions)
    return actions


def test_a_place_that_a_snapshot_frees_is_seen_by_who_came_after_it(org: World) -> None:
    hr = deactivated(org)
    assert in_order(org, hr, [dan("D2")], [person("E9")]) == {"wait": 1}
    assert org.queue(hr)["D2"] == ("EXACT", "exact", ["dan@example.com"])
    assert org.left_to_match() == 0


def test_a_place_that_a_snapshot_frees_is_seen_by_whose_record_in_it_is_of_no_use(org: World) -> None:
    hr = deactivated(org)
    org.delta(hr, [dan("D2")])
    assert org.queue(hr)["D2"] == ("CONFLICT", "place_taken", ["dan@example.com"])
    run = org.send(hr, [dan("D2", title="Lead"), dan("D2", title="Boss")])
    assert load(run.actions) == {"reject": 2}
    assert org.queue(hr)["D2"] == ("EXACT", "exact", ["dan@example.com"])
    assert org.left_to_match() == 0


def test_who_came_after_a_snapshot_is_in_the_way_of_who_is_in_it(org: World) -> None:
    hr = org.app("HR", BY_EMAIL)
    assert in_order(org, hr, [dan("D2")], [dan("D1")]) == {"wait": 1}
    assert {row[:2] for row in org.queue(hr).values()} == {("CONFLICT", "login_claimed_twice")}
    assert org.left_to_match() == 0


def test_a_full_run_that_has_placed_everybody_who_waits_asks_for_nobody_again(org: World) -> None:
    hr = org.app("HR", BY_EMAIL)
    records = [person(f"E{number}") for number in range(40)]
    org.send(hr, records)
    asked = rows_read(org.engine, lambda: org.send(hr, records))
    assert asked <= 3 * len(records)  # planned, carried out, and not matched again
