"""What the command line says of a run's inline hook."""

from io import StringIO

from rich.console import Console

from mastering.cli.show import run_summary
from mastering.cli.wire import Hook, Run


def said(hook: Hook | None) -> str:
    run = Run("imp1", "0oa1", "FULL", "COMPLETED", False, None, 3, {"UNMATCHED": 3}, {"wait": 3}, None, None, None, None, "", 5, hook)
    console = Console(width=200, file=StringIO())
    console.print(run_summary(run, "HR"))
    told = console.file
    assert isinstance(told, StringIO)
    return told.getvalue()


def test_a_run_says_what_came_of_asking_its_hook() -> None:
    told = said(Hook("Transform", 3, {"changed": 1, "time_out": 2}, None))
    assert "hook Transform: asked about 3: 2 time_out, 1 changed" in told
    assert "given up" not in told


def test_a_run_says_why_its_hook_was_given_up() -> None:
    assert "given up: 10 calls in a row had no answer" in said(Hook("Transform", 99, {"given_up": 99}, "10 calls in a row had no answer"))


def test_a_run_that_asked_nobody_says_nothing_of_hooks() -> None:
    assert "hook" not in said(None)
    assert "hook" not in said(Hook("Transform", 0, {}, None))
