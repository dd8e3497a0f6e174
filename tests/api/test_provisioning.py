"""The queue to an app over HTTP: what waits, what is dead, how an account stands, and passwords on their way (docs/decisions/0041)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import func, select, update
from sqlmodel import col

from api import create_app
from mastering.clock import now
from mastering.provisioning.deliverer import Deliverer
from mastering.rules.tasks import TaskStatus
from mastering.settings import Settings
from mastering.store.engine import reading, writing
from mastering.store.outbound import OutboundTask
from mastering.tokens import ensure_admin
from tests.api.service import ADMIN_TOKEN, Service, profile, refusal
from tests.scim_peer import ScimServer, scim_server
from tests.walks.imports_world import empty

SWITCHES = {
    "create": {"lifecycleCreate": {"status": "ENABLED"}},
    "update": {
        "lifecycleDeactivate": {"status": "ENABLED"},
        "profile": {"status": "ENABLED"},
        "password": {"status": "ENABLED", "seed": "OKTA", "change": "CHANGE"},
    },
}
PASSWORD = "correct-Horse-battery-staple-77"


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient[Litestar]]:
    """A server that leaves deliveries to others: the tests say when."""
    told = {"MASTERING_DATA_DIR": str(tmp_path_factory.mktemp("idle")), "MASTERING_ADMIN_TOKEN": ADMIN_TOKEN, "MASTERING_WORK": "no"}
    with TestClient(create_app(Settings.from_environment(told))) as client:
        yield client


@pytest.fixture
def service(idle: TestClient[Litestar]) -> Service:
    empty(idle.app.state.engine)
    ensure_admin(idle.app.state.engine, now(), ADMIN_TOKEN, idle.app.state.settings.data_dir)
    return Service(idle)


@pytest.fixture
def peer() -> Iterator[ScimServer]:
    with scim_server() as made:
        yield made


def connected(service: Service, peer: ScimServer) -> str:
    """An app with a connection and every switch on."""
    app: str = service.app("Target")
    form = {"baseUrl": peer.url, "profile": {"authScheme": "TOKEN", "token": "secret"}}
    service.post(f"/apps/{app}/connections/default?activate=true", json=form)
    service.put(f"/apps/{app}/features/USER_PROVISIONING", json=SWITCHES)
    return app


def deliver(service: Service) -> int:
    state = service.client.app.state
    return Deliverer(service.engine, state.peers.open, state.vault).turn()


def a_user(service: Service, name: str, **more: Any) -> str:
    user_id: str = service.post("/users", json={"profile": profile(name), **more})["id"]
    return user_id


def test_an_account_goes_from_syncing_to_synchronized(service: Service, peer: ScimServer) -> None:
    app = connected(service, peer)
    ann = a_user(service, "ann")
    assigned = service.post(f"/apps/{app}/users", json={"id": ann})
    assert (assigned["syncState"], assigned["_embedded"]["provisioning"]["waiting"]) == ("SYNCING", 1)
    queue = service.get(f"/apps/{app}/provisioning-queue")
    assert (queue["waiting"], queue["dead"], queue["paused"]) == (1, 0, None)
    deliver(service)
    shown = service.get(f"/apps/{app}/users/{ann}")
    told = shown["_embedded"]["provisioning"]
    assert (shown["syncState"], shown["externalId"], shown["status"]) == ("SYNCHRONIZED", "u-1", "ACTIVE")
    assert (told["waiting"], told["error"], told["scimId"]) == (0, None, "u-1")
    (task,) = service.get(f"/apps/{app}/provisioning-tasks")
    assert (task["kind"], task["status"], task["userId"], task["nextAttempt"]) == ("CREATE", "DONE", ann, None)
    assert service.get(f"/apps/{app}/provisioning-tasks/{task['id']}") == task
    assert shown["lastSync"] == task["finished"]
    assert service.get(f"/apps/{app}/provisioning-queue")["waiting"] == 0


def test_dead_tasks_are_listed_and_retried_singly_and_all(service: Service, peer: ScimServer) -> None:
    app = connected(service, peer)
    people = [a_user(service, name) for name in ("ann", "bob", "eve")]
    for each in people:
        service.post(f"/apps/{app}/users", json={"id": each})
    bury(service)
    page = service.ask("GET", f"/apps/{app}/provisioning-tasks?status=DEAD&limit=2")
    assert [task["userId"] for task in page.json()] == people[:2]
    assert 'rel="next"' in page.headers["link"]
    assert service.get(f"/apps/{app}/provisioning-queue")["dead"] == 3
    figures = service.ask("GET", "/metrics").text
    assert f'mastering_provisioning_tasks{{app="{app}",status="DEAD"}} 3.0' in figures
    assert f'mastering_provisioning_paused{{app="{app}"}} 0.0' in figures
    assert service.get(f"/apps/{app}/users/{people[0]}")["syncState"] == "ERROR"
    first = page.json()[0]["id"]
    assert service.post(f"/apps/{app}/provisioning-tasks/{first}/lifecycle/retry")["status"] == "PENDING"
    assert refusal(service.ask("POST", f"/apps/{app}/provisioning-tasks/{first}/lifecycle/retry")) == (403, "E0000107")
    assert service.post(f"/apps/{app}/provisioning-tasks/lifecycle/retry") == {"retried": 2}
    deliver(service)
    assert len(peer.users) == 3
    assert service.get(f"/apps/{app}/provisioning-tasks?status=DEAD") == []
    assert len(service.get(f"/apps/{app}/provisioning-tasks?kind=CREATE&userId={people[1]}")) == 1


def test_a_failed_attempt_shows_as_out_of_sync_with_its_error(service: Service, peer: ScimServer) -> None:
    app = connected(service, peer)
    ann = a_user(service, "ann")
    service.post(f"/apps/{app}/users", json={"id": ann})
    peer.behaves = lambda _: (503, {"detail": "closed for today"})
    deliver(service)
    shown = service.get(f"/apps/{app}/users/{ann}")
    assert shown["syncState"] == "OUT_OF_SYNC"
    assert shown["_embedded"]["provisioning"]["error"] == "it answered with status 503: closed for today"
    (task,) = service.get(f"/apps/{app}/provisioning-tasks")
    assert (task["status"], task["attempts"], task["attemptsLeft"]) == ("PENDING", 1, 9)
    assert task["nextAttempt"] is not None


def test_a_test_that_succeeds_lets_a_paused_queue_go_on(service: Service, peer: ScimServer) -> None:
    app = connected(service, peer)
    service.post(f"/apps/{app}/users", json={"id": a_user(service, "ann")})
    peer.behaves = lambda _: (401, {})
    deliver(service)
    queue = service.get(f"/apps/{app}/provisioning-queue")
    assert (queue["waiting"], queue["reason"]) == (1, "it refused the credentials with status 401")
    assert queue["paused"] is not None
    assert service.post(f"/apps/{app}/connections/default/test")["ok"] is False
    assert service.get(f"/apps/{app}/provisioning-queue")["paused"] is not None
    peer.behaves = lambda _: None
    assert service.post(f"/apps/{app}/connections/default/test")["ok"] is True
    assert service.get(f"/apps/{app}/provisioning-queue")["paused"] is None
    deliver(service)
    assert len(peer.users) == 1


def test_what_is_not_there_is_not_found_and_a_bad_cursor_is_named(service: Service, peer: ScimServer) -> None:
    app = connected(service, peer)
    assert service.ask("GET", "/apps/0oaNobody/provisioning-queue").status_code == 404
    assert service.ask("GET", "/apps/0oaNobody/provisioning-tasks").status_code == 404
    assert service.ask("GET", f"/apps/{app}/provisioning-tasks/otkNobody").status_code == 404
    assert service.ask("POST", f"/apps/{app}/provisioning-tasks/otkNobody/lifecycle/retry").status_code == 404
    answer = service.ask("GET", f"/apps/{app}/provisioning-tasks?after=x")
    assert answer.json()["errorCauses"] == [{"errorSummary": "after: must be what a page's next link says"}]


# -- passwords ----------------------------------------------------------------------------------------------------------------


def test_a_password_is_pushed_and_then_found_nowhere(
    service: Service, peer: ScimServer, caplog: pytest.LogCaptureFixture, capfd: Any
) -> None:
    app = connected(service, peer)
    ann = a_user(service, "ann")
    service.post(f"/apps/{app}/users", json={"id": ann})
    deliver(service)
    assert PASSWORD not in service.ask("POST", f"/users/{ann}", json={"credentials": {"password": {"value": PASSWORD}}}).text
    waiting = traces(service)
    assert PASSWORD not in waiting
    assert "v1:" in waiting, "it waits, sealed"
    deliver(service)
    assert peer.passwords["u-1"][-1] == PASSWORD
    after = traces(service)
    assert PASSWORD not in after
    assert PASSWORD not in caplog.text
    out, err = capfd.readouterr()
    assert PASSWORD not in out + err
    (task,) = service.get(f"/apps/{app}/provisioning-tasks?kind=PASSWORD")
    assert task["status"] == "DONE"
    assert secrets_left(service) == 0
    kinds = [event["type"] for event in service.get(f"/users/{ann}/history")]
    assert kinds[:2] == ["account.push.password", "user.password"]


def test_a_password_that_died_waiting_is_erased_and_can_only_be_set_again(service: Service, peer: ScimServer) -> None:
    app = connected(service, peer)
    ann = a_user(service, "ann")
    service.post(f"/apps/{app}/users", json={"id": ann})
    deliver(service)
    service.post(f"/users/{ann}", json={"credentials": {"password": {"value": PASSWORD}}})
    bury(service)
    assert secrets_left(service) == 0
    (task,) = service.get(f"/apps/{app}/provisioning-tasks?status=DEAD")
    assert refusal(service.ask("POST", f"/apps/{app}/provisioning-tasks/{task['id']}/lifecycle/retry")) == (403, "E0000107")
    assert service.post(f"/apps/{app}/provisioning-tasks/lifecycle/retry") == {"retried": 0}
    service.post(f"/users/{ann}", json={"credentials": {"password": {"value": PASSWORD + "2"}}})
    deliver(service)
    assert peer.passwords["u-1"][-1] == PASSWORD + "2"
    assert service.get(f"/apps/{app}/users/{ann}")["syncState"] == "SYNCHRONIZED"


def test_a_newer_password_takes_the_place_of_one_that_waits(service: Service, peer: ScimServer) -> None:
    app = connected(service, peer)
    ann = a_user(service, "ann")
    service.post(f"/apps/{app}/users", json={"id": ann})
    for number in range(3):
        service.post(f"/users/{ann}", json={"profile": {}, "credentials": {"password": {"value": f"{PASSWORD}-{number}"}}})
    assert secrets_left(service) == 1
    deliver(service)
    assert [password for password in peer.passwords["u-1"] if password.startswith(PASSWORD)] == [f"{PASSWORD}-2"]


@pytest.mark.parametrize(
    ("options", "pushed"),
    [
        ({"status": "DISABLED", "seed": "OKTA", "change": "CHANGE"}, "none"),
        ({"status": "ENABLED", "seed": "OKTA", "change": "CHANGE"}, "directory"),
        ({"status": "ENABLED", "seed": "OKTA", "change": "KEEP_EXISTING"}, "none"),
        ({"status": "ENABLED", "seed": "RANDOM", "change": "CHANGE"}, "random"),
        ({"status": "ENABLED", "seed": "RANDOM", "change": "KEEP_EXISTING"}, "none"),
    ],
)
def test_every_password_option_pushes_what_it_says(service: Service, peer: ScimServer, options: dict[str, str], pushed: str) -> None:
    app = connected(service, peer)
    service.put(f"/apps/{app}/features/USER_PROVISIONING", json={"update": {"password": options}})
    ann, bob = a_user(service, "ann"), a_user(service, "bob")
    for each in (ann, bob):
        service.post(f"/apps/{app}/users", json={"id": each})
    deliver(service)
    for each in (ann, bob):
        service.post(f"/users/{each}", json={"profile": {}, "credentials": {"password": {"value": PASSWORD}}})
    deliver(service)
    last = {user_id: passwords[-1] for user_id, passwords in peer.passwords.items()}
    times = {len(passwords) for passwords in peer.passwords.values()}
    assert times == ({1} if pushed == "none" else {2})
    assert set(last.values()) == {PASSWORD} if pushed == "directory" else len(set(last.values()) - {PASSWORD}) == 2


@pytest.mark.parametrize("value", ["", "x" * 129])
def test_a_password_that_cannot_be_one_is_refused_and_not_repeated(service: Service, value: str) -> None:
    answer = service.ask("POST", "/users", json={"profile": profile("ann"), "credentials": {"password": {"value": value}}})
    assert answer.status_code == 400
    assert "credentials.password.value" in answer.text
    assert not value or value not in answer.text


def bury(service: Service) -> None:
    """Let everything that waits die."""

    def broken(_: str) -> Any:
        raise ZeroDivisionError

    with writing(service.engine) as session:
        session.execute(update(OutboundTask).where(col(OutboundTask.status) == TaskStatus.PENDING).values(attempts=9))
    Deliverer(service.engine, broken, service.client.app.state.vault).turn()


def secrets_left(service: Service) -> int:
    with reading(service.engine) as session:
        return int(session.execute(select(func.count()).where(col(OutboundTask.secret).is_not(None))).scalar_one())


def traces(service: Service) -> str:
    """Everything in the files of the database, the log of what was written ahead included."""
    file = Path(str(service.engine.url.database))
    return "".join(each.read_bytes().decode("latin-1") for each in file.parent.glob(f"{file.name}*"))
