"""What is in the log of a server that imports people: whose request and whose run each line is of, and nothing of the people.

Every value that is sent holds one word, so that the log can be searched for all of them at once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mastering import logs
from mastering.imports import steps
from mastering.settings import LogFormat
from mastering.store.engine import open_database
from tests.api.service import CONFIRM_ALL
from tests.process import serving
from tests.walks.imports_world import World

WORD = "qzxvk"
RUN_LINES = {"turn", "run planned", "batch applied", "run completed", "run failed", "turn failed"}


def people(*numbers: int, **profile: Any) -> list[dict[str, Any]]:
    return [
        {
            "externalId": f"{WORD}-{number}",
            "profile": {
                "email": f"{WORD}.{number}@{WORD}.example",
                "firstName": f"{WORD.title()}",
                "lastName": f"{WORD.title()} {number}",
                "department": f"Dept {WORD}",
                **profile,
            },
        }
        for number in numbers
    ]


def body(*records: object) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def tell_all(http: httpx.Client) -> dict[str, dict[str, Any]]:
    """Everything that people's values go through, well and badly; the runs by what they were for."""
    app = http.post("/apps", json={"label": "HR"}).raise_for_status().json()["id"]
    policy = {"confirmation": {**CONFIRM_ALL, "autoConfirmPartial": False}, "mastering": {"enabled": True}}
    http.put(f"/apps/{app}/import-policy", json=policy).raise_for_status()
    ndjson = {"Content-Type": "application/x-ndjson", "Prefer": "wait=30"}

    def send(content: bytes, **headers: str) -> dict[str, Any]:
        answer: dict[str, Any] = http.post(
            f"/apps/{app}/imports", params={"mode": "FULL"}, content=content, headers=ndjson | headers
        ).json()
        return answer

    runs = {
        "first": send(body(*people(*range(20)))),
        "bad rows": send(
            body(
                *people(*range(20), department="Other " + WORD),
                {"externalId": f"{WORD}-bad", "profile": {"email": f"{WORD} is no address"}},
            )
            + f"{WORD} is no JSON\n".encode()
        ),
        "held": send(body(*people(1))),
    }
    send(f'[{{"externalId": "{WORD}"'.encode(), **{"Content-Type": "application/json"})
    login = f"{WORD}.1@{WORD}.example"
    http.get(f"/users/{login}").raise_for_status()
    http.get(f"/users/nobody.{login}")
    http.get("/users", params={"search": f'profile.lastName eq "{WORD.title()} 1"'}).raise_for_status()
    http.get("/users", params={"search": f'profile.{WORD} qq "{WORD}"'})
    http.post("/users", json={"profile": {"login": login, "email": login, "firstName": WORD, "lastName": WORD}})
    http.post("/users", json={"profile": {"login": WORD, WORD: WORD}})
    user = http.get(f"/users/{login}").json()["id"]
    http.put(f"/users/{user}/hold", json={"reason": WORD}).raise_for_status()
    http.get(f"/imports/{runs['held']['id']}/changes").raise_for_status()
    http.post(f"/imports/{runs['held']['id']}/lifecycle/approve", json={"planHash": WORD})
    return runs


@pytest.fixture(scope="module", params=list(LogFormat))
def told(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LogFormat, str, dict[str, dict[str, Any]]]]:
    """The log of a server to which people were sent, in one format, and the runs."""
    folder = tmp_path_factory.mktemp("log")
    with serving(folder, "--log-format", request.param.value) as port:
        token = (folder / "admin-token").read_text().strip()
        headers = {"Authorization": f"SSWS {token}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", headers=headers, trust_env=False, timeout=60) as http:
            runs = tell_all(http)
            assert [run["status"] for run in runs.values()] == ["COMPLETED", "COMPLETED", "HELD"]
            give_up = time.monotonic() + 10
            while "lifecycle/approve" not in (folder / "log").read_text() and time.monotonic() < give_up:
                time.sleep(0.05)
        yield request.param, (folder / "log").read_text(), runs
    assert token not in (folder / "log").read_text()


def test_nothing_of_anybody_is_in_the_log(told: tuple[LogFormat, str, dict[str, dict[str, Any]]]) -> None:
    _, log, _ = told
    assert "lifecycle/approve" in log
    assert WORD not in log.lower()


def test_every_line_of_a_run_has_its_id_and_every_line_of_a_request_its_own(told: tuple[LogFormat, str, dict[str, dict[str, Any]]]) -> None:
    written, log, runs = told
    if written is LogFormat.console:
        for run in runs.values():
            assert sum(run["id"] in line for line in log.splitlines()) >= 3
        return
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    of_runs = [line for line in lines if line["event"] in RUN_LINES]
    assert {line["run_id"] for line in of_runs} == {run["id"] for run in runs.values()}
    for run in runs.values():
        mine = [line["event"] for line in of_runs if line["run_id"] == run["id"]]
        assert mine[:2] == ["turn", "run planned"]
        assert ("run completed" in mine) == (run["status"] == "COMPLETED")
        assert all("worker" in line for line in of_runs)
    requests = [line for line in lines if line["event"].startswith("request")]
    assert all(line["request_id"].startswith("req") for line in requests)
    assert {line["event"] for line in requests} == {"request", "request refused"}
    started = {line["run_id"] for line in requests if line["event"] == "request" and line["path"].endswith("/imports") and "run_id" in line}
    assert {run["id"] for run in runs.values()} < started  # the body that was no JSON made a run, too
    about_held = {line["event"] for line in requests if line.get("run_id") == runs["held"]["id"]}
    assert about_held == {"request", "request refused"}


def test_a_line_that_is_of_no_run_names_none(told: tuple[LogFormat, str, dict[str, dict[str, Any]]]) -> None:
    written, log, _ = told
    if written is LogFormat.json:
        lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
        about_users = [line for line in lines if "/users" in line.get("path", "")]
        assert about_users
        assert [line for line in about_users if "run_id" in line] == []


@pytest.mark.parametrize("format", LogFormat)
def test_a_run_that_fails_for_somebodys_value_says_where_and_not_what(
    format: LogFormat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'm.db'}")
    world = World(engine)
    app_id = world.app("HR")

    def fail(*_: object) -> None:
        raise ValueError(f"cannot make anything of {WORD}")

    monkeypatch.setattr(steps, "apply_batch", fail)
    logs.configure(format)
    run = world.send(app_id, people(1))
    told = capsys.readouterr().err
    engine.dispose()
    assert run.status == "FAILED"
    assert WORD not in told.lower()
    for event in ("turn failed", "run failed"):
        (line,) = [line for line in told.splitlines() if event in line]
        assert run.id in line
    assert "ValueError" in told
