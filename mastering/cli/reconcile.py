"""`mastering reconcile`: what differs from the rules, as an admin or a night job reads it (docs/reconciliation.md)."""

from __future__ import annotations

import time
from itertools import islice
from typing import Annotated

import typer

from mastering.cli import show_drift
from mastering.cli.client import Client, decode
from mastering.cli.common import DATA_DIR, SERVER, DataDir, Server, Token, connect
from mastering.cli.exits import Exit
from mastering.cli.follow import follow, read_run
from mastering.cli.imports import report
from mastering.cli.terminal import console, counted, tell, words
from mastering.cli.wire import App, Difference, Reconciliation

_ENDED = frozenset({"COMPLETED", "FAILED"})
_FIRST_LOOK, _LAST_LOOK = 0.05, 2.0
"""Seconds between looks."""
_PAGE = 1_000

AppName = Annotated[str | None, typer.Option("--app", help="Only what this app's accounts say: its label or id.")]
Limit = Annotated[int, typer.Option(min=1, help="Differences shown of each kind.")]


def reconcile(
    app: AppName = None,
    *,
    repair: Annotated[bool, typer.Option("--repair", help="Plan what would do away with it, one import run for each app.")] = False,
    read_apps: Annotated[
        bool, typer.Option("--read-apps", help="Read the connected apps' users, too, and report what differs there.")
    ] = False,
    limit: Limit = 50,
    server: Server = SERVER,
    token: Token = None,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Compare what the rules expect of everybody with what is, and say why it differs. Nothing is changed, unless --repair plans it.

    Exit code 0: nothing but what admins and options want so, or all that can be was repaired; 3: differences that somebody should look at, or
    a safeguard holds a repair; 2: bad input; 1: failed.
    """
    with connect(server, token, data_dir) as client:
        wanted = {"appId": client.app_id(app) if app else None, "repair": repair, "readApps": read_apps}
        found = _follow(client, decode(client.ask("POST", "/reconciliations", json=wanted), Reconciliation))
        ended = _report(client, found, limit)
        repairs = {report(client, follow(client, read_run(client, run))) for run in found.runs}
        if not repairs or Exit.FAILED in {ended, *repairs}:
            raise typer.Exit(Exit.FAILED if Exit.FAILED in repairs else ended)
        left = sum(found.differences.values()) - found.respected - found.repairable
        raise typer.Exit(Exit.HELD if left or Exit.HELD in repairs else Exit.APPLIED)


def _follow(client: Client, found: Reconciliation) -> Reconciliation:
    pause = _FIRST_LOOK
    with console(error=True).status(words(found.status)) as shown:
        while found.status not in _ENDED:
            time.sleep(pause)
            pause = min(pause * 1.5, _LAST_LOOK)
            found = client.get(f"/reconciliations/{found.id}", Reconciliation)
            shown.update(words(f"{found.status}: {counted(found.checked.users, 'user')}"))
    return found


def _report(client: Client, found: Reconciliation, limit: int) -> Exit:
    labels = {each.id: each.label for each in client.pages("/apps", App, {"limit": "200"})}
    out = console()
    for kind, count in found.differences.items():
        params = {"kind": kind, "limit": str(min(limit, _PAGE))}
        rows = list(islice(client.pages(f"/reconciliations/{found.id}/differences", Difference, params), limit))
        out.print(show_drift.group(kind, rows, count, labels))
        out.print()
    out.print(show_drift.summary(found))
    if found.status == "FAILED":
        return Exit.FAILED
    open_ones = sum(found.differences.values()) - found.respected
    if open_ones:
        tell(f"{found.repairable:,} of them could be repaired")
    return Exit.HELD if open_ones else Exit.APPLIED
