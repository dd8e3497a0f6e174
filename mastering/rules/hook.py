"""The word of an import inline hook about one record, and the ways in which there is none (SPEC §8).

A word changes the app profile, the profile of the user to be made, and may name a user to link to. A hook that fails says nothing; whether
the record then goes on as if it had not been asked about, or waits for a reviewer, is the hook's own setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mastering.rules.expressions import Value


class OnFailure(StrEnum):
    """What becomes of a record whose hook failed: its default action, or a reviewer."""

    CONTINUE = "CONTINUE"
    HOLD = "HOLD"


class Outcome(StrEnum):
    """What came of asking, as plan, history and metrics count it. The first three are words, the others failures."""

    unchanged = "unchanged"
    changed = "changed"
    linked = "linked"
    time_out = "time_out"
    unreachable = "unreachable"
    not_allowed = "not_allowed"
    server_error = "server_error"
    bad_status = "bad_status"
    too_large = "too_large"
    unparsable = "unparsable"
    unknown_command = "unknown_command"
    unknown_user = "unknown_user"
    refused = "refused"
    invalid_profile = "invalid_profile"
    secret_unreadable = "secret_unreadable"  # noqa: S105 - an outcome's name
    given_up = "given_up"


WORDS = frozenset({Outcome.unchanged, Outcome.changed, Outcome.linked})
DOWN = frozenset({Outcome.time_out, Outcome.unreachable, Outcome.server_error})
"""Failures that say nothing of the record: the call is tried once more, and a hook that goes on so is asked no more in this run."""


@dataclass(frozen=True, slots=True)
class HookTerms:
    """The hook that a plan is made with."""

    id: str
    name: str
    on_failure: OnFailure


@dataclass(frozen=True, slots=True)
class HookWord:
    """What a hook said of a record; `detail` says in a sentence why it failed, and `tries` how often it was called."""

    outcome: Outcome
    detail: str | None = None
    app: Mapping[str, Value] = field(default_factory=dict)
    user: Mapping[str, Value] = field(default_factory=dict)
    link: str | None = None
    tries: int = 1

    @property
    def failed(self) -> bool:
        """Whether the hook said nothing that can be followed."""
        return self.outcome not in WORDS

    def document(self) -> dict[str, Any]:
        """The word as it is kept between asking and planning."""
        told = {"outcome": self.outcome.value, "detail": self.detail, "link": self.link, "tries": self.tries}
        return {**told, "app": dict(self.app), "user": dict(self.user)}


def word_from(document: Mapping[str, Any]) -> HookWord:
    """The word that `HookWord.document` wrote."""
    told = dict(document)
    return HookWord(Outcome(told.pop("outcome")), **told)


def failure(outcome: Outcome, detail: str, tries: int = 1) -> HookWord:
    """A hook that failed, and why."""
    return HookWord(outcome, detail, tries=tries)
