"""Following an import run until it rests, and what can be done about one that is held."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import time
from pathlib import Path

from mastering.cli.client import DEFAULT_SERVER, Client, segment
from mastering.cli.terminal import console, words
from mastering.cli.wire import Run

RESTS = frozenset({"COMPLETED", "PLANNED", "HELD", "FAILED", "CANCELLED", "SUPERSEDED"})
"""Statuses that a run does not leave by itself."""
_FIRST_LOOK, _LAST_LOOK = 0.05, 1.0
"""Seconds between looks at a run: soon at first, for small imports, then less often."""


def read_run(client: Client, run_id: str) -> Run:
    """A run as it stands. Raises `Stop`."""
    return client.get(f"/imports/{segment(run_id)}", Run)


def follow(client: Client, run: Run) -> Run:
    """The run as it stands once it rests, or waits behind one that is held. Raises `Stop`."""
    pause = _FIRST_LOOK
    with console(error=True).status(words(run.status)) as shown:
        while run.status not in RESTS and not _waits_for_a_held_run(client, run):
            time.sleep(pause)
            pause = min(pause * 1.5, _LAST_LOOK)
            run = read_run(client, run.id)
            shown.update(words(run.status))
    return run


def _waits_for_a_held_run(client: Client, run: Run) -> bool:
    return run.blocked_by is not None and read_run(client, run.blocked_by).status == "HELD"


def way_out(client: Client, run: Run) -> list[str]:
    """The commands that a person chooses from when a run is held, ready to be copied."""
    where = "" if client.server == DEFAULT_SERVER else f" --server {shlex.quote(client.server)}"
    choices = (f"changes {run.id}", f"approve {run.id} --plan-hash {run.plan_hash}", f"cancel {run.id}")
    return [f"{program()} {choice}{where}" for choice in choices]


def program() -> str:
    """How this program is called from where the person is."""
    if shutil.which("mastering"):
        return "mastering"
    started = Path(sys.argv[0])
    return shlex.quote(os.path.relpath(started)) if started.stem == "mastering" else "python -m mastering.cli"
