"""`mastering import`, `plan`, `changes`, `approve`, `cancel`: imports as a cron job or an admin runs them."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from mastering.cli.client import Client, decode, segment
from mastering.cli.common import DATA_DIR, SERVER, DataDir, Server, Token, connect
from mastering.cli.exits import Exit
from mastering.cli.follow import RESTS, follow, read_run, way_out
from mastering.cli.show import change_group, run_summary, weight
from mastering.cli.terminal import console, tell
from mastering.cli.upload import upload
from mastering.cli.wire import App, Change, Run
from mastering.rules.record import Mode

_CODES = {"COMPLETED": Exit.APPLIED, "PLANNED": Exit.APPLIED, "HELD": Exit.HELD}
"""How a command ends by the status that its run came to rest in; FAILED for any other."""
_PAGE = 1_000

File = Annotated[Path, typer.Argument(help="The file to send: .ndjson or .jsonl, .json, .csv, or .scim.json.", show_default=False)]
AppName = Annotated[str, typer.Option("--app", help="The app that the file comes from: its label or id.", show_default=False)]
RunId = Annotated[str, typer.Argument(help="The import run.", show_default=False)]
ModeOption = Annotated[Mode, typer.Option(help="FULL: everybody, and whoever is not in it is gone. INCREMENTAL: what has changed.")]
Expected = Annotated[int | None, typer.Option(min=0, help="Fail, and change nothing, unless the file has this many records.")]
AllowEmpty = Annotated[bool, typer.Option("--allow-empty", help="Do not hold a FULL import for having no records.")]
Limit = Annotated[int, typer.Option(min=1, help="Rows shown of each action.")]
PlanHash = Annotated[str, typer.Option(help="The hash of the plan that was looked at.", show_default=False)]


def import_file(
    file: File,
    app: AppName,
    *,
    mode: ModeOption = Mode.FULL,
    expected_count: Expected = None,
    allow_empty: AllowEmpty = False,
    server: Server = SERVER,
    token: Token = None,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Import a file and wait for the outcome. Exit code 0: applied, 3: held by a safeguard, 2: bad input, 1: failed."""
    with connect(server, token, data_dir) as client:
        run = upload(client, file, client.app_id(app), _params(mode, expected_count, allow_empty=allow_empty))
        raise typer.Exit(report(client, follow(client, run)))


def plan(
    file: File,
    app: AppName,
    *,
    mode: ModeOption = Mode.FULL,
    expected_count: Expected = None,
    allow_empty: AllowEmpty = False,
    limit: Limit = 50,
    server: Server = SERVER,
    token: Token = None,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Show what importing a file would do, and do nothing. Exit code 0: it would be applied, 3: a safeguard would hold it, 2: bad input, 1: failed."""
    with connect(server, token, data_dir) as client:
        params = {**_params(mode, expected_count, allow_empty=allow_empty), "dryRun": "true"}
        run = follow(client, upload(client, file, client.app_id(app), params))
        _print_plan(client, run, limit)
        raise typer.Exit(report(client, run))


def changes(run: RunId, limit: Limit = 50, server: Server = SERVER, token: Token = None, data_dir: DataDir = DATA_DIR) -> None:
    """Show the plan of an import run, row by row."""
    with connect(server, token, data_dir) as client:
        found = read_run(client, run)
        _print_plan(client, found, limit)
        report(client, found)


def approve(run: RunId, plan_hash: PlanHash, server: Server = SERVER, token: Token = None, data_dir: DataDir = DATA_DIR) -> None:
    """Let a held import be applied, exactly as it was planned, and wait for the outcome."""
    with connect(server, token, data_dir) as client:
        answer = client.ask("POST", f"/imports/{segment(run)}/lifecycle/approve", json={"planHash": plan_hash})
        raise typer.Exit(report(client, follow(client, decode(answer, Run))))


def cancel(run: RunId, server: Server = SERVER, token: Token = None, data_dir: DataDir = DATA_DIR) -> None:
    """Give up a held or waiting import; nothing of it is applied."""
    with connect(server, token, data_dir) as client:
        report(client, decode(client.ask("POST", f"/imports/{segment(run)}/lifecycle/cancel"), Run))


def undo(
    run: RunId,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be taken back, and do nothing.")] = False,
    limit: Limit = 50,
    server: Server = SERVER,
    token: Token = None,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Take back what an applied import did, and list what has been changed since and stays. Exit codes as those of `import`."""
    with connect(server, token, data_dir) as client:
        params = {"dryRun": "true"} if dry_run else {}
        answer = client.ask("POST", f"/imports/{segment(run)}/lifecycle/undo", params=params)
        found = follow(client, decode(answer, Run))
        _print_plan(client, found, limit)
        raise typer.Exit(report(client, found))


def _params(mode: Mode, expected_count: int | None, *, allow_empty: bool) -> dict[str, str]:
    params = {"mode": mode.value}
    if expected_count is not None:
        params["expectedCount"] = str(expected_count)
    if allow_empty:
        params["allowEmpty"] = "true"
    return params


def _print_plan(client: Client, run: Run, limit: int) -> None:
    """The rows by action, those that take something away first; rows in which a word was heard and nothing is done come last."""
    out = console()
    for action in [*sorted(run.actions, key=weight), "none"]:
        params = {"action": action, "limit": str(min(limit, _PAGE))}
        rows = list(islice(client.pages(f"/imports/{run.id}/changes", Change, params), limit))
        if rows:
            out.print(change_group(action, rows, run.actions.get(action, len(rows))))
            out.print()


def report(client: Client, run: Run) -> Exit:
    """Print the outcome and what can be done about it; the code to end with."""
    label = client.get(f"/apps/{run.app_id}", App).label
    console().print(run_summary(run, label))
    if run.status == "HELD":
        _tell_way_out(client, run)
    if run.blocked_by is not None and run.status not in RESTS:
        tell(f"It waits for the import {run.blocked_by}, which is held; approve or cancel that one. It will go on by itself then.")
        return Exit.HELD
    if run.status == "PLANNED" and run.safeguard is not None and run.safeguard.tripped:
        tell("Nothing was changed. Imported like this, it would be held for an admin to look at.")
        return Exit.HELD
    return _CODES.get(run.status, Exit.FAILED)


def _tell_way_out(client: Client, run: Run) -> None:
    tell("Nothing was applied. Look at what it would do, then approve it or cancel it:")
    for command in way_out(client, run):
        console(error=True).print(Text(f"  {command}"), soft_wrap=True)
