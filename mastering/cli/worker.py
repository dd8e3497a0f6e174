"""`mastering worker`: carries out imports beside the servers that receive them, on the same database (docs/operations.md).

As many as one likes on PostgreSQL. On an SQLite file it is the only process or none: a server there works by itself.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import closing
from typing import Annotated

import typer

from mastering.cli.terminal import tell
from mastering.settings import Settings


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
    """Carry out imports until told to stop. Every option is also an environment variable, MASTERING_ and its name; the option wins."""
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
    from mastering.connectors.outbound import Door
    from mastering.imports.hooking import HookCaller
    from mastering.imports.worker import Worker, recover
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
            hooks = HookCaller(open_vault(settings.secret_key, settings.data_dir), door)
            working, ticker = Worker(engine, hooks, settings.lease), Ticker(engine)
            working.start()
            ticker.start()
            tell(f"Working as {working.owner}. Stop it with Ctrl-C")
            stop.wait()
            ticker.stop()
            working.stop()
    finally:
        engine.dispose()
