"""The service as its users meet it: a server process of its own, imports over HTTP."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import httpx

from bench.people import lines

_TOKEN = "bench-token-0123456789abcdef0123456789"  # noqa: S105 - of a server that lives for a minute
_BLOCK = 1_000
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


def measure(folder: Path, count: int) -> Measured:
    """Start a server on an empty database and import the same people twice."""
    port = _free_port()
    environment = {**os.environ, "MASTERING_DATA_DIR": str(folder), "MASTERING_ADMIN_TOKEN": _TOKEN}
    command = [sys.executable, "-m", "uvicorn", "api:create_app", "--factory", "--port", str(port), "--log-level", "warning"]
    with (folder / "server.log").open("wb") as log, subprocess.Popen(command, env=environment, stdout=log, stderr=log) as server:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"SSWS {_TOKEN}"}, timeout=600) as client:
                _await_ready(client)
                empty = _peak_mb(server.pid)
                app = _make_app(client)
                first = count / _import(client, app, count)
                unchanged = count / _import(client, app, count)
                return Measured(first, unchanged, _peak_mb(server.pid) - empty)
        finally:
            server.terminate()


def _make_app(client: httpx.Client) -> str:
    made = client.post("/api/v1/apps", json={"name": "hr", "label": "HR", "signOnMode": "BOOKMARK", "settings": {}})
    made.raise_for_status()
    app: str = made.json()["id"]
    client.put(f"/api/v1/apps/{app}/import-policy", json=_POLICY).raise_for_status()
    return app


def _import(client: httpx.Client, app: str, count: int) -> float:
    """Seconds from the first byte of the request to the end of the run. The body is made beforehand."""
    blocks = list(_blocks(count))
    headers = {"Content-Type": "application/x-ndjson", "Prefer": "wait=600"}
    started = perf_counter()
    answer = client.post(f"/api/v1/apps/{app}/imports?mode=FULL", content=iter(blocks), headers=headers)
    took = perf_counter() - started
    answer.raise_for_status()
    run = answer.json()
    if run["status"] != "COMPLETED":
        raise SystemExit(f"The import ended {run['status']}: {run['error']} {run['safeguard']}")
    return took


def _blocks(count: int) -> Iterator[bytes]:
    block: list[bytes] = []
    for line in lines(count):
        block.append(line)
        if len(block) == _BLOCK:
            yield b"".join(block)
            block = []
    yield b"".join(block)


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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
