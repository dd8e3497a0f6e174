"""A SCIM 2.0 server that the service calls (RFC 7644; SPEC §§10, 11).

A `Peer` speaks for one connection. It may be shared between threads and is made by `mastering.connections.Peers`, which knows the
credentials::

    peer = peers.open(app_id)
    found = peer.get("/Users", {"filter": f"userName eq {quoted(login)}"}).document
    peer.patch(user_path(found["Resources"][0]["id"]), {"schemas": […], "Operations": […]})

Every call ends within its seconds, with an `Answer` of a status from 200 to 299, or with a fault of `peerfaults`. A call is made once: whoever
wants it again asks again, with one exception, that a token which the peer no longer takes is renewed and shown once more. What is sent and
what comes back is JSON and never logged.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from scim2_models import ServiceProviderConfig

from mastering.connectors import outbound
from mastering.connectors.outbound import CallFailed, Door
from mastering.connectors.peerauth import Auth, Proof
from mastering.connectors.peerfaults import (
    Conflict,
    CredentialsRefused,
    NotThere,
    PeerFailed,
    Refused,
    TooMany,
    Unavailable,
    Unusable,
    fault_of_call,
    retry_after,
)
from mastering.connectors.scimschema import UserSchema, schema_in

SECONDS = 20.0
"""How long one call may take, in all, if nothing else is said."""
MOST_BYTES = 16 * 1024**2
"""Bytes of an answer at the most."""
_ACCEPT = "application/scim+json, application/json;q=0.9"
_LONGEST_WORDS = 300
_KNOWN_FOR = 3_600.0
"""Seconds that what a peer can do is remembered."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a peer is and how it is called. `authority`: PEM of a private one that its certificate may be signed by. `plain`: http is agreed to."""

    base_url: str
    auth: Auth = field(repr=False)
    authority: str | None = field(default=None, repr=False)
    plain: bool = False
    seconds: float = SECONDS


@dataclass(frozen=True, slots=True)
class Answer:
    """What a peer answered. `document` is the object in its body, or nothing where it had none."""

    status: int
    headers: Mapping[str, str]
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a peer says it can do (RFC 7643 §5). `known`: it said so; else these are what every server can be asked for, cautiously."""

    patch: bool = False
    filter: bool = True
    known: bool = False


class Peer:
    """The client of one connection."""

    def __init__(self, door: Door, target: Target) -> None:
        self.target = target
        self._base = target.base_url.rstrip("/")
        self._door = door.trusting(target.authority)
        self._proof = Proof(self._door, target.auth, plain=target.plain)
        self._abilities: tuple[float, Abilities] | None = None
        self._strict: tuple[float, UserSchema | None] = 0.0, None
        self._guard = threading.Lock()

    def get(self, path: str, params: Mapping[str, str | int] | None = None, *, seconds: float | None = None) -> Answer:
        """Read what is at a path below the base address, such as `/Users`; raises `PeerFailed`."""
        asked = f"?{urlencode(params, quote_via=quote)}" if params else ""
        return self._ask("GET", path + asked, None, seconds)

    def post(self, path: str, body: Mapping[str, Any], *, seconds: float | None = None) -> Answer:
        """Create; raises `PeerFailed`."""
        return self._ask("POST", path, body, seconds)

    def put(self, path: str, body: Mapping[str, Any], *, seconds: float | None = None) -> Answer:
        """Replace; raises `PeerFailed`."""
        return self._ask("PUT", path, body, seconds)

    def patch(self, path: str, body: Mapping[str, Any], *, seconds: float | None = None) -> Answer:
        """Change; raises `PeerFailed`."""
        return self._ask("PATCH", path, body, seconds)

    def write_user(self, method: str, path: str, body: Mapping[str, Any]) -> Answer:
        """Create, replace or change a user; raises `PeerFailed`.

        A server that refuses what it does not know is told no more than its schemas have, once it has shown that this is what it wanted.
        """
        schema = self._schema()
        told = body if schema is None else _fitted(schema, body)
        try:
            return self._ask(method, path, told, None)
        except Refused as fault:
            schema = self._ask_schema() if schema is None and fault.status == 400 else None
            fitted = told if schema is None else _fitted(schema, body)
            if fitted == told:
                raise
        answer = self._ask(method, path, fitted, None)
        with self._guard:
            self._strict = monotonic() + _KNOWN_FOR, schema
        return answer

    def _schema(self) -> UserSchema | None:
        """What a server knows of users that has been found to refuse anything else, remembered for an hour."""
        with self._guard:
            until, schema = self._strict
            return schema if monotonic() < until else None

    def _ask_schema(self) -> UserSchema | None:
        try:
            return schema_in(self.get("/Schemas").document)
        except PeerFailed:
            return None

    def reach(self) -> None:
        """Ask without credentials; any answer will do. Raises `PeerFailed` where there is none."""
        self._call("GET", "/ServiceProviderConfig", b"", {}, monotonic() + self.target.seconds)

    def prove(self) -> None:
        """Get a token now, if calls are to show one; raises `PeerFailed`."""
        self._proof.headers(self.target.seconds)

    def abilities(self) -> Abilities:
        """What the peer can do, as it says at `/ServiceProviderConfig`, remembered for an hour; raises `PeerFailed` where it cannot be asked now.

        A peer that has no such address, or answers something else there, is taken for one that filters and cannot be patched.
        """
        with self._guard:
            if self._abilities is None or monotonic() >= self._abilities[0]:
                self._abilities = monotonic() + _KNOWN_FOR, self._ask_abilities()
            return self._abilities[1]

    def _ask_abilities(self) -> Abilities:
        try:
            return abilities_in(self.get("/ServiceProviderConfig").document)
        except (NotThere, Refused, Unusable):
            return Abilities()

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None, seconds: float | None) -> Answer:
        until = monotonic() + (self.target.seconds if seconds is None else seconds)
        content = b"" if body is None else msgspec.json.encode(body)
        shown = self._proof.headers(_left(until))
        answer = self._call(method, path, content, shown, until)
        if answer.status == 401 and self._proof.give_up(shown):
            answer = self._call(method, path, content, self._proof.headers(_left(until)), until)
        return self._judged(answer)

    def _call(self, method: str, path: str, content: bytes, shown: Mapping[str, str], until: float) -> outbound.Answer:
        headers = {"Accept": _ACCEPT, **({"Content-Type": "application/scim+json"} if content else {}), **shown}
        try:
            return self._door.call(
                method,
                self._base + path,
                headers=headers,
                body=content,
                seconds=_left(until),
                limit=MOST_BYTES,
                plain=self.target.plain,
            )
        except CallFailed as fault:
            raise fault_of_call(fault, "the app's server") from fault

    def _judged(self, answer: outbound.Answer) -> Answer:
        """A good answer; raises the fault that any other is."""
        document = _read(answer.body)
        if 200 <= answer.status < 300:
            if document is None:
                raise Unusable(f"it answered with {_kind(answer)} instead of a SCIM document", status=answer.status)
            return Answer(answer.status, answer.headers, document)
        said, scim_type = self._words(document)
        raise _fault(answer, said, scim_type)

    def _words(self, document: dict[str, Any] | None) -> tuple[str, str]:
        """Detail and type of a SCIM error (RFC 7644 §3.12), without our secrets, should it repeat them."""
        error = {name.casefold(): value for name, value in (document or {}).items()}
        said = " ".join(str(error.get("detail") or "").split())
        for secret in self._proof.secrets:
            said = said.replace(secret, "…")
        shown = "".join(character for character in said if character.isprintable())
        return shown[:_LONGEST_WORDS], str(error.get("scimtype") or "")[:60]


def user_path(scim_id: str) -> str:
    """The path of a user whose id, as the peer gave it, may hold any character."""
    segment = quote(scim_id, safe="")
    return f"/Users/{segment.replace('.', '%2E') if segment in {'.', '..'} else segment}"


def quoted(text: str) -> str:
    """A text as a filter writes it (RFC 7644 §3.4.2.2): a JSON string."""
    return msgspec.json.encode(text).decode()


def abilities_in(document: Mapping[str, Any]) -> Abilities:
    """What a ServiceProviderConfig says; raises `Unusable` for what is none."""
    try:
        found = ServiceProviderConfig.model_validate(document)
    except ValueError as fault:
        raise Unusable("its /ServiceProviderConfig is not what RFC 7643 §5 describes") from fault
    patch, filters = found.patch, found.filter
    return Abilities(patch=bool(patch and patch.supported), filter=bool(filters and filters.supported), known=True)


def _fitted(schema: UserSchema, body: Mapping[str, Any]) -> Mapping[str, Any]:
    return schema.fit_patch(body) if "Operations" in body else schema.fit(body)


def _left(until: float) -> float:
    return max(until - monotonic(), 0.001)


def _read(body: bytes) -> dict[str, Any] | None:
    """The object in a body, an empty one where there is no body; `None` for anything else."""
    if not body.strip():
        return {}
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _kind(answer: outbound.Answer) -> str:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind if kind.replace("/", "").replace("+", "").replace("-", "").replace(".", "").isalnum() and len(kind) < 60 else "something"


def _fault(answer: outbound.Answer, said: str, scim_type: str) -> PeerFailed:
    status, told = answer.status, f"it answered with status {answer.status}"
    patience = retry_after(answer.headers)
    if status in {401, 403}:
        return CredentialsRefused(f"it refused the credentials with status {status}", status=status, said=said)
    if status == 404:
        return NotThere(told, status=status, said=said)
    if status == 409 or scim_type.casefold() == "uniqueness":
        return Conflict(told, status=status, said=said, scim_type=scim_type)
    if status == 429:
        return TooMany(told, status=status, retry_after=patience, said=said)
    if status == 408 or (status >= 500 and status != 501):
        return Unavailable(told, status=status, retry_after=patience, said=said)
    if status < 400:
        redirect = "; redirects are not followed, so give the address that it leads to" if status >= 300 else ""
        return Unusable(f"{told}{redirect}", status=status)
    return Refused(told, status=status, said=said, scim_type=scim_type)
