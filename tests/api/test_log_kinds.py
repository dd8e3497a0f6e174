"""Every kind of event that the program writes is shown by the System Log and by both exports (API.md, /logs; SPEC §13)."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import mastering
from api.logs import _NOT_DONE, OKTA_EVENT, log_event
from mastering.exports import _lines, _rows
from mastering.rules.lifecycle import Trigger
from mastering.store.documents import canonical
from mastering.store.tables import HistoryEvent

_KIND = re.compile(r"(?:[a-z]+\.)+[a-z_]+(?:\.[a-z_]+)*")
_SUBJECTS = {"user": "00u", "account": "0ua", "app": "0oa", "import": "0oa", "connection": "0oa", "schedule": "0oa"}
_TELLERS = {
    "tell",
    "note",
    "note_account",
    "tell_app",
    "tell_org",
    "_tell",
    "link",
    "release",
    "change_profile",
    "_user_event",
    "_event",
    "_note",
    "_end",
    "_note_app",
    "unlink",
    "correct_account",
}
"""The calls that write an event, or hand the kind of one on to whoever does; what a variable `kind` is given counts, too,
and a table `_EVENTS` of kinds by what was done."""


@cache
def kinds() -> frozenset[str]:
    """What is written as a kind in a call that tells of something, or as the default of such a function."""
    found = {f"user.{trigger}" for trigger in Trigger}
    for path in Path(mastering.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) in _TELLERS:
                found |= _texts([*node.args, *(keyword.value for keyword in node.keywords)])
            if isinstance(node, ast.Assign) and _assigned(node, "kind"):
                found |= _texts([node.value])
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict) and _assigned(node, "_EVENTS"):
                found |= _texts(node.value.values)
            if isinstance(node, ast.FunctionDef) and node.name in _TELLERS:
                found |= _texts([default for default in (*node.args.defaults, *node.args.kw_defaults) if default is not None])
    return frozenset(found)


def _name(called: ast.expr) -> str:
    return called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""


def _assigned(node: ast.Assign, name: str) -> bool:
    return any(isinstance(target, ast.Name) and target.id == name for target in node.targets)


def _texts(parts: list[ast.expr]) -> set[str]:
    constants = (
        node.value for part in parts if not isinstance(part, ast.Dict) for node in ast.walk(part) if isinstance(node, ast.Constant)
    )
    return {text for text in constants if isinstance(text, str) and _KIND.fullmatch(text)}


def event(kind: str) -> HistoryEvent:
    prefix = _SUBJECTS.get(kind.partition(".")[0], "00o")
    body: dict[str, Any] = {"actor": {"type": "token", "id": "00T", "name": "ada"}, "type": kind, "reason": "because", "rule": "a_rule"}
    return HistoryEvent(
        position=7,
        id="evt",
        subject=f"{prefix}x",
        seq=1,
        at="2026-01-01T00:00:00.000Z",
        type=kind,
        body=canonical(body).decode(),
        hash=b"h",
    )


def test_the_kinds_are_found_where_they_are_written() -> None:
    assert kinds() >= {"user.create", "user.update", "account.link", "account.taken", "app.policy.update", "masters.update", "import.start"}
    assert kinds() >= {
        "account.push.created",
        "token.create",
        "hook.update",
        "org.safeguard.update",
        "import.completed",
        "user.hold.expired",
    }


def test_no_name_of_oktas_and_no_outcome_is_kept_for_a_kind_that_nobody_writes() -> None:
    assert OKTA_EVENT.keys() | _NOT_DONE.keys() <= kinds()


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_every_kind_is_shown_by_the_log_and_by_both_exports(kind: str) -> None:
    shown = log_event(event(kind))
    assert shown.event_type == OKTA_EVENT.get(kind, kind)
    assert shown.display_message == kind
    assert shown.target[0].type in {"User", "AppUser", "AppInstance", "Org"}
    assert shown.outcome.result == _NOT_DONE.get(kind, "SUCCESS")
    rows: list[Any] = [event(kind)]
    assert f'"type":"{kind}"' in _lines(rows).decode()
    assert f",{kind}," in _rows(rows).decode()
