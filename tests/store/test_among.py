"""Thousands of texts are one value, whatever is in them (docs/decisions/0025)."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import Engine, String, bindparam, select

from mastering.store.engine import reading
from mastering.store.people import among

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6)
"""All but what PostgreSQL does not take for a text."""


@example(['"'], '"')
@example(['","'], '"')
@example(["a", '","', "b"], ",")
@example(["\\"], "\\\\")
@example(["NULL", "null", ""], "")
@example(["{a,b}", " a "], "a")
@example([], "")
@given(st.lists(TEXTS, max_size=4), TEXTS)
def test_a_text_is_among_others_exactly_if_it_is_one_of_them(database: Engine, texts: list[str], another: str) -> None:
    with reading(database) as session:
        query = select(among(session, bindparam("text", type_=String), texts))
        found = {text: bool(session.execute(query, {"text": text}).scalar_one()) for text in {*texts, another}}
    assert found == {text: text in texts for text in {*texts, another}}


@pytest.mark.parametrize("as_given", [list, set, tuple, frozenset])
def test_any_collection_of_texts_will_do(database: Engine, as_given: type) -> None:
    with reading(database) as session:
        assert session.execute(select(among(session, bindparam("text", "b", String), as_given(["a", "b"])))).scalar_one()
