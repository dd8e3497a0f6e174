"""How long a reconciliation takes to read a connected app and compare it: `python -m bench readapps [USERS]` (100,000 by default).

The app's SCIM server is a process of its own and gives pages of a hundred. Its users are pulled first, by the import that pulls; then one in a
hundred is inactive there, and one in a hundred has another title. The reconciliation is carried out in a process of its own, so that its peak
of memory is its own: first everybody is compared with the rules, then the app is read, then its users with the accounts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any
from urllib.parse import parse_qs

import uvicorn
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine

from mastering import connections
from mastering.catalog import apps, org, policies
from mastering.clock import now
from mastering.connections import Form, Peers
from mastering.connectors.outbound import Door
from mastering.imports import runs
from mastering.imports.puller import Puller
from mastering.imports.pulling import start_pull
from mastering.imports.worker import Worker
from mastering.ledger import SERVICE
from mastering.reconcile import passes
from mastering.rules.policy import Confirmation, ImportPolicy, Mastering, OrgSafeguard, Safeguard
from mastering.rules.record import Mode
from mastering.store.connections import Method
from mastering.store.documents import dump, load
from mastering.store.engine import open_database
from mastering.vault import Vault
from tests.process import free_port

_EVERY = 100
"""Of so many users one differs in a thing."""
_KEY = "the-key-of-the-benchmark-of-reading-apps"
_POLICY = ImportPolicy(
    confirmation=Confirmation(auto_confirm_new=True, auto_activate_new=True),
    mastering=Mastering(enabled=True),
    safeguard=Safeguard(enabled=False),
)


def main(arguments: list[str]) -> None:
    """Pull, reconcile, and print time, rate and peak memory."""
    parser = argparse.ArgumentParser(prog="bench readapps", description="A reconciliation that reads a connected app.")
    parser.add_argument("users", nargs="?", type=int, default=100_000)
    parser.add_argument("--on", help="The database to reconcile, in a process of its own; what the command calls itself with.")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.serve:
        _serve(asked.serve, asked.users)
    elif asked.on:
        _reconcile(asked.on)
    else:
        _print(asked.users)


def _print(users: int) -> None:
    with tempfile.TemporaryDirectory() as folder, _server(users) as port:
        url = f"sqlite:///{folder}/mastering.db"
        _pull(url, port)
        command = [sys.executable, "-m", "bench", "readapps", "--on", url]
        told = load(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    table = Table("what", "measured", title=f"{users:,} users of a SCIM server, embedded SQLite")
    table.add_row("read by the reconciliation", f"{told['users']:,} in {told['pages']:,} pages")
    table.add_row("comparing with the rules", f"{told['rules']:.1f} s, {users / told['rules']:,.0f} people/s")
    table.add_row("reading the app", f"{told['reading']:.1f} s, {users / told['reading']:,.0f} users/s")
    table.add_row("comparing with the app", f"{told['comparing']:.1f} s, {users / told['comparing']:,.0f} users/s")
    table.add_row("differences found", f"{told['found']:,}")
    table.add_row(
        "peak memory of the process",
        f"{told['peak_mb']:,.0f} MB, {told['rules_mb']:,.0f} MB before reading, {told['empty_mb']:,.0f} MB empty",
    )
    Console().print(table)


# -- ours -------------------------------------------------------------------------------------------------------------


@contextmanager
def _opened(url: str) -> Iterator[tuple[Engine, Puller]]:
    engine, door = open_database(url), Door()
    try:
        yield engine, Puller(engine, Peers(engine, Vault([_KEY]), door))
    finally:
        door.close()
        engine.dispose()


def _pull(url: str, port: int) -> None:
    with _opened(url) as (engine, puller):
        app = apps.create(engine, SERVICE, now(), apps.Form("Target", "target", "BOOKMARK"))
        policies.revise(engine, SERVICE, now(), app.id, lambda _: _POLICY)
        org.replace_safeguard(engine, SERVICE, now(), OrgSafeguard(enabled=False))
        form = Form(f"http://127.0.0.1:{port}/v2", Method.HEADER, {}, "token")
        connections.save(engine, Vault([_KEY]), SERVICE, now(), app.id, form, activate=True)
        start_pull(engine, SERVICE, now(), app.id, runs.Order(Mode.FULL))
        puller.turn()
        worker = Worker(engine)
        while worker.turn():
            pass


def _reconcile(url: str) -> None:
    with _opened(url) as (engine, puller):
        worker, row, empty = Worker(engine), passes.start(engine, SERVICE, now(), read_apps=True), _peak_mb()
        rules, _ = _timed(worker.turn)
        before = _peak_mb()
        reading, _ = _timed(puller.turn)
        comparing, _ = _timed(worker.turn)
        done = passes.read(engine, row.id)
        (read,) = load(done.readings)
    told = {"rules": rules, "reading": reading, "comparing": comparing, "found": done.found, "users": read["users"], "pages": read["pages"]}
    print(dump({**told, "peak_mb": _peak_mb(), "rules_mb": before, "empty_mb": empty}))


def _timed(turn: Any) -> tuple[float, int]:
    began, turns = perf_counter(), 0
    while turn():
        turns += 1
    return perf_counter() - began, turns


def _peak_mb() -> float:
    told = Path("/proc/self/status").read_text(encoding="ascii")
    return int(told.partition("VmHWM:")[2].split()[0]) / 1024


# -- the app's server -------------------------------------------------------------------------------------------------


@contextmanager
def _server(users: int) -> Iterator[int]:
    port = free_port()
    running = subprocess.Popen([sys.executable, "-m", "bench", "readapps", str(users), "--serve", str(port)])
    try:
        for _ in range(400):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port
    finally:
        running.terminate()
        running.wait()


def _resource(number: int, *, drifted: bool) -> dict[str, Any]:
    title = "Another" if drifted and number % _EVERY == 1 else "Engineer"
    login = f"person{number}@example.com"
    return {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "id": f"id-{number:07}",
        "userName": login,
        "name": {"givenName": f"First{number}", "familyName": f"Last{number}"},
        "emails": [{"value": login, "primary": True}],
        "title": title,
        "displayName": f"First{number} Last{number}",
        "active": not (drifted and number % _EVERY == 0),
        "meta": {"resourceType": "User", "lastModified": "2026-01-01T00:00:00Z"},
    }


def _serve(port: int, users: int) -> None:
    readings = 0

    async def application(scope: Any, _: Any, send: Any) -> None:
        nonlocal readings
        if scope["type"] != "http":
            return
        asked = parse_qs(scope["query_string"].decode())
        start, count = int(asked.get("startIndex", ["1"])[0]), int(asked.get("count", ["100"])[0])
        readings += start == 1
        numbers = range(start - 1, min(start - 1 + count, users))
        found = [_resource(number, drifted=readings > 1) for number in numbers]
        document = json.dumps({"totalResults": users, "startIndex": start, "itemsPerPage": len(found), "Resources": found}).encode()
        headers = [(b"content-type", b"application/scim+json"), (b"content-length", str(len(document)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": document})
        await asyncio.sleep(0)

    uvicorn.run(application, port=port, log_level="error", lifespan="off")
