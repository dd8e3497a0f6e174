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
from tests.databases import KINDS
from tests.faults.checker import check
from tests.faults.processes import Process
from tests.postgres import Databases, engine_url
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
        process = Process(self.folder, self.url, step, command or ("serve",), number=len(self.processes))
        self.processes.append(process)
        return process.start()

    def check(self) -> Engine:
        """See that everything holds, when nobody works any more; the database for a closer look."""
        self.close()
        engine = open_database(engine_url(self.url))
        try:
            check(engine)
        finally:
            engine.dispose()
        return engine

    def close(self) -> None:
        for process in self.processes:
            process.close()


Places = Callable[[], Place]


@pytest.fixture(scope="session", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of database."""
    kind: str = request.param
    return kind


@dataclass(frozen=True)
class Template:
    """A folder, on PostgreSQL a database, in which `BEFORE` has been imported, and the id of its app."""

    folder: Path
    app: str
    databases: Databases | None
    name: str

    def copy(self, folder: Path) -> Place:
        shutil.copytree(self.folder, folder)
        if self.databases is None:
            return Place(folder, self.app, f"sqlite:///{folder / 'mastering.db'}")
        return Place(folder, self.app, self.databases.url(self.databases.new(self.name)))


@pytest.fixture(scope="session")
def template(kind: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Template:
    """What every fault starts from."""
    databases: Databases | None = request.getfixturevalue("postgres_server") if kind == "postgresql" else None
    return prepared(tmp_path_factory.mktemp("before"), databases)


def prepared(folder: Path, databases: Databases | None) -> Template:
    """Import `BEFORE` into a database of its own."""
    name = databases.new() if databases else ""
    server = Process(folder, databases.url(name) if databases else None).start()
    try:
        server.http.put("/org/safeguard", json={"enabled": False}).raise_for_status()
        app_id = server.app()
        server.send(app_id, BEFORE)
        run: dict[str, Any] = server.await_run(app_id)
        assert run["actions"] == {"create": 100}
    finally:
        server.close()
    return Template(folder, app_id, databases, name)


@pytest.fixture
def place(template: Template, tmp_path: Path) -> Iterator[Place]:
    """A copy of it."""
    here = template.copy(tmp_path / "data")
    yield here
    here.close()
