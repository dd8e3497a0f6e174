"""Several processes on one PostgreSQL: connections cut, servers restarted, workers stopped past their lease, receivers that die."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.faults.conftest import ACTIONS, AFTER, Place, Template, prepared
from tests.faults.processes import Process
from tests.postgres import Databases, Postgres
from tests.walks.imports_world import person

pytestmark = pytest.mark.parametrize("kind", ["postgresql"], indirect=True)

IN_A_BATCH = "mastering.imports.steps:apply_batch:stop:3"
BETWEEN_BATCHES = "mastering.imports.steps:_apply_next:stop:3"
WHILE_PLANNING = "mastering.imports.rows:PlanWriter.write:stop:3"


def test_a_connection_cut_in_the_middle_of_a_batch_is_no_end_of_the_run(place: Place, kind: str) -> None:
    server = place.start(IN_A_BATCH)
    server.send(place.app, AFTER)
    server.await_stop()
    with psycopg.connect(place.url, autocommit=True) as connection:
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        assert connection.execute(cut).fetchall()
    server.signal(signal.SIGCONT)
    run = server.await_run(place.app)
    assert (run["status"], run["actions"]) == ("COMPLETED", ACTIONS)
    place.check()


@pytest.fixture
def server_of_ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Postgres, Template]]:
    """A PostgreSQL server that a test may stop."""
    postgres = Postgres()
    postgres.make()
    postgres.start()
    try:
        yield postgres, prepared(tmp_path_factory.mktemp("own"), Databases(postgres.url("postgres")))
    finally:
        postgres.remove()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_a_database_that_is_restarted_in_the_middle_of_a_batch_is_no_end_of_the_run(
    server_of_ours: tuple[Postgres, Template], tmp_path: Path, how: signal.Signals, kind: str
) -> None:
    postgres, template = server_of_ours
    place = template.copy(tmp_path / "data")
    server = place.start(IN_A_BATCH)
    server.send(place.app, AFTER)
    server.await_stop()
    postgres.stop(how)
    server.signal(signal.SIGCONT)
    while "the database failed" not in server.log():
        assert server.http.get(f"http://127.0.0.1:{server.port}/health/ready").status_code == 503
    assert server.http.get("/users").status_code == 503
    postgres.start()
    server.await_answer()
    run = server.await_run(place.app)
    assert (run["status"], run["actions"]) == ("COMPLETED", ACTIONS)
    place.check()


@pytest.mark.parametrize("step", [WHILE_PLANNING, IN_A_BATCH, BETWEEN_BATCHES])
def test_a_worker_that_sleeps_past_its_lease_loses_the_run_and_does_nothing_twice(place: Place, step: str, kind: str) -> None:
    server = place.start("-", "serve", "--no-work")
    sleeper = place.start(step, "worker")
    server.send(place.app, AFTER)
    sleeper.await_stop()
    awake = place.start("-", "worker")
    run = server.await_run(place.app)
    assert (run["status"], run["actions"]) == ("COMPLETED", ACTIONS)
    sleeper.signal(signal.SIGCONT)
    sleeper.await_log("turn lost", "the database failed")
    assert server.send(place.app, AFTER) is not None
    assert server.await_run(place.app)["actions"] == {}
    for worker in (sleeper, awake):
        worker.signal(signal.SIGTERM)
        assert worker.await_end() == 0
    place.check()


def test_a_worker_that_is_killed_leaves_its_run_to_another(place: Place, kind: str) -> None:
    server = place.start("-", "serve", "--no-work")
    victim = place.start("mastering.imports.steps:apply_batch:after:3", "worker")
    server.send(place.app, AFTER)
    assert victim.await_end() == -signal.SIGKILL
    assert figure(server, "mastering_lease_takeovers_total") == 0
    place.start("-", "worker")
    run = server.await_run(place.app)
    assert (run["status"], run["actions"]) == ("COMPLETED", ACTIONS)
    assert figure(server, "mastering_lease_takeovers_total") == 1
    place.check()


def figure(server: Process, name: str) -> float:
    """A figure without labels, as any server tells it, though it does none of the work."""
    (line,) = [line for line in server.http.get(f"http://127.0.0.1:{server.port}/metrics").text.splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])


def test_an_upload_that_died_with_its_process_is_failed_by_another_process(place: Place, kind: str) -> None:
    other = place.start("-", "serve", "--no-work")
    receiver = place.start("mastering.imports.spool:Spool._write:after:2", "serve", "--no-work")
    receiver.send(place.app, AFTER)
    assert receiver.await_end() == -signal.SIGKILL
    run = other.await_run(place.app)
    assert (run["status"], run["error"]) == ("FAILED", "The upload was interrupted; nothing was changed. Send the import again")
    place.check()


def test_several_workers_and_apps_on_the_same_people_do_everything_once(place: Place, kind: str) -> None:
    servers = [place.start("-", "serve", "--no-work") for _ in range(2)]
    for _ in range(2):
        place.start("-", "worker")
    apps = [place.app, *(servers[0].app(label) for label in ("AD", "Payroll"))]
    for number, app_id in enumerate(apps):
        servers[number % 2].send(
            app_id, [*AFTER, *(person(f"E{each}", department=f"{number}") for each in range(70, 100))] if number else AFTER
        )
    for app_id in apps:
        assert servers[0].await_run(app_id)["status"] == "COMPLETED"
    place.check()


def test_an_import_waits_for_a_process_that_works(place: Place, kind: str) -> None:
    server = place.start("-", "serve", "--no-work")
    server.send(place.app, AFTER)
    assert server.runs(place.app)[0]["status"] == "QUEUED"
    worker: Process = place.start("-", "worker")
    assert server.await_run(place.app)["actions"] == ACTIONS
    worker.signal(signal.SIGINT)
    assert worker.await_end() == 0
