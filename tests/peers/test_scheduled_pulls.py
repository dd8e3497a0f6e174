"""A schedule, a real server of the program and a real SCIM server: what was missed while the program was down is made up for once (SPEC §11)."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.peers.directory import MASTER, directory, until
from tests.peers.servers import Server, resource

SCHEDULE = {"full": {"cron": "0 4 29 2 *", "timezone": "Europe/Berlin"}, "incremental": None}
"""Leap days alone: nothing fires by itself while the test runs."""


def test_a_night_that_was_slept_through_is_imported_once_at_the_next_start(tmp_path: Path, hr: Server) -> None:
    hr.add(resource("ada"), resource("grace"))
    folder = tmp_path / "service"
    with directory(folder) as service:
        app_id = service.app("HR", {**MASTER, "schedule": SCHEDULE}, hr.base_url)
        planned = service.ask("GET", f"/apps/{app_id}/import-policy")["schedule"]["full"]["next"]
        assert service.runs(app_id) == []
    with closing(sqlite3.connect(folder / "mastering.db")) as database, database:
        database.execute("UPDATE schedules SET next_due = '2024-02-29T03:00:00.000Z'")

    with directory(folder) as service:
        until(lambda: [run["status"] for run in service.runs(app_id)] == ["COMPLETED"], "the firing that was missed")
        (run,) = service.runs(app_id)
        assert run["startedBy"] == {"type": "schedule", "id": f"{app_id}.FULL", "name": "0 4 29 2 * Europe/Berlin"}
        assert (run["source"], run["situations"]) == ("PULL", {"UNMATCHED": 2})
        assert service.user("ada@example.com")["status"] == "ACTIVE"
        assert service.ask("GET", f"/apps/{app_id}/import-policy")["schedule"]["full"]["next"] == planned
    with directory(folder) as service:
        assert [run["status"] for run in service.runs(app_id)] == ["COMPLETED"]
