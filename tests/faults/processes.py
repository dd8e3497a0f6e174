"""Real processes for the faults: servers and workers that are started, killed, stopped and started again on one database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.process import free_port

ROOT = Path(__file__).parents[2]
TOKEN = "the-admins-token-of-a-server-that-dies"
PATIENCE = 30.0
ENDED = {"COMPLETED", "FAILED", "CANCELLED", "SUPERSEDED", "PLANNED"}
POLICY: dict[str, Any] = {
    "confirmation": {"autoConfirmExact": True, "autoConfirmPartial": False, "autoConfirmNew": True, "autoActivateNew": True},
    "mastering": {"enabled": True, "whenDeactivated": "DEACTIVATE", "reactivateSuspended": True, "reactivateDeactivated": True},
    "safeguard": {"enabled": False},
}


@dataclass
class Process:
    """One process of the program, and how to call it if it serves."""

    folder: Path
    url: str | None = None
    """The database; by default an SQLite file in the folder."""
    step: str = "-"
    """Where it dies (`dying`)."""
    command: tuple[str, ...] = ("serve",)
    port: int = 0
    number: int = 0
    """Tells its log from those of others on the same folder."""
    _running: subprocess.Popen[bytes] | None = None
    http: httpx.Client = field(init=False)

    def start(self) -> Process:
        """Start it and, if it serves, wait until it answers."""
        serves = self.command[0] == "serve"
        if serves:
            self.port = free_port()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MASTERING_")}
        environment |= {"MASTERING_DATA_DIR": str(self.folder), "MASTERING_ADMIN_TOKEN": TOKEN, "PYTHONPATH": str(ROOT)}
        environment |= {"MASTERING_LEASE_SECONDS": "2"}
        environment |= {"MASTERING_DATABASE_URL": self.url} if self.url else {}
        arguments = [*self.command, *(("--port", str(self.port)) if serves else ())]
        self.folder.mkdir(exist_ok=True)
        with self.log_file.open("ab") as log:
            self._running = subprocess.Popen(
                [sys.executable, str(ROOT / "tests/faults/dying.py"), self.step, *arguments],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=log,
            )
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}/api/v1", headers={"Authorization": f"SSWS {TOKEN}"}, trust_env=False, timeout=PATIENCE
        )
        if serves:
            self.await_answer()
        return self

    def await_answer(self) -> None:
        """Until it and its database answer."""
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up and self._process.poll() is None:
            with suppress(httpx.TransportError):
                if self.http.get(f"http://127.0.0.1:{self.port}/health/ready").is_success:
                    return
            time.sleep(0.02)
        raise AssertionError(f"no answer: {self.log()}")

    @property
    def _process(self) -> subprocess.Popen[bytes]:
        assert self._running is not None
        return self._running

    @property
    def log_file(self) -> Path:
        """Beside the folder, as that may be full."""
        return self.folder.with_name(f"{self.folder.name}-{self.number}.log")

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def signal(self, what: signal.Signals) -> None:
        self._process.send_signal(what)

    def await_end(self) -> int:
        """The exit code, negative for the signal that ended it."""
        return self._process.wait(PATIENCE)

    def await_log(self, *words: str) -> None:
        """Until it has logged one of these."""
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up:
            if any(each in self.log() for each in words):
                return
            time.sleep(0.02)
        raise AssertionError(self.log())

    def await_stop(self) -> None:
        """Until it has been stopped by SIGSTOP."""
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up:
            if Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
                return
            time.sleep(0.01)
        raise AssertionError("it was not stopped")

    def close(self) -> None:
        """End it, whatever state it is in."""
        if self._running is not None and self._running.poll() is None:
            self._running.kill()
            self._running.wait()
        if self._running is not None:
            self.http.close()
        self._running = None

    # -- what it is asked ---------------------------------------------------------------------------------------------

    def app(self, label: str = "HR", policy: Mapping[str, Any] = POLICY) -> str:
        """A new master; its id."""
        made = self.http.post("/apps", json={"name": "app", "label": label, "signOnMode": "BOOKMARK", "settings": {}}).raise_for_status()
        app_id: str = made.json()["id"]
        self.http.put(f"/apps/{app_id}/import-policy", json=policy).raise_for_status()
        return app_id

    def send(self, app_id: str, people: Iterable[Mapping[str, Any]], **query: Any) -> str | None:
        """Send an import; its run's id, or `None` if the server went away over it."""
        body = b"".join(json.dumps(person).encode() + b"\n" for person in people)
        headers = {"Content-Type": "application/x-ndjson"}
        with suppress(httpx.TransportError):
            answer = self.http.post(f"/apps/{app_id}/imports", params={"mode": "FULL", **query}, content=body, headers=headers)
            run_id: str = answer.raise_for_status().json()["id"]
            return run_id
        return None

    def runs(self, app_id: str) -> list[dict[str, Any]]:
        """The app's runs, newest first."""
        found: list[dict[str, Any]] = self.http.get(f"/apps/{app_id}/imports").raise_for_status().json()
        return found

    def await_run(self, app_id: str, statuses: Iterable[str] = ENDED) -> dict[str, Any]:
        """The newest run of an app, as soon as it has come to one of these statuses."""
        give_up, wanted = time.monotonic() + PATIENCE, set(statuses)
        while time.monotonic() < give_up:
            run = self.runs(app_id)[0]
            if run["status"] in wanted:
                return run
            time.sleep(0.02)
        raise AssertionError(f"{run}: {self.log()}")
