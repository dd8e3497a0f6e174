"""Inline hooks as admins see them: made, changed, switched on and off, tried, deleted (SPEC §8; API.md, /inlineHooks).

The value of a hook's header is sealed before it is written and is given to nobody but the hook. Whoever changes a hook without saying
the value keeps the one before, as long as the header is the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Engine

from mastering.catalog.change import Change, changed_parts, changing
from mastering.connectors import importhook
from mastering.connectors.importhook import Target
from mastering.connectors.outbound import Door, address_fault
from mastering.errors import Invalid, NotFound, WrongState
from mastering.ids import new_id
from mastering.ledger import Actor
from mastering.rules.hook import HookWord, OnFailure
from mastering.store import hooks as store
from mastering.store.documents import dump, load
from mastering.store.engine import reading, writing
from mastering.store.tables import HookStatus, InlineHook
from mastering.vault import SecretUnreadable, Vault

Header = tuple[str, str]

_LONGEST_NAME, _LONGEST_VALUE, _MOST_HEADERS = 255, 4_096, 20
_METHODS = ("POST", "PUT")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_TEXT = re.compile(r"[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?")
_OURS = frozenset({"host", "content-length", "content-type", "transfer-encoding", "connection", "accept-encoding", "upgrade", "te"})
"""Headers that the call itself needs."""


@dataclass(frozen=True, slots=True)
class Auth:
    """The header that proves who calls; without a value it keeps the one it has."""

    key: str
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """What an admin says of a hook; `None` where nothing is said."""

    name: str | None = None
    uri: str | None = None
    method: str | None = None
    headers: Sequence[Header] | None = None
    auth: Auth | None = None
    on_failure: OnFailure | None = None


def listed(engine: Engine) -> list[InlineHook]:
    """All hooks."""
    with reading(engine) as session:
        return store.hooks(session)


def read(engine: Engine, hook_id: str) -> InlineHook:
    """A hook; raises `NotFound`."""
    with reading(engine) as session:
        return _found(store.hook(session, hook_id), hook_id)


def create(engine: Engine, vault: Vault, actor: Actor, now: datetime, form: Form) -> InlineHook:
    """A new hook, active; raises `Invalid` with one cause per fault."""
    with changing(engine, actor, now) as change:
        row = InlineHook(
            id=new_id("cal"),
            name="",
            status=HookStatus.ACTIVE,
            uri="",
            method="POST",
            on_failure=OnFailure.HOLD,
            created=change.ledger.at,
            last_updated=change.ledger.at,
        )
        _fill(row, vault, form)
        change.session.add(row)
        _tell(change, "hook.create", row, _document(row))
    return row


def update(engine: Engine, vault: Vault, actor: Actor, now: datetime, hook_id: str, form: Form, *, replace: bool) -> InlineHook:
    """Change what is said, or, with `replace`, all but what becomes of records when the hook fails; raises `NotFound` and `Invalid`."""
    with changing(engine, actor, now) as change:
        row = _found(store.hook(change.session, hook_id, lock=True), hook_id)
        before, sealed = _document(row), row.auth_value
        _fill(row, vault, _whole(form) if replace else form)
        if replace and form.auth is None:
            row.auth_key = row.auth_value = None
        changes = changed_parts(before, _document(row))
        if row.auth_value != sealed:
            changes["secret"] = {"old": None, "new": "replaced" if row.auth_value else "removed"}
        if changes:
            row.version += 1
            row.last_updated = change.ledger.at
            change.session.add(row)
            _tell(change, "hook.update", row, {"changes": changes})
    return row


def set_status(engine: Engine, actor: Actor, now: datetime, hook_id: str, status: HookStatus) -> InlineHook:
    """Switch a hook on or off; one that is so already stays so. Raises `NotFound`."""
    with changing(engine, actor, now) as change:
        row = _found(store.hook(change.session, hook_id, lock=True), hook_id)
        if row.status is not status:
            row.status, row.version, row.last_updated = status, row.version + 1, change.ledger.at
            change.session.add(row)
            _tell(change, "hook.activate" if status is HookStatus.ACTIVE else "hook.deactivate", row, {})
    return row


def delete(engine: Engine, actor: Actor, now: datetime, hook_id: str) -> None:
    """Delete a hook that is inactive and that no app names; raises `NotFound` and `WrongState`."""
    with changing(engine, actor, now) as change:
        row = _found(store.hook(change.session, hook_id, lock=True), hook_id)
        if row.status is HookStatus.ACTIVE:
            raise WrongState(f"The inline hook {hook_id} is active; deactivate it before deleting it")
        users = ", ".join(app.label for app in store.apps_with(change.session, hook_id))
        if users:
            raise WrongState(f"The inline hook {hook_id} is named by the import policy of {users}; take it out there before deleting it")
        _tell(change, "hook.delete", row, _document(row))
        store.delete_hook(change.session, hook_id)


def execute(engine: Engine, vault: Vault, door: Door, hook_id: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Send a payload to a hook, active or not, and give its answer as it came; raises `NotFound`, and `Invalid` where it failed."""
    row = read(engine, hook_id)
    try:
        called = importhook.call(door, target_of(row, vault), payload)
    except SecretUnreadable as fault:
        raise Invalid("The inline hook could not be called", f"channel.config.authScheme.value: {fault}; set it again") from fault
    word = called if isinstance(called, HookWord) else importhook.word_of(called)
    if isinstance(called, HookWord) or (word.failed and "error" not in called.document):
        raise Invalid("The inline hook failed", f"{word.outcome.value}: {word.detail}")
    return called.document or {"commands": []}


def target_of(row: InlineHook, vault: Vault) -> Target:
    """Where and with what a hook is called; raises `SecretUnreadable`."""
    headers = {header["key"]: header["value"] for header in load(row.headers)}
    if row.auth_key is not None and row.auth_value is not None:
        headers[row.auth_key] = vault.open(row.auth_value, _purpose(row.id))
    return Target(row.uri, row.method, headers)


def reseal(engine: Engine, vault: Vault) -> list[str]:
    """Seal again with the present key what an earlier one sealed; the ids of hooks whose secret does not open any more."""
    with reading(engine) as session:
        stale = [row.id for row in store.hooks(session) if row.auth_value and vault.stale(row.auth_value)]
    lost = []
    for hook_id in stale:
        with writing(engine) as session:
            row = store.hook(session, hook_id, lock=True)
            if row is None or row.auth_value is None:
                continue
            try:
                row.auth_value = vault.seal(vault.open(row.auth_value, _purpose(hook_id)), _purpose(hook_id))
                session.add(row)
            except SecretUnreadable:
                lost.append(hook_id)
    return lost


# -- inside -----------------------------------------------------------------------------------------------------------


def _found(row: InlineHook | None, hook_id: str) -> InlineHook:
    if row is None:
        raise NotFound(f"Not found: Resource not found: {hook_id} (InlineHook)")
    return row


def _purpose(hook_id: str) -> str:
    return f"inlineHook:{hook_id}"


def _whole(form: Form) -> Form:
    """A form that replaces: what it does not say goes back to its default."""
    return Form(form.name or "", form.uri or "", form.method or "POST", form.headers or (), form.auth, form.on_failure)


def _fill(row: InlineHook, vault: Vault, form: Form) -> None:
    row.name = row.name if form.name is None else form.name.strip()
    row.uri = row.uri if form.uri is None else form.uri
    row.method = row.method if form.method is None else form.method.upper()
    row.on_failure = form.on_failure or row.on_failure
    if form.headers is not None:
        row.headers = dump([{"key": key, "value": value} for key, value in form.headers])
    causes = _faults(row, form)
    if form.auth is not None:
        same = row.auth_key is not None and row.auth_key.lower() == form.auth.key.lower()
        causes += _auth_faults(form.auth, known=same and row.auth_value is not None)
        row.auth_key = form.auth.key
        if form.auth.value:
            row.auth_value = vault.seal(form.auth.value, _purpose(row.id))
    if causes:
        raise Invalid("Api validation failed: inlineHook", *causes)


def _faults(row: InlineHook, form: Form) -> list[str]:
    causes = []
    if not 0 < len(row.name) <= _LONGEST_NAME or not row.name.isprintable():
        causes.append(f"name: must have 1 to {_LONGEST_NAME} printable characters")
    if not row.uri or len(row.uri) > _LONGEST_VALUE:
        causes.append(f"channel.config.uri: must have 1 to {_LONGEST_VALUE} characters")
    elif (fault := address_fault(row.uri)) is not None:
        causes.append(f"channel.config.uri: {fault}")
    if row.method not in _METHODS:
        causes.append(f"channel.config.method: must be {' or '.join(_METHODS)}")
    if form.headers is not None and len(form.headers) > _MOST_HEADERS:
        causes.append(f"channel.config.headers: at most {_MOST_HEADERS}")
    for at, (key, value) in enumerate(form.headers or ()):
        causes += _header_faults(f"channel.config.headers[{at}]", key, value)
    return causes


def _auth_faults(auth: Auth, *, known: bool) -> list[str]:
    at = "channel.config.authScheme"
    if not auth.value and not known:
        return [f"{at}.value: is required; there is none for this header yet"]
    return _header_faults(at, auth.key, auth.value or "kept")


def _header_faults(at: str, key: str, value: str) -> list[str]:
    causes = []
    if not _TOKEN.fullmatch(key):
        causes.append(f"{at}.key: must be the name of a header")
    elif key.lower() in _OURS:
        causes.append(f"{at}.key: {key} is not for you to set")
    if len(value) > _LONGEST_VALUE or not _TEXT.fullmatch(value):
        causes.append(f"{at}.value: must be 1 to {_LONGEST_VALUE} printable ASCII characters without blanks around them")
    return causes


def _document(row: InlineHook) -> dict[str, Any]:
    """What history tells of a hook. Its address without the query, in which keys are wont to travel; of its headers the names."""
    parts = urlsplit(row.uri)
    return {
        "name": row.name,
        "uri": f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}",
        "method": row.method,
        "headers": [header["key"] for header in load(row.headers)],
        "authKey": row.auth_key,
        "onFailure": row.on_failure.value,
    }


def _tell(change: Change, kind: str, row: InlineHook, body: Mapping[str, Any]) -> None:
    change.ledger.note(change.org, kind, {"hook": {"id": row.id, "name": row.name}, **body})
    change.session.add(change.org)
