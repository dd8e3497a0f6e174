"""One row of an import (SPEC §§1, 4, 5.2): its key, its state, and what it leaves out."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastering.rules.record import MAX_EXTERNAL_ID, AccountState, Mode, Record, external_id_of, merge


def record(active: bool | None) -> Record:
    return Record(1, "E1", active, {}, b"")


def test_modes_and_account_states_are_spelled_as_on_the_wire() -> None:
    assert [(mode.name, mode.value) for mode in Mode] == [("FULL", "FULL"), ("INCREMENTAL", "INCREMENTAL")]
    assert [(state.name, state.value) for state in AccountState] == [(name, name) for name in ("ACTIVE", "INACTIVE", "MISSING")]


@pytest.mark.parametrize(
    ("mode", "active", "known"), list(product(("FULL", "INCREMENTAL"), (True, False, None), (None, "ACTIVE", "INACTIVE", "MISSING")))
)
def test_an_absent_active_means_true_except_in_a_delta_of_an_account_that_left(mode: str, active: bool | None, known: str | None) -> None:
    left_alone = active is None and mode == "INCREMENTAL" and known in {"INACTIVE", "MISSING"}
    expected = active if active is not None else not left_alone
    assert record(active).says_active(Mode(mode), AccountState(known) if known else None) is expected


def test_a_department_change_does_not_bring_back_a_leaver() -> None:
    assert record(None).says_active(Mode.INCREMENTAL, AccountState.INACTIVE) is False
    assert record(None).says_active(Mode.FULL, AccountState.INACTIVE) is True


def test_an_external_id_is_an_exact_string() -> None:
    for text in ("E1", " E1 ", "e1", "007", "é", "e\u0301", "x" * 512):
        assert external_id_of(text) == text


def test_an_integer_becomes_its_decimal_text() -> None:
    for number, text in ((7, "7"), (0, "0"), (-7, "-7"), (12345678901234567890, "12345678901234567890"), (10**510, "1" + "0" * 510)):
        assert external_id_of(number) == text


def test_anything_else_is_no_external_id() -> None:
    others: list[Any] = [None, True, False, 7.0, 7.5, [], ["E1"], {}, {"id": "E1"}, b"E1"]
    unusable: list[Any] = ["", "x" * 513, "E\0001", 10**512, -(10**511), 10**5000]
    for value in others + unusable:
        assert external_id_of(value) is None


@given(st.one_of(st.text(), st.integers(-(10**600), 10**600)))
def test_no_external_id_is_longer_than_a_column_holds(value: str | int) -> None:
    found = external_id_of(value)
    assert found is None or (0 < len(found) <= MAX_EXTERNAL_ID and found == str(value))


KNOWN: dict[str, Any] = {"department": "Sales", "title": "Clerk", "phone": None, "groups": ["a"]}


@pytest.mark.parametrize("name", [*KNOWN, "city"])
@pytest.mark.parametrize(
    ("carried", "becomes"),
    [("Berlin", "Berlin"), (None, None), ("", None), (" ", " "), (0, 0), (False, False), ([], []), ({"a": 1}, {"a": 1})],
)
def test_what_a_record_carries_replaces_and_the_rest_stays(name: str, carried: Any, becomes: Any) -> None:
    assert merge(KNOWN, {name: carried}) == {**KNOWN, name: becomes}


def test_absent_is_not_null() -> None:
    assert merge({"department": "Sales"}, {}) == {"department": "Sales"}
    assert merge({"department": "Sales"}, {"department": None}) == {"department": None}


def test_an_empty_string_counts_as_null() -> None:
    assert merge({"department": "Sales"}, {"department": ""}) == {"department": None}


def test_merging_leaves_the_known_profile_alone() -> None:
    known: dict[str, Any] = {"department": "Sales"}
    merge(known, {"department": "Legal", "city": "Berlin"})
    assert known == {"department": "Sales"}
