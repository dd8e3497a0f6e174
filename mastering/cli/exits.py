"""How a command ends, in a form that a cron job can act on."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes."""

    APPLIED = 0
    """Done: the import was applied, the question was answered."""
    FAILED = 1
    """It could not be done: no server, a fault of the server, a run that failed."""
    BAD_INPUT = 2
    """What was asked cannot be done as asked: an unknown app, a file that cannot be read, a token that is none."""
    HELD = 3
    """The safeguards hold the import: nothing was applied, an admin has to look."""


class Stop(Exception):
    """Ends a command with one sentence for the person and a code for the program that called it."""

    def __init__(self, code: Exit, sentence: str, *more: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentences = (sentence, *more)
