"""How the service proves to a peer who it is: a fixed header, or a token got with OAuth 2.0 client credentials (SPEC §11).

A token is kept until shortly before it expires, or until the peer refuses it, and fetched once however many threads want it. What a token
server says is read like any other answer: bounded, and never shown where it might repeat a secret.
"""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from mastering.connectors.outbound import Answer, CallFailed, Door
from mastering.connectors.peerfaults import CredentialsRefused, Unavailable, Unusable, fault_of_call, retry_after

_MOST_BYTES = 64 * 1024
_MARGIN = 30.0
"""Seconds before its end that a token is given up: it must outlive the call that it is shown in."""
_UNSAID, _LONGEST = 300.0, 12 * 3600.0
"""Seconds that a token is kept whose server does not say how long it holds, and the most that any is."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """Headers that are sent with every call, and hold the secret."""

    headers: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """A client of a token server (RFC 6749 §4.4). `in_body`: id and secret travel in the form instead of a Basic header (§2.3.1)."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str | None = None
    in_body: bool = False

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown."""
        return (self.client_secret,)


Auth = Fixed | ClientCredentials


def basic(user: str, password: str) -> Fixed:
    """HTTP Basic (RFC 7617)."""
    packed = b64encode(f"{user}:{password}".encode()).decode()
    return Fixed({"Authorization": f"Basic {packed}"}, (password, packed))


def header(name: str, prefix: str, token: str) -> Fixed:
    """A token in a header, such as `Authorization: Bearer TOKEN`."""
    return Fixed({name: f"{prefix} {token}" if prefix else token}, (token,))


class Proof:
    """The headers of the next call. Shared between threads."""

    def __init__(self, door: Door, auth: Auth, *, plain: bool) -> None:
        self._door, self._auth, self._plain = door, auth, plain
        self._guard = threading.Lock()
        self._token, self._until = "", 0.0

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown: the credentials, and the token that they got."""
        return (*self._auth.secrets, self._token) if self._token else self._auth.secrets

    def headers(self, seconds: float) -> Mapping[str, str]:
        """What to send; a token is fetched first where there is none, within `seconds`. Raises `PeerFailed`."""
        if isinstance(self._auth, Fixed):
            return self._auth.headers
        with self._guard:
            if not self._token or monotonic() >= self._until:
                self._token, holds = _fetch(self._door, self._auth, seconds, plain=self._plain)
                self._until = monotonic() + max(holds - _MARGIN, holds / 2)
            return _bearer(self._token)

    def give_up(self, shown: Mapping[str, str]) -> bool:
        """The peer refused these headers; whether it is worth trying again with others."""
        if isinstance(self._auth, Fixed):
            return False
        with self._guard:
            if _bearer(self._token) == shown:  # else another thread has a newer one already
                self._token = ""
            return True


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _fetch(door: Door, auth: ClientCredentials, seconds: float, *, plain: bool) -> tuple[str, float]:
    """A new token, and the seconds that it holds."""
    form = {"grant_type": "client_credentials", **({"scope": auth.scope} if auth.scope else {})}
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if auth.in_body:
        form |= {"client_id": auth.client_id, "client_secret": auth.client_secret}
    else:
        packed = b64encode(f"{quote(auth.client_id, safe='')}:{quote(auth.client_secret, safe='')}".encode()).decode()
        headers["Authorization"] = f"Basic {packed}"
    body = urlencode(form).encode()
    try:
        answer = door.call("POST", auth.token_url, headers=headers, body=body, seconds=seconds, limit=_MOST_BYTES, plain=plain)
    except CallFailed as fault:
        raise fault_of_call(fault, "the token server") from fault
    return _read(answer)


def _read(answer: Answer) -> tuple[str, float]:
    document = _document(answer.body)
    if answer.status in {400, 401, 403}:
        error = document.get("error")
        named = f" ({error})" if isinstance(error, str) and error.replace("_", "").isalnum() and len(error) < 60 else ""
        raise CredentialsRefused(f"the token server refused the client with status {answer.status}{named}", status=answer.status)
    if answer.status == 429 or answer.status >= 500:
        told = f"the token server answered with status {answer.status}"
        raise Unavailable(told, status=answer.status, retry_after=retry_after(answer.headers))
    token, holds = document.get("access_token"), document.get("expires_in")
    if answer.status != 200 or not isinstance(token, str) or not token.isprintable() or not token.isascii() or not token:
        raise Unusable(f"the token server answered with status {answer.status} and no access token that can be used", status=answer.status)
    kind = document.get("token_type", "Bearer")
    if not isinstance(kind, str) or kind.casefold() != "bearer":
        raise Unusable("the token server gave a token of a type other than Bearer", status=answer.status)
    seconds = float(holds) if isinstance(holds, int | float) and not isinstance(holds, bool) and holds > 0 else _UNSAID
    return token, min(seconds, _LONGEST)


def _document(body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
