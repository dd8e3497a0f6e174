"""The demo's server: a real process of its own on a folder that is gone afterwards.

Nothing of the caller's own set-up reaches it: no `MASTERING_` variable is handed on, so that a demo never meets a real database.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from mastering.cli.client import TOKEN_FILE
from mastering.cli.exits import Exit, Stop

HOST = "127.0.0.1"
_PREFERRED_PORT = 8000
_SECONDS_TO_START, _SECONDS_TO_STOP = 60, 30
_PREFIX = "MASTERING_"


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers: its address, the admin's token, and the process."""

    address: str
    token: str
    process: subprocess.Popen[bytes]


@contextmanager
def running() -> Iterator[Running]:
    """A fresh server for as long as the block lasts; it and its folder go also when this process is told to end. Raises `Stop`."""
    signal.signal(signal.SIGTERM, _end)
    with TemporaryDirectory(prefix="mastering-demo-") as name:
        folder, port = Path(name), _free_port()
        process = _start(folder, port)
        try:
            address = f"http://{HOST}:{port}"
            _await(process, address, folder)
            yield Running(address, (folder / TOKEN_FILE).read_text(encoding="ascii").strip(), process)
        finally:
            _stop(process)


def _end(*_: object) -> None:
    sys.exit(128 + signal.SIGTERM)


def _free_port() -> int:
    """The usual port if nobody has it, else any that is free."""
    for port in (_PREFERRED_PORT, 0):
        with suppress(OSError), socket.create_server((HOST, port)) as probe:
            found: int = probe.getsockname()[1]
            return found
    raise Stop(Exit.FAILED, f"No port of {HOST} is free")


def _start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """The server, out of reach of the terminal's Ctrl-C, which is for us: we stop it when we have said what we have to say."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_PREFIX)}
    command = [sys.executable, "-m", "mastering.cli", "serve", "--host", HOST, "--port", str(port), "--data-dir", str(folder)]
    with _log(folder).open("wb") as log:
        return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)  # noqa: S603 - ourselves


def _log(folder: Path) -> Path:
    return folder / "server.log"


def _await(process: subprocess.Popen[bytes], address: str, folder: Path) -> None:
    """Wait until the server answers; raises `Stop` with its last words if it ends instead."""
    give_up = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < give_up:
        if process.poll() is not None:
            said = _log(folder).read_text(encoding="utf-8", errors="replace").splitlines()
            raise Stop(Exit.FAILED, "The demo's server did not start", *said[-20:])
        with suppress(httpx.TransportError):
            if httpx.get(f"{address}/health/ready", trust_env=False).is_success:
                return
        time.sleep(0.05)
    raise Stop(Exit.FAILED, f"The demo's server did not answer within {_SECONDS_TO_START} seconds")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
