"""`mastering keys`: the keys that secrets are encrypted with, straight in the key file and the database, while the server runs or not."""

from __future__ import annotations

import typer

from mastering.cli.exits import Exit, Stop
from mastering.cli.terminal import console, grid, tell, words
from mastering.cli.tokens import DatabaseUrl, DataDir

commands = typer.Typer(help="Show and rotate the keys that secrets are encrypted with.", no_args_is_help=True)


@commands.command("show")
def show(database_url: DatabaseUrl = None, data_dir: DataDir = None) -> None:
    """List the keys by their names, never what they are, and how many secrets each has encrypted."""
    from mastering.cli.database import opened

    table = grid("key", "in the key file", "secrets")
    with opened(database_url, data_dir) as database:
        ours, used = database.key_ids(), database.key_usage()
    for key_id in [*ours, *sorted(used.keys() - set(ours))]:
        place = "no" if key_id not in ours else "present" if key_id == ours[0] else "earlier"
        table.add_row(words(key_id), words(place), words(str(used[key_id])))
    console().print(table)


@commands.command("rotate")
def rotate(database_url: DatabaseUrl = None, data_dir: DataDir = None) -> None:
    """Put a new key in front of the others in the key file, and encrypt every secret again with it. Exit code 1 if some could not be."""
    from mastering.cli.database import opened

    with opened(database_url, data_dir) as database:
        made, lost = database.rotate_keys()
    tell(f"The present key is {made} now. Earlier ones stay in the file, as they vouch for what they have signed")
    if lost:
        told = [f"{kind}: {', '.join(ids)}" for kind, ids in lost.items()]
        raise Stop(Exit.FAILED, "Some secrets cannot be read with any key of the file; enter them again", *told)
