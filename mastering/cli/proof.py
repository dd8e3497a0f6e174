"""`mastering verify` and `checkpoint`: whether the history is whole, and what was signed about it, to be kept elsewhere (docs/proof.md).

`verify` reads the database itself, whether the server runs or not: so it also tells of a copy or of a backup that was restored.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from mastering.cli.common import DATA_DIR, SERVER, DataDir, Server, Token, connect
from mastering.cli.exits import Exit, Stop
from mastering.cli.terminal import console, grid, tell, words
from mastering.cli.tokens import DatabaseUrl
from mastering.cli.tokens import DataDir as DatabaseDir
from mastering.cli.wire import Checkpoint


def verify(
    checkpoint: Annotated[
        list[Path] | None, typer.Option(help="A checkpoint that was exported, to hold the history against. May be repeated.")
    ] = None,
    database_url: DatabaseUrl = None,
    data_dir: DatabaseDir = None,
) -> None:
    """Read all of the history and name whatever was done to it. Exit code 0 if it is whole, 1 if it is not."""
    from mastering.cli.database import opened

    with opened(database_url, data_dir) as database:
        report = database.verify(checkpoint or [])
    told = f"{report.events:,} events in {report.chains:,} chains, {report.checkpoints:,} checkpoints"
    if report.whole:
        console().print(words(words("The history is whole", style="green"), f": {told}"), soft_wrap=True)
        return
    table = grid("what was done to", "event", "found by", "what")
    for fault in report.faults:
        by = f"checkpoint {fault.checkpoint}" if fault.checkpoint is not None else "its chain"
        table.add_row(words(fault.subject or "–"), words(fault.seq if fault.seq is not None else "–"), words(by), words(fault.fault))
    console().print(table)
    more = f", of which the first {len(report.faults)} are shown" if report.found > len(report.faults) else ""
    raise Stop(Exit.FAILED, f"The history is not whole: {report.found:,} faults{more}; {told} were looked at")


def checkpoint(
    save: Annotated[Path, typer.Option(help="The file to write; it must not exist.", show_default=False)],
    number: Annotated[int | None, typer.Option(min=1, help="An earlier checkpoint, instead of one made now.")] = None,
    server: Server = SERVER,
    token: Token = None,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Make a checkpoint of the history and save it with the heads of all chains, to be kept where nobody can change it."""
    with connect(server, token, data_dir) as client:
        if number is None:
            number = client.post("/history/checkpoints", Checkpoint).statement.number
        found = client.get(f"/history/checkpoints/{number}", Checkpoint).statement
        write(save, client.stream(f"/history/checkpoints/{number}/export"))
    tell(f"Checkpoint {found.number} of {found.at} over {found.chains:,} chains is in {save}; its root is {found.root}")
    tell(f"Its signature can be checked with the public key {found.key}")


def write(file: Path, parts: Iterable[bytes]) -> None:
    """Write what comes into a new file; one that did not come whole is taken away again. Raises `Stop`."""
    try:
        with file.open("xb") as out:
            try:
                for part in parts:
                    out.write(part)
            except BaseException:
                file.unlink()
                raise
    except OSError as fault:
        raise Stop(Exit.BAD_INPUT, f"{file} cannot be written: {fault.strerror}") from fault
