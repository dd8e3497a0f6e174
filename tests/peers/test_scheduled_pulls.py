"""A schedule, a real server of the program and a real SCIM server: what was missed while the program was down is made up for once (SPEC §11)."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg

from tests.peers.directory import MASTER, directory, until
from tests.peers.servers import Server, resource
from tests.postgres import Databases
from tests.process import ROOT, environment

SCHEDULE = {"full": {"cron": "0 4 29 2 *", "timezone": "Europe/Berlin"}, "incremental": None}
"""Leap days alone: nothing fires by itself while the test runs."""
LONG_AGO = "UPDATE schedules SET next_due = '2024-02-29T03:00:00.000Z'"


def test_a_night_that_was_slept_through_is_imported_once_at_the_next_start(tmp_path: Path, hr: Server) -> None:
    hr.add(resource("ada"), resource("grace"))
    folder = tmp_path / "service"
    with directory(folder) as service:
        app_id = service.app("HR", {**MASTER, "schedule": SCHEDULE}, hr.base_url)
        planned = service.ask("GET", f"/apps/{app_id}/import-policy")["schedule"]["full"]["next"]
        assert service.runs(app_id) == []
    with closing(sqlite3.connect(folder / "mastering.db")) as database, database:
        database.execute(LONG_AGO)

    with directory(folder) as service:
        until(lambda: [run["status"] for run in service.runs(app_id)] == ["COMPLETED"], "the firing that was missed")
        (run,) = service.runs(app_id)
        assert run["startedBy"] == {"type": "schedule", "id": f"{app_id}.FULL", "name": "0 4 29 2 * Europe/Berlin"}
        assert (run["source"], run["situations"]) == ("PULL", {"UNMATCHED": 2})
        assert service.user("ada@example.com")["status"] == "ACTIVE"
        assert service.ask("GET", f"/apps/{app_id}/import-policy")["schedule"]["full"]["next"] == planned
    with directory(folder) as service:
        assert [run["status"] for run in service.runs(app_id)] == ["COMPLETED"]


@contextmanager
def worker(folder: Path, url: str, key: str) -> Iterator[None]:
    """A worker process beside the servers of a database."""
    folder.mkdir()
    command = [sys.executable, "-m", "mastering.cli", "worker", "--data-dir", str(folder), "--database-url", url, "--secret-key-file", key]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=log, stderr=log) as process:
        try:
            until((folder / "worker-alive").exists, "the worker is at work")
            yield
        finally:
            process.terminate()


def test_of_a_server_and_two_workers_one_has_each_firing(
    tmp_path: Path, hr: Server, postgres_server: Databases, postgres_template: str
) -> None:
    hr.add(resource("ada"))
    name = postgres_server.new(postgres_template)
    url, key = postgres_server.url(name), tmp_path / "key"
    key.write_text("a key that all processes of a database share")
    with ExitStack() as running:
        options = ("--database-url", url, "--secret-key-file", str(key))
        service = running.enter_context(directory(tmp_path / "server", *options))
        for number in range(2):
            running.enter_context(worker(tmp_path / f"worker{number}", *options[1::2]))
        app_id = service.app("HR", {**MASTER, "schedule": SCHEDULE}, hr.base_url)
        for slot in range(1, 4):
            with psycopg.connect(url) as database:
                database.execute(LONG_AGO)
            until(lambda: len(service.runs(app_id)) >= slot, "the firing")  # noqa: B023 - waited for before the loop goes on
            until(lambda: {run["status"] for run in service.runs(app_id)} == {"COMPLETED"}, "the import")
        assert len(service.runs(app_id)) == 3
        told = service.ask("GET", "/logs", params={"filter": 'eventType eq "system.import.start"', "since": "2026-01-01T00:00:00Z"})
        assert [event["actor"]["id"] for event in told] == [f"{app_id}.FULL"] * 3
    postgres_server.drop(name)
