"""The bounds of the expression language: whatever is written, and whatever the profile holds, an evaluation ends soon and small."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastering.rules.expressions import ExpressionFailure, ExpressionSyntaxError, Scope, compile_expression


def value(text: str, profile: dict[str, Any]) -> Any:
    return compile_expression(text)(Scope(profile, profile))


def fault(text: str) -> ExpressionSyntaxError:
    with pytest.raises(ExpressionSyntaxError) as caught:
        compile_expression(text)
    return caught.value


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('id')",
        "T(java.lang.Runtime).getRuntime().exec('id')",
        "#{appuser.x}",
        "new java.io.File('x')",
        "appuser.__class__.__mro__()",
        "lambda: 1",
        "appuser.email; 1",
        "{{7*7}}",
        "${jndi:ldap://x}",
        "'a'.class",
        "@bean.run",
    ],
)
def test_what_is_code_elsewhere_is_no_expression_here(text: str) -> None:
    fault(text)


@pytest.mark.parametrize(
    "text",
    ["(" * 10_000, "(" * 10_000 + "1" + ")" * 10_000, "1" + " + 1" * 2_000, "x" * 5_000_000],
    ids=["open", "closed", "chain", "huge"],
)
def test_a_text_beyond_the_longest_is_refused_at_once(text: str) -> None:
    assert "4096" in fault(text).message


@pytest.mark.parametrize(
    "text",
    [
        "(" * 2_000 + "1" + ")" * 2_000,
        "!" * 4_000 + "true",
        "-" * 4_000 + "1",
        "NOT " * 1_000 + "true",
        "{" * 2_000 + "}" * 2_000,
        "String.len(" * 300 + "'a'" + ")" * 300,
        "true ? (" * 300 + "1" + "):1" * 300,
        "1 ?: " * 800 + "1",
    ],
    ids=["parentheses", "bangs", "signs", "nots", "lists", "calls", "conditions", "defaults"],
)
def test_a_text_nested_deeper_than_fifty_is_refused_with_a_place_and_no_recursion(text: str) -> None:
    error = fault(text)
    assert "50 levels" in error.message
    assert 0 <= error.position < len(text)


def test_fifty_levels_are_allowed_and_fifty_one_are_not() -> None:
    assert value("(" * 49 + "1" + ")" * 49, {}) == 1
    assert value("(" * 49 + "'a'" + ")" * 49, {}) == "a"
    assert "50 levels" in fault("(" * 50 + "1" + ")" * 50).message


def test_chains_are_as_long_as_the_text_allows() -> None:
    assert value(" + ".join(["1"] * 1_000), {}) == 1_000
    assert value(" and ".join(["true"] * 400), {}) is True
    departments = "".join(f"appuser.level == {number} ? 'D{number}' : " for number in range(100, 200))
    assert value(departments + "'none'", {"level": 199}) == "D199"


@pytest.mark.parametrize(
    "text",
    [
        "appuser.big + appuser.big",
        "String.toUpperCase(appuser.big)",
        "String.append(appuser.big, 'x')",
        "String.join(',', appuser.big, appuser.big)",
        "String.removeSpaces(appuser.big)",
        "String.replace(appuser.big, 'a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaa')",
        "String.substring(appuser.big, 0, 4000000)",
        "String.substringBefore(appuser.big, '@')",
        "Arrays.toCsvString(Arrays.add({appuser.big}, appuser.big))",
        "Arrays.size(Arrays.add(appuser.commas, 1))",
        "Arrays.size(Arrays.flatten(appuser.commas))",
        "Arrays.size(appuser.commas)",
        "Arrays.size(Arrays.remove(appuser.crowd, 'x'))",
        "Arrays.contains(appuser.crowd, 'y')",
        "Arrays.size(Arrays.flatten(appuser.hollow, appuser.hollow))",
        "9223372036854775807 + 1",
        "'' + appuser.huge",
        "Convert.toNum('1e999')",
        "Convert.toInt('" + "9" * 4_000 + "')",
    ],
)
def test_what_an_expression_makes_is_bounded_even_of_an_enormous_profile(text: str) -> None:
    profile = {"big": "a" * 5_000_000, "commas": "," * 1_000_000, "huge": 10**5_000, "crowd": ["x"] * 1_000_000}
    profile["hollow"] = [[[]] * 9_999] * 9_999
    with pytest.raises(ExpressionFailure):
        value(text, profile)


@pytest.mark.parametrize(
    ("part", "times"),
    [
        ("String.len(String.replace(source.text, 'aaaaaaaaab', 'b'))", 65),
        ("String.len(String.removeSpaces(source.blanks))", 80),
        ("String.len(String.toUpperCase(source.sharp))", 85),
        ("Arrays.size(Arrays.remove(source.items, 'x'))", 85),
        ("Arrays.size(source.commas)", 140),
    ],
)
def test_the_costliest_expression_the_length_allows_is_counted_in_steps_of_its_profile(part: str, times: int) -> None:
    """No part makes work for the others: nothing is named, so every part costs its own length of text."""
    profile = {"text": "a" * 10_000, "blanks": "a " * 5_000, "sharp": "ß" * 5_000, "items": ["y"] * 1_000, "commas": "a," * 1_000}
    whole = " + ".join([part] * times)
    assert 3_500 < len(whole) <= 4_096
    assert value(whole, profile) == times * value(part, profile)


def test_many_threads_compile_and_evaluate_the_same_texts_at_once() -> None:
    texts = [f"String.toUpperCase(appuser.name) + '{number}' + String.len(appuser.name)" for number in range(60)]

    def work(name: str) -> list[Any]:
        return [value(text, {"name": name}) for text in texts]

    names = [f"name{number}" * (number + 1) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, names))
    assert found == [[f"{name.upper()}{number}{len(name)}" for number in range(60)] for name in names]


def test_growth_upon_growth_stops_at_the_bound() -> None:
    text = "'aa'"
    for _ in range(40):
        text = f"String.replace({text}, 'a', 'aaaa')"
    with pytest.raises(ExpressionFailure, match="longer than"):
        value(text, {})


def test_an_enormous_value_is_passed_on_untouched() -> None:
    big = "a" * 5_000_000
    assert value("appuser.big", {"big": big}) is big


def test_values_nested_without_end_are_a_failure_and_no_crash() -> None:
    def nested() -> Any:
        tower: list[Any] = []
        for _ in range(100_000):
            tower = [tower]
        return tower

    with pytest.raises(ExpressionFailure, match="nested too deeply"):
        value("appuser.a == appuser.b", {"a": nested(), "b": nested()})
    assert value("Arrays.flatten(appuser.a)", {"a": nested()}) == []


@given(
    st.text(max_size=200)
    | st.lists(
        st.sampled_from(["appuser.x", "(", ")", "+", "?", ":", "?:", "!", "'", '"', "{", "}", "and", "1", ",", "[", "]", "String.len("])
    ).map(" ".join)
)
def test_any_text_either_has_a_value_or_fails_or_is_refused_with_a_place_inside_it(text: str) -> None:
    position = 0
    with suppress(ExpressionFailure):
        try:
            value(text, {"x": "1"})
        except ExpressionSyntaxError as error:
            position = error.position
    assert 0 <= position <= len(text)


def test_the_longest_text_is_as_good_as_any() -> None:
    assert value(" " * 4_095 + "1", {}) == 1
    assert "4096" in fault(" " * 4_096 + "1").message
