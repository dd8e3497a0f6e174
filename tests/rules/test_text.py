"""How names and logins are compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastering.rules.text import fold_login, fold_name, name_key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Jane", "  JANE "),
        ("Anna  Maria", "anna\tmaria"),
        ("Straße", "STRASSE"),
        ("José", "JOSE\u0301"),
        ("ﬁona", "Fiona"),
        ("Ａｎｎａ", "anna"),
        ("Anna\u00a0Maria", "Anna Maria"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("İpek", "i\u0307pek"),
    ],
)
def test_names_that_look_alike_are_alike(one: str, other: str) -> None:
    assert fold_name(one) == fold_name(other)


@pytest.mark.parametrize(("one", "other"), [("Jose", "José"), ("Anna Maria", "Annamaria"), ("O'Neil", "ONeil"), ("Anna", "Аnna")])
def test_names_that_differ_in_a_letter_differ(one: str, other: str) -> None:
    assert fold_name(one) != fold_name(other)


def test_a_login_is_compared_without_case_and_outer_blanks_and_otherwise_exactly() -> None:
    assert fold_login(" Jane.Smith@Example.COM\n") == fold_login("jane.smith@example.com")
    assert fold_login("jane  smith") != fold_login("jane smith")
    assert fold_login("ﬁona@x.example") == fold_login("FIona@x.example")
    assert fold_login("Ａ@x.example") != fold_login("A@x.example")


def test_half_a_name_is_nobodys() -> None:
    for first, last in ((None, "Smith"), ("Jane", None), ("", "Smith"), ("Jane", "  "), ("\u3000", "Smith"), (None, None)):
        assert name_key(first, last) is None
    assert name_key(" JANE", "smith ") == name_key("Jane", "Smith")


def test_first_and_last_name_never_run_into_each_other() -> None:
    assert name_key("Anna Maria", "Lee") != name_key("Anna", "Maria Lee")
    assert name_key("a\x1fb", "c") != name_key("a", "b\x1fc")
    assert name_key("Jane", "Smith") != name_key("Smith", "Jane")


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold_name(fold_name(text)) == fold_name(text)
    assert fold_login(fold_login(text)) == fold_login(text)


@given(st.text(st.characters(max_codepoint=127)))
def test_plain_letters_fold_as_all_others_do(text: str) -> None:
    assert fold_name(text + "é") == fold_name(fold_name(text + "X").removesuffix("x") + "é")
