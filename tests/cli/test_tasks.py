"""`mastering tasks` as an admin meets it: a server, an app that takes nobody, and then does."""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from mastering.cli import main
from mastering.cli.exits import Exit
from tests.api.service import profile
from tests.process import serving
from tests.scim_peer import ScimServer, scim_server

Command = Callable[..., tuple[int, str]]
Ask = Callable[..., Any]
SWITCHES = {"create": {"lifecycleCreate": {"status": "ENABLED"}}}


@pytest.fixture
def peer() -> Iterator[ScimServer]:
    with scim_server() as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    with serving(folder) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def tasks(address: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run `mastering tasks` in this process; its code, and all it said."""
    for name in ("MASTERING_TOKEN", "MASTERING_ADMIN_TOKEN", "MASTERING_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MASTERING_DATA_DIR", "")  # a command leaves there what it was told
    monkeypatch.setenv("COLUMNS", "300")

    def command(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["mastering", "tasks", *arguments, "--server", address, "--data-dir", str(folder)])
        with pytest.raises(SystemExit) as end:
            main()
        told = capsys.readouterr()
        return int(end.value.code or 0), told.out + told.err

    return command


@pytest.fixture
def ask(address: str, folder: Path) -> Iterator[Ask]:
    """Call the server with the token that it left in its folder."""
    token = (folder / "admin-token").read_text().strip()
    with httpx.Client(base_url=f"{address}/api/v1", headers={"Authorization": f"SSWS {token}"}, trust_env=False) as client:

        def call(method: str, path: str, json: Any = None) -> Any:
            answer = client.request(method, path, json=json)
            assert answer.is_success, answer.text
            return answer.json()

        yield call


def connect(ask: Ask, app: str, peer: ScimServer, token: str) -> None:
    form = {"baseUrl": peer.url, "profile": {"authScheme": "TOKEN", "token": token}}
    ask("POST", f"/apps/{app}/connections/default?activate=true", form)


def wait_for(what: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 30
    while not what():
        assert time.monotonic() < give_up, "it did not come about within half a minute"
        time.sleep(0.05)


def test_tasks_lists_what_an_app_could_not_be_told_and_tries_it_again_when_asked(
    tasks: Command, ask: Ask, peer: ScimServer, folder: Path
) -> None:
    app = ask("POST", "/apps", {"label": "Target"})["id"]
    connect(ask, app, peer, "secret")
    ask("PUT", f"/apps/{app}/features/USER_PROVISIONING", SWITCHES)
    code, told = tasks("Target")
    assert (code, "0 wait, 0 are under way, 0 are dead" in told) == (0, True), told

    peer.behaves = lambda _: (401, {})
    ann = ask("POST", "/users", {"profile": profile("ann")})["id"]
    ask("POST", f"/apps/{app}/users", {"id": ann})
    wait_for(lambda: ask("GET", f"/apps/{app}/provisioning-queue")["paused"] is not None)
    code, told = tasks("Target", "--status", "PENDING")
    (task,) = ask("GET", f"/apps/{app}/provisioning-tasks")
    assert code == 0
    (line,) = [line for line in told.splitlines() if task["id"] in line]
    assert ann in line
    assert "CREATE" in line
    assert "1 wait, 0 are under way, 0 are dead" in told
    assert "401" in told
    assert "Repair the connection, or test it, and the queue goes on" in told
    assert task["id"] not in tasks("Target", "--status", "DONE")[1]

    with closing(sqlite3.connect(folder / "mastering.db")) as database:  # as if it had failed nine times before
        database.execute("UPDATE outbound_tasks SET attempts = 9")
        database.commit()
    peer.behaves = lambda call: (400, {"detail": "no such department"}) if call.method == "POST" else None
    connect(ask, app, peer, "another")
    wait_for(lambda: ask("GET", f"/apps/{app}/provisioning-queue")["dead"] == 1)
    code, told = tasks("Target", "--status", "DEAD")
    assert code == 0
    (line,) = [line for line in told.splitlines() if task["id"] in line]
    assert "no such department" in line
    assert "0 wait, 0 are under way, 1 are dead" in told

    peer.behaves = lambda _: None
    code, told = tasks("Target", "--retry")
    assert (code, "Tried again: 1" in told) == (0, True), told
    wait_for(lambda: ask("GET", f"/apps/{app}/provisioning-tasks")[0]["status"] == "DONE")
    assert [user["externalId"] for user in peer.users.values()] == [ann]
    assert task["id"] in tasks("Target", "--status", "DONE")[1]
    assert "Tried again: 0" in tasks("Target", "--retry")[1]


def test_tasks_of_an_app_that_is_not_there_ends_as_any_wrong_argument_does(tasks: Command) -> None:
    code, told = tasks("Nobody")
    assert code == Exit.BAD_INPUT
    assert "Nobody" in told
    assert "Traceback" not in told
