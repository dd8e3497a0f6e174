"""Trying a connection: step by step, what works and what does not (SPEC §11; API.md, connections/default/test).

Nothing is changed anywhere by it, and nothing that a person or a secret could be told by is shown. Steps build on each other: where one
fails, those that need it are skipped. An app can be imported and pushed to where all but the last three work; what these say decides how.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import uuid4

from mastering.connections import Peers
from mastering.connectors.peerfaults import (
    CredentialsRefused,
    NotCallable,
    NotThere,
    NotTrusted,
    PeerFailed,
    Refused,
    TooMany,
    Unusable,
)
from mastering.connectors.scimpeer import Abilities, Peer, abilities_in, quoted


class Step(StrEnum):
    """What is tried, in this order."""

    REACH = "REACH"
    TLS = "TLS"
    AUTHENTICATION = "AUTHENTICATION"
    USERS = "USERS"
    SERVICE_PROVIDER_CONFIG = "SERVICE_PROVIDER_CONFIG"
    FILTER = "FILTER"
    DELTA = "DELTA"


class State(StrEnum):
    """What came of a step."""

    OK = "OK"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True, slots=True)
class Found:
    """What came of one step, and what to do about it."""

    step: Step
    state: State
    detail: str
    remedy: str | None = None


NEEDED = frozenset({Step.REACH, Step.TLS, Step.AUTHENTICATION, Step.USERS})
"""Without these nothing can be imported or pushed."""
_AFTER = "2999-01-01T00:00:00Z"
_LATER_STEPS = (Step.AUTHENTICATION, Step.USERS, Step.SERVICE_PROVIDER_CONFIG, Step.FILTER, Step.DELTA)


def works(found: list[Found]) -> bool:
    """Whether the app can be imported and pushed to."""
    return all(one.state is not State.FAILED and (one.state is State.OK or one.step is Step.TLS) for one in found if one.step in NEEDED)


def try_connection(peers: Peers, app_id: str) -> list[Found]:
    """Try an app's connection, switched on or not; each step with what came of it. Raises `NotFound` and `Invalid` where there is none."""
    peer = peers.open(app_id, enabled=False)
    found = _reached(peer)
    if any(one.state is State.FAILED for one in found):
        return found + _skipped("the server cannot be reached", *_LATER_STEPS)
    users, authentication = _users(peer)
    found += [authentication, users]
    if authentication.state is State.FAILED:
        return found + _skipped("the credentials are refused", *_LATER_STEPS[2:])
    config, abilities = _config(peer)
    found.append(config)
    if users.state is not State.OK:
        return found + _skipped("users cannot be read", Step.FILTER, Step.DELTA)
    return [*found, *_filters(peer, abilities)]


def _reached(peer: Peer) -> list[Found]:
    secure = peer.target.base_url.startswith("https:")
    try:
        peer.reach()
    except NotTrusted as fault:
        told = "give the authority that signed it as caCertificate, or have the server's certificate renewed"
        return [Found(Step.REACH, State.OK, "the server is there"), Found(Step.TLS, State.FAILED, str(fault), told)]
    except NotCallable as fault:
        told = "use a public address, or start the service with MASTERING_OUTBOUND_ALLOW naming the network"
        return [Found(Step.REACH, State.FAILED, str(fault), told), *_skipped("the server cannot be reached", Step.TLS)]
    except PeerFailed as fault:
        told = "check host and port of baseUrl, and that a firewall lets the service through"
        return [Found(Step.REACH, State.FAILED, str(fault), told), *_skipped("the server cannot be reached", Step.TLS)]
    tls = Found(Step.TLS, State.OK, "the certificate holds") if secure else Found(Step.TLS, State.SKIPPED, "the address is http")
    return [Found(Step.REACH, State.OK, "the server is there"), tls]


def _users(peer: Peer) -> tuple[Found, Found]:
    """Whether users can be read, and what that says about the credentials."""
    try:
        peer.prove()
        document = peer.get("/Users", {"startIndex": 1, "count": 1}).document
    except PeerFailed as fault:
        refused = isinstance(fault, CredentialsRefused)
        return (
            Found(
                Step.USERS,
                State.SKIPPED if refused else State.FAILED,
                "the credentials are refused" if refused else str(fault),
                _remedy(fault),
            ),
            Found(Step.AUTHENTICATION, State.FAILED, str(fault), _remedy(fault))
            if refused or str(fault).startswith("the token server")
            else Found(Step.AUTHENTICATION, State.SKIPPED, "it cannot be told, as reading users failed otherwise"),
        )
    authentication = Found(Step.AUTHENTICATION, State.OK, "the credentials are taken")
    total = _total(document)
    if total is None:
        told = "baseUrl must be the address below which /Users is, such as https://scim.example.com/v2"
        return Found(Step.USERS, State.FAILED, "its answer is no ListResponse with a totalResults", told), authentication
    return Found(Step.USERS, State.OK, f"{total} users can be read"), authentication


def _config(peer: Peer) -> tuple[Found, Abilities]:
    try:
        abilities = abilities_in(peer.get("/ServiceProviderConfig").document)
    except PeerFailed as fault:
        told = "nothing has to be done: what it does not say is taken cautiously, users are changed by PUT"
        return Found(Step.SERVICE_PROVIDER_CONFIG, State.FAILED, str(fault), told), Abilities()
    said = f"it {'can' if abilities.patch else 'cannot'} patch and {'can' if abilities.filter else 'cannot'} filter"
    return Found(Step.SERVICE_PROVIDER_CONFIG, State.OK, said), abilities


def _filters(peer: Peer, abilities: Abilities) -> list[Found]:
    nobody, changed = f"userName eq {quoted(uuid4().hex)}", f"meta.lastModified gt {quoted(_AFTER)}"
    no_look_up = "pushes to this app look users up by reading them all; ask its maker for filters"
    return [
        _filter(peer, Step.FILTER, nobody, "users are found by userName", no_look_up, says=abilities),
        _filter(peer, Step.DELTA, changed, "changes are found by meta.lastModified", "incremental imports read all users", says=abilities),
    ]


def _filter(peer: Peer, step: Step, text: str, good: str, remedy: str, says: Abilities) -> Found:
    if says.known and not says.filter:
        return Found(step, State.FAILED, "its /ServiceProviderConfig says that it does not filter", remedy)
    try:
        document = peer.get("/Users", {"filter": text, "startIndex": 1, "count": 1}).document
    except PeerFailed as fault:
        return Found(step, State.FAILED, str(fault), remedy)
    if _total(document) != 0:
        return Found(step, State.FAILED, "it answers with users that do not match: filters are not heeded", remedy)
    return Found(step, State.OK, good)


def _total(document: dict[str, Any]) -> int | None:
    total = {name.casefold(): value for name, value in document.items()}.get("totalresults")
    return total if isinstance(total, int) and not isinstance(total, bool) and total >= 0 else None


def _remedy(fault: PeerFailed) -> str:
    if isinstance(fault, CredentialsRefused):
        return "enter credentials that the app takes, with the right to read users"
    if isinstance(fault, NotThere | Refused | Unusable):
        return "baseUrl must be the address below which /Users is, such as https://scim.example.com/v2"
    if isinstance(fault, TooMany):
        return "try again later"
    return "see to the app's server; its own log may say more"


def _skipped(why: str, *steps: Step) -> list[Found]:
    return [Found(step, State.SKIPPED, why) for step in steps]
