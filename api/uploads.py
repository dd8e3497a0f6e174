"""Receiving an import's body: decoded as it arrives and stored in chunks, so that memory does not grow with it (API.md, starting an import).

This is the one asynchronous place of the program; everything that touches the database runs in a thread.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import structlog
from anyio.to_thread import run_sync
from litestar import Request
from litestar.datastructures import State
from litestar.exceptions import ClientException
from sqlalchemy import Engine

from mastering.clock import now
from mastering.connectors.intake import open_intake
from mastering.connectors.lines import Line
from mastering.errors import Busy, MalformedBody
from mastering.imports import runs
from mastering.imports.spool import LINES_PER_CHUNK, Spool
from mastering.ledger import Actor
from mastering.rules.policy import Csv
from mastering.store import catalog, tables
from mastering.store.engine import reading
from mastering.terms import source_names

MAX_BODY = 2 * 1024**3
MOST_UPLOADS = 16
"""Bodies that a process receives at a time. Each has some megabytes of lines in memory, and a thread while they are written down."""
PATIENCE = 60.0
"""Seconds that the next part of a body is waited for."""


@contextmanager
def room(state: State) -> Iterator[None]:
    """One of the places for uploads, while the block lasts; raises `Busy` where none is free. Asked by the event loop alone, so it needs no lock."""
    if state.uploads >= MOST_UPLOADS:
        raise Busy(f"{MOST_UPLOADS} imports are being received already; nothing was read of this one. Send it again a little later")
    state.uploads += 1
    try:
        yield
    finally:
        state.uploads -= 1


async def receive(request: Request[Any, Any, Any], engine: Engine, actor: Actor, app_id: str, order: runs.Order) -> str:
    """Stream the body into a new run and seal it. Whatever goes wrong on the way fails the run, and nothing of the org has changed."""
    csv, names = await run_sync(_reading_options, engine, app_id)
    intake = open_intake(request.headers.get("content-type", ""), csv, names)
    run_id = await run_sync(runs.start, engine, actor, now(), app_id, order)
    structlog.contextvars.bind_contextvars(run_id=run_id)
    spool, lines = Spool(engine, run_id), list[Line]()
    try:
        async for data in _in_time(request.stream()):
            lines += intake.feed(data)
            if len(lines) >= LINES_PER_CHUNK or spool.due:
                await run_sync(spool.add, lines)
                lines = []
        await run_sync(spool.add, lines + intake.close())
        count = await run_sync(spool.close)
    except MalformedBody as fault:
        await run_sync(runs.give_up, engine, actor, now(), run_id, f"The body could not be read: {fault.summary}; nothing was changed")
        raise
    except ClientException:
        await run_sync(runs.give_up, engine, actor, now(), run_id, "The body was too large or broke off; nothing was changed")
        raise
    except BaseException:
        with anyio.CancelScope(shield=True):
            await run_sync(runs.give_up, engine, actor, now(), run_id, "The upload broke off before its end; nothing was changed")
        raise
    await run_sync(runs.seal, engine, actor, now(), run_id, count)
    return run_id


async def _in_time(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A body as it comes in; raises `MalformedBody` where nothing more comes: its sender is gone and nobody has told us."""
    parts = aiter(stream)
    while True:
        with anyio.move_on_after(PATIENCE) as waiting:
            part = await anext(parts, None)
        if waiting.cancelled_caught:
            raise MalformedBody(f"nothing more came for {PATIENCE:.0f} seconds")
        if part is None:
            return
        yield part


def _reading_options(engine: Engine, app_id: str) -> tuple[Csv, frozenset[str]]:
    """How the app's CSV is read, and the attributes that its mapping asks for."""
    with reading(engine) as session:
        app = session.get(tables.App, app_id)
        return (catalog.policy_of(app).csv, source_names(session, app_id)) if app else (Csv(), frozenset())
