"""What the commands that ask a server have in common: its address, the token, and how an app is named."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mastering.cli.client import DEFAULT_SERVER, Client, find_token

Server = Annotated[str, typer.Option(help="Address of the server.", envvar="MASTERING_SERVER")]
Token = Annotated[
    str | None,
    typer.Option(help="Token to call with; by default MASTERING_TOKEN, MASTERING_ADMIN_TOKEN, or the file admin-token in the data folder."),
]
DataDir = Annotated[Path, typer.Option(help="The server's data folder, if it is on this machine.", envvar="MASTERING_DATA_DIR")]

SERVER = DEFAULT_SERVER
DATA_DIR = Path("data")


def connect(server: str, token: str | None, data_dir: Path) -> Client:
    """A client of the server; raises `Stop` where there is no token or no such address."""
    return Client(server, find_token(token, data_dir))
