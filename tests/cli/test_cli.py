"""The commands as a person or a cron job meets them, against a server process started by the command that starts it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from mastering.cli import main
from tests.process import ROOT, environment, free_port, serving

CONFIRMED = {"autoConfirmExact": True, "autoConfirmNew": True, "autoActivateNew": True}
MASTER = {"confirmation": CONFIRMED, "mastering": {"enabled": True}}
NUMBERS = count(1)


@dataclass(frozen=True)
class Server:
    address: str
    port: int
    folder: Path
    http: httpx.Client

    def app(self, policy: Mapping[str, Any] = MASTER, label: str = "") -> str:
        """A new app under a label of its own; the label."""
        label = label or f"App {next(NUMBERS)}"
        made = self.http.post("/apps", json={"name": "app", "label": label, "signOnMode": "BOOKMARK", "settings": {}}).raise_for_status()
        self.http.put(f"/apps/{made.json()['id']}/import-policy", json=policy).raise_for_status()
        return label


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with serving(folder) as port:
        address = f"http://127.0.0.1:{port}"
        token = (folder / "admin-token").read_text().strip()
        with httpx.Client(base_url=f"{address}/api/v1", headers={"Authorization": f"SSWS {token}"}, trust_env=False) as http:
            yield Server(address, port, folder, http)


@pytest.fixture
def run(server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process, as admin of the server unless its options say otherwise."""
    monkeypatch.setenv("MASTERING_SERVER", server.address)
    monkeypatch.setenv("MASTERING_DATA_DIR", str(server.folder))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("MASTERING_TOKEN", raising=False)
    monkeypatch.delenv("MASTERING_ADMIN_TOKEN", raising=False)

    def command(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["mastering", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        told = capsys.readouterr()
        return Ended(int(end.value.code or 0), told.out, told.err)

    return command


def records(folder: Path, name: str, *people: str, **more: Any) -> Path:
    """An NDJSON file of people, who are called by their external ids."""
    file = folder / name
    lines = (json.dumps({"externalId": each, "profile": profile(each, **more)}) for each in people)
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def profile(each: str, **more: Any) -> dict[str, Any]:
    return {"email": f"{each}@example.com", "firstName": each.title(), "lastName": "Example", **more}


def a_held_import(server: Server, run: Run, folder: Path, *people: str) -> tuple[str, Ended]:
    """An app whose people are all gone but one; the app's label, and how the import ended."""
    app = server.app()
    assert run("import", records(folder, "all.ndjson", *people), "--app", app).code == 0
    return app, run("import", records(folder, "one.ndjson", people[0]), "--app", app)


# -- exit codes -------------------------------------------------------------------------------------------------------


def test_an_import_that_is_applied_ends_with_0_and_a_summary(server: Server, run: Run, tmp_path: Path) -> None:
    done = run("import", records(tmp_path, "people.ndjson", "anna", "bela"), "--app", server.app())
    assert done.code == 0, done
    assert "COMPLETED" in done.out
    assert "2 UNMATCHED" in done.out
    assert "2 create" in done.out
    assert "passed" in done.out


def test_an_import_that_is_held_ends_with_3_and_the_commands_to_go_on_with(server: Server, run: Run, tmp_path: Path) -> None:
    _, held = a_held_import(server, run, tmp_path, "carl", "dora", "emil")
    assert held.code == 3, held
    assert "app_limit" in held.out
    assert "2 of 3 assignments of the app (66.67 %, limit 20 %)" in held.out
    look, approve, _ = (shlex.split(line)[-len(line.split()) :] for line in held.err.splitlines() if line.startswith("  "))
    looked = run(*look[look.index("changes") :])
    assert "dora@example.com" in looked.out
    assert "Active → Deactivated" in looked.out
    done = run(*approve[approve.index("approve") :])
    assert done.code == 0, done
    assert "2 deactivate" in done.out
    assert "dora@example.com" in run("users", "--status", "DEACTIVATED", "--limit", 1000).out


def test_approving_with_the_hash_of_another_plan_ends_with_2_and_changes_nothing(server: Server, run: Run, tmp_path: Path) -> None:
    _, held = a_held_import(server, run, tmp_path, "fred", "gina", "hugo")
    run_id = held.err.split("changes ")[1].split()[0]
    refused = run("approve", run_id, "--plan-hash", "sha256:0")
    assert refused.code == 2
    assert "M0000001" in refused.err
    cancelled = run("cancel", run_id)
    assert cancelled.code == 0, cancelled
    assert "CANCELLED" in cancelled.out
    assert "gina@example.com" in run("users", "--status", "ACTIVE", "--limit", 1000).out


def test_a_delta_behind_a_held_import_ends_with_3_and_says_what_it_waits_for(server: Server, run: Run, tmp_path: Path) -> None:
    app, held = a_held_import(server, run, tmp_path, "ines", "jana", "karl")
    run_id = held.err.split("changes ")[1].split()[0]
    waits = run("import", records(tmp_path, "delta.ndjson", "ines", department="Sales"), "--app", app, "--mode", "INCREMENTAL")
    assert waits.code == 3
    assert "QUEUED" in waits.out
    assert run_id in waits.err


def test_a_count_that_is_not_kept_ends_with_1(server: Server, run: Run, tmp_path: Path) -> None:
    done = run("import", records(tmp_path, "people.ndjson", "lena"), "--app", server.app(), "--expected-count", 2)
    assert done.code == 1
    assert "FAILED" in done.out
    assert "2 records were announced, 1 came" in done.out


def test_no_server_ends_with_1_and_says_how_to_start_one(run: Run, tmp_path: Path) -> None:
    done = run("import", records(tmp_path, "people.ndjson", "mark"), "--app", "HR", "--server", "http://127.0.0.1:9")
    assert done.code == 1
    assert "does not answer" in done.err
    assert "mastering serve" in done.err


BAD_FILES = {
    "quotes that never close": ("people.csv", b'externalId,email,firstName,lastName\nN1,"never closed', "quote"),
    "a body that is cut off": ("people.json", b'[{"externalId": "N1"', "E0000003"),
    "an ending that says nothing": ("people.xlsx", b"PK", ".ndjson"),
}


@pytest.mark.parametrize("case", BAD_FILES.values(), ids=BAD_FILES)
def test_a_file_that_cannot_be_read_ends_with_2(server: Server, run: Run, tmp_path: Path, case: tuple[str, bytes, str]) -> None:
    name, body, said = case
    file = tmp_path / name
    file.write_bytes(body)
    done = run("import", file, "--app", server.app())
    assert done.code == 2, done
    assert said in done.err


def test_what_is_not_there_ends_with_2_and_is_named(server: Server, run: Run, tmp_path: Path) -> None:
    people = records(tmp_path, "people.ndjson", "nora")
    app = server.app()
    for arguments, said in (
        (("import", people, "--app", "Nowhere"), "There is no app 'Nowhere'"),
        (("import", people, "--app", "0oa00000000000000000"), "0oa00000000000000000"),
        (("import", tmp_path / "none.csv", "--app", app), "No such file"),
        (("import", tmp_path, "--app", app), "cannot tell what it holds"),
        (("import", people, "--app", app, "--mode", "SIDEWAYS"), "SIDEWAYS"),
        (("import", people, "--app", app, "--token", "wrong"), "E0000011"),
        (("import", people, "--app", app, "--server", "ftp://x"), "no address of a server"),
        (("history", "nobody@example.com"), "nobody@example.com"),
        (("history", ".."), "'..'"),
        (("changes", "imp00000000000000000"), "imp00000000000000000"),
    ):
        done = run(*arguments)
        assert (done.code, said in done.err) == (2, True), (arguments, done)


def test_apps_of_one_label_are_told_apart_by_id(server: Server, run: Run, tmp_path: Path) -> None:
    server.app(label="Twin")
    server.app(label="Twin")
    people = records(tmp_path, "people.ndjson", "otto")
    refused = run("plan", people, "--app", "Twin")
    assert refused.code == 2
    app_id = refused.err.split("id: ")[1].split(",")[0].strip()
    assert run("plan", people, "--app", app_id).code == 0


# -- what is shown ----------------------------------------------------------------------------------------------------


def test_a_plan_is_shown_row_by_row_and_changes_nothing(server: Server, run: Run, tmp_path: Path) -> None:
    app = server.app()
    run("import", records(tmp_path, "all.ndjson", "paul", "rosa"), "--app", app)
    file = records(tmp_path, "next.ndjson", "paul", "sara", department="Sales")
    plan = run("plan", file, "--app", app)
    assert plan.code == 3, plan
    assert "it would be held" in plan.err
    told = " ".join(plan.out.split())
    assert "deactivate (1) when_deactivated: the app's option for leavers" in told
    assert "rosa@example.com Active → Deactivated WENT_MISSING" in told
    assert "sara@example.com → Active UNMATCHED" in told
    assert "paul@example.com Active CHANGED department: nothing → Sales" in told
    assert told.index("deactivate (1)") < told.index("create (1)") < told.index("update (1)")
    listed = run("users", "--limit", 1000).out
    assert "rosa@example.com" in listed
    assert "sara@example.com" not in listed


def test_history_tells_when_who_what_and_why(server: Server, run: Run, tmp_path: Path) -> None:
    app = server.app({**MASTER, "safeguard": {"enabled": False}})
    run("import", records(tmp_path, "a.ndjson", "tina", department="Sales"), "--app", app)
    run("import", records(tmp_path, "b.ndjson", "tina", department="Finance"), "--app", app)
    server.http.post("/users/tina@example.com/lifecycle/suspend", json={"reason": "lost laptop"}).raise_for_status()
    told = " ".join(run("history", "tina@example.com").out.split())
    assert told.index("user.suspend") < told.index("user.update") < told.index("user.activate") < told.index("user.create")
    assert "Active → Suspended by token first admin, lost laptop" in told
    assert f"by {app} (imp" in told
    assert "department: Sales → Finance" in told
    assert "rule auto_confirm_new" in told
    assert "before these can be shown with --limit" in run("history", "tina@example.com", "--limit", 1).err


def test_who_waits_is_listed_with_everybody_it_could_be(server: Server, run: Run, tmp_path: Path) -> None:
    run("import", records(tmp_path, "hr.ndjson", "vera"), "--app", server.app())
    app = server.app({"matching": {"username": True}})
    run("import", records(tmp_path, "other.ndjson", "vera", "walt"), "--app", app)
    told = " ".join(run("review", "--app", app).out.split())
    assert "Vera Example EXACT exactly one match, not confirmed yet vera@example.com (Active)" in told
    assert "Walt Example UNMATCHED nobody here it could be –" in told


def test_apps_are_listed_with_rank_and_last_import(server: Server, run: Run, tmp_path: Path) -> None:
    app = server.app()
    run("import", records(tmp_path, "people.ndjson", "xena"), "--app", app)
    line = next(line for line in run("apps").out.splitlines() if line.startswith(f"{app} "))
    assert "FULL COMPLETED" in line
    assert line.split("ACTIVE")[1].split()[0].isdigit()


KINDS = {
    "people.jsonl": '{"externalId": "K1", "profile": {"email": "k1@example.com", "firstName": "K", "lastName": "1"}}',
    "people.json": '[{"externalId": "K1", "profile": {"email": "k1@example.com", "firstName": "K", "lastName": "1"}}]',
    "PEOPLE.CSV": "externalId,email,firstName,lastName\nK1,k1@example.com,K,1\n",
    "people.scim.json": json.dumps(
        {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": 1,
            "Resources": [
                {
                    "externalId": "K1",
                    "userName": "k1",
                    "name": {"givenName": "K", "familyName": "1"},
                    "emails": [{"value": "k1@example.com"}],
                }
            ],
        }
    ),
}


@pytest.mark.parametrize(("name", "text"), KINDS.items(), ids=KINDS)
def test_the_ending_of_a_file_says_what_it_holds(server: Server, run: Run, tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    plan = run("plan", tmp_path / name, "--app", server.app())
    assert (plan.code, "k1@example.com" in plan.out) == (0, True), plan


def test_no_name_can_do_anything_to_the_terminal(server: Server, run: Run, tmp_path: Path) -> None:
    label = "[red]A[/red]\x1b]0;owned\x07"
    app = server.app(label=label)
    names = {"firstName": "\x1b[2J\u202egnp.\r\n[bold]Bob[/bold] :smile:", "lastName": "محمد"}
    run("import", records(tmp_path, "all.ndjson", "yuri", **names), "--app", app)
    more = records(tmp_path, "more.ndjson", "yuri", "zoe", **names, department="\x9b31m[/]")
    shown = [
        run("plan", more, "--app", app),
        run("plan", more, "--app", "\x1b[31m[red]"),
        run("users", "--limit", 1000),
        run("history", "yuri@example.com"),
        run("apps"),
    ]
    waiting = server.app({"matching": {"username": True}}, label=label + "2")
    run("import", more, "--app", waiting)
    shown.append(run("review", "--app", waiting))
    for ended in shown:
        text = (ended.out + ended.err).replace("\n", "").replace("\u2068", "").replace("\u2069", "")
        assert [character for character in text if unicodedata.category(character) in {"Cc", "Cf"}] == []
    assert "[bold]Bob[/bold] :smile: \u2068محمد\u2069" not in shown[2].out  # one isolate goes round the whole name
    assert "\u2068\\x1b[2J\\u202egnp.\\r\\n[bold]Bob[/bold] :smile: محمد\u2069" in shown[2].out


# -- tokens -----------------------------------------------------------------------------------------------------------


def test_a_token_made_here_imports_its_app_and_no_other_until_it_is_revoked(server: Server, run: Run, tmp_path: Path) -> None:
    app, other = server.app(), server.app()
    made = run("token", "create", "--name", "night job", "--role", "importer", "--app", app)
    secret, token_id = made.out.strip(), made.err.split()[1].rstrip(",")
    people = records(tmp_path, "people.ndjson", "abel")
    assert run("import", people, "--app", app, "--token", secret).code == 0
    assert run("import", people, "--app", other, "--token", secret).code == 2
    listed = run("token", "list").out
    assert secret not in listed
    assert f"night job importer {app}" in " ".join(listed.split())
    assert run("token", "revoke", token_id).code == 0
    assert run("import", people, "--app", app, "--token", secret).code == 2


def test_a_token_that_cannot_be_is_refused_with_a_sentence(server: Server, run: Run, tmp_path: Path) -> None:
    for arguments, said in (
        (("token", "create", "--name", "job", "--role", "importer"), "an importer's token names the apps"),
        (("token", "create", "--name", "job", "--role", "importer", "--app", "Nowhere"), "No apps are called 'Nowhere'"),
        (("token", "revoke", "00T00000000000000000"), "00T00000000000000000"),
        (("token", "list", "--data-dir", tmp_path), "There is no database"),
    ):
        done = run(*arguments)
        assert (done.code, said in done.err) == (2, True), (arguments, done)
    assert list(tmp_path.iterdir()) == []


def test_without_a_token_the_command_says_where_one_could_be(run: Run, tmp_path: Path) -> None:
    done = run("users", "--data-dir", tmp_path)
    assert done.code == 2
    assert "MASTERING_TOKEN" in done.err


# -- the server -------------------------------------------------------------------------------------------------------


def test_the_server_says_where_it_is_and_where_the_token_is(server: Server) -> None:
    log = (server.folder / "log").read_text()
    assert f"Listening on {server.address}" in log
    assert str(server.folder / "admin-token") in log
    assert (server.folder / "admin-token").read_text().strip() not in log


WRONG = {
    "a port that is none": (("--port", "80000"), "MASTERING_PORT"),
    "a database nobody knows": (("--database-url", "oracle://x"), "MASTERING_DATABASE_URL"),
    "a log format nobody reads": (("--log-format", "xml"), "MASTERING_LOG_FORMAT"),
    "a folder that cannot be made": (("--data-dir", "/dev/null/folder"), "MASTERING_DATA_DIR"),
    "a file that is no database": (("--database-url", f"sqlite:///{__file__}"), "MASTERING_DATABASE_URL"),
    "a short key": (("--secret-key", "short"), "MASTERING_SECRET_KEY"),
}


@pytest.mark.parametrize(("arguments", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_stops_the_server_with_a_sentence_that_names_it(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    ended = serve("--data-dir", str(tmp_path), "--port", str(free_port()), *arguments)
    assert ended.returncode == 2
    assert ended.stderr.startswith(said)
    assert len(ended.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_stops_the_server_with_a_sentence(server: Server, tmp_path: Path) -> None:
    ended = serve("--data-dir", str(tmp_path), "--port", str(server.port))
    assert ended.returncode == 1
    assert f"port {server.port}: Address already in use" in ended.stderr
    assert list(tmp_path.iterdir()) == []


def serve(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mastering.cli", "serve", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, encoding="utf-8", timeout=60, check=False)


# -- reconciliation ---------------------------------------------------------------------------------------------------


def test_undo_takes_an_import_back_after_a_dry_run_that_takes_nothing_back(server: Server, run: Run, tmp_path: Path) -> None:
    lenient = {"safeguard": {"enabled": False}}
    app = server.app({**MASTER, **lenient})
    server.http.put("/org/safeguard", json={"enabled": False}).raise_for_status()
    assert run("import", records(tmp_path, "all.ndjson", "ulla", "vera"), "--app", app).code == 0
    sent = run("import", records(tmp_path, "one.ndjson", "vera"), "--app", app)
    (sent_run,) = set(re.findall(r"\bimp[0-9A-Za-z]{17}\b", sent.out))
    assert run("undo", sent_run, "--dry-run").code == 0
    assert server.http.get("/users/ulla@example.com").json()["status"] == "DEPROVISIONED"
    assert run("undo", sent_run).code == 0
    assert server.http.get("/users/ulla@example.com").json()["status"] == "ACTIVE"
    assert run("undo", sent_run).code != 0
    server.http.put("/org/safeguard", json={}).raise_for_status()


def test_a_reconciliation_ends_with_3_where_somebody_should_look_and_says_why(server: Server, run: Run, tmp_path: Path) -> None:
    lenient = {"safeguard": {"enabled": False}}
    app = server.app({**MASTER, **lenient, "mastering": {"enabled": True, "whenDeactivated": "SUSPEND"}})
    server.http.put("/org/safeguard", json={"enabled": False}).raise_for_status()
    assert run("import", records(tmp_path, "all.ndjson", "rita", "sam"), "--app", app).code == 0
    assert run("reconcile", "--app", app).code == 0
    assert run("import", records(tmp_path, "one.ndjson", "sam"), "--app", app).code == 0
    app_id = next(each["id"] for each in server.http.get("/apps", params={"limit": 200}).json() if each["label"] == app)
    server.http.put(f"/apps/{app_id}/import-policy", json={**MASTER, **lenient}).raise_for_status()
    ended = run("reconcile", "--app", app)
    assert ended.code == 3
    assert "status_drift (1)" in ended.out
    assert "rita@example.com" in ended.out
    assert "Suspended → Deactivated" in ended.out
    assert "1 difference: 1 repairable, 0 as an admin or an option wants it" in ended.out
    server.http.put("/users/rita@example.com/hold", json={"reason": "legal hold"}).raise_for_status()
    held = run("reconcile", "--app", app)
    assert held.code == 0
    assert "held until it is lifted: legal hold" in held.out
    assert "held until it is lifted: legal hold" in run("users").out
    server.http.put("/org/safeguard", json={}).raise_for_status()
