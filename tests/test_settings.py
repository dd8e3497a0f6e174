"""Secrets that a setting names by a file, as orchestrators mount them: read once, refused with a sentence, never shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from mastering.cli.client import find_token
from mastering.errors import SettingInvalid
from mastering.settings import Settings

PASSWORD = "p@ss:w/o?r%d #1"


def settings(**said: str) -> Settings:
    return Settings.from_environment({f"MASTERING_{name}": value for name, value in said.items()})


def file(folder: Path, text: str) -> str:
    (folder / "secret").write_text(text)
    return str(folder / "secret")


@pytest.mark.parametrize(
    ("address", "user", "host", "query"),
    [
        ("postgresql://app@db:5432/mastering", "app", "db", {}),
        ("postgresql://app@db/mastering?sslmode=require", "app", "db", {"sslmode": "require"}),
        ("postgresql://db/mastering", None, "db", {}),
        ("postgresql:///mastering?host=/run/db&user=app", None, None, {"host": "/run/db", "user": "app"}),
    ],
)
def test_the_password_of_a_file_is_the_password_of_the_address(
    tmp_path: Path, address: str, user: str | None, host: str | None, query: dict[str, str]
) -> None:
    url = make_url(settings(DATABASE_URL=address, DATABASE_PASSWORD_FILE=file(tmp_path, f"{PASSWORD}\n")).database_url)
    assert (url.password, url.username or None, url.host or None, dict(url.query)) == (PASSWORD, user, host, query)
    assert (url.drivername, url.database) == ("postgresql+psycopg", "mastering")


def test_a_token_of_a_file_is_the_preset_token_of_servers_and_of_commands_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = file(tmp_path, "the-token\n")
    assert settings(ADMIN_TOKEN_FILE=where).admin_token == "the-token"
    for name in ("MASTERING_TOKEN", "MASTERING_ADMIN_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MASTERING_ADMIN_TOKEN_FILE", where)
    assert find_token(None, tmp_path / "nowhere") == "the-token"


@pytest.mark.parametrize(
    ("text", "said", "sentence"),
    [
        (
            "x",
            {"DATABASE_URL": "postgresql://a:b@db/m", "DATABASE_PASSWORD_FILE": "FILE"},
            "DATABASE_PASSWORD_FILE: is set beside a password",
        ),
        ("x", {"DATABASE_URL": "postgresql:///m?password=b", "DATABASE_PASSWORD_FILE": "FILE"}, "DATABASE_PASSWORD_FILE: is set beside"),
        ("x", {"DATABASE_PASSWORD_FILE": "FILE"}, "DATABASE_PASSWORD_FILE: is for PostgreSQL"),
        ("x", {"DATABASE_URL": "sqlite:///m.db", "DATABASE_PASSWORD_FILE": "FILE"}, "DATABASE_PASSWORD_FILE: is for PostgreSQL"),
        (
            "\n",
            {"DATABASE_URL": "postgresql://db/m", "DATABASE_PASSWORD_FILE": "FILE"},
            "DATABASE_PASSWORD_FILE: names a file with nothing in",
        ),
        ("x", {"DATABASE_URL": "postgresql://db/m", "DATABASE_PASSWORD_FILE": "/none"}, "DATABASE_PASSWORD_FILE: cannot be read: /none"),
        ("x", {"ADMIN_TOKEN": "t", "ADMIN_TOKEN_FILE": "FILE"}, "ADMIN_TOKEN_FILE: is set beside MASTERING_ADMIN_TOKEN"),
        ("a b", {"ADMIN_TOKEN_FILE": "FILE"}, "ADMIN_TOKEN_FILE: must be ASCII characters without blanks"),
        ("x", {"ADMIN_TOKEN_FILE": "/none"}, "ADMIN_TOKEN_FILE: cannot be read: /none"),
        ("too short", {"SECRET_KEY_FILE": "FILE"}, "SECRET_KEY_FILE: must have at least 32 characters a line"),
    ],
)
def test_a_secret_that_cannot_be_used_is_named_and_not_quoted(tmp_path: Path, text: str, said: dict[str, str], sentence: str) -> None:
    where = file(tmp_path, text)
    with pytest.raises(SettingInvalid, match=f"MASTERING_{sentence}"):
        settings(**{name: where if value == "FILE" else value for name, value in said.items()})


def test_settings_do_not_show_what_files_hold(tmp_path: Path) -> None:
    where = file(tmp_path, "a-secret-of-thirty-two-characters-or-more")
    files = {"DATABASE_PASSWORD_FILE": where, "ADMIN_TOKEN_FILE": where, "SECRET_KEY_FILE": where}
    assert "a-secret" not in repr(settings(DATABASE_URL="postgresql://db/m", **files))
