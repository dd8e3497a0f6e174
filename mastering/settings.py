"""Settings: environment variables, read once at the start into one frozen object.

================================  ====================================================================================
MASTERING_DATABASE_URL            `sqlite:///FILE` or `postgresql://…`; by default the file `mastering.db` in the data folder
MASTERING_DATABASE_PASSWORD_FILE  a file that holds the password to this database, instead of a password in its address
MASTERING_DATA_DIR                where files are kept; by default `data` where the process starts
MASTERING_HOST                    the address to listen on; by default 127.0.0.1
MASTERING_PORT                    the port to listen on; by default 8000
MASTERING_ADMIN_TOKEN             the token of the first admin, instead of one that the first start makes up
MASTERING_ADMIN_TOKEN_FILE        a file that holds that token, instead
MASTERING_SECRET_KEY              the key that credentials are encrypted with, at least 32 characters; by default one is made in the data folder
MASTERING_SECRET_KEY_FILE         a file that holds that key, instead; earlier keys may follow, one a line, for what they encrypted
MASTERING_OUTBOUND_ALLOW          private networks that hooks and connections may reach, such as `10.0.0.0/8,192.168.1.7`; by default none
MASTERING_LOG_FORMAT              `console` or `json`; by default console
MASTERING_WORK                    `yes` or `no`: whether a server carries out imports itself; by default yes
MASTERING_LEASE_SECONDS           how long a run is left to a process that does not stir; by default 30
================================  ====================================================================================

A setting that cannot be used stops the start with a sentence that names it. An empty variable counts as one that is not there. Secrets
are not part of the object's `repr`, and no sentence quotes them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mastering.errors import SettingInvalid

_PREFIX = "MASTERING_"
_SHORTEST_KEY = 32
_LONGEST_LEASE = 3_600
LEASE = timedelta(seconds=30)
"""How long a run is left to a process that does not stir, if nothing else is said."""

Network = IPv4Network | IPv6Network


class LogFormat(StrEnum):
    """How log lines are written: for people, or for machines."""

    console = "console"
    json = "json"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a process was started with. Made by `from_environment`."""

    database_url: str = field(repr=False)
    data_dir: Path
    host: str
    port: int
    admin_token: str | None = field(repr=False)
    secret_key: str | None = field(repr=False)
    secret_key_file: Path | None
    """Where the key comes from, if it comes from a file."""
    log_format: LogFormat
    outbound_allow: tuple[Network, ...] = ()
    """Private networks that the service may call into (SPEC §8)."""
    work: bool = True
    lease: timedelta = LEASE

    @classmethod
    def from_environment(cls, env: Mapping[str, str], **overrides: Any) -> Settings:
        """Settings from variables; `overrides`, by the names above in lower case without prefix, win where they are not `None`.

        Raises `SettingInvalid`, which names the setting.
        """
        said = {name[len(_PREFIX) :].lower(): text for name, text in env.items() if name.startswith(_PREFIX) and text != ""}
        said |= {name: str(value) for name, value in overrides.items() if value is not None}
        data_dir = Path(said.get("data_dir", "data"))
        return cls(
            database_url=_database_url(said.get("database_url"), said.get("database_password_file"), data_dir),
            data_dir=data_dir,
            host=said.get("host", "127.0.0.1"),
            port=_port(said.get("port", "8000")),
            admin_token=_admin_token(said.get("admin_token"), said.get("admin_token_file")),
            secret_key=_secret_key(said.get("secret_key"), said.get("secret_key_file")),
            secret_key_file=Path(said["secret_key_file"]) if "secret_key_file" in said else None,
            log_format=_log_format(said.get("log_format", LogFormat.console.value)),
            outbound_allow=_networks(said.get("outbound_allow", "")),
            work=_work(said.get("work", "yes")),
            lease=_lease(said.get("lease_seconds")),
        )


def _database_url(text: str | None, password_file: str | None, data_dir: Path) -> str:
    """The address as the engine wants it, with the driver's name in it. The one given may hold a password and is not quoted."""
    if password_file is not None and (text is None or text.startswith("sqlite:")):
        raise _invalid("DATABASE_PASSWORD_FILE", "is for PostgreSQL; an SQLite file has no password")
    if text is None:
        return f"sqlite:///{data_dir / 'mastering.db'}"
    scheme, _, rest = text.partition("://")
    if scheme == "sqlite":
        if rest in {"", "/", "/:memory:"}:
            raise _invalid("DATABASE_URL", "an SQLite database needs a file: sqlite:///path/to/mastering.db")
        return text
    if scheme in {"postgresql", "postgres", "postgresql+psycopg"} and rest:
        if find_spec("psycopg") is None:
            raise _invalid("DATABASE_URL", "PostgreSQL needs its driver; install the package with its extra: mastering[postgres]")
        return f"postgresql+psycopg://{rest if password_file is None else _with_password(rest, password_file)}"
    raise _invalid("DATABASE_URL", "must begin with sqlite:/// or postgresql://")


def _with_password(address: str, file: str) -> str:
    """`user@host/database` with the password that a file holds."""
    authority = re.split(r"[/?]", address, maxsplit=1)[0]
    user, _, host = authority.rpartition("@")
    if ":" in user or re.search(r"[?&]password=", address):
        raise _invalid("DATABASE_PASSWORD_FILE", f"is set beside a password in {_PREFIX}DATABASE_URL; set one of the two")
    password = _in_file("DATABASE_PASSWORD_FILE", file)
    return f"{user}:{quote(password, safe='')}@{host}{address[len(authority) :]}"


def _in_file(name: str, file: str) -> str:
    """The secret in the file that a setting names, without the end of its line."""
    try:
        text = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as fault:
        raise _invalid(name, f"cannot be read: {file}") from fault
    if not text:
        raise _invalid(name, f"names a file with nothing in it: {file}")
    return text


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65_536):
        raise _invalid("PORT", f"must be a number from 1 to 65535, not {text!r}")
    return int(text)


def _admin_token(text: str | None, file: str | None) -> str | None:
    if file is not None:
        if text is not None:
            raise _invalid("ADMIN_TOKEN_FILE", f"is set beside {_PREFIX}ADMIN_TOKEN; set one of the two")
        text = _in_file("ADMIN_TOKEN_FILE", file)
    if text is not None and not (text.isascii() and text.isprintable() and " " not in text):
        raise _invalid(
            "ADMIN_TOKEN" if file is None else "ADMIN_TOKEN_FILE", "must be ASCII characters without blanks, as it travels in a header"
        )
    return text


def _secret_key(text: str | None, file: str | None) -> str | None:
    if file is not None:
        if text is not None:
            raise _invalid("SECRET_KEY_FILE", f"is set beside {_PREFIX}SECRET_KEY; set one of the two")
        text = _in_file("SECRET_KEY_FILE", file)
    if text is not None and min((len(line.strip()) for line in text.splitlines() if line.strip()), default=0) < _SHORTEST_KEY:
        raise _invalid("SECRET_KEY" if file is None else "SECRET_KEY_FILE", f"must have at least {_SHORTEST_KEY} characters a line")
    return text


def _log_format(text: str) -> LogFormat:
    try:
        return LogFormat(text)
    except ValueError:
        raise _invalid("LOG_FORMAT", f"must be console or json, not {text!r}") from None


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())
    except ValueError:
        raise _invalid("OUTBOUND_ALLOW", f"must be networks or addresses, separated by commas, such as 10.0.0.0/8, not {text!r}") from None


def _work(text: str) -> bool:
    if text not in {"yes", "no"}:
        raise _invalid("WORK", f"must be yes or no, not {text!r}")
    return text == "yes"


def _lease(text: str | None) -> timedelta:
    if text is None:
        return LEASE
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= _LONGEST_LEASE):
        raise _invalid("LEASE_SECONDS", f"must be a number from 1 to {_LONGEST_LEASE}, not {text!r}")
    return timedelta(seconds=int(text))


def _invalid(name: str, message: str) -> SettingInvalid:
    return SettingInvalid(f"{_PREFIX}{name}: {message}")
