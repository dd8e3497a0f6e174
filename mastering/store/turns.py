"""Who writes next to an SQLite file, among the threads of this process: who has waited longest.

SQLite's own lock knows no queue. Whoever finds it taken sleeps for up to a tenth of a second and looks again, and an import that commits
one batch and begins the next within a millisecond is always quicker. PostgreSQL needs none of this.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock, get_ident
from weakref import WeakKeyDictionary

from sqlalchemy import Engine


class Queue:
    """A lock that is handed from one thread to the next in the order in which they came."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._writer: int | None = None
        self._waiting: deque[tuple[int, Lock]] = deque()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for one's turn, and hand it on at the end of the block."""
        self._take()
        try:
            yield
        finally:
            self._hand_on()

    def _take(self) -> None:
        me = get_ident()
        with self._guard:
            if self._writer is None:
                self._writer = me
                return
            if self._writer == me:
                raise RuntimeError("This thread writes already: one transaction inside another would wait for itself")
            called = Lock()
            called.acquire()
            self._waiting.append((me, called))
        called.acquire()

    def _hand_on(self) -> None:
        with self._guard:
            self._writer, called = self._waiting.popleft() if self._waiting else (None, None)
        if called is not None:
            called.release()


_queues: WeakKeyDictionary[Engine, Queue] = WeakKeyDictionary()
_making = Lock()


def turn_to_write(engine: Engine) -> AbstractContextManager[None]:
    """One's turn to write to this database."""
    if engine.dialect.name != "sqlite":
        return nullcontext()
    with _making:
        return _queues.setdefault(engine, Queue()).turn()
