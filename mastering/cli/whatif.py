"""`mastering whatif FILE`: who would change, and how, if these options were saved; nothing is applied.

The file is what `POST /previews` takes: JSON with `changes` and, for a recorded run, `runId`. Counts come first, then the rows by kind, those
first that take something away.
"""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from msgspec import Struct, field
from rich.text import Text

from mastering.cli import show
from mastering.cli.client import Client, decode, segment
from mastering.cli.common import DATA_DIR, SERVER, DataDir, Server, Token, connect
from mastering.cli.exits import Exit, Stop
from mastering.cli.terminal import console, grid, lines, tell, words
from mastering.cli.wire import App, Attribute, Hold

_POLL = 0.2
_PAGE = 1_000
_ENDED = {"COMPLETED", "FAILED"}

KINDS = {
    "STATUS": "statuses that a repair would move",
    "AUTHORITY": "users who would have another authority",
    "PROFILE": "profiles that would change",
    "REJECTED": "profiles that would be refused, and stay",
    "WORD": "words of masters, not followed, that something else would stop, or nothing any more",
    "WAITING": "waiting records that would stand otherwise in the queue",
    "CONFIRMATION": "waiting records with which the next import would do something else",
    "RECORD": "records of the run that would have come out otherwise",
}
"""What each kind of row is, in the order in which they are shown."""


class Preview(Struct, rename="camel"):
    """A preview as far as it is shown."""

    id: str
    run_id: str | None
    status: str
    rows: int
    counts: dict[str, int]
    safeguard: dict[str, Any] | None
    error: str | None


class Row(Struct, rename="camel"):
    """A row as far as it is shown."""

    kind: str
    login: str | None
    app_id: str | None
    external_id: str | None
    from_: str | None = field(name="from")
    to: str | None
    trigger: str | None
    reason: str | None
    attributes: dict[str, Attribute]
    detail: str | None
    hold: Hold | None


def whatif(
    file: Annotated[Path, typer.Argument(help="The changes, as JSON; what POST /previews takes.", show_default=False)],
    run: Annotated[str | None, typer.Option(help="Over this recorded import run instead of over everybody.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows shown of each kind.")] = 50,
    server: Server = SERVER,
    token: Token = None,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Preview changed options: who would change, and how, with nothing applied. Exit code 0, whatever would change; 2: they cannot be saved so."""
    asked = _read(file)
    if run is not None:
        asked["runId"] = run
    with connect(server, token, data_dir) as client:
        labels = {app.id: app.label for app in client.pages("/apps", App, {"limit": "200"})}
        found = _computed(client, decode(client.ask("POST", "/previews", json=asked), Preview))
        if found.status == "FAILED":
            raise Stop(Exit.FAILED, found.error or "The preview failed")
        _print(client, found, labels, limit)


def _read(file: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except OSError as fault:
        raise Stop(Exit.BAD_INPUT, f"{file} cannot be read: {fault.strerror}") from fault
    except msgspec.DecodeError as fault:
        raise Stop(Exit.BAD_INPUT, f"{file} is not a JSON object: {fault}") from fault


def _computed(client: Client, found: Preview) -> Preview:
    while found.status not in _ENDED:
        time.sleep(_POLL)
        found = client.get(f"/previews/{segment(found.id)}", Preview)
    return found


def _print(client: Client, found: Preview, labels: dict[str, str], limit: int) -> None:
    out = console()
    over = f"the import {found.run_id}" if found.run_id else "everybody"
    out.print(words("preview ", words(found.id, style="bold"), f" over {over}: {found.rows:,} would be otherwise; nothing is applied"))
    table = grid("", "")
    for kind, told in KINDS.items():
        if found.counts.get(kind):
            table.add_row(words(f"  {found.counts[kind]:,}", style="bold"), words(told))
    out.print(table)
    _print_verdict(found)
    for kind, told in KINDS.items():
        if not found.counts.get(kind):
            continue
        params = {"kind": kind, "limit": str(min(limit, _PAGE))}
        rows = list(islice(client.pages(f"/previews/{segment(found.id)}/rows", Row, params), limit))
        out.print()
        out.print(words(words(f"{kind} ({found.counts[kind]:,})", style="bold"), words(f"  {told}", style="dim")))
        out.print(_table(rows, labels))
        if found.counts[kind] > len(rows):
            out.print(words(f"  … and {found.counts[kind] - len(rows):,} more", style="dim"))
    tell(f"All rows: GET /api/v1/previews/{found.id}/export?format=csv")


def _print_verdict(found: Preview) -> None:
    verdict = found.safeguard
    if verdict is None or verdict["after"] is None:
        return
    before, after = ("held" if verdict[when]["tripped"] else "let pass" for when in ("before", "after"))
    style = "bold yellow" if before != after else ""
    console().print(words("  safeguards: the run was ", before, "; it would have been ", words(after, style=style)))


def _table(rows: list[Row], labels: dict[str, str]) -> Any:
    table = grid("  who", "app", "what", "why")
    for row in rows:
        who = words("  ", row.login or row.external_id or "–")
        app = words(labels.get(row.app_id or "", row.app_id or "–"))
        held = [show.held_text(row.hold)] if row.hold else []
        table.add_row(who, app, lines(_what(row, labels)), lines([*([words(why)] if (why := _why(row)) or not held else []), *held]))
    return table


def _what(row: Row, labels: dict[str, str]) -> list[Text]:
    if row.kind == "AUTHORITY":
        return [
            words(labels.get(row.from_ or "", row.from_ or "the directory"), " → ", labels.get(row.to or "", row.to or "the directory"))
        ]
    if row.kind == "STATUS":
        return [show.move_text(row.from_, row.to)]
    if row.attributes:
        return [show.attribute_text(name, each) for name, each in row.attributes.items()]
    if row.kind == "REJECTED":
        return [words("keeps the profile")]
    trigger = f" ({row.trigger})" if row.trigger else ""
    return [words(row.from_ or "nothing", " → ", row.to or "nothing", trigger)]


def _why(row: Row) -> str:
    told = [show.REASONS.get(row.reason, row.reason)] if row.reason else []
    return "; ".join([*told, *([row.detail] if row.detail else [])])
