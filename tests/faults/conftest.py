"""A database with people in it, made once and copied for every fault."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from mastering.store.engine import open_database
from tests.faults.checker import check
from tests.faults.processes import Process
from tests.walks.imports_world import person

BEFORE = [person(f"E{number}") for number in range(100)]
AFTER = [
    *BEFORE[:40],
    *(person(f"E{number}", department="Sales") for number in range(40, 70)),
    *(person(f"E{number}", active=False) for number in range(70, 80)),
    *(person(f"N{number}") for number in range(60)),
]
"""Against `BEFORE`: 40 unchanged, 30 changed, 10 ended, 20 missing, 60 new."""
ACTIONS = {"create": 60, "deactivate": 30, "update": 30}


@dataclass
class Place:
    """One database, and the processes on it."""

    folder: Path
    app: str
    url: str
    processes: list[Process] = field(default_factory=list)

    def start(self, step: str = "-", *command: str) -> Process:
        """Another process, which dies at a step."""
        process = Process(self.folder, self.url, step, command or ("serve",))
        self.processes.append(process)
        return process.start()

    def check(self) -> Engine:
        """See that everything holds, when nobody works any more; the database for a closer look."""
        self.close()
        engine = open_database(self.url)
        try:
            check(engine)
        finally:
            engine.dispose()
        return engine

    def close(self) -> None:
        for process in self.processes:
            process.close()


Places = Callable[[], Place]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with a database in which `BEFORE` has been imported, and the id of its app."""
    folder = tmp_path_factory.mktemp("before")
    server = Process(folder).start()
    try:
        server.http.put("/org/safeguard", json={"enabled": False}).raise_for_status()
        app_id = server.app()
        server.send(app_id, BEFORE)
        run: dict[str, Any] = server.await_run(app_id)
        assert run["actions"] == {"create": 100}
    finally:
        server.close()
    return folder, app_id


@pytest.fixture
def place(template: tuple[Path, str], tmp_path: Path) -> Iterator[Place]:
    """A copy of it."""
    folder, app_id = tmp_path / "data", template[1]
    shutil.copytree(template[0], folder)
    here = Place(folder, app_id, f"sqlite:///{folder / 'mastering.db'}")
    yield here
    here.close()
