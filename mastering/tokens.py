"""Access tokens: who may call, and in which role (API.md, habits).

A secret is shown once, when it is made, and kept as its SHA-256. That is enough: the secrets made here are random and as long as the
hash, so there is nothing to guess that a slow hash would protect.

The first start on an empty database makes an admin token and leaves it in a file that only the owner can read. An operator who would
rather choose it presets it; a preset that changes takes the place of the one before.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from sqlalchemy import Engine
from sqlmodel import Session

from mastering.clock import wire
from mastering.errors import Invalid, NotFound
from mastering.ids import new_id
from mastering.ledger import Actor, Ledger
from mastering.store import catalog
from mastering.store import tokens as store
from mastering.store.documents import dump, load
from mastering.store.engine import reading, writing
from mastering.store.locks import Lock, hold
from mastering.store.tables import Role, Token

SERVICE = Actor("service", "mastering", "mastering")
PRESET = "preset admin"
FIRST = "first admin"
FILE = "admin-token"
_REMEMBER_USE_EVERY = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever came with a token: its id and name, its role, and the apps that an importer may import."""

    token_id: str
    name: str
    role: Role
    apps: frozenset[str]

    @property
    def actor(self) -> Actor:
        """The caller as history names it."""
        return Actor("token", self.token_id, self.name)


@dataclass(frozen=True, slots=True)
class Issued:
    """A token just made, with the secret that is never shown again."""

    token: Token
    secret: str


def identify(engine: Engine, now: datetime, secret: str) -> Caller | None:
    """Whose secret this is; `None` if nobody's, or of a token that was revoked. Use is remembered to ten minutes."""
    with reading(engine) as session:
        token = store.by_hash(session, _hash(secret))
    if token is None or token.revoked is not None:
        return None
    if token.last_used is None or token.last_used < wire(now - _REMEMBER_USE_EVERY):
        with writing(engine) as session:
            store.note_use(session, token.id, wire(now))
    return Caller(token.id, token.name, token.role, frozenset(load(token.apps)))


def create(engine: Engine, actor: Actor, now: datetime, name: str, role: Role, *, apps: Sequence[str] = ()) -> Issued:
    """A new token; raises `Invalid` for a name that says nothing, an importer without apps, and apps that are not there."""
    secret = _new_secret()
    with writing(engine) as session:
        _refuse(session, name, role, apps)
        token = _add(session, actor, now, _token(name, role, secret, now, apps))
    return Issued(token, secret)


def page(engine: Engine, after: str, limit: int) -> list[Token]:
    """The next tokens and one more where there are more, ascending by id, revoked ones included."""
    with reading(engine) as session:
        return store.page(session, after, limit + 1)


def revoke(engine: Engine, actor: Actor, now: datetime, token_id: str) -> None:
    """Make a token worthless; raises `NotFound`. Revoking it again changes nothing."""
    with writing(engine) as session:
        token = session.get(Token, token_id)
        if token is None:
            raise NotFound(f"Not found: Resource not found: {token_id} (Token)")
        if token.revoked is None:
            _revoke(session, actor, now, token)


def ensure_admin(engine: Engine, now: datetime, preset: str | None, data_dir: Path) -> Path | None:
    """Make sure that an admin can call: the preset token, else one made on an empty database, whose file is the answer."""
    with writing(engine) as session:
        hold(session.connection(), Lock.FIRST_START)  # of several processes that start at once, one makes the token
        if preset is not None:
            _ensure_preset(session, now, preset)
            return None
        if store.there_are_any(session):
            return None
        secret = _new_secret()
        _add(session, SERVICE, now, _token(FIRST, Role.admin, secret, now))
        return _write_private(data_dir / FILE, secret)


def _ensure_preset(session: Session, now: datetime, preset: str) -> None:
    if store.by_hash(session, _hash(preset)) is not None:
        return
    for former in store.named(session, PRESET):
        _revoke(session, SERVICE, now, former)
    _add(session, SERVICE, now, _token(PRESET, Role.admin, preset, now))


def _token(name: str, role: Role, secret: str, now: datetime, apps: Sequence[str] = ()) -> Token:
    return Token(id=new_id("00T"), name=name, role=role, apps=dump(apps), secret_hash=_hash(secret), created=wire(now))


def _add(session: Session, actor: Actor, now: datetime, token: Token) -> Token:
    session.add(token)
    _tell(session, actor, now, "token.create", token)
    return token


def _revoke(session: Session, actor: Actor, now: datetime, token: Token) -> None:
    token.revoked = wire(now)
    session.add(token)
    _tell(session, actor, now, "token.revoke", token)


def _tell(session: Session, actor: Actor, now: datetime, kind: str, token: Token) -> None:
    org = catalog.org(session, lock=True)
    ledger = Ledger(session, now, actor)
    ledger.note(org, kind, {"token": {"id": token.id, "name": token.name, "role": token.role.value, "apps": load(token.apps)}})
    session.add(org)
    ledger.flush()


def _refuse(session: Session, name: str, role: Role, apps: Sequence[str]) -> None:
    causes = [] if name.strip() and len(name) <= 100 else ["name: must have 1 to 100 characters"]
    causes += [f"apps: there is no app {app_id}" for app_id in apps if catalog.app(session, app_id) is None]
    if role is Role.importer and not apps:
        causes.append("apps: an importer's token names the apps that it may import")
    if role is not Role.importer and apps:
        causes.append(f"apps: belong to an importer's token, not to one of role {role}")
    if causes:
        raise Invalid("Api validation failed: token", *causes)


def _hash(secret: str) -> bytes:
    return sha256(secret.encode()).digest()


def _new_secret() -> str:
    """42 characters, as Okta's are: they fit wherever such a token is expected."""
    return "00" + secrets.token_urlsafe(30)


def _write_private(file: Path, secret: str) -> Path:
    """Written within the transaction: a file that cannot be written leaves no token behind that nobody knows."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as out:
        out.write(secret + "\n")
    return file
