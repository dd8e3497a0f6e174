"""A process that ticks as servers and workers do, while its clock runs a hundred times faster: what it has of a schedule is in the history.

    python ticking.py DATABASE-URL BEGIN SECONDS

The clock begins at BEGIN, an instant, when a line comes in on standard input. The process ends after so many of its seconds.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlmodel import Session

from mastering.firing import Outcome, schedule_actor
from mastering.ledger import Ledger
from mastering.schedule import Ticker
from mastering.store import catalog
from mastering.store.engine import open_database
from mastering.store.schedules import Schedule

FASTER = 100


def start(session: Session, row: Schedule, at: datetime) -> Outcome:
    """Write down, within the transaction of the claim, for which instant the schedule fired."""
    app = catalog.app(session, row.subject, lock=True)
    assert app is not None
    ledger = Ledger(session, at, schedule_actor(row))
    ledger.note(app, "test.fired", {"due": row.next_due})
    ledger.flush()
    session.add(app)
    return Outcome(started=row.next_due)


def running_from(begin: datetime) -> Callable[[], datetime]:
    """A clock that starts to run now."""
    started = time.monotonic()

    def clock() -> datetime:
        since = timedelta(milliseconds=round((time.monotonic() - started) * FASTER * 1000))
        return begin + since

    return clock


def main(url: str, begin: str, seconds: str) -> None:
    engine = open_database(url)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    clock = running_from(datetime.fromisoformat(begin))
    ticker = Ticker(engine, look=timedelta(milliseconds=20), starters={"FULL": start}, clock=clock)
    ticker.start()
    threading.Event().wait(float(seconds) / FASTER)
    ticker.stop()
    engine.dispose()


if __name__ == "__main__":
    main(*sys.argv[1:])
