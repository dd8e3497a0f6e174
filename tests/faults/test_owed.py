"""A process killed between a change of the catalog and what has to follow from it: whoever starts next carries it out, once (docs/decisions/0036)."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, func, select
from sqlmodel import col

from mastering.store import tables
from mastering.store.engine import open_database, reading
from mastering.store.owed import OwedWork
from tests.faults.conftest import Place
from tests.faults.processes import PATIENCE, POLICY, Process
from tests.postgres import engine_url
from tests.walks.imports_world import person

STEPS = {
    "before the first batch": ("mastering.catalog.change:follow_up:before:1", 0),
    "in the middle of a batch": ("mastering.followup:remaster_batch:after:3", 40),
    "when all profiles are mapped": ("mastering.followup:_to_the_queue:before:1", 100),
}


def dies_of(server: Process, method: str, path: str, body: dict[str, Any]) -> None:
    with suppress(httpx.TransportError):
        server.http.request(method, path, json=body)
    assert server.await_end() == -signal.SIGKILL


def until(true: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def left(place: Place) -> int:
    """How much is still owed."""
    return int(_asked(place, lambda session: session.execute(select(func.count()).select_from(OwedWork)).scalar_one()))


def told(place: Place, kind: str) -> list[str]:
    """Of whom events of a kind tell, once for each."""
    subjects = select(col(tables.HistoryEvent.subject)).filter_by(type=kind)
    return [str(each) for each in _asked(place, lambda session: session.execute(subjects).scalars().all())]


def _asked(place: Place, question: Callable[[Any], Any]) -> Any:
    engine: Engine = open_database(engine_url(place.url))
    try:
        with reading(engine) as session:
            return question(session)
    finally:
        engine.dispose()


def titles(server: Process) -> set[str | None]:
    return {user["profile"].get("title") for user in server.http.get("/users", params={"limit": 200}).json()}


@pytest.mark.parametrize("step", STEPS)
def test_profiles_are_mapped_again_though_who_changed_the_mapping_is_dead(place: Place, step: str) -> None:
    where, done = STEPS[step]
    server = place.start(where)
    (mapping,) = server.http.get("/mappings", params={"sourceId": place.app}).json()
    dies_of(server, "POST", f"/mappings/{mapping['id']}", {"properties": {"title": {"expression": '"New"', "pushStatus": "PUSH"}}})
    assert (left(place), len(told(place, "user.remaster"))) == (1, done)
    again = place.start()
    until(lambda: left(place) == 0)
    assert titles(again) == {"New"}
    place.check()
    subjects = told(place, "user.remaster")
    assert len(subjects) == len(set(subjects)) == 100


def test_waiting_rows_are_matched_again_though_who_changed_the_options_is_dead(place: Place) -> None:
    server = place.start("mastering.followup:rematch_next:after:3")
    review_first = {**POLICY, "confirmation": {}}
    app_id = server.app("AD", review_first)
    server.send(app_id, [person(f"E{number}") for number in range(50)])
    assert server.await_run(app_id)["situations"] == {"EXACT": 50}
    dies_of(server, "PUT", f"/apps/{app_id}/import-policy", {**review_first, "matching": {"username": False}})
    assert (left(place), len(told(place, "account.wait"))) == (1, 50 + 20)
    again = place.start()
    until(lambda: left(place) == 0)
    assert {row["situation"] for row in again.http.get("/review", params={"limit": 200}).json()} == {"CONFLICT"}
    place.check()
    subjects = told(place, "account.wait")
    assert len(subjects) == 2 * len(set(subjects)) == 100
