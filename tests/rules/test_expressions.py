"""The Okta expression language: what it says and what it refuses."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastering.rules.expressions import ExpressionFailure, ExpressionSyntaxError, Scope, compile_expression

JANE: dict[str, Any] = {
    "firstName": "Jane",
    "lastName": "Smith",
    "email": "jane.smith@example.com",
    "cost center": "CC-9",
    "level": 5,
    "rate": 1.5,
    "remote": True,
    "contractor": "TRUE",
    "nickName": None,
    "title": "",
    "name": {"givenName": "Jane", "family": {"now": "Smith"}},
    "teams": ["red", "blue", 7],
    "and": "conjunction",
}
NOW = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)


def value(text: str, profile: dict[str, Any] | None = None, *, now: datetime | None = NOW, strict: bool = False) -> Any:
    source = JANE if profile is None else profile
    return compile_expression(text, strict=strict)(Scope(source, source, now))


def fault(text: str) -> ExpressionSyntaxError:
    with pytest.raises(ExpressionSyntaxError) as caught:
        compile_expression(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'Hello world'", "Hello world"),
        ("\"it\"\"s\" + 'it''s'", "it\"sit's"),
        ('"DOMAIN\\" + appuser.firstName', "DOMAIN\\Jane"),
        ("1234", 1234),
        ("3.141", 3.141),
        ("true", True),
        ("NULL", None),
        ("{}", []),
        ("{1, 'a', {2}}", [1, "a", [2]]),
        ("appuser.email", "jane.smith@example.com"),
        ("appUser.email", "jane.smith@example.com"),
        ("user.firstName", "Jane"),
        ("source['cost center']", "CC-9"),
        ("appuser.name.family.now", "Smith"),
        ("appuser['name'].family['now']", "Smith"),
        ("appuser.teams[1]", "blue"),
        ("{1, 2}[1]", 2),
        ("appuser.and", "conjunction"),
        ("appuser.absent", None),
        ("appuser.absent.further", None),
        ("appuser.name.absent", None),
        ("appuser.email.further", None),
        ("appuser.teams[3]", None),
        ("{1, 2}[2]", None),
    ],
)
def test_literals_and_references_say_what_is_there_and_null_for_what_is_not(text: str, expected: Any) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('source.firstName + "." + source.lastName', "Jane.Smith"),
        ("1 + 2 + 'a' + 1 + 2", "3a12"),
        ("'' + true + 1.5", "true1.5"),
        ("String.len(appuser.firstName) - 1 + 10", 13),
        ("-appuser.level", -5),
        ("1 == 1.0", True),
        ("1 == '1'", False),
        ("true == 1", False),
        ("{1} == {1}", True),
        ("appuser.level >= 5 AND appuser.level < 6", True),
        ("'a' < 'b' && 'b' <= 'b' and 'c' > 'b' And 'c' >= 'c'", True),
        ("1 > 2 OR 1 != 1 || false or true", True),
        ("1 eq 1 and 1 NE 2 and 1 lt 2 and 2 Le 2 and 3 gt 2 and 3 GE 3", True),
        ("appuser.department EQ 'Sales' ? 'S' : 'X'", "X"),
        ("not appuser.level eq 4", True),
        ("true or false and false", True),
        ("(true or false) and false", False),
        ("!appuser.remote", False),
        ("NOT appuser.level == 4", True),
        ("not true == true", False),
        ("!true == true", False),
        ("appuser.contractor ? 'C' : 'E'", "C"),
        ("appuser.nickName ? 1 : 2", 2),
        ("appuser.level == 1 ? 'a' : appuser.level == 5 ? 'b' : 'c'", "b"),
        ("appuser.nickName ?: appuser.title ?: appuser.firstName", "Jane"),
        ("(appuser.level > 3 ? 'senior' : 'junior') + '!'", "senior!"),
    ],
)
def test_operators_bind_and_compute_as_okta_documents(text: str, expected: Any) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "appuser.title == null",
        'appuser.nickName == ""',
        "appuser.absent == ''",
        "null == ''",
        "'a' != null",
        "null < 0",
        "'a' > null",
        "not (null > '')",
    ],
)
def test_empty_and_null_are_the_same_and_less_than_everything(text: str) -> None:
    assert value(text) is True


def test_a_null_part_is_left_out_of_a_joined_text_and_nothing_but_nulls_is_null() -> None:
    assert value("appuser.firstName + ' ' + appuser.nickName") == "Jane "
    assert value("appuser.nickName + ' ' + appuser.title") is None
    assert value("appuser.nickName + appuser.absent") is None
    assert value("'(' + String.substringAfter('a', '@') + ')'") is None
    assert value("String.append(appuser.nickName, 'x')") == "x"
    assert value("String.join('-', 'a', appuser.nickName, 'b')") == "a-b"
    assert value("String.join('-', appuser.nickName, null)") is None


def test_read_strictly_a_null_part_makes_the_whole_null() -> None:
    for text in (
        "appuser.nickName + '.x'",
        "String.append(appuser.nickName, 'x')",
        "String.join('-', 'a', appuser.title)",
        "1 + null + 'a'",
    ):
        assert value(text, strict=True) is None
    assert value("(appuser.nickName == null ? '' : appuser.nickName + '.') + appuser.lastName", strict=True) == "Smith"
    assert value("(appuser.nickName ?: '') + appuser.lastName", strict=True) == "Smith"


def test_only_the_branch_that_is_taken_is_evaluated() -> None:
    assert value("true or Convert.toInt('x') == 1") is True
    assert value("false and Convert.toInt('x') == 1") is False
    assert value("true ? 1 : Convert.toInt('x')") == 1
    assert value("1 ?: Convert.toInt('x')") == 1


@pytest.mark.parametrize(
    "text",
    [
        "'a' ? 1 : 2",
        "not 5",
        "1 < 'a'",
        "'a' + appuser.name",
        "true < false",
        "{1} < {2}",
        "-'a'",
        "'a' - 1",
        "1 + null",
        "1 + true",
        "'a' + {1}",
        "String.len({1})",
    ],
)
def test_a_type_that_does_not_fit_is_a_failure_and_never_a_guess(text: str) -> None:
    with pytest.raises(ExpressionFailure):
        value(text)


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("", 0, "not finished"),
        ("appuser.email +", 15, "not finished"),
        ("(appuser.email", 14, "not finished"),
        ("appuser.", 8, "not finished"),
        ("appuser.email)", 13, "')'"),
        ("appuser.a appuser.b", 10, "'appuser'"),
        ("1 +* 2", 3, "does not fit"),
        ("appuser.a = 1", 10, "'=='"),
        ("'a' + \"b", 6, "not closed"),
        ("10abc", 2, "'abc'"),
        ("1 + firstName", 4, "unknown"),
        ("org.name", 0, "unknown"),
        ("'a' + appuser", 6, "needs the name"),
        ("appuser[0]", 0, "needs the name"),
        ("user[user.x]", 5, "'user'"),
        ("1 + String.nope(1)", 4, "no function 'String.nope'"),
        ("1 + String.len()", 4, "takes 1 argument, not 0"),
        ("String.len('a', 'b')", 0, "takes 1 argument, not 2"),
        ("String.stringSwitch('a', 'b', 'c')", 0, "in pairs"),
        ("Time.now(1, 2, 3)", 0, "0 to 2 arguments"),
        ("String.join()", 0, "1 or more arguments"),
        ("1 + 9223372036854775808", 4, "64 bits"),
        (f"1{'0' * 400}.5", 0, "too large"),
        ("'a\0b'", 2, "NUL"),
    ],
)
def test_a_text_that_is_no_expression_is_refused_with_the_place_of_the_fault(text: str, position: int, message: str) -> None:
    error = fault(text)
    assert (error.position, message in error.message) == (position, True), error


def test_an_attribute_is_only_ever_looked_up_in_the_profile() -> None:
    assert value("appuser.__class__.__init__['keys']") is None
    assert value("appuser.items") is None
    assert value("appuser['__class__']", {"__class__": "HR"}) == "HR"
    assert value("appuser.x", {"x": "appuser.y + '${y}'; DROP TABLE users"}) == "appuser.y + '${y}'; DROP TABLE users"


def test_references_name_every_attribute_an_expression_may_read() -> None:
    text = "appuser.name.givenName + (user['x y'] ?: String.len(source.a)) + appUser.b"
    assert compile_expression(text).references == {("appuser", "name"), ("user", "x y"), ("source", "a"), ("appuser", "b")}
    assert compile_expression("appuser.name.givenName").path == ("name", "givenName")
    assert compile_expression("(appuser.name)").path == ("name",)
    assert compile_expression("appuser.name + ''").path is None


def test_source_is_the_apps_profile_unless_another_is_given() -> None:
    scope = Scope({"x": "app"}, {"x": "user"}, source={"x": "source"})
    assert compile_expression("source.x + appuser.x + user.x")(scope) == "sourceappuser"
    assert compile_expression("source.x")(Scope({"x": "app"}, {})) == "app"


def test_the_same_text_compiles_once_and_the_two_readings_are_two() -> None:
    assert compile_expression("appuser.email") is compile_expression("appuser.email")
    assert compile_expression("appuser.email", strict=True) is not compile_expression("appuser.email")


@given(st.text(st.characters(exclude_characters="\0"), max_size=50))
def test_any_text_can_be_written_out_in_both_quotes(text: str) -> None:
    double, single = text.replace('"', '""'), text.replace("'", "''")
    assert value(f'"{double}"') == value(f"'{single}'") == text
