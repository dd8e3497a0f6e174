"""Tokens: shown once, kept as a hash, worthless once revoked (API.md, habits)."""

from pathlib import Path

import pytest
from litestar.testing import TestClient
from sqlalchemy import text

from api import create_app
from mastering.clock import now
from mastering.settings import Settings
from mastering.store.engine import reading
from mastering.tokens import ensure_admin
from tests.api.service import ADMIN_TOKEN, Service, causes, refusal


def test_a_token_is_shown_once_and_works(service: Service) -> None:
    made = service.post("/tokens", json={"name": "audit", "role": "auditor"})
    assert service.with_token(made["token"]).get("/apps") == []
    listed = next(token for token in service.get("/tokens") if token["id"] == made["id"])
    assert "token" not in listed
    assert listed["name"] == "audit"
    assert listed["lastUsed"] is not None


def test_what_a_token_is_is_nowhere_in_the_database(service: Service) -> None:
    secret = service.post("/tokens", json={"name": "audit", "role": "auditor"}, headers={"Idempotency-Key": "k"})["token"]
    with reading(service.engine) as session:
        tables = session.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars().all()
        for table in tables:
            for row in session.execute(text(f"SELECT * FROM {table}")):
                assert all(secret not in str(value) and secret.encode() not in _raw(value) for value in row), table


def test_a_revoked_token_opens_nothing(service: Service) -> None:
    made = service.post("/tokens", json={"name": "audit", "role": "auditor"})
    service.delete(f"/tokens/{made['id']}")
    assert refusal(service.with_token(made["token"]).ask("GET", "/apps")) == (401, "E0000011")
    assert next(token for token in service.get("/tokens") if token["id"] == made["id"])["revoked"] is not None


def test_revoking_again_changes_nothing(service: Service) -> None:
    made = service.post("/tokens", json={"name": "audit", "role": "auditor"})
    service.delete(f"/tokens/{made['id']}")
    before = service.events()
    service.delete(f"/tokens/{made['id']}")
    assert service.events() == before


def test_a_token_that_is_not_there(service: Service) -> None:
    assert refusal(service.ask("DELETE", "/tokens/00Tnobody")) == (404, "E0000007")


@pytest.mark.parametrize(
    ("form", "found"),
    [
        ({"name": " ", "role": "admin"}, ["name: must have 1 to 100 characters"]),
        ({"name": "x", "role": "importer"}, ["apps: an importer's token names the apps that it may import"]),
        ({"name": "x", "role": "importer", "apps": ["0oa1"]}, ["apps: there is no app 0oa1"]),
        ({"name": "x", "role": "king"}, ["role: invalid enum value 'king'"]),
        ({"role": "admin"}, ["name: is required"]),
    ],
)
def test_a_token_that_cannot_be(service: Service, form: dict[str, object], found: list[str]) -> None:
    answer = service.ask("POST", "/tokens", json=form)
    assert refusal(answer) == (400, "E0000001")
    assert causes(answer) == found


def test_apps_belong_to_importers_alone(service: Service) -> None:
    answer = service.ask("POST", "/tokens", json={"name": "x", "role": "auditor", "apps": [service.app()]})
    assert causes(answer) == ["apps: belong to an importer's token, not to one of role auditor"]


def test_making_and_revoking_leave_history_without_the_secret(service: Service) -> None:
    made = service.post("/tokens", json={"name": "audit", "role": "auditor"})
    service.delete(f"/tokens/{made['id']}")
    created, revoked = service.events()[-2:]
    assert (created["type"], revoked["type"]) == ("token.create", "token.revoke")
    assert created["token"] == {"id": made["id"], "name": "audit", "role": "auditor", "apps": []}
    assert created["actor"]["name"] == "preset admin"


# -- the first start ------------------------------------------------------------------------------------------------------


def test_the_first_start_makes_an_admin_token_that_only_its_owner_can_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with TestClient(create_app(Settings.from_environment({}, data_dir=tmp_path))) as client:
        file = tmp_path / "admin-token"
        token = file.read_text().strip()
        assert file.stat().st_mode & 0o777 == 0o600
        assert client.get("/api/v1/tokens", headers={"Authorization": f"SSWS {token}"}).status_code == 200
    said = capsys.readouterr().err
    assert str(file) in said
    assert token not in said


def test_a_second_start_makes_none(tmp_path: Path) -> None:
    settings = Settings.from_environment({}, data_dir=tmp_path)
    with TestClient(create_app(settings)):
        token = (tmp_path / "admin-token").read_text().strip()
        (tmp_path / "admin-token").unlink()
    with TestClient(create_app(settings)) as client:
        assert not (tmp_path / "admin-token").exists()
        assert len(client.get("/api/v1/tokens", headers={"Authorization": f"SSWS {token}"}).json()) == 1


def test_a_preset_token_leaves_no_file(service: Service, tmp_path: Path) -> None:
    assert ensure_admin(service.engine, now(), ADMIN_TOKEN, tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_another_preset_takes_the_place_of_the_one_before(service: Service, tmp_path: Path) -> None:
    ensure_admin(service.engine, now(), "another-token-that-is-preset", tmp_path)
    assert refusal(service.ask("GET", "/apps")) == (401, "E0000011")
    assert service.with_token("another-token-that-is-preset").get("/apps") == []


def test_a_preset_that_an_admin_revoked_stays_revoked(service: Service, tmp_path: Path) -> None:
    service.delete(f"/tokens/{service.get('/tokens')[0]['id']}")
    ensure_admin(service.engine, now(), ADMIN_TOKEN, tmp_path)
    assert refusal(service.ask("GET", "/apps")) == (401, "E0000011")


def _raw(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""
