"""How an account differs from what its app says today: every state here against everything that an app may say (SPEC §12)."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from mastering.rules.connected import There, against_app, not_read, unknown
from mastering.rules.people import Account
from mastering.rules.reconciliation import Cause, Kind
from mastering.rules.record import AccountState

AT = "2026-01-01T00:00:00.000Z"
NOTHING = There(None, {})
HERE = {"firstName": "Ada", "title": None}


def account(state: AccountState, **parts: Any) -> Account:
    return Account("0ua1", "0oa1", "E1", state, dict(HERE), AT, AT, user_id="00u1", **parts)


WORDS: dict[tuple[AccountState, bool | None], tuple[str, str] | None] = {
    (AccountState.ACTIVE, True): None,
    (AccountState.ACTIVE, False): ("ACTIVE", "INACTIVE"),
    (AccountState.ACTIVE, None): None,
    (AccountState.INACTIVE, True): ("INACTIVE", "ACTIVE"),
    (AccountState.INACTIVE, False): None,
    (AccountState.INACTIVE, None): None,
    (AccountState.MISSING, True): ("MISSING", "ACTIVE"),
    (AccountState.MISSING, False): ("MISSING", "INACTIVE"),
    (AccountState.MISSING, None): ("MISSING", "ACTIVE"),
}


def test_the_table_of_words_is_complete() -> None:
    assert set(WORDS) == set(product(AccountState, (True, False, None)))


@pytest.mark.parametrize(("state", "says"), list(WORDS))
def test_what_the_app_says_of_an_accounts_activity(state: AccountState, says: bool | None) -> None:
    found = against_app(account(state), "ada", There(says, {}), untold=False, whole=True)
    told = [(each.kind, each.expected["account"], each.actual["account"]) for each in found]
    wanted = WORDS[state, says]
    assert told == ([] if wanted is None else [(Kind.app_active_differs, *wanted)])


@pytest.mark.parametrize(("state", "whole", "untold"), list(product(AccountState, (True, False), (True, False))))
def test_who_is_not_there_is_gone_only_where_everybody_could_be_read(state: AccountState, whole: bool, untold: bool) -> None:
    found = against_app(account(state), "ada", None, untold=untold, whole=whole)
    gone = whole and state is not AccountState.MISSING
    cause = Cause.not_told_yet if untold else Cause.app_says_otherwise
    assert [(each.kind, each.cause) for each in found] == ([(Kind.app_account_gone, cause)] if gone else [])


@pytest.mark.parametrize("parts", [{"released": True}, {"ignored": True}])
def test_of_an_account_that_nobody_wants_anything_of_nothing_differs(parts: dict[str, bool]) -> None:
    for there in (None, There(False, {"firstName": "Eve"})):
        assert against_app(account(AccountState.ACTIVE, **parts), "ada", there, untold=False, whole=True) == []


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ({"firstName": "Ada"}, []),
        ({"title": ""}, []),
        ({"title": []}, []),
        ({"nickName": None}, []),
        ({}, []),
        ({"firstName": "Eve"}, ["firstName"]),
        ({"firstName": None, "title": "Countess"}, ["firstName", "title"]),
        ({"nickName": "A"}, ["nickName"]),
    ],
)
def test_attributes_differ_one_by_one_and_nothing_is_nothing(said: dict[str, Any], names: list[str]) -> None:
    found = against_app(account(AccountState.ACTIVE), "ada", There(True, said), untold=False, whole=True)
    assert [sorted(each.expected) for each in found] == ([names] if names else [])
    for each in found:
        assert (each.kind, each.actual) == (Kind.app_attributes_differ, {name: said[name] for name in names})
        assert (each.expected, each.repairable, each.respected) == ({name: HERE.get(name) for name in names}, False, False)


def test_a_profile_that_cannot_be_used_says_that_somebody_is_there_and_no_more() -> None:
    assert against_app(account(AccountState.ACTIVE), "ada", There(None, None), untold=False, whole=True) == []


def test_a_stranger_is_told_by_the_apps_id_alone() -> None:
    found = unknown("0oa1", "42", There(True, {"userName": "eve"}))
    assert (found.kind, found.external_id, found.login, found.actual) == (Kind.app_account_unknown, "42", None, {"account": "ACTIVE"})
    assert unknown("0oa1", "42", NOTHING).actual == {}


def test_an_app_that_could_not_be_read_is_told_with_the_sentence() -> None:
    found = not_read("0oa1", Cause.could_not_read, "it answers 500")
    assert found.detail.endswith("nothing is said of them: it answers 500")
    assert (found.kind, found.repairable) == (Kind.app_not_read, False)
