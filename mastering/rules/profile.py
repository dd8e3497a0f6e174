"""What the masters' last imported profiles say a user's profile is (SPEC §4).

Each attribute has at most one master, and who that is depends on how the attribute is mastered:

=========  =================================================================================
inherit    the user's authority
directory  nobody: it is the admins' to write
override   the first app of the attribute's own list that masters and has an assignment
=========  =================================================================================

A master *supplies* its attributes while its account is active; while it is not, the last values stay and an admin may correct them.
There is no fall-through: what the master clears is cleared, what it never carried keeps its value, and no other app is asked.

An update is all or nothing. Whether the login it asks for is free is not seen from one user alone: that is the caller's to settle.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mastering.rules.expressions import Value
from mastering.rules.lifecycle import Status
from mastering.rules.mapping import CompiledMapping, MappingFailure, UsernameFailure, UsernameOf
from mastering.rules.people import Account, User
from mastering.rules.ranking import Link, authority
from mastering.rules.record import AccountState
from mastering.rules.schema import MasterKind, Schema, faults
from mastering.rules.text import fold_login


@dataclass(frozen=True, slots=True)
class Source:
    """How one app's profile becomes a user's: its mapping, and its username format."""

    mapping: CompiledMapping
    username: UsernameOf


@dataclass(frozen=True, slots=True)
class Sources:
    """Who masters profiles, and how: the ranking, each master's `Source`, the user schema and the org's option, of one moment."""

    ranking: tuple[str, ...]
    apps: Mapping[str, Source]
    schema: Schema
    update_deactivated: bool
    now: datetime
    exceptions: Mapping[str, tuple[str, ...]] = field(init=False)
    """Attributes that are not inherited from the authority, each with its own ranking; an empty one is the directory's."""

    def __post_init__(self) -> None:
        exceptions = {
            attribute.name: tuple(app for app in attribute.master.priority if app in self.ranking)
            for attribute in self.schema.attributes.values()
            if attribute.master.kind is not MasterKind.PROFILE_MASTER
        }
        object.__setattr__(self, "exceptions", exceptions)


@dataclass(frozen=True, slots=True)
class Update:
    """What would change in one user's profile; with faults, why nothing does. Each fault names its attribute."""

    new: Mapping[str, Value] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


NO_UPDATE = Update()


def attribute_masters(sources: Sources, links: Iterable[Link]) -> dict[str, Link | None]:
    """Each attribute's master among a user's links, whatever its account's state; `None` where the directory masters it (SPEC §4)."""
    links = list(links)
    masters: dict[str, Link | None] = dict.fromkeys(sources.schema.attributes, authority(links, sources.ranking))
    for name, ranking in sources.exceptions.items():
        masters[name] = authority(links, ranking)
    return masters


def mastered_by(sources: Sources, links: Sequence[Link], account_id: str) -> Collection[str]:
    """The attributes of which one account among a user's links is the master, whatever its state."""
    if sources.exceptions:
        return {name for name, link in attribute_masters(sources, links).items() if link is not None and link.account_id == account_id}
    speaking = authority(links, sources.ranking)
    return sources.schema.attributes.keys() if speaking is not None and speaking.account_id == account_id else ()


def supplied(sources: Sources, user: User) -> dict[str, Link]:
    """The attributes that a master supplies just now, and which: they are read-only to admins (SPEC §4)."""
    masters = attribute_masters(sources, [account.link for account in user.links])
    return {name: link for name, link in masters.items() if link is not None and link.account is AccountState.ACTIVE}


def mastered(sources: Sources, user: User) -> Update:
    """What the masters' last imported profiles change in a user's profile (SPEC §4).

    A deactivated user keeps the profile unless the org's option says otherwise.
    """
    if user.status is Status.DEACTIVATED and not sources.update_deactivated:
        return NO_UPDATE
    suppliers = {name: link.account_id for name, link in supplied(sources, user).items()}
    new: dict[str, Value] = {}
    for account in user.links:
        mine = {name for name, supplier in suppliers.items() if supplier == account.id}
        if not mine:
            continue
        try:
            told = _told(sources, account, with_login="login" in mine)
        except MappingFailure as failure:
            return Update(faults=(f"{failure.target}: {failure.message}",))
        except UsernameFailure as failure:
            return Update(faults=(f"login: {failure.message}",))
        new.update((name, value) for name, value in told.items() if name in mine and user.profile.get(name) != value)
    wrong = faults(sources.schema, {**user.profile, **new}) if new else ()
    return Update(new, tuple(f"{fault.field}: {fault.message}" for fault in wrong))


def _told(sources: Sources, account: Account, *, with_login: bool) -> dict[str, Value]:
    source, profile = sources.apps[account.app_id], account.profile
    told = source.mapping.apply(profile, creating=False, now=sources.now)
    if with_login:
        told["login"] = source.username(profile, source.mapping.apply(profile, creating=True, now=sources.now))
    return told


def moved_login(user: User, new: Mapping[str, Value]) -> str | None:
    """The key of the login that new values would move a user to; `None` where the login stays the same to whoever compares it."""
    login = new.get("login")
    if not isinstance(login, str) or fold_login(login) == fold_login(user.login):
        return None
    return fold_login(login)
