"""A backup taken in the middle of a run, restored elsewhere: histories verify there, and the run is finished as if nothing had been.

The backup is the one that docs/operations.md tells: SQLite's own (`.backup` of its shell and `Connection.backup` are one function of the
library), and `pg_dump` with `pg_restore`.
"""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from sqlmodel import Session, col, select

from mastering.store import tables
from mastering.store.engine import open_database, reading
from tests.faults.conftest import ACTIONS, AFTER, Place, Template
from tests.postgres import engine_url, tools_for
from tests.walks.imports_world import person

STEPS = {
    "half planned": "mastering.imports.rows:PlanWriter.write:stop:3",
    "in a batch": "mastering.imports.steps:apply_batch:stop:3",
    "between two batches": "mastering.imports.steps:_apply_next:stop:3",
}


def back_up(place: Place, template: Template, file: Path) -> None:
    """A backup of a place whose server is in the middle of something."""
    if template.databases is None:
        with closing(sqlite3.connect(place.folder / "mastering.db")) as source, closing(sqlite3.connect(file)) as backup:
            source.backup(backup)
    else:
        run(template.databases.address, "pg_dump", "--format=custom", f"--file={file}", f"--dbname={place.url}")


def restore(file: Path, place: Place, template: Template, folder: Path) -> Place:
    """Another place with what was backed up and nothing else."""
    folder.mkdir()
    if template.databases is None:
        shutil.copy(file, folder / "mastering.db")
        return Place(folder, place.app, f"sqlite:///{folder / 'mastering.db'}")
    url = template.databases.url(template.databases.new())
    run(template.databases.address, "pg_restore", "--no-owner", "--exit-on-error", f"--dbname={url}", str(file))
    return Place(folder, place.app, url)


def run(server: str, program: str, *arguments: str) -> None:
    ended = subprocess.run([tools_for(server) / program, *arguments], check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("step", STEPS)
def test_a_backup_in_the_middle_of_a_run_is_restored_and_the_run_finished(
    place: Place, template: Template, tmp_path: Path, step: str
) -> None:
    server = place.start(STEPS[step])
    server.send(place.app, AFTER)
    server.await_stop()
    back_up(place, template, tmp_path / "backup")
    server.signal(signal.SIGKILL)
    server.await_end()
    restored = restore(tmp_path / "backup", place, template, tmp_path / "restored")
    try:
        again = restored.start()
        finished = again.await_run(place.app)
        assert (finished["status"], finished["actions"], finished["error"]) == ("COMPLETED", ACTIONS, None)
        again.send(place.app, AFTER)
        assert again.await_run(place.app)["actions"] == {}
        restored.check()
    finally:
        restored.close()


def test_what_happened_after_the_backup_is_not_in_it_and_the_next_import_brings_it_back(
    place: Place, template: Template, tmp_path: Path
) -> None:
    server = place.start()
    back_up(place, template, tmp_path / "backup")
    server.send(place.app, AFTER)
    assert server.await_run(place.app)["actions"] == ACTIONS
    server.close()
    restored = restore(tmp_path / "backup", place, template, tmp_path / "restored")
    try:
        engine = open_database(engine_url(restored.url))
        with reading(engine) as session:
            assert users(session) == 100
        engine.dispose()
        again = restored.start()
        again.send(place.app, [*AFTER, person("N99")])
        assert again.await_run(place.app)["actions"] == {**ACTIONS, "create": 61}
        restored.check()
    finally:
        restored.close()


def users(session: Session) -> int:
    return len(session.execute(select(col(tables.User.id))).all())
