"""A log collector that follows the events by position sees each of them once, in one order, while many write (decision 0016)."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Engine, select
from sqlmodel import col

from mastering import users
from mastering.clock import now
from mastering.store import events
from mastering.store.engine import reading
from mastering.store.events import Shown, WantedEvents
from mastering.store.tables import HistoryEvent
from tests.walks.imports_world import ADMIN, World, calm, person

PLAIN = Shown({}, {}, {})
FROM_THE_START = WantedEvents("0001-01-01T00:00:00.000Z")


def follow(engine: Engine, over: threading.Event, seen: list[str]) -> None:
    """Poll as `/logs` is polled: each page from where the last one ended, an empty one again from the same place."""
    after = 0
    last_look = False
    while not last_look:
        last_look = over.is_set()
        with reading(engine) as session:
            page = events.page(session, FROM_THE_START, PLAIN, after, 7, newest_first=False)
        seen += [event.id for event in page]
        if page:
            after, last_look = page[-1].position or after, False


def test_who_polls_while_many_write_misses_nothing_and_sees_nothing_twice(world: World) -> None:
    over, seen = threading.Event(), list[str]()
    follower = threading.Thread(target=follow, args=(world.engine, over, seen))
    follower.start()

    def write(number: int) -> None:
        for each in range(6):
            name = f"w{number}-{each}@x.org"
            profile = {"login": name, "email": name, "firstName": "W", "lastName": str(number)}
            users.create(world.engine, ADMIN, now(), profile, activate=True)

    with ThreadPoolExecutor(6) as pool:
        running = [pool.submit(write, number) for number in range(6)]
        world.send(world.app("HR", calm()), [person(f"E{number}") for number in range(40)])
        for each in running:
            each.result()
    over.set()
    follower.join(60)
    with reading(world.engine) as session:
        written = list(session.execute(select(col(HistoryEvent.id)).order_by(col(HistoryEvent.position))).scalars())
    assert len(written) > 6 * 6 * 2 + 40 * 2
    assert seen == written
