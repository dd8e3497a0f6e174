"""`mastering tasks`: what waits to go out to an app, what is dead, and trying the dead again."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import typer

from mastering.cli.client import decode, segment
from mastering.cli.common import DATA_DIR, SERVER, DataDir, Server, Token, connect
from mastering.cli.people import Limit
from mastering.cli.terminal import console, grid, tell, words
from mastering.cli.wire import Outgoing, ProvisioningTask, Retried
from mastering.rules.tasks import TaskStatus

_PAGE = 200


def tasks(
    app: Annotated[str, typer.Argument(help="The app: its label or id.", show_default=False)],
    status: Annotated[TaskStatus | None, typer.Option(help="Only tasks of this status.")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try all dead tasks again first.")] = False,
    limit: Limit = 200,
    server: Server = SERVER,
    token: Token = None,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """List what an app is still to be told, and what it could not be told."""
    with connect(server, token, data_dir) as client:
        path = f"/apps/{segment(client.app_id(app))}"
        if retry:
            done = decode(client.ask("POST", f"{path}/provisioning-tasks/lifecycle/retry"), Retried)
            tell(f"Tried again: {done.retried:,}")
        queue = decode(client.ask("GET", f"{path}/provisioning-queue"), Outgoing)
        params = {"limit": str(min(limit, _PAGE))} | ({"status": status.value} if status else {})
        found = list(islice(client.pages(f"{path}/provisioning-tasks", ProvisioningTask, params), limit))
    table = grid("created", "task", "user", "status", "attempts", "next attempt", "error", "id")
    for task in found:
        cells = (words(task.created), words(task.kind), words(task.user_id), words(task.status), words(str(task.attempts)))
        table.add_row(*cells, words(task.next_attempt or ""), words(task.error or ""), words(task.id, style="dim"))
    console().print(table)
    tell(f"{queue.waiting:,} wait, {queue.delivering:,} are under way, {queue.dead:,} are dead")
    if queue.paused is not None:
        tell(f"Paused since {queue.paused}: {queue.reason}. Repair the connection, or test it, and the queue goes on")
