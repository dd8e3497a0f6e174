"""Calling a run's inline hook: many at a time, within bounds, and outside every transaction (SPEC §8).

Words are kept as they come, so that a worker that takes the run over asks only about the rest. Meanwhile the lease is kept alive.

A hook that is down does not hold up a run record by record: when as many calls in a row as `down_after` had no answer, or the whole
asking takes longer than `longest`, the rest of the run counts as failed at once, and the run says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic

import structlog
from sqlalchemy import Engine

from mastering.catalog.hooks import target_of
from mastering.clock import now
from mastering.connectors.importhook import SECONDS, About, Target, ask, request_of
from mastering.connectors.outbound import Door
from mastering.ids import new_id
from mastering.imports.lease import Lease, StoppedError
from mastering.rules.hook import DOWN, HookWord, Outcome, failure
from mastering.store import hooks as store
from mastering.store.engine import reading, writing
from mastering.store.tables import InlineHook
from mastering.vault import SecretUnreadable, Vault

_log = structlog.get_logger("mastering.hooks")

AT_ONCE = 16
DOWN_AFTER = 10
LONGEST = timedelta(hours=1)
_PAGE = 500
_KEEP_AT = 200
_LOOK_EVERY = 1.0

Observe = Callable[[Outcome, float], None]
"""Told of every record asked about: what came of it, and the seconds it took."""


@dataclass(slots=True)
class _Asked:
    """One asking under way: what was heard and is not kept yet, and the reason to stop calling, once there is one."""

    lease: Lease
    heard: list[tuple[str, HookWord]] = field(default_factory=list)
    failing: int = 0
    gave_up: str | None = None


class HookCaller:
    """Calls inline hooks for the worker. `seconds` is the bound of one try."""

    def __init__(
        self,
        vault: Vault,
        door: Door,
        *,
        seconds: float = SECONDS,
        at_once: int = AT_ONCE,
        down_after: int = DOWN_AFTER,
        longest: timedelta = LONGEST,
        observe: Observe | None = None,
    ) -> None:
        self._vault = vault
        self._door = door
        self._seconds = seconds
        self._at_once = at_once
        self._down_after = down_after
        self._longest = longest.total_seconds()
        self._observe = observe or (lambda *_: None)

    def ask_all(self, lease: Lease, hook: InlineHook, about: About, stopping: Callable[[], bool]) -> str | None:
        """Ask about every record of a run that nothing is known of; why the hook was given up, if it was.

        Raises `LeaseLostError` and `StoppedError`; what was heard until then is kept.
        """
        asked = _Asked(lease)
        try:
            target = target_of(hook, self._vault)
        except SecretUnreadable as fault:
            asked.gave_up = f"its secret cannot be read: {fault}; set authScheme.value again"
            self._fail_rest(asked, _records(lease.engine, lease.run_id), Outcome.secret_unreadable)
        else:
            self._call(asked, target, hook.id, about, stopping)
        _log.info("hook asked", hook=hook.id, gave_up=asked.gave_up is not None)
        return asked.gave_up

    def _call(self, asked: _Asked, target: Target, hook_id: str, about: About, stopping: Callable[[], bool]) -> None:
        records = _records(asked.lease.engine, asked.lease.run_id)
        until = monotonic() + self._longest
        pool = ThreadPoolExecutor(self._at_once, thread_name_prefix="hook")
        under_way: dict[Future[HookWord], str] = {}
        try:
            while True:
                while len(under_way) < self._room(asked) and (record := next(records, None)) is not None:
                    under_way[pool.submit(self._ask, target, hook_id, about, record)] = record.external_id
                if not under_way:
                    break
                done, _ = wait(under_way, timeout=_LOOK_EVERY, return_when=FIRST_COMPLETED)
                for future in done:
                    self._hear(asked, under_way.pop(future), future.result())
                if stopping():
                    raise StoppedError(asked.lease.run_id)
                self._consider(asked, under_way, until)
                asked.lease.beat()
            self._fail_rest(asked, records, Outcome.given_up)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            asked.heard += [(who, call.result()) for call, who in under_way.items() if not call.cancelled() and call.exception() is None]
            _keep(asked)

    def _room(self, asked: _Asked) -> int:
        """How many calls may be under way. While there is doubt, no more than it takes to settle it: each may take as long as a call can."""
        if asked.gave_up is not None:
            return 0
        return min(self._at_once, self._down_after - asked.failing) if asked.failing else self._at_once

    def _ask(self, target: Target, hook_id: str, about: About, record: store.Asked) -> HookWord:
        payload = request_of(about, hook_id, new_id("evt"), now(), app=record.app, user=record.user, contested=record.contested)
        begun = monotonic()
        word = ask(self._door, target, payload, seconds=self._seconds)
        self._observe(word.outcome, monotonic() - begun)
        return word

    def _hear(self, asked: _Asked, external_id: str, word: HookWord) -> None:
        asked.failing = asked.failing + 1 if word.outcome in DOWN else 0
        asked.heard.append((external_id, word))
        if len(asked.heard) >= _KEEP_AT:
            _keep(asked)

    def _consider(self, asked: _Asked, under_way: dict[Future[HookWord], str], until: float) -> None:
        """Whether to go on calling. What waits for its turn is not called any more; what is under way comes to its end."""
        if asked.gave_up is None and asked.failing >= self._down_after:
            asked.gave_up = f"{asked.failing} calls in a row had no answer, so it was called no more in this run"
        if asked.gave_up is None and monotonic() > until:
            asked.gave_up = f"asking took longer than {self._longest:g} s, so it was called no more in this run"
        if asked.gave_up is not None:
            for future in [future for future in under_way if future.cancel()]:
                asked.heard.append((under_way.pop(future), failure(Outcome.given_up, asked.gave_up, 0)))

    def _fail_rest(self, asked: _Asked, records: Iterator[store.Asked], outcome: Outcome) -> None:
        for record in records:
            asked.heard.append((record.external_id, failure(outcome, asked.gave_up or "", 0)))
            if len(asked.heard) >= _PAGE:
                _keep(asked)
        _keep(asked)


def _records(engine: Engine, run_id: str) -> Iterator[store.Asked]:
    """The records nothing is known of, page by page, each read in a moment's transaction."""
    after = ""
    while True:
        with reading(engine) as session:
            page = store.unanswered(session, run_id, after, _PAGE)
        if not page:
            return
        yield from page
        after = page[-1].external_id


def _keep(asked: _Asked) -> None:
    if asked.heard:
        with writing(asked.lease.engine) as session:
            asked.lease.hold(session)
            store.add_words(session, asked.lease.run_id, asked.heard)
        asked.heard.clear()
