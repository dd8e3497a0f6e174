"""A real server, in a process of its own on a free port of the loopback, for as long as a block lasts."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[1]
_FIRST_PORT = 10_000
_PORTS = random.SystemRandom()  # not the one that Hypothesis sets, to the same in every process of the tests
_SYSTEMS_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[int]:
    """The port of a server, started with these options, whose data, admin token (`admin-token`) and log (`log`) are in `folder`."""
    port = free_port()
    command = [sys.executable, "-m", "mastering.cli", "serve", "--port", str(port), "--data-dir", str(folder), *options]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=log, stderr=log) as process:
        try:
            _await_ready(process, port, folder / "log")
            yield port
        finally:
            process.terminate()


def free_port() -> int:
    """A port that nobody listens on, of those the system gives to nobody by itself.

    One that it would give away may be the client's end of somebody's call by the time that a server asks for it.
    """
    while True:
        port = _PORTS.randrange(_FIRST_PORT, _first_of_the_system())
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def _first_of_the_system() -> int:
    """Where the system begins with those it gives away. If that leaves us hardly any, or it does not say, where Linux begins with them."""
    if _SYSTEMS_PORTS.is_file():
        first = int(_SYSTEMS_PORTS.read_text().split()[0])
        if first > 2 * _FIRST_PORT:
            return first
    return 32_768


def environment() -> dict[str, str]:
    """The environment without settings of this project."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MASTERING_")}


def _await_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up and process.poll() is None:
        with suppress(httpx.TransportError):
            if httpx.get(f"http://127.0.0.1:{port}/health/ready", trust_env=False).is_success:
                return
        time.sleep(0.05)
    pytest.fail(f"the server did not start: {log.read_text()}")
