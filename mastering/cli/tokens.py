"""`mastering token`: access tokens, straight in the database, so that whoever has the machine and lost the token gets in again."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from mastering.cli.terminal import console, grid, tell, words

DatabaseUrl = Annotated[str | None, typer.Option(help="The server's database, if it is not the file in the data folder.")]
DataDir = Annotated[str | None, typer.Option(help="The server's data folder; data if not said.")]
Role = Annotated[
    Literal["admin", "importer", "auditor"],
    typer.Option(help="admin: everything. importer: imports of the apps named. auditor: reads everything."),
]

commands = typer.Typer(help="Make, list and revoke access tokens, directly in the database.", no_args_is_help=True)


@commands.command("create")
def create(
    name: Annotated[str, typer.Option(help="What the token is for.", show_default=False)],
    role: Role,
    app: Annotated[list[str] | None, typer.Option(help="An app that an importer may import: its label or id. May be repeated.")] = None,
    database_url: DatabaseUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Make a token and print it. It is shown this once: only a hash is kept."""
    from mastering.cli.database import opened

    with opened(database_url, data_dir) as database:
        issued = database.create(name, role, app or [])
    tell(f"Token {issued.token.id}, role {role}. It is shown this once:")
    console().print(words(issued.secret), soft_wrap=True)


@commands.command("list")
def show(database_url: DatabaseUrl = None, data_dir: DataDir = None) -> None:
    """List tokens, revoked ones included; never what they are."""
    from mastering.cli.database import opened

    table = grid("id", "name", "role", "apps", "created", "last used", "revoked")
    with opened(database_url, data_dir) as database:
        for token in database.listed():
            times = (words((at or "–")[:19].replace("T", " ")) for at in token.times)
            table.add_row(words(token.id), words(token.name), words(token.role), words(token.apps), *times)
    console().print(table)


@commands.command("revoke")
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="The token's id, as the list shows it.", show_default=False)],
    database_url: DatabaseUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Make a token worthless at once."""
    from mastering.cli.database import opened

    with opened(database_url, data_dir) as database:
        database.revoke(token_id)
    tell(f"Token {token_id} is revoked")
