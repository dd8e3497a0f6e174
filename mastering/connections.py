"""API integration: each app's one connection, as admins see it and as imports and pushes use it (SPEC §11; API.md, connections).

Secrets are sealed before they are written, and opened only to call the peer. Who changes a connection without saying the secret keeps the
one before, as long as it still goes to the same place and in the same manner: it is never sent where it was not entered for.

`Peers` hands out the clients. A changed connection is a new client from the next call on, so whatever waits for the app goes on with the
new credentials.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Engine
from sqlmodel import Session

from mastering.catalog.change import app_not_found, changed_parts, changing
from mastering.connectors import peerauth
from mastering.connectors.outbound import Door, address_fault, trust
from mastering.connectors.scimpeer import Peer, Target
from mastering.errors import Invalid
from mastering.ledger import Actor
from mastering.store import catalog
from mastering.store import connections as store
from mastering.store.connections import Connection, Method, Terms, terms_of, terms_text
from mastering.store.engine import reading, writing
from mastering.store.tables import App
from mastering.vault import SecretUnreadable, Vault

_LONGEST, _LONGEST_SECRET, _LONGEST_PEM = 2_048, 16_384, 65_536
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_SENDABLE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_OURS = frozenset(
    {"accept", "accept-encoding", "connection", "content-length", "content-type", "host", "te", "transfer-encoding", "upgrade"}
)
"""Headers that the call itself needs."""
SECRET_FIELD: Mapping[Method, str] = {Method.HEADER: "token", Method.BASIC: "password", Method.CLIENT_CREDENTIALS: "clientSecret"}
"""What the secret is called, by method."""
_OWN_TERMS: Mapping[Method, tuple[str, ...]] = {
    Method.HEADER: ("header", "prefix"),
    Method.BASIC: ("username",),
    Method.CLIENT_CREDENTIALS: ("client_id", "token_url", "scope", "secret_in_body"),
}
_FOR_ALL = ("authority", "allow_http")


@dataclass(frozen=True, slots=True)
class Form:
    """What an admin says of a connection; `None` where nothing is said. `terms`: those of `Terms` that are said."""

    base_url: str | None
    method: Method | None
    terms: Mapping[str, Any]
    secret: str | None = None


def read(engine: Engine, app_id: str) -> Connection | None:
    """An app's connection, or `None` while it has none; raises `NotFound` where there is no such app."""
    with reading(engine) as session:
        _require_app(session, app_id)
        return store.connection(session, app_id)


def save(engine: Engine, vault: Vault, actor: Actor, now: datetime, app_id: str, form: Form, *, activate: bool = False) -> Connection:
    """Make the connection, or change what is said of it; another method begins with its own defaults. Raises `NotFound` and `Invalid`."""
    with changing(engine, actor, now) as change:
        app = change.app(app_id)
        known = store.connection(change.session, app_id, lock=True)
        row = known or Connection(app_id=app_id, base_url="", method=form.method or Method.HEADER, version=0, created="", last_updated="")
        before, sealed, was_on = _document(row) if known else {}, row.secret, row.enabled
        _fill(row, vault, form)
        row.created, row.enabled = row.created or change.ledger.at, row.enabled or activate
        changes = changed_parts(before, _document(row))
        if row.secret != sealed:
            row.secret_at = change.ledger.at
            changes["secret"] = {"old": None, "new": "replaced" if row.secret else "removed"}
        if changes or row.enabled != was_on:
            row.version, row.last_updated = row.version + 1, change.ledger.at
            change.session.add(row)
        if changes:
            change.tell_app(app, "connection.update" if known else "connection.create", {"changes": changes})
        if row.enabled and not was_on:
            change.tell_app(app, "connection.activate", {})
    return row


def set_enabled(engine: Engine, actor: Actor, now: datetime, app_id: str, enabled: bool) -> None:
    """Switch the connection on or off; one that is so already stays so. Raises `NotFound`, and `Invalid` where there is none to switch on."""
    with changing(engine, actor, now) as change:
        app = change.app(app_id)
        row = store.connection(change.session, app_id, lock=True)
        if row is None and enabled:
            raise _none(app)
        if row is not None and row.enabled is not enabled:
            row.enabled, row.version, row.last_updated = enabled, row.version + 1, change.ledger.at
            change.session.add(row)
            change.tell_app(app, "connection.activate" if enabled else "connection.deactivate", {})


def require_enabled(session: Session, app: App) -> None:
    """Raise `Invalid` where an app has no connection, or one that is switched off."""
    row = store.connection(session, app.id)
    if row is None:
        raise _none(app)
    if not row.enabled:
        raise _off(app)


def reseal(engine: Engine, vault: Vault) -> list[str]:
    """Seal again with the present key what an earlier one sealed; the apps whose secret does not open any more."""
    with reading(engine) as session:
        stale = [row.app_id for row in store.connections(session) if row.secret and vault.stale(row.secret)]
    lost = []
    for app_id in stale:
        with writing(engine) as session:
            row = store.connection(session, app_id, lock=True)
            if row is None or row.secret is None:
                continue
            try:
                row.secret = vault.seal(vault.open(row.secret, _purpose(app_id)), _purpose(app_id))
                session.add(row)
            except SecretUnreadable:
                lost.append(app_id)
    return lost


class Peers:
    """The clients of all connections of a process. Shared between threads; each client with its token is kept while its connection stays as it is."""

    def __init__(self, engine: Engine, vault: Vault, door: Door) -> None:
        self._engine, self._vault, self._door = engine, vault, door
        self._open: dict[str, tuple[int, Peer]] = {}
        self._guard = threading.Lock()

    def open(self, app_id: str, *, enabled: bool = True) -> Peer:
        """The client of an app's connection; raises `NotFound`, and `Invalid` where there is none, it is off, or its secret cannot be read.

        `enabled=False`: also of one that is switched off. Nothing is called here; it reads one row, so it is no part of another transaction.
        """
        with reading(self._engine) as session:
            kept = self._kept(store.edition(session, app_id), app_id, enabled=enabled)
            if kept is not None:
                return kept
            app, row = _require_app(session, app_id), store.connection(session, app_id)
        if row is None:
            raise _none(app)
        if enabled and not row.enabled:
            raise _off(app)
        with self._guard:
            version, peer = self._open.get(app_id, (0, None))
            if peer is None or version != row.version:
                peer = Peer(self._door, _target(row, self._vault))
                self._open[app_id] = row.version, peer
            return peer

    def _kept(self, edition: tuple[int, bool] | None, app_id: str, *, enabled: bool) -> Peer | None:
        """The client that is there already, if it is of the connection as it is now and may be used."""
        with self._guard:
            version, peer = self._open.get(app_id, (0, None))
        return peer if edition is not None and edition[0] == version and (edition[1] or not enabled) else None


# -- inside -----------------------------------------------------------------------------------------------------------


def _require_app(session: Session, app_id: str) -> App:
    found = catalog.app(session, app_id)
    if found is None:
        raise app_not_found(app_id)
    return found


def _off(app: App) -> Invalid:
    return Invalid("The app cannot be called", f"connection: the connection of {app.label} is switched off; activate it")


def _none(app: App) -> Invalid:
    return Invalid("The app cannot be called", f"connection: {app.label} has none; set its address and credentials first")


def _purpose(app_id: str) -> str:
    return f"connection:{app_id}"


def _target(row: Connection, vault: Vault) -> Target:
    terms = terms_of(row)
    try:
        secret = vault.open(row.secret or "", _purpose(row.app_id))
    except SecretUnreadable as fault:
        told = f"profile.{SECRET_FIELD[row.method]}: {fault}; enter it again"
        raise Invalid("The app cannot be called", told) from fault
    return Target(row.base_url, _AUTH[row.method](terms, secret), terms.authority, terms.allow_http)


_AUTH: Mapping[Method, Callable[[Terms, str], peerauth.Auth]] = {
    Method.HEADER: lambda terms, secret: peerauth.header(terms.header, terms.prefix, secret),
    Method.BASIC: lambda terms, secret: peerauth.basic(terms.username or "", secret),
    Method.CLIENT_CREDENTIALS: lambda terms, secret: peerauth.ClientCredentials(
        terms.token_url or "", terms.client_id or "", secret, terms.scope, terms.secret_in_body
    ),
}


def _fill(row: Connection, vault: Vault, form: Form) -> None:
    before = _goes_to(row, terms_of(row))
    method = form.method or row.method
    kept = terms_of(row)
    if method is not row.method:
        kept = Terms(authority=kept.authority, allow_http=kept.allow_http)
    allowed = (*_OWN_TERMS[method], *_FOR_ALL)
    causes = [f"profile.{_wire(name)}: does not go with this way of authentication" for name in form.terms if name not in allowed]
    terms = replace(kept, **{name: value for name, value in form.terms.items() if name in allowed})
    row.method, row.terms = method, terms_text(terms)
    known_url, row.base_url = row.base_url, row.base_url if form.base_url is None else form.base_url.rstrip("/")
    row.mark = row.mark if row.base_url == known_url else None
    causes += _faults(row, terms)
    if form.secret is not None:
        causes += _secret_faults(method, terms, form.secret)
        row.secret = vault.seal(form.secret, _purpose(row.app_id))
    elif row.secret is None:
        causes.append(f"profile.{SECRET_FIELD[method]}: is required; there is none yet")
    elif before != _goes_to(row, terms):
        causes.append(f"profile.{SECRET_FIELD[method]}: must be given again where the address or the way of authentication changes")
    if causes:
        raise Invalid("Api validation failed: provisioningConnection", *causes)


def _goes_to(row: Connection, terms: Terms) -> tuple[object, ...]:
    """Where the secret, or what it gets, is sent, how, and how safely."""
    places = [_place(row.base_url), _place(terms.token_url or "")]
    return row.method, *places, terms.authority, terms.allow_http, terms.client_id, terms.username


def _place(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port
    except ValueError:
        return url, None, None


def _faults(row: Connection, terms: Terms) -> list[str]:
    causes = _address_faults("baseUrl", row.base_url, terms)
    if row.method is Method.HEADER:
        if not _HEADER.fullmatch(terms.header):
            causes.append("profile.header: must be the name of a header")
        elif terms.header.lower() in _OURS:
            causes.append(f"profile.header: {terms.header} is not for you to set")
        if terms.prefix and (len(terms.prefix) > 100 or not _SENDABLE.fullmatch(terms.prefix)):
            causes.append("profile.prefix: must be up to 100 printable ASCII characters without blanks around them")
    if row.method is Method.BASIC and not _is_word(terms.username, without=":"):
        causes.append("profile.username: is required, without a colon or control characters")
    if row.method is Method.CLIENT_CREDENTIALS:
        causes += _address_faults("profile.tokenUrl", terms.token_url or "", terms)
        if not _is_word(terms.client_id):
            causes.append("profile.clientId: is required, without control characters")
        if terms.scope and not _is_word(terms.scope):
            causes.append(f"profile.scope: must have at most {_LONGEST} characters, none of them control characters")
    if terms.authority is not None:
        causes += _authority_faults(terms.authority)
    return causes


def _address_faults(field: str, url: str, terms: Terms) -> list[str]:
    if not url or len(url) > _LONGEST:
        return [f"{field}: is required, of {_LONGEST} characters at most"]
    fault = address_fault(url, plain=terms.allow_http)
    if fault is None and field == "baseUrl" and "?" in url:
        fault = "must not have a query"
    if fault is not None and "http is for this machine" in fault:
        fault += ", unless allowHttp is true"
    return [f"{field}: {fault}".replace("; use authScheme", "; use profile")] if fault else []


def _authority_faults(pem: str) -> list[str]:
    if len(pem) > _LONGEST_PEM or not pem.isascii():
        return [f"caCertificate: must be PEM of {_LONGEST_PEM} characters at most"]
    try:
        trust(pem)
    except ValueError as fault:
        return [f"caCertificate: {fault}"]
    return []


def _secret_faults(method: Method, terms: Terms, secret: str) -> list[str]:
    field = f"profile.{SECRET_FIELD[method]}"
    if not 0 < len(secret) <= _LONGEST_SECRET:
        return [f"{field}: must have 1 to {_LONGEST_SECRET} characters"]
    if method is Method.HEADER and not _SENDABLE.fullmatch(secret):
        return [f"{field}: must be printable ASCII without blanks around it, as it travels in the header {terms.header}"]
    return []


def _is_word(text: str | None, without: str = "") -> bool:
    return bool(text) and len(text or "") <= _LONGEST and (text or "").isprintable() and not set(text or "") & set(without)


_WIRE = {"secret_in_body": "clientAuthentication", "authority": "caCertificate"}


def _wire(name: str) -> str:
    head, *rest = name.split("_")
    return _WIRE.get(name) or head + "".join(part.title() for part in rest)


def _document(row: Connection) -> dict[str, Any]:
    """What history tells of a connection; of a private authority its fingerprint."""
    terms = terms_of(row)
    own = {_wire(name): getattr(terms, name) for name in _OWN_TERMS[row.method]}
    prints = sha256(terms.authority.encode()).hexdigest() if terms.authority else None
    return {"baseUrl": row.base_url, "method": row.method.value, **own, "caCertificate": prints, "allowHttp": terms.allow_http}
