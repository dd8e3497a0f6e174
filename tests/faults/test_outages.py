"""What goes away under a server that goes on: its clients, its disk, its database, and its own time."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest
from httpx import Response
from sqlalchemy import make_url, select
from sqlmodel import col

from mastering.store import tables
from mastering.store.engine import open_database, reading
from tests.faults.conftest import ACTIONS, AFTER, Place, Template
from tests.faults.processes import PATIENCE, ROOT, TOKEN, Process
from tests.postgres import Databases, engine_url
from tests.process import free_port
from tests.walks.imports_world import person


def test_a_client_that_vanishes_in_the_middle_of_its_upload_leaves_a_failed_run_and_nothing_else(place: Place) -> None:
    server = place.start()
    lines = b"".join(json.dumps(each).encode() + b"\n" for each in AFTER)
    head = f"POST /api/v1/apps/{place.app}/imports?mode=FULL HTTP/1.1\r\nHost: x\r\nAuthorization: SSWS {TOKEN}\r\n"
    kind = f"Content-Type: application/x-ndjson\r\nContent-Length: {len(lines)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall((head + kind).encode() + lines[: len(lines) // 2])
        while server.runs(place.app)[0]["status"] != "RECEIVING":
            pass
    run = server.await_run(place.app)
    assert run["status"] == "FAILED"
    assert run["error"].endswith("nothing was changed")
    assert server.send(place.app, AFTER) is not None
    assert server.await_run(place.app)["actions"] == ACTIONS
    place.check()


def test_a_server_told_to_stop_leaves_a_run_between_two_batches_and_the_next_one_goes_on_from_there(place: Place) -> None:
    server = place.start("mastering.imports.steps:_apply_next:term:2")
    server.send(place.app, AFTER)
    assert server.await_end() == -signal.SIGTERM
    engine = open_database(engine_url(place.url))
    with reading(engine) as session:
        run = session.execute(select(tables.ImportRun).order_by(col(tables.ImportRun.id).desc()).limit(1)).scalar_one()
    engine.dispose()
    assert run.status == "APPLYING"
    assert 0 < run.cursor < run.changes
    again = place.start()
    assert again.await_run(place.app)["actions"] == ACTIONS
    place.check()


_UPLOAD = 2_500_000


@pytest.fixture
def small_disk(place: Place, tmp_path: Path) -> Iterator[Path]:
    """A file system with room for what is there, for what will come in, and for no more."""
    room = sum(file.stat().st_size for file in place.folder.iterdir()) + _UPLOAD
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room}", "tmpfs", str(folder)], check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip("only root may mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_full_disk_stops_a_run_until_there_is_room_and_loses_nothing(place: Place, small_disk: Path) -> None:
    shutil.copytree(place.folder, small_disk, dirs_exist_ok=True)
    here = Place(small_disk, place.app, f"sqlite:///{small_disk / 'mastering.db'}")
    server = here.start()
    try:
        many = [*AFTER, *(person(f"M{number}", department="x" * 200) for number in range(2_000))]
        assert server.send(here.app, many) is not None
        while "the database failed" not in server.log():
            assert server.runs(here.app)[0]["status"] not in {"COMPLETED", "FAILED"}
        told = server.http.post(
            "/users", json={"profile": {"login": "late@example.com", "email": "l@x.org", "firstName": "A", "lastName": "B"}}
        )
        assert (told.status_code, told.json()["errorCode"]) == (503, "E0000009")
        assert server.http.get("/users", params={"limit": 1}).status_code == 200
        subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
        run = server.await_run(here.app)
        assert run["status"] == "COMPLETED"
        assert run["actions"] == {**ACTIONS, "create": ACTIONS["create"] + 2_000}
        here.check()
    finally:
        here.close()


@pytest.fixture
def small_tablespace(template: Template, postgres_server: Databases, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A file system with room for what is there and a little more, and the address of a copy of the database on it."""
    if not str(make_url(postgres_server.address).query.get("host", "")).startswith("/"):
        pytest.skip("the given server's disk is not here")
    folder = Path(tempfile.mkdtemp(prefix="small-"))
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=30m", "tmpfs", str(folder)], check=False, capture_output=True)
    if mounted.returncode:
        folder.rmdir()
        pytest.skip("only root may mount a small file system")
    shutil.chown(folder, "nobody", "nogroup")
    name = f"small_{os.getpid()}"
    with psycopg.connect(postgres_server.address, autocommit=True) as connection:
        connection.execute(f"CREATE TABLESPACE {name} LOCATION '{folder}'")
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template.name} TABLESPACE {name}")
    try:
        yield folder, postgres_server.url(name)
    finally:
        with psycopg.connect(postgres_server.address, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
            connection.execute(f"DROP TABLESPACE {name}")
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()


def _bulky(number: int) -> dict[str, Any]:
    """Somebody new who takes up room: a few kilobytes that nothing can press together."""
    wide = {name: Random(f"{name}{number}").randbytes(700).hex() for name in ("department", "title", "division", "organization")}
    return {"profile": {"login": f"b{number}@example.com", "email": f"b{number}@example.com", "firstName": "B", "lastName": "O", **wide}}


def _first_refusal(server: Process) -> Response:
    """What is answered to the first write that there is no room for: pages that are there already may still take some."""
    for number in range(2_000):
        told = server.http.post("/users", json=_bulky(number))
        if not told.is_success:
            return told
    raise AssertionError("the disk never was full")


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_a_full_disk_of_postgresql_stops_a_run_until_there_is_room_and_loses_nothing(
    template: Template, small_tablespace: tuple[Path, str], tmp_path: Path, kind: str
) -> None:
    folder, url = small_tablespace
    shutil.copytree(template.folder, tmp_path / "data")
    here = Place(tmp_path / "data", template.app, url)
    ballast = folder / "ballast"
    server = here.start()
    try:
        many = [*AFTER, *(person(f"M{number}", department="x" * 200) for number in range(2_000))]
        with suppress(OSError), ballast.open("wb") as file:  # all but what an upload needs
            file.truncate(0)
            file.write(bytes(max(shutil.disk_usage(folder).free - _UPLOAD, 0)))
        assert server.send(here.app, many) is not None
        while "the database failed" not in server.log():
            assert server.runs(here.app)[0]["status"] not in {"COMPLETED", "FAILED"}
        refused = _first_refusal(server)
        assert (refused.status_code, refused.json()["errorCode"]) == (503, "E0000009")
        assert server.http.get("/users", params={"limit": 1}).status_code == 200
        subprocess.run(["mount", "-o", "remount,size=200m", str(folder)], check=True)
        assert server.http.post("/users", json=_bulky(-1)).is_success
        run = server.await_run(here.app)
        assert run["status"] == "COMPLETED"
        assert run["actions"] == {**ACTIONS, "create": ACTIONS["create"] + 2_000}
        here.check()
    finally:
        here.close()


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("ruin", ["garbage", "cut off"])
def test_a_database_file_that_is_ruined_stops_the_start_with_a_sentence(place: Place, ruin: str) -> None:
    file = place.folder / "mastering.db"
    file.write_bytes(b"this is no database, whatever its name says\n" * 200 if ruin == "garbage" else file.read_bytes()[:5000])
    for beside in ("-wal", "-shm"):
        file.with_name(file.name + beside).unlink(missing_ok=True)
    ended = subprocess.run(
        [sys.executable, "-m", "mastering.cli", "serve", "--data-dir", str(place.folder), "--port", "1"],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=PATIENCE,
    )
    assert ended.returncode == 2
    assert "MASTERING_DATA_DIR: the database cannot be opened" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_second_server_on_one_file_is_refused_and_the_first_one_works_on(place: Place) -> None:
    server = place.start()
    command = [sys.executable, "-m", "mastering.cli", "serve", "--data-dir", str(place.folder), "--port", str(free_port())]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE)
    assert ended.returncode == 2
    assert "another server works on" in ended.stderr
    assert server.send(place.app, AFTER) is not None
    assert server.await_run(place.app)["actions"] == ACTIONS
    server.signal(signal.SIGTERM)
    assert server.await_end() == -signal.SIGTERM
