"""The deliverer: a thread that takes what waits for apps and says it to them, many at a time and some to each app (SPEC §10).

Tasks are claimed with a lease and a fence, as runs are (`imports.lease`), but many in one hand: each app has a pool of its own, so that an app
that hangs keeps nobody else's people waiting. Results are written down together, as many as come in within a moment: a commit for every single
one would cost more than the calls, and it would cost the calls too, since whatever this thread does the threads that call wait for. What is in
hand lasts them longer than that moment and the writing, so that they never stand idle for want of tasks.

While calls are under way no transaction is open. What is in this process's hands when it dies is delivered again by whoever finds the
lease run out.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from time import monotonic

import structlog
from sqlalchemy import Engine

from mastering.clock import now, wire
from mastering.connectors.peerfaults import PeerFailed, Refused
from mastering.connectors.scimpeer import Peer
from mastering.connectors.scimuser import read_user
from mastering.errors import MasteringError
from mastering.outgoing import purpose
from mastering.provisioning.calls import Document, Job, deliver
from mastering.provisioning.jobs import Impossible, prepare
from mastering.provisioning.outcomes import GivenBack, NoConnection, Outcome, Result, guard_of, record
from mastering.settings import LEASE
from mastering.store import deliveries
from mastering.store.engine import reading, writing
from mastering.store.outage import is_outage
from mastering.store.outbound import OutboundTask
from mastering.vault import SecretUnreadable, Vault

AT_ONCE = 8
"""Calls to one app at a time."""
_IN_HAND = 16 * AT_ONCE
"""Tasks of one app in hand at the most; others are taken when half of them are delivered."""
_ALL_IN_HAND = 1_024
_GATHER, _TOGETHER = 0.1, _IN_HAND // 2
"""Seconds that a result waits for others to be written down with it, and how many there are at the most."""
_LOOK_EVERY = 0.5
FINISHED_FOR = timedelta(days=7)
"""How long tasks that have ended are kept to be looked at."""
_log = structlog.get_logger("mastering.provisioning")

OpenPeer = Callable[[str], Peer]
"""The client of an app's connection; raises `Invalid` or `NotFound` where it cannot be called."""


@dataclass(slots=True)
class _Hand:
    """What is in this process's hands during one turn."""

    flights: dict[Future[Outcome], tuple[OutboundTask, str]] = field(default_factory=dict)
    ended: SimpleQueue[Future[Outcome]] = field(default_factory=SimpleQueue)
    """Those of the flights that have ended, in the order in which they did."""
    pools: dict[str, ThreadPoolExecutor] = field(default_factory=dict)
    extended: datetime = field(default_factory=now)

    def of(self, app_id: str) -> int:
        """How many of an app's tasks."""
        return sum(task.app_id == app_id for task, _ in self.flights.values())

    def pool(self, app_id: str, at_once: int) -> ThreadPoolExecutor:
        """The threads that call an app."""
        if app_id not in self.pools:
            self.pools[app_id] = ThreadPoolExecutor(at_once, thread_name_prefix="push")
        return self.pools[app_id]

    def begin(self, flight: Future[Outcome], task: OutboundTask, claimed: str) -> None:
        """Remember a delivery that is under way."""
        self.flights[flight] = task, claimed
        flight.add_done_callback(self.ended.put)

    def landed(self, patience: float) -> list[Result]:
        """The first delivery that ends within these seconds and those that end soon after it; they leave the hand."""
        found: list[Result] = []
        until = monotonic() + patience
        while len(found) < _TOGETHER and self.flights:
            try:
                flight = self.ended.get(timeout=max(until - monotonic(), 0))
            except Empty:
                break
            if not found:
                until = monotonic() + _GATHER
            task, claimed = self.flights.pop(flight)
            found.append(Result(task, task.fence, flight.result(), claimed))
        return found


class Deliverer:
    """One thread on one database. `start` it once, `stop` it to let the calls at hand end."""

    def __init__(self, engine: Engine, peers: OpenPeer, vault: Vault, lease: timedelta = LEASE, *, at_once: int = AT_ONCE) -> None:
        self._engine, self._peers, self._vault, self._lease = engine, peers, vault, lease
        self._at_once = at_once
        self.owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self.called = 0.0
        """Seconds spent in calls, of all threads together: what the peers have used of the time."""
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="deliverer", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def wake(self) -> None:
        """There is something to deliver."""
        self._wake.set()

    def stop(self) -> None:
        """Let the calls at hand end and write down what came of them; what was not begun is given back."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._try()
            self._wake.wait(_LOOK_EVERY)
            self._wake.clear()

    def _try(self) -> None:
        """One turn, whatever happens: the thread outlives an outage of the database, and what was in hand is claimed again in time."""
        try:
            self.turn()
        except Exception as fault:  # noqa: BLE001 - see above
            if is_outage(fault):
                _log.warning("the database failed; deliveries go on when it answers", exc_info=fault)
            else:
                _log.exception("deliveries were interrupted")

    def turn(self) -> int:
        """Deliver until nothing is due; how many tasks were taken. Also what a test calls instead of waiting."""
        hand, taken = _Hand(), 0
        try:
            while True:
                if not self._stopping.is_set():
                    taken += self._take(hand)
                if not hand.flights:
                    return taken
                self._gather(hand)
        finally:
            for pool in hand.pools.values():
                pool.shutdown(wait=True, cancel_futures=True)

    # -- taking -------------------------------------------------------------------------------------------------------

    def _take(self, hand: _Hand) -> int:
        """Claim what is due of every app whose hand is half empty, and begin to deliver it; how many tasks."""
        at = now()
        with reading(self._engine) as session:
            apps = deliveries.apps_with_work(session, wire(at))
        apps = [app_id for app_id in apps if hand.of(app_id) <= _IN_HAND // 2]
        if not apps or len(hand.flights) >= _ALL_IN_HAND:
            return 0
        claimed: list[OutboundTask] = []
        with writing(self._engine) as session:
            for app_id in apps:
                claimed += deliveries.claim(session, app_id, self.owner, wire(at), wire(at + self._lease), _IN_HAND - hand.of(app_id))
        if not claimed:
            return 0
        with reading(self._engine) as session:
            jobs = prepare(session, claimed, at)
        done = []
        for task in claimed:
            job = jobs[task.seq or 0]
            if isinstance(job, Job):
                hand.begin(hand.pool(task.app_id, self._at_once).submit(self._deliver, task, job), task, wire(at))
            else:
                done.append(Result(task, task.fence, job, wire(at)))
        if done:
            record(self._engine, self.owner, at, done)
        return len(claimed)

    def _deliver(self, task: OutboundTask, job: Job) -> Outcome:
        """One delivery, in a thread of its app's pool."""
        if self._stopping.is_set():
            return GivenBack()
        started = monotonic()
        try:
            if task.secret is not None:
                job = replace(job, password=self._vault.open(task.secret, purpose(task.app_id, task.account_id)))
            return deliver(self._peers(task.app_id), job, self._guard(task))
        except PeerFailed as failed:
            return failed
        except MasteringError as fault:
            return NoConnection(fault.causes[0] if fault.causes else fault.summary)
        except SecretUnreadable as fault:
            return Impossible(f"the password that waits cannot be read: {fault}; set it again")
        except Exception as fault:  # noqa: BLE001 - whatever it is, it is this task's, and others go on
            if is_outage(fault):
                return GivenBack()
            _log.exception("a delivery failed", task=task.id, app=task.app_id)
            return Impossible(f"{type(fault).__name__}; the server's log has the details")
        finally:
            self.called += monotonic() - started

    def _guard(self, task: OutboundTask) -> Callable[[str, Document], None]:
        def guard(scim_id: str, resource: Document) -> None:
            with reading(self._engine) as session:
                fault = guard_of(session, task, scim_id, read_user(resource).external_id)
            if fault is not None:
                raise Refused(fault)

        return guard

    # -- writing down -------------------------------------------------------------------------------------------------

    def _gather(self, hand: _Hand) -> None:
        """Wait for results, and write down those that have come; keep the rest in hand."""
        results = hand.landed((self._lease / 3).total_seconds())
        if results:
            record(self._engine, self.owner, now(), results)
        if hand.flights and now() - hand.extended >= self._lease / 3:
            hand.extended = now()
            with writing(self._engine) as session:
                deliveries.extend(session, self.owner, wire(hand.extended + self._lease))


def recover(engine: Engine) -> None:
    """At the start of the only process on an embedded database: what the last one had in its hands is nobody's."""
    with writing(engine) as session:
        deliveries.free_leases(session)


def forget_finished(engine: Engine, at: datetime) -> None:
    """Delete the tasks that ended long ago; what came of them stands in the history."""
    with writing(engine) as session:
        deliveries.forget_finished(session, wire(at - FINISHED_FOR))
