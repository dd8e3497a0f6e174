"""`mastering worker`: carries out imports and tells apps of people, beside the servers, on the same database (docs/operations.md).

As many as one likes on PostgreSQL. On an SQLite file it is the only process or none: a server there works by itself.

Nobody can call a worker. Its sign of life is a file in its data folder, as old as the last step that it took; `mastering health` looks at it.
An outage of the database is no fault of the worker's: it looks again and again, and that is a step, too.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mastering.cli.exits import Exit, Stop
from mastering.cli.terminal import tell
from mastering.clock import EPOCH, now
from mastering.settings import Settings

if TYPE_CHECKING:
    from mastering.imports.worker import Worker

SIGN_OF_LIFE = "worker-alive"
_SIGN_EVERY = 2.0
STIFF_AFTER = timedelta(minutes=2)
"""A worker that takes no step for so long hangs: a batch takes seconds, and waiting for a database at most a minute."""


def worker(
    *,
    database_url: Annotated[
        str | None, typer.Option(help="sqlite:///FILE or postgresql://…; a file in the data folder if not said.")
    ] = None,
    database_password_file: Annotated[str | None, typer.Option(help="File that holds the password to a PostgreSQL database.")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Folder of the database; data if not said.")] = None,
    log_format: Annotated[
        str | None, typer.Option(metavar="[console|json]", help="How log lines are written; console if not said.")
    ] = None,
    lease_seconds: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="How long a run is left to a process that does not stir; 30 if not said.")
    ] = None,
    secret_key: Annotated[str | None, typer.Option(help="Key that credentials are encrypted with, 32 characters or more.")] = None,
    secret_key_file: Annotated[str | None, typer.Option(help="File that holds this key, instead.")] = None,
    outbound_allow: Annotated[
        str | None, typer.Option(metavar="NETWORKS", help="Private networks that hooks and connections may reach; none if not said.")
    ] = None,
) -> None:
    """Carry out imports and tell apps of people until told to stop. Every option is also an environment variable, MASTERING_ and its name; the option wins."""
    settings = Settings.from_environment(
        os.environ,
        database_url=database_url,
        database_password_file=database_password_file,
        data_dir=data_dir,
        log_format=log_format,
        lease_seconds=lease_seconds,
        secret_key=secret_key,
        secret_key_file=secret_key_file,
        outbound_allow=outbound_allow,
    )
    _work(settings)


def _work(settings: Settings) -> None:
    from mastering import logs
    from mastering.cli.database import open_or_stop
    from mastering.connections import Peers
    from mastering.connectors.outbound import Door
    from mastering.imports.hooking import HookCaller
    from mastering.imports.puller import Puller
    from mastering.imports.worker import Worker, recover
    from mastering.provisioning import deliverer as deliveries
    from mastering.schedule import Ticker
    from mastering.store.sole import sole_server
    from mastering.vault import open_vault

    logs.configure(settings.log_format)
    stop = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: stop.set())
    engine = open_or_stop(settings)
    try:
        with sole_server(settings.database_url), closing(Door(settings.outbound_allow)) as door:
            if engine.dialect.name == "sqlite":
                recover(engine)
                deliveries.recover(engine)
            vault = open_vault(settings.secret_key, settings.data_dir, settings.secret_key_file)
            working, ticker = Worker(engine, HookCaller(vault, door), settings.lease), Ticker(engine, vault=vault)
            peers = Peers(engine, vault, door)
            deliverer = deliveries.Deliverer(engine, peers.open, vault, settings.lease)
            puller = Puller(engine, peers, settings.lease, sealed=working.wake)
            _give_sign(settings.data_dir, working)
            working.start()
            puller.start()
            deliverer.start()
            ticker.start()
            tell(f"Working as {working.owner}. Stop it with Ctrl-C")
            while not stop.wait(_SIGN_EVERY):
                with suppress(Stop):  # a disk that is full by now is no reason to leave
                    _give_sign(settings.data_dir, working)
            ticker.stop()
            puller.stop()
            working.stop()
            deliverer.stop()
            (settings.data_dir / SIGN_OF_LIFE).unlink(missing_ok=True)
    finally:
        engine.dispose()


def _give_sign(folder: Path, working: Worker) -> None:
    """Make the file as old as the worker's last step. Raises `Stop` where there can be no such file."""
    file, seconds = folder / SIGN_OF_LIFE, (working.stirred - EPOCH).total_seconds()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.touch()
        os.utime(file, (seconds, seconds))
    except OSError as fault:
        raise Stop(Exit.BAD_INPUT, f"MASTERING_DATA_DIR: {file} cannot be written: {fault.strerror}") from fault


def health(
    *,
    data_dir: Annotated[str | None, typer.Option(help="Folder that the worker was started with; data if not said.")] = None,
) -> None:
    """Tell whether the worker of a data folder goes on: exit code 0 if it has taken a step in the last two minutes, else 1."""
    file = Settings.from_environment(os.environ, data_dir=data_dir).data_dir / SIGN_OF_LIFE
    try:
        age = (now() - EPOCH).total_seconds() - file.stat().st_mtime
    except OSError:
        raise Stop(Exit.FAILED, f"No worker is at work with this data folder: {file} is not there") from None
    if age > STIFF_AFTER.total_seconds():
        raise Stop(Exit.FAILED, f"The worker has taken no step for {age:.0f} seconds")
