"""Why a call to a peer came to nothing, as one tree (SPEC §§10, 11).

::

    PeerFailed                 the message is for an admin and holds no secret and nothing of a person
    ├── CredentialsRefused     401 or 403, from the peer or its token server: somebody has to enter others
    ├── NotThere               404
    ├── Conflict               409, or `scimType: uniqueness`: somebody else has the name
    ├── Refused                any other 4xx, and 501: the same call will be refused again
    ├── Unusable               an answer that is no SCIM: HTML, a redirect, half a document, too many bytes
    ├── NotCallable            the address may not be called at all; nothing was sent
    └── Temporary              the same call may do later
        ├── TooMany            429
        ├── Unavailable        5xx, nobody there, a connection that broke off
        │   └── NotTrusted     the certificate does not hold; nothing was sent
        └── NoAnswer           not in time; the call may have been carried out all the same
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from mastering.clock import now
from mastering.connectors.outbound import CallFailed, NotAllowed, TimedOut, TooLarge, Unreachable, Untrusted

MOST_PATIENCE = 3_600.0
"""Seconds that a peer can ask for with `Retry-After`."""


class PeerFailed(Exception):
    """A call to a peer came to nothing.

    `status`: of the answer, if there was one. `retry_after`: seconds that the peer asks for. `said`: what the peer says is wrong, without
    our secrets, on one line; it may name a person and is for the eyes of admins, not for logs.
    """

    def __init__(
        self, message: str, *, status: int | None = None, retry_after: float | None = None, said: str = "", scim_type: str = ""
    ) -> None:
        super().__init__(message)
        self.status, self.retry_after, self.said, self.scim_type = status, retry_after, said, scim_type


class CredentialsRefused(PeerFailed):
    """The peer, or its token server, does not take our credentials."""


class NotThere(PeerFailed):
    """There is no such resource."""


class Conflict(PeerFailed):
    """Another resource has what must be unique."""


class Refused(PeerFailed):
    """The peer does not do this, and would not if asked again."""


class Unusable(PeerFailed):
    """What came back is not what a SCIM server answers."""


class NotCallable(PeerFailed):
    """The address may not be called; nothing was sent."""


class Temporary(PeerFailed):
    """The same call may do later."""


class TooMany(Temporary):
    """The peer wants to be asked less often."""


class Unavailable(Temporary):
    """The peer is not there, or not well."""


class NotTrusted(Unavailable):
    """Who answers there does not prove to be the peer."""


class NoAnswer(Temporary):
    """There was no whole answer in time; whether the call was carried out is not known."""


_KINDS: Mapping[type[CallFailed], type[PeerFailed]] = {
    NotAllowed: NotCallable,
    TimedOut: NoAnswer,
    Unreachable: Unavailable,
    Untrusted: NotTrusted,
    TooLarge: Unusable,
}


def fault_of_call(fault: CallFailed, who: str) -> PeerFailed:
    """A call that got no answer, as a fault of `who` was called."""
    return _KINDS[type(fault)](f"{who}: {fault}")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that `Retry-After` asks for (RFC 9110 §10.2.3), an hour at most; `None` where it says nothing that can be read."""
    said = headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        return min(float(said[:9]), MOST_PATIENCE)
    try:
        at = parsedate_to_datetime(said)
    except (ValueError, IndexError, TypeError):
        return None
    return min(max((_zoned(at) - now()).total_seconds(), 0.0), MOST_PATIENCE)


def _zoned(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)
