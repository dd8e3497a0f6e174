"""The import inline hook on the wire: Okta's `com.okta.import.transform`, request and response (SPEC §8).

`ask` makes the call and answers with a word in any case: what goes wrong is an outcome of its own, said in a sentence that quotes neither
the record nor the answer. A time-out, a broken connection or a 5xx is tried once more, nothing else is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any

import msgspec

from mastering.clock import wire
from mastering.connectors.outbound import Answer, CallFailed, Door, NotAllowed, TimedOut, TooLarge, Unreachable, Untrusted
from mastering.rules.hook import DOWN, HookWord, Outcome, failure

IMPORT_TRANSFORM = "com.okta.import.transform"
SECONDS = 3.0
"""How long one try may take, in all."""
TRIES = 2
MOST_BYTES = 256 * 1024
"""Bytes of an answer at the most."""

_APP_PROFILE = "com.okta.appUser.profile.update"
_USER_PROFILE = "com.okta.user.profile.update"
_ACTION = "com.okta.action.update"
_USER = "com.okta.user.update"
_COMMANDS = (_APP_PROFILE, _USER_PROFILE, _ACTION, _USER)
_CREATE, _LINK = "CREATE_USER", "LINK_USER"
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Target:
    """Where a hook is called, and with what. The headers hold its secret."""

    uri: str
    method: str
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class About:
    """The run and app that records are asked about in."""

    run_id: str
    dry_run: bool
    app_id: str
    app_name: str
    app_label: str
    policy: tuple[str, ...]
    """What the app matches by, in Okta's words."""


@dataclass(frozen=True, slots=True)
class Called:
    """An answer that can be used, and how often the hook was called for it."""

    document: dict[str, Any]
    tries: int


def request_of(
    about: About, hook_id: str, event_id: str, now: datetime, *, app: Mapping[str, Any], user: Mapping[str, Any], contested: bool
) -> dict[str, Any]:
    """What the hook is sent about one record, in Okta's shape; `job.dryRun` is ours."""
    return {
        "source": hook_id,
        "eventId": event_id,
        "eventTime": wire(now),
        "eventTypeVersion": "1.0",
        "cloudEventVersion": "0.1",
        "eventType": IMPORT_TRANSFORM,
        "contentType": "application/json",
        "data": {
            "context": {
                "conflicts": ["login"] if contested else [],
                "application": {"name": about.app_name, "id": about.app_id, "label": about.app_label, "status": "ACTIVE"},
                "job": {"id": about.run_id, "type": "import:users", "dryRun": about.dry_run},
                "matches": [],
                "policy": list(about.policy),
            },
            "action": {"result": _CREATE},
            "appUser": {"profile": dict(app)},
            "user": {"profile": dict(user)},
        },
    }


def ask(door: Door, target: Target, payload: Mapping[str, Any], *, seconds: float = SECONDS) -> HookWord:
    """Send a record and hear the word; never raises for what the hook does."""
    called = call(door, target, payload, seconds=seconds)
    return called if isinstance(called, HookWord) else word_of(called)


def call(door: Door, target: Target, payload: Mapping[str, Any], *, seconds: float = SECONDS) -> Called | HookWord:
    """Send a payload; the hook's answer as it came, or the failure."""
    body, found = msgspec.json.encode(payload), failure(Outcome.given_up, "it was not called", 0)
    for tries in range(1, TRIES + 1):
        try:
            answer = door.call(
                target.method,
                target.uri,
                headers={**target.headers, "Content-Type": "application/json"},
                body=body,
                seconds=seconds,
                limit=MOST_BYTES,
            )
        except CallFailed as fault:
            found = failure(_OUTCOMES[type(fault)], str(fault), tries)
        else:
            read = _read(answer)
            if isinstance(read, dict):
                return Called(read, tries)
            found = failure(*read, tries)
        if found.outcome not in DOWN:
            break
    return found


_OUTCOMES: Mapping[type[CallFailed], Outcome] = {
    NotAllowed: Outcome.not_allowed,
    TimedOut: Outcome.time_out,
    Unreachable: Outcome.unreachable,
    Untrusted: Outcome.unreachable,
    TooLarge: Outcome.too_large,
}


def _read(answer: Answer) -> dict[str, Any] | tuple[Outcome, str]:
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Outcome.server_error, f"it answered with status {answer.status}"
    if answer.status == HTTPStatus.NO_CONTENT:
        return {}
    if answer.status != HTTPStatus.OK:
        redirect = "; redirects are not followed" if 300 <= answer.status < 400 else ""
        return Outcome.bad_status, f"it answered with status {answer.status}{redirect}"
    try:
        document = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Outcome.unparsable, "its answer is not JSON"
    return document if isinstance(document, dict) else (Outcome.unparsable, "its answer is not an object")


def word_of(called: Called) -> HookWord:
    """The word that an answer says: its commands in their order, later ones over earlier ones."""
    document, tries = called.document, called.tries
    error = document.get("error")
    if error is not None:
        return failure(Outcome.refused, f"it returned an error{_summary(error)}", tries)
    commands = document.get("commands")
    if commands is None:
        return HookWord(Outcome.unchanged, tries=tries)
    if not isinstance(commands, list):
        return failure(Outcome.unparsable, "commands: must be a list", tries)
    return _word(commands, tries)


def _word(commands: list[Any], tries: int) -> HookWord:
    app: dict[str, Any] = {}
    user: dict[str, Any] = {}
    action, named = None, None
    for at, command in enumerate(commands):
        kind = command.get("type") if isinstance(command, dict) else None
        value = command.get("value") if isinstance(command, dict) else None
        if not isinstance(kind, str) or kind not in _COMMANDS:
            return failure(Outcome.unknown_command, f"commands[{at}].type: must be one of {', '.join(_COMMANDS)}", tries)
        if not isinstance(value, dict):
            return failure(Outcome.unparsable, f"commands[{at}].value: must be an object", tries)
        if kind == _APP_PROFILE:
            app.update(value)
        elif kind == _USER_PROFILE:
            user.update(value)
        elif kind == _ACTION:
            action = value.get("result")
            if action not in {_CREATE, _LINK}:
                return failure(Outcome.unknown_command, f"commands[{at}].value.result: must be {_CREATE} or {_LINK}", tries)
        else:
            named = value.get("id")
            if not isinstance(named, str) or not named:
                return failure(Outcome.unknown_user, f"commands[{at}].value.id: must be the id of a user", tries)
    if (action == _LINK) != (named is not None):
        lacks = f"{_LINK} needs a command {_USER} with the user's id" if named is None else f"{_USER} needs {_ACTION} with {_LINK}"
        return failure(Outcome.unknown_user, lacks, tries)
    outcome = Outcome.linked if named else Outcome.changed if app or user else Outcome.unchanged
    return HookWord(outcome, app=app, user=user, link=named, tries=tries)


def _summary(error: Any) -> str:
    """What the hook says is wrong. It goes to the row of the plan, where the record's values are, and not to logs or events."""
    summary = error.get("errorSummary") if isinstance(error, dict) else None
    return f": {summary[:_LONGEST]}" if isinstance(summary, str) and summary.isprintable() else ""
