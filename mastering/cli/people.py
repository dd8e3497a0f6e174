"""`mastering users`, `history`, `review`, `apps`: who is there, what happened to them, who waits for a decision, and where they come from."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Annotated

import typer
from rich.text import Text

from mastering.cli import show
from mastering.cli.client import Client, decode, segment
from mastering.cli.common import DATA_DIR, SERVER, DataDir, Server, Token, connect
from mastering.cli.exits import Exit, Stop
from mastering.cli.terminal import console, counted, grid, plain, tell, words
from mastering.cli.wire import App, Erasure, Event, Masters, Run, User, Waiting
from mastering.rules.lifecycle import OKTA_STATUS, Status

_PAGE = 200

Limit = Annotated[int, typer.Option(min=1, help="How many to show at most.")]


def users(
    status: Annotated[Status | None, typer.Option(help="Only users of this status.")] = None,
    as_of: Annotated[
        str | None, typer.Option(help="As they were at this instant, such as 2026-03-01T12:00:00Z; deleted ones, too.")
    ] = None,
    limit: Limit = 200,
    server: Server = SERVER,
    token: Token = None,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """List users with their status, deactivated ones included."""
    wanted = [status] if status else list(Status)
    with connect(server, token, data_dir) as client:
        found = list(islice(_users(client, wanted, as_of), limit + 1))
    held = any("hold" in user.embedded for user in found[:limit])
    table = grid("login", "status", "name", *(["hold"] if held else []), "id")
    for user in found[:limit]:
        hold = [show.held_text(user.embedded.get("hold"))] if held else []
        cells = (words(user.profile.get("login")), show.status_text(user.status), show.name(user.profile))
        table.add_row(*cells, *hold, words(user.id, style="dim"))
    console().print(table)
    if len(found) > limit:
        tell(f"There are more than {limit}; show them with --limit")


def _users(client: Client, statuses: list[Status], as_of: str | None) -> Iterator[User]:
    then = {"asOf": as_of} if as_of is not None else {}
    for status in statuses:
        yield from client.pages("/users", User, {"filter": f'status eq "{OKTA_STATUS[status]}"', "limit": str(_PAGE), **then})


def history(
    user: Annotated[str, typer.Argument(help="The user's login or id; a deleted user's id.", show_default=False)],
    limit: Limit = 50,
    server: Server = SERVER,
    token: Token = None,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Tell what happened to a user, newest first: when, what, who did it, under which rule, and what changed."""
    with connect(server, token, data_dir) as client:
        labels = {app.id: app.label for app in client.pages("/apps", App, {"limit": str(_PAGE)})}
        events = list(islice(client.pages(f"/users/{segment(user)}/history", Event, {"limit": str(min(limit, 1000))}), limit))
    console().print(show.history(events, labels))
    if events[-1].seq > 1:
        tell(f"{counted(events[-1].seq - 1, 'event')} before these can be shown with --limit")


def erase(
    user: Annotated[str, typer.Argument(help="The user's login or id; a deleted user's id.", show_default=False)],
    reason: Annotated[str | None, typer.Option(help="Why; it stays in the history, so no word about the person.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
    server: Server = SERVER,
    token: Token = None,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Erase every value of a person who is deactivated or deleted, for good. What happened, when and why stays in the history."""
    if not yes and not typer.confirm(f"Erase all that is known of {plain(user)}? This cannot be taken back"):
        raise Stop(Exit.BAD_INPUT, "Nothing was erased")
    with connect(server, token, data_dir) as client:
        answer = client.ask("POST", f"/users/{segment(user)}/erasure", json={"reason": reason})
    done = decode(answer, Erasure)
    tell(f"Erased {done.user_id}: the values of {counted(done.events, 'event')}, and {counted(done.rows, 'row')} of plans and reports")
    if not done.from_disk:
        tell("The database's log could not be emptied, as somebody is reading: stop the server once, and start it again")


def review(
    app: Annotated[str | None, typer.Option(help="Only accounts of this app: its label or id.")] = None,
    limit: Limit = 200,
    server: Server = SERVER,
    token: Token = None,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """List the accounts that wait for a reviewer, and whom they could belong to."""
    with connect(server, token, data_dir) as client:
        labels = {each.id: each.label for each in client.pages("/apps", App, {"limit": str(_PAGE)})}
        params = {"limit": str(min(limit, _PAGE))} | ({"appId": client.app_id(app)} if app else {})
        found = list(islice(client.pages("/review", Waiting, params), limit + 1))
    console().print(show.waiting(found[:limit], labels))
    if not found:
        tell("Nobody waits")
    elif len(found) > limit:
        tell(f"There are more than {limit}; show them with --limit")
    else:
        tell("Decide with POST /api/v1/review/decisions: LINK, CREATE or IGNORE, by the id in the last column")


def apps(server: Server = SERVER, token: Token = None, data_dir: DataDir = DATA_DIR) -> None:
    """List the connected apps, their rank among the profile masters, and their last import."""
    with connect(server, token, data_dir) as client:
        ranks = {master.app_id: master.rank for master in client.get("/profile-masters", Masters).masters}
        table = grid("label", "status", "rank", "last import", "id")
        for app in client.pages("/apps", App, {"limit": str(_PAGE)}):
            rank = words(ranks.get(app.id, "–"))
            table.add_row(words(app.label), words(app.status), rank, _last_import(client, app.id), words(app.id, style="dim"))
    console().print(table)


def _last_import(client: Client, app_id: str) -> Text:
    run = next(iter(client.pages(f"/apps/{app_id}/imports", Run, {"limit": "1"})), None)
    if run is None:
        return words("–")
    status = words(run.status, style=show.RUN_STYLE.get(run.status, ""))
    return words(f"{run.created[:19].replace('T', ' ')} {'dry run' if run.dry_run else run.mode} ", status)
