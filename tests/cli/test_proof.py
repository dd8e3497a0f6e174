"""`mastering checkpoint` and `verify` as an auditor meets them: a server that signed, and a database that somebody got at afterwards."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from mastering.cli import main
from tests.process import serving

Command = Callable[..., tuple[int, str]]
JANE = {"login": "jane@example.com", "email": "jane@example.com", "firstName": "Jane", "lastName": "Doe"}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command in this process; its code, and all it said."""
    for name in ("MASTERING_TOKEN", "MASTERING_ADMIN_TOKEN", "MASTERING_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MASTERING_DATA_DIR", "")  # a command leaves there what it was told
    monkeypatch.setenv("COLUMNS", "300")

    def command(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["mastering", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        told = capsys.readouterr()
        return int(end.value.code or 0), told.out + told.err

    return command


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A server with a user; its address and its folder."""
    folder = tmp_path_factory.mktemp("server")
    with serving(folder) as port:
        address = f"http://127.0.0.1:{port}"
        token = (folder / "admin-token").read_text().strip()
        made = httpx.post(f"{address}/api/v1/users", headers={"Authorization": f"SSWS {token}"}, json={"profile": JANE}, trust_env=False)
        assert made.is_success
        yield address, folder


@pytest.fixture
def kept(server: tuple[str, Path], run: Command, tmp_path: Path) -> Path:
    """A checkpoint that was saved."""
    address, folder = server
    file = tmp_path / "checkpoint.ndjson"
    code, told = run("checkpoint", "--save", file, "--server", address, "--data-dir", folder)
    assert code == 0, told
    assert "its root is" in told
    return file


@pytest.fixture
def copy(server: tuple[str, Path], kept: Path, tmp_path: Path) -> Path:
    """A backup of the database, taken after the checkpoint was saved, with the key beside it."""
    assert kept.is_file()
    folder = tmp_path / "copy"
    folder.mkdir()
    with closing(sqlite3.connect(server[1] / "mastering.db")) as ours, closing(sqlite3.connect(folder / "mastering.db")) as backup:
        ours.backup(backup)
    shutil.copy(server[1] / "secret-key", folder)
    return folder


def tamper(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "mastering.db")) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


def test_what_nobody_touched_is_whole_beside_the_running_server_and_in_a_copy(
    server: tuple[str, Path], kept: Path, copy: Path, run: Command
) -> None:
    for folder in (server[1], copy):
        code, told = run("verify", "--checkpoint", kept, "--data-dir", folder)
        assert code == 0, told
        assert "The history is whole" in told


def test_an_earlier_checkpoint_is_saved_again_and_no_file_is_written_over(
    server: tuple[str, Path], kept: Path, run: Command, tmp_path: Path
) -> None:
    number = kept.read_text().partition('"number":')[2].partition(",")[0]
    again = tmp_path / "again.ndjson"
    reached = ("--server", server[0], "--data-dir", server[1])
    assert run("checkpoint", "--number", number, "--save", again, *reached)[0] == 0
    assert again.read_bytes() == kept.read_bytes()
    code, told = run("checkpoint", "--save", kept, *reached)
    assert (code, "File exists" in told) == (2, True)
    assert run("checkpoint", "--number", 999, "--save", tmp_path / "none", *reached)[0] == 2


def test_what_was_done_is_named_and_ends_with_1(copy: Path, kept: Path, run: Command) -> None:
    tamper(copy, "DELETE FROM checkpoint_heads", "DELETE FROM checkpoints", "DELETE FROM history WHERE type = 'user.activate'")
    code, told = run("verify", "--data-dir", copy)
    assert (code, "the end of the chain is missing" in told, "00u" in told) == (1, True, True)
    code, told = run("verify", "--checkpoint", kept, "--data-dir", copy)
    assert (code, "the checkpoint is missing" in told, "event 2, the last one then, is missing" in told) == (1, True, True)


def test_without_the_key_the_signatures_are_still_checked_and_none_is_made(copy: Path, kept: Path, run: Command) -> None:
    (copy / "secret-key").unlink()
    assert run("verify", "--checkpoint", kept, "--data-dir", copy)[0] == 0
    assert not (copy / "secret-key").exists()
    tamper(copy, "UPDATE checkpoints SET signature = 'AAAA'")
    assert "the signature does not fit the statement" in run("verify", "--data-dir", copy)[1]


def test_what_is_no_checkpoint_is_refused(copy: Path, run: Command, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("something else\n")
    code, told = run("verify", "--checkpoint", tmp_path / "other", "--data-dir", copy)
    assert (code, "line 1" in told) == (2, True)
    assert run("verify", "--checkpoint", tmp_path / "nothing", "--data-dir", copy)[0] == 2


def test_the_history_is_exported_to_a_file(server: tuple[str, Path], run: Command, tmp_path: Path) -> None:
    reached = ("--server", server[0], "--data-dir", server[1])
    file = tmp_path / "history.ndjson"
    assert run("export", "--save", file, "--user", "jane@example.com", *reached) == (0, "")
    assert [line["body"]["type"] for line in map(json.loads, file.read_text().splitlines())] == ["user.create", "user.activate"]
    assert run("export", "--save", file, *reached)[0] == 2
    assert run("export", "--app", "nobody", *reached)[0] == 2


def test_a_person_is_erased_only_when_the_caller_means_it(server: tuple[str, Path], run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    address, folder = server
    headers = {"Authorization": f"SSWS {(folder / 'admin-token').read_text().strip()}"}
    john = {"login": "john@example.com", "email": "john@example.com", "firstName": "John", "lastName": "Doe"}
    with httpx.Client(base_url=f"{address}/api/v1", headers=headers, trust_env=False) as http:
        made = http.post("/users", json={"profile": john}).json()["id"]
        reached = ("--server", address, "--data-dir", folder)
        assert run("erase", "john@example.com", "--yes", *reached)[0] == 2, "who may still work is not erased"
        http.delete(f"/users/{made}")
        monkeypatch.setattr("typer.confirm", lambda _: False)
        assert run("erase", "john@example.com", *reached) == (2, "Nothing was erased\n")
        code, told = run("erase", "john@example.com", "--yes", *reached)
        assert (code, f"Erased {made}" in told) == (0, True), told
        assert http.get(f"/users/{made}").status_code == 404
