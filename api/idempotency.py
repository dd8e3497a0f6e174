"""`Idempotency-Key`: the same POST sent twice is done once and answered the same (API.md, habits).

A key belongs to the token that sends it and is good for 24 hours from when it was first taken:

======================================  =================================================================
the key is free                         the request is carried out; the answer, if it is a success, is kept
the same request again, and it is kept  the kept answer, with `Idempotent-Replayed: true`
another request under the key           409 M0000002
the same key while the first is at work  wait for it a while, then 409 M0000002
======================================  =================================================================

*The same request* means path, query, content type and every byte of the body. The body is digested as it streams past, so that an import
of any size is neither held in memory nor read twice. A refused request has done nothing and gives the key back.

Kept answers may hold people's data, or a new token's secret, so they are encrypted under the caller's own secret and key, which the
database does not have: only who asked can have the answer again.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Any

import anyio
from cryptography.fernet import Fernet
from litestar.concurrency import sync_to_thread
from litestar.middleware import ASGIMiddleware
from litestar.status_codes import HTTP_200_OK, HTTP_300_MULTIPLE_CHOICES, HTTP_500_INTERNAL_SERVER_ERROR
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from api.auth import secret_of
from mastering.clock import now, wire
from mastering.errors import Invalid, KeyReused
from mastering.store import idempotency as store
from mastering.store.documents import dump, load
from mastering.store.engine import writing
from mastering.store.tables import IdempotencyKey

KEPT = timedelta(hours=24)
PATIENCE = 30.0
"""Seconds that a request waits for another one under the same key."""
_LOOK_EVERY = 0.1
_LONGEST = 255


class Idempotency(ASGIMiddleware):
    """Carries a POST with a key out once."""

    def should_bypass_for_scope(self, scope: Scope) -> bool:
        """Only a POST with a key, of a caller who is known."""
        return scope.get("method") != "POST" or _key_of(scope) is None or scope.get("auth") is None

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Take the key and do the work, or answer with what is kept."""
        key = _key_of(scope) or ""
        if not (0 < len(key) <= _LONGEST and key.isprintable()):
            raise Invalid("Api validation failed: Idempotency-Key", f"Idempotency-Key: must have 1 to {_LONGEST} characters")
        taken = _Taken(scope["litestar_app"].state.engine, scope["auth"].token_id, key, _cipher(scope, key))
        body = _Digest(scope, receive)
        kept = await _claim(taken)
        if kept is None:
            await _carry_out(taken, body, scope, send, next_app)
            return
        if await body.whole() != kept.request_hash:
            raise KeyReused("This Idempotency-Key was used for another request", "Idempotency-Key: use a new key for a new request")
        await taken.kept(kept).send(send)


@dataclass(slots=True)
class _Answer:
    """An answer, held back until it is kept."""

    status: int = HTTP_500_INTERNAL_SERVER_ERROR
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)

    async def collect(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message["headers"])
        elif message["type"] == "http.response.body":
            self.body += message["body"]

    async def send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": bytes(self.body), "more_body": False})


@dataclass(frozen=True, slots=True)
class _Taken:
    """One key of one caller, and how answers under it are locked away."""

    engine: Engine
    token_id: str
    key: str
    cipher: Fernet

    def claim(self) -> IdempotencyKey | None:
        at = now()
        with writing(self.engine) as session:
            return store.claim(session, self.token_id, self.key, wire(at), wire(at - KEPT))

    def keep(self, request_hash: bytes, answer: _Answer) -> None:
        headers = dump([[name.decode("latin-1"), value.decode("latin-1")] for name, value in answer.headers])
        locked = self.cipher.encrypt(bytes(answer.body))
        with writing(self.engine) as session:
            store.keep(session, self.token_id, self.key, request_hash=request_hash, status=answer.status, headers=headers, answer=locked)

    def kept(self, row: IdempotencyKey) -> _Answer:
        """The answer that is kept, to be sent again."""
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in load(row.headers)]
        body = self.cipher.decrypt(row.answer or b"")
        return _Answer(row.status or HTTP_200_OK, [*headers, (b"idempotent-replayed", b"true")], bytearray(body))

    def release(self) -> None:
        with writing(self.engine) as session:
            store.release(session, self.token_id, self.key)


class _Digest:
    """A request's body on its way to the handler, and the digest of the request."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._more = True
        kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
        self._sum = sha256(b"\0".join((scope["path"].encode(), scope["query_string"], kind, b"")))

    async def receive(self) -> Any:
        message = await self._receive()
        if message["type"] == "http.request":
            self._sum.update(message.get("body", b""))
            self._more = message.get("more_body", False)
        else:
            self._more = False
        return message

    async def whole(self) -> bytes:
        """The digest of the whole request; what nobody has read of the body is read now."""
        while self._more:
            await self.receive()
        return self._sum.digest()


async def _claim(taken: _Taken) -> IdempotencyKey | None:
    """`None` once the key is ours, or the answer that is kept under it; raises `KeyReused` where another request will not come to its end."""
    with anyio.move_on_after(PATIENCE):
        while True:
            try:
                found = await sync_to_thread(taken.claim)
            except IntegrityError:  # two took it at the same moment, and the other was quicker
                continue
            if found is None or found.status is not None:
                return found
            await anyio.sleep(_LOOK_EVERY)
    raise KeyReused(
        "A request with this Idempotency-Key is still being carried out, or broke off",
        "Idempotency-Key: look whether it took effect, then ask again or use a new key",
    )


async def _carry_out(taken: _Taken, body: _Digest, scope: Scope, send: Send, next_app: ASGIApp) -> None:
    answer = _Answer()
    try:
        await next_app(scope, body.receive, answer.collect)
    except Exception:
        await sync_to_thread(taken.release)
        raise
    if answer.status < HTTP_300_MULTIPLE_CHOICES:
        await sync_to_thread(taken.keep, await body.whole(), answer)
    else:
        await sync_to_thread(taken.release)
    await answer.send(send)


def _key_of(scope: Scope) -> str | None:
    return next((value.decode("latin-1").strip() for name, value in scope["headers"] if name == b"idempotency-key"), None)


def _cipher(scope: Scope, key: str) -> Fernet:
    """Made of what only the caller has: the token's secret and the key."""
    return Fernet(urlsafe_b64encode(sha256(f"{secret_of(scope)}\n{key}".encode()).digest()))
