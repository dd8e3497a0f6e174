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
