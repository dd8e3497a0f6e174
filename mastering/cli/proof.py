"""`mastering verify`, `checkpoint`, `export`: whether the history is whole, what was signed about it, and all of it to be taken away (docs/proof.md).

`verify` reads the database itself, whether the server runs or not: so it also tells of a copy or of a backup that was restored.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mastering.cli.common import DATA_DIR, SERVER, DataDir, Server, Token, connect
from mastering.cli.exits import Exit, Stop
from mastering.cli.terminal import console, counted, grid, tell, words
from mastering.cli.tokens import DatabaseUrl
from mastering.cli.tokens import DataDir as DatabaseDir
from mastering.cli.wire import Checkpoint


class Format(StrEnum):
    """How events are written."""

    ndjson = "ndjson"
    csv = "csv"


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
    told = f"{counted(report.events, 'event')} in {counted(report.chains, 'chain')}, {counted(report.checkpoints, 'checkpoint')}"
    if report.whole:
        console().print(words(words("The history is whole", style="green"), f": {told}"), soft_wrap=True)
        return
    table = grid("what was done to", "event", "found by", "what")
    for fault in report.faults:
        by = f"checkpoint {fault.checkpoint}" if fault.checkpoint is not None else "its chain"
        table.add_row(words(fault.subject or "–"), words(fault.seq if fault.seq is not None else "–"), words(by), words(fault.fault))
    console().print(table)
    more = f", of which the first {len(report.faults)} are shown" if report.found > len(report.faults) else ""
    raise Stop(Exit.FAILED, f"The history is not whole: {counted(report.found, 'fault')}{more}; {told} were looked at")


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
    tell(f"Checkpoint {found.number} of {found.at} over {counted(found.chains, 'chain')} is in {save}; its root is {found.root}")
    tell(f"Its signature can be checked with the public key {found.key}")


def export(
    save: Annotated[Path | None, typer.Option(help="The file to write, which must not exist; standard output if not said.")] = None,
    format: Annotated[Format, typer.Option(help="ndjson can be verified, csv is for spreadsheets.")] = Format.ndjson,
    since: Annotated[str | None, typer.Option(help="Only events from this instant on, such as 2026-03-01T00:00:00Z.")] = None,
    until: Annotated[str | None, typer.Option(help="Only events before this instant.")] = None,
    user: Annotated[str | None, typer.Option(help="Only this user's: login or id; a deleted user's id.")] = None,
    app: Annotated[str | None, typer.Option(help="Only events that name this app: label or id.")] = None,
    run: Annotated[str | None, typer.Option(help="Only what this import run did.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only what was decided under this rule, such as when_deactivated.")] = None,
    server: Server = SERVER,
    token: Token = None,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Export the history, or a part of it, in the order in which it was written."""
    with connect(server, token, data_dir) as client:
        asked = {"since": since, "until": until, "user": user, "runId": run, "rule": rule, "appId": client.app_id(app) if app else None}
        given = {name: value for name, value in asked.items() if value is not None}
        parts = client.stream("/history/export", {"format": format.value, **given})
        if save is not None:
            write(save, parts)
            return
        for part in parts:
            sys.stdout.buffer.write(part)
        sys.stdout.buffer.flush()


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
