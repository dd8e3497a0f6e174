"""One row of a plan, and what it is made of: the terms of a plan, a record that is prepared, and the change that names everything it would do (SPEC §5.2).

A change's `effect` is what applying it writes, and nothing else is written:

=============  ===============================================================================================
``active``     what the record of a linked account said, for deciding again
``account``    the account's new state, where it changes
``profile``    the app profile after the merge, where it changes
``digest``     the digest to remember, as hex; null where the record's effect was not complete
``new, old``   attributes of the user that get a value, and what they had
``create``     the whole profile of a user to be created
``link``       the user to link the account to
``relink``     a released account gets its say back
``release``    the account loses its say
``wait``       situation, reason and candidates of a row that waits for review; null for one that leaves the queue
``unheeded``   a word that was heard and not followed: the trigger it asked for, and why it was not fired
``successor``  the next master's account, whose profile is mapped as ``new``; without that, its next record is looked at again
``facts``      what the reaction tables saw of the person, or what stands in the way of a match, for the history
``undo``       what an undo restores beside status and attributes (`undo`)
``conflict``   why an undo leaves a row alone: by what was changed since, what the run left and what is now
``hook``       what the import inline hook said of the record, or how it failed (`hooked`)
=============  ===============================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple, TypedDict

from mastering.rules.decision import (
    Decision,
)
from mastering.rules.expressions import ExpressionFailure, Value
from mastering.rules.lifecycle import Status
from mastering.rules.mapping import CompiledMapping, MappingFailure, UsernameFailure, UsernameOf
from mastering.rules.matching import Keys, keys_of_record
from mastering.rules.people import Account
from mastering.rules.policy import ImportPolicy, OrgSafeguard
from mastering.rules.profile import Sources
from mastering.rules.record import Mode, Record, Unusable, merge
from mastering.rules.schema import Schema, faults

PLACE_TAKEN = "place_taken"
"""Why a record waits whose person has an active account of the same app."""


class Effect(TypedDict, total=False):
    """What applying a change writes; see the table above."""

    active: bool
    account: str
    profile: dict[str, Value]
    digest: str | None
    new: dict[str, Value]
    old: dict[str, Value]
    create: dict[str, Value]
    link: str
    relink: bool
    release: bool
    wait: dict[str, Any] | None
    unheeded: tuple[str, str] | None
    successor: str
    facts: dict[str, Any]
    hook: dict[str, Any]
    undo: dict[str, Any]
    conflict: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Terms:
    """Under what a plan is made: the app's policy and mapping, the ranking and the org's options of one moment."""

    app_id: str
    mode: Mode
    policy: ImportPolicy
    mapping: CompiledMapping
    username: UsernameOf
    schema: Schema
    sources: Sources
    org: OrgSafeguard
    now: datetime
    at: str

    @property
    def ranking(self) -> Sequence[str]:
        """The enabled masters, best first."""
        return self.sources.ranking


class Prepared(NamedTuple):
    """A usable record: its app profile after the merge, the user profile it maps to (login included) and the keys to match it by."""

    record: Record
    merged: dict[str, Value]
    mapped: dict[str, Value]
    login: str
    keys: Keys
    said: Mapping[str, Value] = MappingProxyType({})
    """Attributes of the user that the import hook gave a value of its own, over what is mapped (SPEC §8)."""


@dataclass(slots=True)
class Change:
    """One row of a plan."""

    external_id: str | None
    line: int | None
    decision: Decision
    user_id: str | None = None
    app_user_id: str | None = None
    login: str | None = None
    before: Status | None = None
    authority: str | None = None
    effect: Effect = field(default_factory=Effect)
    candidates: tuple[str, ...] = ()
    detail: str | None = None
    unassigns: bool = False
    """The change would end an active assignment of a user who is not deactivated: what the safeguards count (SPEC §8)."""


def prepare(terms: Terms, record: Record, known: Mapping[str, Value]) -> Prepared | Unusable:
    """Merge, map and name a record (SPEC §5.2); what cannot be used comes back as `Unusable` with every fault in its detail."""
    merged = merge(known, record.profile)
    try:
        mapped = terms.mapping.apply(merged, creating=True, now=terms.now)
        login = terms.username(merged, mapped)
    except MappingFailure as failure:
        return Unusable(record.line, "failing_expression", f"{failure.target}: {failure.message}", record.external_id)
    except UsernameFailure as failure:
        found = "; ".join(f"{fault.field}: {fault.message}" for fault in faults(terms.schema, mapped) if fault.field != "login")
        return Unusable(record.line, failure.reason, f"login: {failure.message}" + (f"; {found}" if found else ""), record.external_id)
    except ExpressionFailure as failure:
        return Unusable(record.line, "failing_expression", str(failure), record.external_id)
    mapped["login"] = login
    found = "; ".join(f"{fault.field}: {fault.message}" for fault in faults(terms.schema, mapped))
    if found:
        return Unusable(record.line, "invalid_profile", found, record.external_id)
    return Prepared(record, merged, mapped, login, keys_of_record(terms.policy.matching, login, mapped, merged))


def prepare_again(terms: Terms, account: Account) -> Prepared | Unusable:
    """The last record of a known account, prepared once more from its stored profile, under the terms of now."""
    return prepare(terms, Record(0, account.external_id, True, account.profile, account.digest or b""), account.profile)


def strip(effect: Effect, *names: str) -> None:
    """Take these parts out of an effect, as far as they are there."""
    for name in names:
        effect.pop(name, None)  # type: ignore[misc]  # a typed dictionary is only asked by names written out


def wait_for(change: Change, reason: str) -> None:
    """Have the row wait for a reviewer, and say for what (SPEC §6)."""
    situation = change.decision.situation
    change.decision = replace(change.decision, reason=reason)
    change.effect["wait"] = {"situation": situation.value, "reason": reason, "candidates": list(change.candidates)}
