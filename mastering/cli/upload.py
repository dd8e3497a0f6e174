"""Sending a file to an import: streamed from disk, its length announced, with a bar that shows how far it is.

The length tells the server where the body ends, so that a file that breaks off on the way is a broken upload and never a short snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from os import fstat
from pathlib import Path
from typing import BinaryIO

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from mastering.cli.client import Client, decode
from mastering.cli.exits import Exit, Stop
from mastering.cli.terminal import console, words
from mastering.cli.wire import Run

CONTENT_TYPES = {
    ".scim.json": "application/scim+json",
    ".ndjson": "application/x-ndjson",
    ".jsonl": "application/x-ndjson",
    ".json": "application/json",
    ".csv": "text/csv",
}
"""By how a file's name ends; the first that fits."""
_AT_ONCE = 256 * 1024


def content_type_of(file: Path) -> str:
    """What a file holds, by its name. Raises `Stop` for an ending that says nothing."""
    for ending, content_type in CONTENT_TYPES.items():
        if file.name.lower().endswith(ending):
            return content_type
    raise Stop(Exit.BAD_INPUT, f"{file.name}: cannot tell what it holds; name it so that it ends in {', '.join(CONTENT_TYPES)}")


def upload(client: Client, file: Path, app_id: str, params: dict[str, str]) -> Run:
    """Send a file; the run that the server made of it, which goes on by itself. Raises `Stop`."""
    headers = {"Content-Type": content_type_of(file)}
    try:
        with file.open("rb") as body, _bar() as bar:
            size = fstat(body.fileno()).st_size
            task = bar.add_task(words("Sending ", file.name).plain, total=size)
            headers["Content-Length"] = str(size)
            blocks = _blocks(body, lambda done: bar.advance(task, done))
            return decode(client.ask("POST", f"/apps/{app_id}/imports", params=params, headers=headers, content=blocks), Run)
    except OSError as fault:
        raise Stop(Exit.BAD_INPUT, f"{file}: {fault.strerror or fault}") from fault


def _bar() -> Progress:
    errors = console(error=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal)


def _blocks(body: BinaryIO, advance: Callable[[int], None]) -> Iterator[bytes]:
    while block := body.read(_AT_ONCE):
        yield block
        advance(len(block))
