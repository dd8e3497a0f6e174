"""The command line: `mastering serve` runs the service, the other commands talk to it.

====================================  ======================================================================================
`serve`                               the server
`worker`, `health`                    carries out imports beside servers on the same PostgreSQL; whether it goes on
`import`, `plan`                      send a file to an app, for good or to see what would happen
`changes`, `approve`, `cancel`        what to do about an import that is held
`undo`                                takes back what an import did
`reconcile`                           what is not as the rules expect, and why
`users`, `history`, `review`, `apps`  who is there, what happened, who waits, where they come from
`erase`                               every value of a person, for good
`export`, `checkpoint`                the whole history as a file, and a signed statement of what it is
`verify`                              whether the history is still what it was, straight in the database
`why`                                 why something happened to somebody, and what would have changed it
`whatif`                              who would change if options were saved, with nothing applied
`tasks`                               what waits to go out to an app, and trying again what is dead
`token`                               access tokens, straight in the database
`keys`                                the keys that secrets are encrypted with, in their file and the database
`demo`                                a made-up company on a server of its own, to look at
====================================  ======================================================================================

All but `serve`, `worker`, `health`, `verify`, `token`, `keys` and `demo` are clients of the HTTP API and can do nothing that a script of your own could not do. How they end is
in `exits`; what they print is made harmless by `terminal`.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mastering.cli import imports, keys, people, proof, tokens
from mastering.cli.exits import Exit, Stop
from mastering.cli.reconcile import reconcile
from mastering.cli.serve import serve
from mastering.cli.tasks import tasks
from mastering.cli.terminal import tell
from mastering.cli.whatif import whatif
from mastering.cli.why import why
from mastering.cli.worker import health, worker
from mastering.errors import MasteringError

__all__ = ["main"]

_app = typer.Typer(
    help="Profile mastering and user lifecycle: imports from ranked sources decide who is active, and the history says why.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # it would print the values of variables, and those are people's
)
_app.command("serve")(serve)
_app.command("worker")(worker)
_app.command("health")(health)
_app.command("import")(imports.import_file)
_app.command("plan")(imports.plan)
_app.command("changes")(imports.changes)
_app.command("approve")(imports.approve)
_app.command("cancel")(imports.cancel)
_app.command("undo")(imports.undo)
_app.command("reconcile")(reconcile)
_app.command("users")(people.users)
_app.command("history")(people.history)
_app.command("erase")(people.erase)
_app.command("review")(people.review)
_app.command("apps")(people.apps)
_app.command("tasks")(tasks)
_app.command("export")(proof.export)
_app.command("why")(why)
_app.command("whatif")(whatif)
_app.command("checkpoint")(proof.checkpoint)
_app.command("verify")(proof.verify)
_app.add_typer(tokens.commands, name="token")
_app.add_typer(keys.commands, name="keys")


@_app.command("demo")
def _demo(
    leave: Annotated[bool, typer.Option("--exit", help="Stop at the end of the story instead of leaving the server running.")] = False,
) -> None:
    """Tell a story of two masters on a server of its own, and leave it running. Exit code 1 if it did not come out as told."""
    from mastering.demo import run

    raise typer.Exit(Exit.APPLIED if run(stay=not leave) else Exit.FAILED)


def main() -> None:
    """Run the command that the arguments name; ends the process with a code of `Exit`."""
    try:
        _app()
    except Stop as stop:
        _end(stop.code, *stop.sentences)
    except MasteringError as refusal:
        _end(Exit.BAD_INPUT, refusal.summary, *refusal.causes)
    except KeyboardInterrupt:
        _end(Exit.FAILED, "Interrupted")


def _end(code: Exit, sentence: str, *more: str) -> None:
    tell(sentence, style="red")
    for cause in more:
        tell("  ", cause)
    sys.exit(code)
