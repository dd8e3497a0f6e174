"""Receiving: record lines into chunks (SPEC §5.1).

A chunk is a run of lines, each `number SPACE payload NEWLINE`, and beside it the marks of the lines. Chunks are committed as they fill, so memory does not grow with the body and
nothing received is lost with the process; but only `runs.seal` makes a snapshot of them.

While lines come in, the run is leased to whoever receives them. A run of which nothing is heard for `LEASE` has lost its sender or its
receiver, and whoever notices fails it (`runs.fail_stalled`); a receiver that comes to itself after that is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

from sqlalchemy import Engine
from sqlmodel import Session

from mastering.clock import now, wire
from mastering.connectors.lines import Line
from mastering.errors import WrongState
from mastering.imports.lines import marks_of
from mastering.store import imports as store
from mastering.store import runs as run_store
from mastering.store.engine import writing

LINES_PER_CHUNK = 5_000
BYTES_PER_CHUNK = 4_000_000
LEASE = timedelta(minutes=2)
"""How long a run is left to a receiver of which nothing is heard."""
_BEAT = LEASE / 6


class Spool:
    """Where one run's lines go. `close` writes what is left and gives their number."""

    def __init__(self, engine: Engine, run_id: str, held: Callable[[Session], object] | None = None) -> None:
        """`held`: how a receiver other than a request proves, in each transaction, that the run is still its own."""
        self._engine = engine
        self._run_id = run_id
        self._held = held
        self._seq = 0
        self._lines = list[Line]()
        self._bytes = 0
        self._heard = now()
        self.count = 0

    @property
    def due(self) -> bool:
        """Whether it is time to be heard of again: `add` what there is."""
        return now() - self._heard >= _BEAT

    def add(self, lines: Iterable[Line]) -> None:
        """Take some lines; write the chunk when it is full. Raises `WrongState` if the run does not receive any more."""
        for line in lines:
            self._lines.append(line)
            self._bytes += len(line.payload)
            self.count += 1
            if len(self._lines) >= LINES_PER_CHUNK or self._bytes >= BYTES_PER_CHUNK:
                self._write()
        if self.due:
            with writing(self._engine) as session:
                self._hold(session)

    def close(self) -> int:
        """Write the last chunk; the number of lines received."""
        if self._lines:
            self._write()
        return self.count

    def _write(self) -> None:
        payload, marks = b"".join(map(pack, self._lines)), marks_of([line.payload for line in self._lines])
        with writing(self._engine) as session:
            self._hold(session)
            store.add_chunk(session, self._run_id, self._seq, len(self._lines), payload, marks)
        self._seq += 1
        self._lines.clear()
        self._bytes = 0

    def _hold(self, session: Session) -> None:
        self._heard = now()
        if self._held is not None:
            self._held(session)
        elif not run_store.receives_on(session, self._run_id, wire(self._heard + LEASE)):
            raise WrongState(f"The import run {self._run_id} does not receive any more; send the import again")


def pack(line: Line) -> bytes:
    """A line as a chunk holds it."""
    return b"%d %s\n" % line


def unpack(payload: bytes) -> Iterator[Line]:
    """The lines of a chunk."""
    for line in payload.split(b"\n")[:-1]:
        number, _, rest = line.partition(b" ")
        yield Line(int(number), rest)


def payloads(chunk: bytes, places: Iterable[int]) -> list[bytes]:
    """Of a chunk what the lines at these places say."""
    lines = chunk.split(b"\n")
    return [lines[at].partition(b" ")[2] for at in places]
