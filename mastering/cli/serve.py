"""`mastering serve`: the server, one process of it (API.md, settings).

Settings are checked, the port is taken and the database is opened once before anything else is done: what cannot work ends with a
sentence and not half-way through a start. The application is named and not imported, as it stands above everything here and finds its settings in the environment.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Annotated

import typer

from mastering.cli.exits import Exit, Stop
from mastering.cli.terminal import tell
from mastering.settings import Settings

_APPLICATION = "api:create_app"
_PROTOCOL = "api.protocol:BoundedHttp"
_SECONDS_TO_FINISH = 20
"""How long requests that are being answered are waited for when the server is told to stop."""


def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1 if not said.")] = None,
    port: Annotated[str | None, typer.Option(metavar="NUMBER", help="Port to listen on; 8000 if not said.")] = None,
    database_url: Annotated[
        str | None, typer.Option(help="sqlite:///FILE or postgresql://…; a file in the data folder if not said.")
    ] = None,
    database_password_file: Annotated[str | None, typer.Option(help="File that holds the password to a PostgreSQL database.")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Folder of the database and the first admin token; data if not said.")] = None,
    admin_token: Annotated[str | None, typer.Option(help="Token of the first admin, instead of one made up.")] = None,
    admin_token_file: Annotated[str | None, typer.Option(help="File that holds this token, instead.")] = None,
    secret_key: Annotated[str | None, typer.Option(help="Key that credentials are encrypted with, 32 characters or more.")] = None,
    secret_key_file: Annotated[str | None, typer.Option(help="File that holds this key, instead.")] = None,
    outbound_allow: Annotated[
        str | None, typer.Option(metavar="NETWORKS", help="Private networks that hooks may reach, by commas; none if not said.")
    ] = None,
    log_format: Annotated[
        str | None, typer.Option(metavar="[console|json]", help="How log lines are written; console if not said.")
    ] = None,
    work: Annotated[
        bool | None,
        typer.Option("--work/--no-work", help="Carry out imports and tell apps of people here, or leave both to worker processes."),
    ] = None,
    lease_seconds: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="How long a run is left to a process that does not stir; 30 if not said.")
    ] = None,
) -> None:
    """Run the server. Every option is also an environment variable, MASTERING_ and its name; the option wins."""
    given = {
        "host": host,
        "port": port,
        "database_url": database_url,
        "database_password_file": database_password_file,
        "data_dir": data_dir,
        "admin_token": admin_token,
        "admin_token_file": admin_token_file,
        "secret_key": secret_key,
        "secret_key_file": secret_key_file,
        "outbound_allow": outbound_allow,
        "log_format": log_format,
        "work": None if work is None else ("yes" if work else "no"),
        "lease_seconds": lease_seconds,
    }
    os.environ.update({f"MASTERING_{name.upper()}": value for name, value in given.items() if value is not None})
    settings = Settings.from_environment(os.environ)
    with _listen(settings) as listener:
        _try_database(settings)
        _run(settings, listener)


def _listen(settings: Settings) -> socket.socket:
    """The socket to serve on; raises `Stop` where the address is somebody else's or none of this machine."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family)
    except OSError as fault:
        reason = os.strerror(fault.errno) if fault.errno and fault.errno > 0 else fault.strerror
        raise Stop(
            Exit.FAILED, f"Cannot listen on {settings.host}, port {settings.port}: {reason}. Choose another with --host or --port"
        ) from fault


def _try_database(settings: Settings) -> None:
    from mastering.cli.database import open_or_stop
    from mastering.store.sole import sole_server

    open_or_stop(settings).dispose()
    with sole_server(settings.database_url):
        pass


def _run(settings: Settings, listener: socket.socket) -> None:
    from uvicorn import Config, Server

    class Announcing(Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            _announce(settings)

    config = Config(
        _APPLICATION,
        factory=True,
        http=_PROTOCOL,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_SECONDS_TO_FINISH,
    )
    try:
        Announcing(config).run(sockets=[listener])
    except KeyboardInterrupt:
        tell("Stopped")
    except SystemExit as end:
        raise Stop(Exit.FAILED, "The server could not start; the lines above say why") from end


def _announce(settings: Settings) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    tell(f"Listening on http://{host}:{settings.port} (its API is described at /docs). Stop it with Ctrl-C")
    file = Path(settings.data_dir) / "admin-token"
    if settings.admin_token is not None:
        tell("Admin token: the one that the settings name")
    elif file.is_file():
        tell(f"Admin token: in {file}")
    else:
        tell("Admin token: as it was given out; another is made with: mastering token create --name NAME --role admin")
