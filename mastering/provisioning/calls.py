"""What is said to an app's SCIM server for one task (SPEC §10). No database here, and nothing is said twice that need not be.

A task may be delivered a second time, when whoever delivered it first died before writing that down. So every call is one that can be made
again: what is there is looked up before it is made, and a server that says that it is there already is looked at again.

A server that cannot filter is not searched before something is created there: it says itself whether the name is taken.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mastering.connectors import scimbody
from mastering.connectors.peerfaults import Conflict, NotThere, Refused, Unusable
from mastering.connectors.scimpeer import Peer, quoted, user_path
from mastering.connectors.scimuser import fold, read_user
from mastering.rules.provisioning import USERNAME, differences
from mastering.rules.tasks import TaskKind
from mastering.rules.text import fold_login

_MOST_PAGES = 1_000
Document = Mapping[str, Any]


class Made(StrEnum):
    """What a delivery did in the app."""

    CREATED = "CREATED"
    ADOPTED = "ADOPTED"
    UPDATED = "UPDATED"
    DEACTIVATED = "DEACTIVATED"
    REACTIVATED = "REACTIVATED"
    PASSWORD = "PASSWORD"  # noqa: S105 - the name of an effect
    NOTHING = "NOTHING"


@dataclass(frozen=True, slots=True)
class Job:
    """One task with all that is needed to deliver it. `names`: the user names to look for, the likeliest first."""

    kind: TaskKind
    user_id: str
    scim_id: str | None
    names: tuple[str, ...]
    new: Mapping[str, Any]
    """The profile that the account is created with."""
    profile: Mapping[str, Any]
    """The profile that it is to have from now on, where it is there already."""
    known: Mapping[str, Any]
    """The profile that the app is known to have."""
    left_out: frozenset[str] = frozenset()
    forced: frozenset[str] = frozenset()
    may_create: bool = False
    inactive: bool = False
    """Whether the app is known to have the account inactive."""
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Told:
    """What came of it: the app's id of the account, the resource as the app showed it, and the attributes that it was told."""

    made: Made
    scim_id: str | None = None
    resource: Document | None = None
    sent: Mapping[str, Any] = field(default_factory=dict)
    active: bool | None = None
    adopted: bool = False
    """Whether the account was found there, and nobody had known."""


Guard = Callable[[str, Document], None]
"""Looks at an account that was found in the app, before anything is done to it, and raises `PeerFailed` if it is somebody else's."""


def random_password() -> str:
    """A password that nobody knows, with a character of every kind that rules for passwords ask for."""
    return f"{secrets.token_urlsafe(24)}-aA1"


def deliver(peer: Peer, job: Job, guard: Guard) -> Told:
    """Say to the app what a task asks for; raises `PeerFailed`."""
    match job.kind:
        case TaskKind.CREATE | TaskKind.REACTIVATE:
            return _give(peer, job, guard)
        case TaskKind.UPDATE:
            return _update(peer, job, guard)
        case TaskKind.DEACTIVATE:
            return _deactivate(peer, job, guard)
        case TaskKind.PASSWORD:
            return _set_password(peer, job, guard)


# -- the tasks ----------------------------------------------------------------------------------------------------------------


def _give(peer: Peer, job: Job, guard: Guard) -> Told:
    """See that the account is there and active."""
    found = _by_id(peer, job) or (_look_up(peer, job) if peer.abilities().filter else None)
    if found is None and job.may_create:
        try:
            return _create(peer, job)
        except Conflict:
            found = _look_up(peer, job)  # somebody was quicker, or this very task was delivered before
            if found is None:
                raise
    if found is None:
        return Told(Made.NOTHING)
    scim_id = _id_of(found)
    guard(scim_id, found)
    changes = _changes(job, read_user(found).profile)
    back = fold(found).get("active", True) is not True
    adopted = job.scim_id != scim_id
    made = Made.ADOPTED if adopted else Made.REACTIVATED if back else Made.UPDATED if changes else Made.NOTHING
    resource = _write(peer, scim_id, changes, found, active=True if back else None) if changes or back else found
    return Told(made, scim_id, resource, changes, active=True, adopted=adopted)


def _create(peer: Peer, job: Job) -> Told:
    profile = scimbody.sendable(job.new)
    if not profile.get(USERNAME):
        raise Refused("the mapping gives no userName, and without one no account can be created")
    document = peer.write_user("POST", "/Users", scimbody.new_user(profile, job.user_id, job.password or random_password())).document
    if not document.get("id"):
        found = _look_up(peer, job)
        if found is None:
            raise Unusable("it answered the creation of a user with no id, and does not find the user")
        document = dict(found)
    return Told(Made.CREATED, _id_of(document), document, profile, active=True)


def _update(peer: Peer, job: Job, guard: Guard) -> Told:
    found, adopted = None, False
    if job.scim_id is None:
        found = _look_up(peer, job)
        if found is None:
            return Told(Made.NOTHING)
        guard(_id_of(found), found)
        adopted = True
    scim_id = _id_of(found) if found is not None else str(job.scim_id)
    changes = _changes(job, job.known if found is None else read_user(found).profile)
    if not changes:
        return Told(Made.ADOPTED if adopted else Made.NOTHING, scim_id, found, adopted=adopted)
    resource = _write(peer, scim_id, changes, found)
    return Told(Made.ADOPTED if adopted else Made.UPDATED, scim_id, resource, changes, adopted=adopted)


def _deactivate(peer: Peer, job: Job, guard: Guard) -> Told:
    """Never DELETE. An account that is not there is as good as an inactive one."""
    if job.inactive:
        return Told(Made.NOTHING, job.scim_id, active=False)
    found, scim_id = None, job.scim_id
    if scim_id is None:
        found = _look_up(peer, job)
        if found is None:
            return Told(Made.NOTHING, active=False)
        scim_id = _id_of(found)
        guard(scim_id, found)
        if fold(found).get("active") is False:
            return Told(Made.NOTHING, scim_id, found, active=False)
    try:
        resource = _write(peer, scim_id, {}, found, active=False)
    except NotThere:
        return Told(Made.NOTHING, scim_id, active=False)
    return Told(Made.DEACTIVATED, scim_id, resource, active=False, adopted=job.scim_id is None)


def _set_password(peer: Peer, job: Job, guard: Guard) -> Told:
    found, scim_id = None, job.scim_id
    if scim_id is None:
        found = _look_up(peer, job)
        if found is None:
            return Told(Made.NOTHING)
        scim_id = _id_of(found)
        guard(scim_id, found)
    _write(peer, scim_id, {}, found, password=job.password or random_password())
    return Told(Made.PASSWORD, scim_id, found, adopted=found is not None)


# -- single calls -------------------------------------------------------------------------------------------------------------


def _changes(job: Job, known: Mapping[str, Any]) -> dict[str, Any]:
    return differences(scimbody.sendable(job.profile), known, left_out=job.left_out, forced=job.forced)


def _write(
    peer: Peer,
    scim_id: str,
    changes: Mapping[str, Any],
    present: Document | None,
    *,
    active: bool | None = None,
    password: str | None = None,
) -> Document | None:
    """Change an account by PATCH where the server can, else by PUT; the resource as the server shows it then, if it does."""
    path = user_path(scim_id)
    if peer.abilities().patch:
        if present is None and scimbody.needs_present(changes):
            present = peer.get(path).document
        answer = peer.write_user("PATCH", path, scimbody.patch(changes, present or {}, active=active, password=password))
    else:
        whole = peer.get(path).document  # also where it has been seen in a list, which need not show all of it
        answer = peer.write_user("PUT", path, scimbody.replacement(changes, whole, active=active, password=password))
    return answer.document if answer.document.get("id") else None


def _by_id(peer: Peer, job: Job) -> Document | None:
    if job.scim_id is None:
        return None
    try:
        return peer.get(user_path(job.scim_id)).document
    except NotThere:
        return None


def _look_up(peer: Peer, job: Job) -> Document | None:
    """The one account with one of the user names; raises `Refused` where there are several."""
    for name in job.names:
        wanted = fold_login(name)
        found = [each for each in _candidates(peer, name) if fold_login(str(fold(each).get("username", ""))) == wanted]
        if len({_id_of(each) for each in found}) > 1:
            raise Refused("several of its users have this user name; one of them has to be renamed there")
        if found:
            return found[0]
    return None


def _candidates(peer: Peer, name: str) -> Iterator[Document]:
    """Users who may have the name: those that the server finds, or, page by page, all of a server that cannot search."""
    if peer.abilities().filter:
        yield from _resources(peer.get("/Users", {"filter": f"{USERNAME} eq {quoted(name)}"}).document)
        return
    start = 1
    for _ in range(_MOST_PAGES):
        page = peer.get("/Users", {"startIndex": start}).document  # as many as it likes: not every such server can be told how many
        found = _resources(page)
        yield from found
        start += len(found)
        total = fold(page).get("totalresults")
        if not found or not isinstance(total, int) or start > total:
            return
    raise Refused("it cannot search for a user name, and has too many users to look through")


def _resources(document: Document) -> list[Document]:
    found = fold(document).get("resources")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _id_of(document: Document) -> str:
    found = document.get("id")
    if not isinstance(found, str | int) or isinstance(found, bool) or found == "":
        raise Unusable("it shows a user without an id")
    return str(found)
