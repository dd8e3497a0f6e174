"""Who is right about a person, told to whoever asks (SPEC §3; API.md, /users/{id}/masters).

For one user: the masters with an assignment in their order and which of them is the authority; for each attribute its value, its master
and why; why the masters' profile is refused, if it is; the words that masters said and that were not followed; and, where a dead account
still speaks, the way out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine
from sqlmodel import Session

from mastering.acts import see
from mastering.clock import wire
from mastering.remaster import load_sources, outlook
from mastering.rules.disagreement import ask_again
from mastering.rules.expressions import Value
from mastering.rules.people import Account, User
from mastering.rules.profile import Sources, attribute_masters
from mastering.rules.ranking import Link, authority
from mastering.rules.record import AccountState
from mastering.rules.schema import MasterKind
from mastering.store import catalog, tables
from mastering.store.engine import reading


@dataclass(frozen=True, slots=True)
class Voice:
    """One linked account: its app's rank among the masters, whether it has authority, why it has no say, and what to do if it should not have."""

    account: Account
    label: str
    rank: int | None
    authority: bool
    silent: str | None
    way_out: str | None


@dataclass(frozen=True, slots=True)
class Mastered:
    """One attribute: its value, the app that masters it (`None`: the directory), why that one, and whether an admin may write it."""

    value: Value
    app_id: str | None
    why: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """A word that stands unheeded: the trigger it asks for, and what stops it; `None` where nothing does any more."""

    account: Account
    trigger: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Masters:
    """The whole view of one user."""

    user: User
    voices: tuple[Voice, ...]
    attributes: Mapping[str, Mastered]
    disagreements: tuple[Standing, ...]
    refused: tuple[str, ...] = ()
    """Why the masters' last word on the profile cannot be mapped, each reason naming its attribute; the profile keeps its old values."""

    @property
    def authority(self) -> Voice | None:
        """The account with authority; `None` where the directory masters the user."""
        return next((voice for voice in self.voices if voice.authority), None)


def masters_of(engine: Engine, now: datetime, id_or_login: str) -> Masters:
    """Who masters a user, attribute by attribute; raises `NotFound`."""
    with reading(engine) as session:
        user = see(session, id_or_login)
        sources = load_sources(session, now)
        labels = {account.app_id: session.get_one(tables.App, account.app_id).label for account in user.links}
        voices = tuple(sorted((voice(labels[account.app_id], sources.ranking, user, account) for account in user.links), key=order))
        refused = outlook(session, sources, user).faults
        return Masters(user, voices, _attributes(sources, user), _disagreements(session, sources, user, wire(now)), refused)


def voice(label: str, ranking: tuple[str, ...], user: User, account: Account) -> Voice:
    """What one of a user's accounts has to say under a ranking."""
    speaking = authority([other.link for other in user.links], ranking)
    mine = speaking is not None and speaking.account_id == account.id
    ranked = account.app_id in ranking
    return Voice(
        account=account,
        label=label,
        rank=ranking.index(account.app_id) + 1 if ranked else None,
        authority=mine,
        silent=_silence(account, ranked=ranked),
        way_out=_way_out(account) if mine else None,
    )


def _silence(account: Account, *, ranked: bool) -> str | None:
    if not ranked:
        return "not_a_master"
    if account.released:
        return "released"
    return None if account.seen_active else "never_seen_active"


def _way_out(account: Account) -> str | None:
    """An account that is not active still speaks for its user; who thinks that wrong unassigns it (SPEC §3)."""
    if account.account is AccountState.ACTIVE:
        return None
    return (
        f"This account is {account.account} and still has authority, so that no lower master brings the person back. "
        f"If that is wrong, unassign it: DELETE /api/v1/apps/{account.app_id}/users/{account.user_id}"
    )


def order(told: Voice) -> tuple[bool, int, str]:
    """Those with a say first, by rank."""
    return told.silent is not None, told.rank or 0, told.account.id


def _attributes(sources: Sources, user: User) -> dict[str, Mastered]:
    masters = attribute_masters(sources, [account.link for account in user.links])
    return {name: _mastered(sources, user, name, link) for name, link in masters.items()}


def _mastered(sources: Sources, user: User, name: str, link: Link | None) -> Mastered:
    kind = sources.schema.attributes[name].master.kind
    why = {
        MasterKind.OKTA: "inherit_from_directory",
        MasterKind.OVERRIDE: "override" if link else "override_without_assignment",
        MasterKind.PROFILE_MASTER: "inherit_from_profile_master" if link else "no_profile_master",
    }[kind]
    supplying = link is not None and link.account is AccountState.ACTIVE
    if link is not None and not supplying:
        why += "_last_values"
    return Mastered(user.profile.get(name), link.app_id if link else None, why, supplying)


def _disagreements(session: Session, sources: Sources, user: User, at: str) -> tuple[Standing, ...]:
    """The unheeded words that the person's status contradicts just now."""
    found = []
    for account in user.links:
        if account.unheeded is None:
            continue
        policy = catalog.policy_of(session.get_one(tables.App, account.app_id))
        decision = ask_again(policy, sources.ranking, user, account, at)
        if decision.trigger or decision.reason:
            found.append(Standing(account, decision.trigger.value if decision.trigger else account.unheeded, decision.reason))
    return tuple(found)
