"""The filter language: how it binds, what a text may hold, and where a fault is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastering.rules.filters import (
    LONGEST,
    MAX_DEPTH,
    MOST,
    ORDERED,
    Comparison,
    Denial,
    Either,
    Every,
    FilterError,
    Property,
    Vocabulary,
    parse,
    read,
)

PROPERTIES = {
    "name": Property("text", ORDERED | {"sw"}),
    "since": Property("instant", ORDERED),
    "level": Property("number", ORDERED),
    "remote": Property("boolean", frozenset({"eq"})),
    "state": Property("exact", frozenset({"eq"}), frozenset({"ON", "OFF"})),
}
KNOWN = Vocabulary(PROPERTIES.get, "name, since, level, remote and state can be")


def test_and_binds_closer_than_or_and_not_closest() -> None:
    a, b, c = (Comparison(position, name, "pr") for position, name in ((0, "a"), (12, "b"), (21, "c")))
    assert parse("a pr or not b pr and c pr") == Either((a, Every((Denial(8, b), c))))
    assert parse("(a pr or b pr) and c pr") == Every(
        (Either((Comparison(1, "a", "pr"), Comparison(9, "b", "pr"))), Comparison(19, "c", "pr"))
    )


def test_operators_and_joining_words_are_written_in_any_case_and_may_begin_a_name() -> None:
    assert parse('name EQ "x" AND since PR') == Every((Comparison(0, "name", "eq", "x"), Comparison(16, "since", "pr")))
    assert parse('order eq "x" and android pr') == Every((Comparison(0, "order", "eq", "x"), Comparison(17, "android", "pr")))


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30))
def test_any_text_can_be_compared_with_when_it_is_quoted_as_json_quotes_it(text: str) -> None:
    assert parse(f"name eq {json.dumps(text)}") == Comparison(0, "name", "eq", text)
    assert parse(f"name eq {json.dumps(text, ensure_ascii=False)}") == Comparison(0, "name", "eq", text)


@pytest.mark.parametrize(
    ("text", "position"),
    [("", 0), ("name", 4), ('name eq "x', 8), ("name eq 'x'", 8), ("name pr name", 8), ("(name pr", 8), ("name = 1", 5)],
)
def test_a_text_that_is_no_filter_is_refused_where_it_goes_wrong(text: str, position: int) -> None:
    with pytest.raises(FilterError) as refused:
        parse(text)
    assert refused.value.position == position
    assert str(refused.value).startswith(f"at character {position + 1}: ")


@given(st.text(max_size=40) | st.text('()" andornotpr.eq1', max_size=60))
def test_every_text_is_a_filter_or_is_refused_with_a_place_inside_it(text: str) -> None:
    try:
        parse(text)
    except FilterError as refused:
        assert 0 <= refused.position <= len(text)  # noqa: PT017 - or it raises nothing


FAULTS = [
    ('age eq "x"', 0, "age is nothing to filter by; name, since, level, remote and state can be"),
    (
        'name pr and name ne "x"',
        12,
        "name does not know the operator ne; it knows eq, ge, gt, le, lt, pr, sw; (x lt … or x gt …) says the same",
    ),
    ('remote gt "x"', 0, "remote does not know the operator gt; it knows eq"),
    ('remote eq "true"', 0, "remote is compared with true or false"),
    ('level ge "3"', 0, "level is compared with a number, written without quotes"),
    ("level eq true", 0, "level is compared with a number, written without quotes"),
    ("name eq 3", 0, 'name is compared with a text in double quotes, as in "x"'),
    ('since gt "tomorrow"', 0, 'since is compared with an instant as in "2026-01-31T00:00:00.000Z"'),
    ('since gt "2026-01-31T00:00:00"', 0, 'since is compared with an instant as in "2026-01-31T00:00:00.000Z"'),
    ('since gt "0001-01-01T00:00:00+09:00"', 0, "since is compared with an instant of the years 1 to 9999"),
    ('state eq "HALF"', 0, "state is never HALF; it is one of OFF, ON"),
]


@pytest.mark.parametrize(("text", "position", "message"), FAULTS, ids=[text for text, _, _ in FAULTS])
def test_what_a_list_cannot_be_filtered_by_is_refused_by_name_and_place(text: str, position: int, message: str) -> None:
    with pytest.raises(FilterError) as refused:
        read(text, KNOWN)
    assert (refused.value.position, str(refused.value)) == (position, f"at character {position + 1}: {message}")


def test_a_list_without_not_refuses_it_where_it_stands() -> None:
    with pytest.raises(FilterError, match="at character 13: 'not' is no operator here"):
        read("name pr and not (name pr)", Vocabulary(PROPERTIES.get, "", denies=False))


def test_instants_are_brought_to_the_way_the_wire_writes_them() -> None:
    assert read('since le "2026-01-31T01:00:00+01:00"', KNOWN) == Comparison(0, "since", "le", "2026-01-31T00:00:00.000Z")


@pytest.mark.parametrize(
    "text",
    ["not " * MAX_DEPTH + "name pr", " or ".join(["name pr"] * (MOST + 1)), "name pr" + " " * LONGEST, "level eq 99999999999999999999"],
    ids=["too deep", "too many", "too long", "too large"],
)
def test_a_filter_has_bounds(text: str) -> None:
    with pytest.raises(FilterError):
        read(text, KNOWN)
