"""How fast people are pushed to an app, and how much of the time is ours: `python -m bench push [USERS]` (10,000 by default).

The app's server is a process of its own that keeps nobody and thinks for a set time about every call. Each user takes two calls, a look-up and a
creation, and `AT_ONCE` are under way at a time; so what the server allows at best is known, and what is above it is ours: claiming, mapping, the
client's own work on the wire, and writing down what came of it.
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
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import uvicorn
from rich.console import Console

from mastering import connections
from mastering.catalog import apps, provisioning
from mastering.clock import now
from mastering.connections import Form, Peers
from mastering.connectors.outbound import Door
from mastering.ids import new_id
from mastering.ledger import BY_HAND, SERVICE, Ledger
from mastering.provisioning.deliverer import AT_ONCE, Deliverer
from mastering.rules.lifecycle import Trigger
from mastering.rules.people import Account
from mastering.rules.policy import ProvisioningPolicy
from mastering.rules.record import AccountState
from mastering.store.connections import Method
from mastering.store.engine import open_database, writing
from mastering.vault import Vault
from tests.process import free_port

_CALLS = 2
_BATCH = 1_000
_CONFIG = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
    "patch": {"supported": True},
    "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
    "filter": {"supported": True, "maxResults": 200},
    "changePassword": {"supported": False},
    "sort": {"supported": False},
    "etag": {"supported": False},
    "authenticationSchemes": [],
}


@dataclass(frozen=True, slots=True)
class Pushed:
    """Seconds that it took, and that the server alone would have needed."""

    users: int
    seconds: float
    at_best: float

    @property
    def ours(self) -> float:
        """The part of the time that is ours."""
        return (self.seconds - self.at_best) / self.seconds


def measure(folder: Path, users: int, think: float) -> Pushed:
    """Push so many new users to a server that thinks for `think` seconds about each call."""
    engine, door = open_database(f"sqlite:///{folder}/push.db"), Door()
    try:
        with _server(think) as url:
            vault = Vault(["the-key-of-the-benchmark-of-pushing-users"])
            app = apps.create(engine, SERVICE, now(), apps.Form("Target", "target", "BOOKMARK"))
            connections.save(engine, vault, SERVICE, now(), app.id, Form(url, Method.HEADER, {}, "token"), activate=True)
            policy = ProvisioningPolicy(create_users=True, update_attributes=True, deactivate_users=True)
            provisioning.revise(engine, SERVICE, now(), app.id, lambda _: policy)
            for start in range(0, users, _BATCH):
                with writing(engine) as session:
                    _assign(Ledger(session, now(), SERVICE), app.id, range(start, min(start + _BATCH, users)))
            deliverer = Deliverer(engine, Peers(engine, vault, door).open, vault)
            started = perf_counter()
            taken = deliverer.turn()
            took = perf_counter() - started
            if taken != users:
                raise SystemExit(f"{taken} of {users} tasks were taken")
            return Pushed(users, took, users * _CALLS * think / AT_ONCE)
    finally:
        door.close()
        engine.dispose()


def _assign(ledger: Ledger, app_id: str, numbers: range) -> None:
    for number in numbers:
        login = f"person{number}@example.com"
        profile: dict[str, Any] = {"login": login, "email": login, "firstName": "First", "lastName": f"Last{number}", "department": "Sales"}
        user = ledger.create(profile)
        ledger.move(user, Trigger.activate)
        account = Account(new_id("0ua"), app_id, user.id, AccountState.ACTIVE, {}, created=ledger.at, last_updated=ledger.at)
        ledger.enlist(account)
        ledger.link(account, user, BY_HAND, "account.assign")
    ledger.flush()


@contextmanager
def _server(think: float) -> Iterator[str]:
    port = free_port()
    running = subprocess.Popen([sys.executable, "-m", "bench.push", "--serve", str(port), "--think", str(think)])
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/v2"
    finally:
        running.terminate()
        running.wait()


def _serve(port: int, think: float) -> None:
    made = 0

    async def application(scope: Any, receive: Any, send: Any) -> None:
        nonlocal made
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        await asyncio.sleep(think)
        status, document = 200, b'{"totalResults":0,"Resources":[]}'
        if scope["path"].endswith("/ServiceProviderConfig"):
            document = json.dumps(_CONFIG).encode()
        elif scope["method"] == "POST":
            made += 1
            status, document = 201, b'{"id":"u%d",' % made + body.lstrip()[1:]
        headers = [(b"content-type", b"application/scim+json"), (b"content-length", str(len(document)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": document})

    uvicorn.run(application, port=port, log_level="error", lifespan="off")


def main(arguments: list[str]) -> None:
    """Measure against a server that thinks, and against one that does not; print both."""
    parser = argparse.ArgumentParser(prog="bench push", description="How fast users are pushed, and how much of the time is ours.")
    parser.add_argument("users", nargs="?", type=int, default=10_000)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--think", type=float, default=0.02)
    chosen = parser.parse_args(arguments)
    if chosen.serve:
        _serve(chosen.serve, chosen.think)
        return
    console = Console()
    for think in (chosen.think, 0.0):
        with tempfile.TemporaryDirectory() as folder:
            told = measure(Path(folder), chosen.users, think)
        console.print(
            f"{told.users:,} users, {think * 1000:g} ms a call: {told.seconds:.1f} s, {told.users / told.seconds:,.0f} users/s; "
            f"the server alone {told.at_best:.1f} s, our share {told.ours:.0%}"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
