"""SCIM servers that other people wrote, each a real process on loopback, and what they hold.

`scim2-server` is the one that keeps to the standard. `canaille` is the one that does not filter, fails when it is asked for a page of a
certain size, and refuses fields that it does not know; it is installed in an environment of its own, once on a machine.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.process import free_port

HERE = Path(__file__).parent
TOKEN = "the-token-of-a-peer-that-lives-as-long-as-a-test"
CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
_PATIENCE = 30.0
_INSTALLING = 300


def resource(name: str, **more: Any) -> dict[str, Any]:
    """A person as a SCIM server holds them; their user name and address follow from the name."""
    return {
        "schemas": [CORE],
        "userName": f"{name}@example.com",
        "name": {"givenName": name.title(), "familyName": "Doe", "formatted": f"{name.title()} Doe"},
        "emails": [{"value": f"{name}@example.com"}],
        "active": True,
        **more,
    }


@dataclass(frozen=True)
class Server:
    """A running server. Its admin writes to it directly, behind the back of the service."""

    base_url: str
    token: str = TOKEN

    @property
    def _http(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/scim+json"}
        return httpx.Client(base_url=self.base_url, headers=headers, trust_env=False, timeout=_PATIENCE)

    def ask(self, method: str, path: str, **parts: Any) -> httpx.Response:
        with self._http as http:
            return http.request(method, path, **parts)

    def users(self) -> dict[str, dict[str, Any]]:
        """Everybody, by user name."""
        found = self.ask("GET", "/Users").raise_for_status().json().get("Resources") or []
        return {each["userName"]: each for each in found}

    def add(self, *people: dict[str, Any]) -> list[str]:
        """Add people; their ids."""
        return [self.ask("POST", "/Users", json=each).raise_for_status().json()["id"] for each in people]

    def replace(self, user_name: str, **changes: Any) -> None:
        """Change a person, as the server's own admin."""
        known = self.users()[user_name]
        whole = {name: value for name, value in known.items() if name not in {"meta", "groups"}} | changes
        self.ask("PUT", f"/Users/{known['id']}", json=whole).raise_for_status()

    def tenant(self, name: str) -> Server:
        """The same process with other people, kept apart from everybody else's."""
        return Server(self.base_url.replace("/first/", f"/{name}/"), self.token)

    def delete(self, user_name: str) -> None:
        self.ask("DELETE", f"/Users/{self.users()[user_name]['id']}").raise_for_status()


@contextmanager
def scim2_server(folder: Path) -> Iterator[Server]:
    """A `scim2-server` with nobody in it, which makes a tenant of whatever name it is asked by."""
    port = free_port()
    program = Path(sys.executable).parent / "scim2-server"
    command: list[str | Path] = [program, "--port", str(port), "--bearer-token", TOKEN, "--dynamic-tenants"]
    with _running(command, folder / "scim2-server.log", Server(f"http://127.0.0.1:{port}/first/v2")) as server:
        yield server


@contextmanager
def canaille(folder: Path) -> Iterator[Server]:
    """A `canaille` with nobody in it; skips the test where it cannot be installed."""
    port = free_port()
    command: list[str | Path] = [_canaille_python(), HERE / "canaille_app.py", str(port), TOKEN]
    with _running(command, folder / "canaille.log", Server(f"http://127.0.0.1:{port}/scim/v2")) as server:
        yield server


@contextmanager
def _running(command: Sequence[str | Path], log: Path, server: Server) -> Iterator[Server]:
    with log.open("wb") as lines, subprocess.Popen(command, stdout=lines, stderr=lines, cwd=log.parent) as process:
        try:
            _await(server, process, log)
            yield server
        finally:
            process.terminate()
            process.wait()


def _await(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + _PATIENCE
    while time.monotonic() < give_up and process.poll() is None:
        with suppress(httpx.TransportError):
            if server.ask("GET", "/ServiceProviderConfig").is_success:
                return
        time.sleep(0.05)
    pytest.fail(f"the server did not start: {log.read_text()}")


def _canaille_python() -> Path:
    """The Python of canaille's environment, which is made the first time that a machine runs these tests."""
    wanted = (HERE / "canaille.txt").read_bytes()
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mastering-tests"
    place = cache / f"canaille-{version}-{sha256(wanted).hexdigest()[:16]}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several test processes one installs
        if not (place / "complete").exists():
            _install(place)
    return place / "bin" / "python"


def _install(place: Path) -> None:
    pip: list[str | Path] = [
        place / "bin" / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--require-hashes",
    ]
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True, capture_output=True, timeout=_INSTALLING)
        subprocess.run([*pip, "-r", HERE / "canaille.txt"], check=True, capture_output=True, timeout=_INSTALLING)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as fault:
        said = (fault.stderr or b"").decode(errors="replace").strip().splitlines()
        pytest.skip(f"canaille cannot be installed here: {said[-1] if said else fault}")
    (place / "complete").touch()
