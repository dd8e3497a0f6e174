"""The service as its users meet it: server processes of its own, imports over HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx

from bench.people import lines
from tests.process import free_port

_TOKEN = "bench-token-0123456789abcdef0123456789"  # noqa: S105 - of a server that lives for a minute
_BLOCK = 1_000
_WAIT, _PATIENCE = 600, 900
"""Seconds that the server is asked to wait, and that the client waits for it."""
_AT_WORK = {"QUEUED", "PLANNING", "APPLYING"}
_POLICY = {
    "confirmation": {"autoConfirmExact": True, "autoConfirmPartial": False, "autoConfirmNew": True, "autoActivateNew": True},
    "mastering": {"enabled": True},
}


@dataclass(frozen=True, slots=True)
class Measured:
    """Rates in records a second, memory in megabytes."""

    first: float
    unchanged: float
    memory_mb: float


@dataclass(frozen=True, slots=True)
class Service:
    """One server process, and a client that may do everything with it."""

    client: httpx.Client
    address: str
    headers: Mapping[str, str]
    pid: int

    def make_app(self, label: str = "HR") -> str:
        """The id of a new app that creates and activates whoever it brings."""
        made = self.client.post("/api/v1/apps", json={"name": "hr", "label": label, "signOnMode": "BOOKMARK", "settings": {}})
        made.raise_for_status()
        app: str = made.json()["id"]
        self.client.put(f"/api/v1/apps/{app}/import-policy", json=_POLICY).raise_for_status()
        return app

    def send(self, app: str, body: Iterable[bytes], *, wait: bool = True) -> tuple[dict[str, Any], float]:
        """The run of an import and the seconds from the first byte of the request to the answer, at the end of the run if one is to `wait`."""
        headers = {"Content-Type": "application/x-ndjson", **({"Prefer": f"wait={_WAIT}"} if wait else {})}
        started = perf_counter()
        run = self.client.post(f"/api/v1/apps/{app}/imports?mode=FULL", content=iter(body), headers=headers).raise_for_status().json()
        return self.ended(run) if wait else run, perf_counter() - started

    def ended(self, run: dict[str, Any]) -> dict[str, Any]:
        """The run when nothing is left to do for it: a server waits only so long before it answers."""
        while run["status"] in _AT_WORK:
            time.sleep(0.05)
            run = self.client.get(f"/api/v1/imports/{run['id']}").raise_for_status().json()
        return run

    def carry_out(self, app: str, body: Iterable[bytes], *, ends: str = "COMPLETED") -> tuple[dict[str, Any], float]:
        """The same, for a run that has to come to this end."""
        run, took = self.send(app, body)
        return expect(run, ends), took

    def peak_mb(self) -> float:
        """The most memory that the process has had so far."""
        return _peak_mb(self.pid)


def expect(run: dict[str, Any], ends: str) -> dict[str, Any]:
    """A run that has come to this end; any other ends the measurement."""
    if run["status"] != ends:
        raise SystemExit(f"The import ended {run['status']}: {run['error']} {run['safeguard']}")
    return run


def measure(folder: Path, count: int) -> Measured:
    """Start a server on an empty database and import the same people twice."""
    with serving(folder) as service:
        empty = service.peak_mb()
        app, body = service.make_app(), blocks(lines(count))
        first = count / service.carry_out(app, body)[1]
        unchanged = count / service.carry_out(app, body)[1]
        return Measured(first, unchanged, service.peak_mb() - empty)


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[Service]:
    """A server on a database in a folder, or on the one that `MASTERING_DATABASE_URL` among the `settings` names."""
    port = free_port()
    address, headers = f"http://127.0.0.1:{port}", {"Authorization": f"SSWS {_TOKEN}"}
    command = ["-m", "uvicorn", "api:create_app", "--factory", "--port", str(port), "--log-level", "warning"]
    with running(folder, command, **settings) as server, httpx.Client(base_url=address, headers=headers, timeout=_PATIENCE) as client:
        _await_ready(client)
        yield Service(client, address, headers, server.pid)


@contextmanager
def running(folder: Path, command: list[str], **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process of the service, stopped at the end; what it says goes into a file of the folder."""
    environment = {**os.environ, "MASTERING_DATA_DIR": str(folder), "MASTERING_ADMIN_TOKEN": _TOKEN, **settings}
    with (folder / "process.log").open("ab") as log:
        process: subprocess.Popen[bytes] = subprocess.Popen([sys.executable, *command], env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def blocks(source: Iterable[bytes]) -> list[bytes]:
    """A body, made before the clock starts, in pieces as a client would send them."""
    pieces = iter(source)
    return [b"".join(block) for block in iter(lambda: list(islice(pieces, _BLOCK)), [])]


def _await_ready(client: httpx.Client) -> None:
    for _ in range(200):
        try:
            if client.get("/health/ready").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise SystemExit("The server did not start; see its log")


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
