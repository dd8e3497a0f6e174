"""The database itself, for the commands that do without a running server. Apart from them, as loading all this takes longer than most."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from mastering import keys, tokens
from mastering.catalog import apps
from mastering.checkpoints import kept_from
from mastering.cli.exits import Exit, Stop
from mastering.clock import now
from mastering.ledger import Actor
from mastering.proof import Report, verify
from mastering.settings import Settings
from mastering.store.catalog import WantedApps
from mastering.store.documents import load
from mastering.store.engine import open_database, reading
from mastering.store.tables import App, Role, Token
from mastering.vault import FILE as KEY_FILE
from mastering.vault import Vault, open_vault

COMMAND_LINE = Actor("command_line", "mastering", "command line")
"""Who did it, where a token was made or revoked here."""
_PAGE = 200

Row = TypeVar("Row", App, Token)


@dataclass(frozen=True, slots=True)
class Listed:
    """A token as it is listed: its apps by label, its instants as text."""

    id: str
    name: str
    role: str
    apps: str
    times: tuple[str | None, str | None, str | None]
    """Created, last used, revoked."""


@dataclass(frozen=True, slots=True)
class Database:
    """The server's database, whether the server runs or not."""

    engine: Engine
    settings: Settings

    def verify(self, kept: Sequence[Path]) -> Report:
        """Look at all of the history, and hold it against checkpoints in files. Raises `Stop` for a file that cannot be read, and `Invalid`."""
        with ExitStack() as files, reading(self.engine) as session:
            return verify(session, self._vault(), [kept_from(_lines(files, file)) for file in kept])

    def key_ids(self) -> list[str]:
        """What the keys of the key file are called, the present one first."""
        vault = self._vault()
        return vault.key_ids if vault else []

    def key_usage(self) -> Counter[str]:
        """How many secrets each key has sealed."""
        return keys.usage(self.engine)

    def rotate_keys(self) -> tuple[str, dict[str, list[str]]]:
        """Put a new key in front, and seal everything again; what it is called, and what could not be read. Raises `Stop`."""
        file = self.settings.secret_key_file or self.settings.data_dir / KEY_FILE
        if self.settings.secret_key is not None and self.settings.secret_key_file is None:
            raise Stop(
                Exit.BAD_INPUT,
                "MASTERING_SECRET_KEY holds the key itself: put a new one on a line of its own before it, and start the server again",
            )
        try:
            return keys.rotate(self.engine, file)
        except OSError as fault:
            raise Stop(Exit.BAD_INPUT, f"The key file {file} cannot be written: {fault.strerror}") from fault

    def _vault(self) -> Vault | None:
        """The keys that the server signs with, if they are where the settings say; none is made."""
        there = self.settings.secret_key is not None or (self.settings.data_dir / KEY_FILE).is_file()
        return open_vault(self.settings.secret_key, self.settings.data_dir, self.settings.secret_key_file) if there else None

    def create(self, name: str, role: str, wanted: Sequence[str]) -> tokens.Issued:
        """A new token; apps are named by id or label. Raises `Invalid` or `Stop`."""
        allowed = [self._app_id(each) for each in wanted]
        return tokens.create(self.engine, COMMAND_LINE, now(), name, Role(role), apps=allowed)

    def listed(self) -> Iterator[Listed]:
        """All tokens, ascending by id."""
        labels = {app.id: app.label for app in self._apps()}
        for token in _all(lambda after: tokens.page(self.engine, after, _PAGE)):
            named = ", ".join(labels.get(app_id, app_id) for app_id in load(token.apps))
            yield Listed(token.id, token.name, token.role.value, named, (token.created, token.last_used, token.revoked))

    def revoke(self, token_id: str) -> None:
        """Make a token worthless. Raises `NotFound`."""
        tokens.revoke(self.engine, COMMAND_LINE, now(), token_id)

    def _app_id(self, wanted: str) -> str:
        found = [app.id for app in self._apps() if wanted in {app.id, app.label}]
        if len(found) != 1:
            raise Stop(Exit.BAD_INPUT, f"{len(found) or 'No'} apps are called {wanted!r}; name one by its id")
        return found[0]

    def _apps(self) -> Iterator[App]:
        return _all(lambda after: apps.page(self.engine, WantedApps(), after, _PAGE))


@contextmanager
def opened(database_url: str | None, data_dir: str | None) -> Iterator[Database]:
    """The database that a server with these settings has. Raises `Stop` where there is none yet: a new one elsewhere would help nobody."""
    given = {"MASTERING_DATABASE_URL": database_url, "MASTERING_DATA_DIR": data_dir}
    os.environ.update({name: value for name, value in given.items() if value is not None})
    settings = Settings.from_environment(os.environ)
    url = make_url(settings.database_url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise Stop(
            Exit.BAD_INPUT, f"There is no database {url.database}; name the server's data folder with --data-dir, or start the server once"
        )
    engine = open_or_stop(settings)
    try:
        yield Database(engine, settings)
    finally:
        engine.dispose()


def open_or_stop(settings: Settings) -> Engine:
    """The database, its schema up to date. Raises `Stop` with the setting that names a database which cannot be opened."""
    setting = "MASTERING_DATABASE_URL" if os.environ.get("MASTERING_DATABASE_URL") else "MASTERING_DATA_DIR"
    try:
        return open_database(settings.database_url)
    except OSError as fault:
        raise Stop(Exit.BAD_INPUT, f"{setting}: the database cannot be opened: {fault.filename}: {fault.strerror}") from fault
    except DBAPIError as fault:
        said = str(fault.orig).splitlines() or [type(fault.orig).__name__]
        raise Stop(Exit.BAD_INPUT, f"{setting}: the database cannot be opened: {said[0]}") from fault


def _lines(files: ExitStack, file: Path) -> Iterator[bytes]:
    """The lines of a file, which is closed with the others."""
    try:
        return iter(files.enter_context(file.open("rb")))
    except OSError as fault:
        raise Stop(Exit.BAD_INPUT, f"{file} cannot be read: {fault.strerror}") from fault


def _all(page: Callable[[str], Sequence[Row]]) -> Iterator[Row]:
    """Every row of a list that is read page by page; a page has one row more than it should where there are more."""
    after = ""
    while rows := page(after):
        yield from rows[:_PAGE]
        if len(rows) <= _PAGE:
            return
        after = rows[_PAGE - 1].id
