"""Inbound mapping: what a source carries, and which login it asks for."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastering.errors import Invalid
from mastering.rules.mapping import (
    CompiledMapping,
    MappingFailure,
    MappingFault,
    MappingRefused,
    MappingRule,
    UsernameFailure,
    compile_mapping,
    compile_username,
    default_rules,
    normalise,
)
from mastering.rules.policy import UsernameFormat
from mastering.rules.schema import Attribute, default_schema

SCHEMA = default_schema().with_custom(Attribute("badge", "Badge", "integer"))
NAMES = [name for name in SCHEMA.attributes if name != "login"]


def mapping(**rules: str) -> CompiledMapping:
    return compile_mapping([MappingRule(target, text) for target, text in rules.items()], SCHEMA)


def carried(source: dict[str, Any], **rules: str) -> dict[str, Any]:
    return mapping(**rules).apply(source, creating=False)


def refused(*rules: MappingRule) -> tuple[MappingFault, ...]:
    with pytest.raises(MappingRefused) as caught:
        compile_mapping(rules, SCHEMA)
    return caught.value.faults


@pytest.mark.parametrize("text", ["appuser.dept", "source.dept", "appuser['dept']", "(appuser.dept)", "appuser.dept + ''"])
def test_absent_keeps_null_clears_and_empty_is_null(text: str) -> None:
    assert carried({"dept": "R&D"}, department=text) == {"department": "R&D"}
    assert carried({"dept": None}, department=text) == {"department": None}
    assert carried({"dept": ""}, department=text) == {"department": None}
    assert carried({"other": 1}, department=text) == {}


@pytest.mark.parametrize("value", [0, False, 0.0, [], {}, " ", "0"], ids=repr)
def test_a_value_that_merely_looks_like_nothing_is_carried_as_it_is(value: Any) -> None:
    result = carried({"x": value}, title="appuser.x")
    assert result == {"title": value}
    assert type(result["title"]) is type(value)


def test_an_expression_is_carried_if_the_source_says_any_of_its_attributes() -> None:
    rules = {"displayName": "source.firstName + ' ' + source.lastName"}
    assert carried({"firstName": "Jane", "lastName": "Smith"}, **rules) == {"displayName": "Jane Smith"}
    assert carried({"lastName": "Smith"}, **rules) == {"displayName": " Smith"}
    assert carried({"firstName": None, "lastName": None}, **rules) == {"displayName": None}
    assert carried({"email": "x"}, **rules) == {}


def test_an_expression_that_comes_out_empty_clears() -> None:
    assert carried({"x": "abc"}, title="String.substringAfter(appuser.x, '@')") == {"title": None}


def test_a_constant_is_always_carried() -> None:
    assert carried({}, userType="'Employee'") == {"userType": "Employee"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"name": {"givenName": "Jane"}}, {"firstName": "Jane"}),
        ({"name": {"givenName": ""}}, {"firstName": None}),
        ({"name": {"givenName": None}}, {"firstName": None}),
        ({"name": None}, {"firstName": None}),
        ({"name": {}}, {}),
        ({"name": "Jane"}, {}),
        ({"name": [{"givenName": "Jane"}]}, {}),
        ({}, {}),
    ],
)
def test_a_reference_into_an_object_is_carried_if_its_way_leads_there(source: dict[str, Any], expected: dict[str, Any]) -> None:
    assert carried(source, firstName="source.name.givenName") == expected


def test_a_reference_into_a_list_is_carried_if_the_list_is_long_enough() -> None:
    assert carried({"emails": [{"value": "a@x.example"}]}, email="source.emails[0].value") == {"email": "a@x.example"}
    assert carried({"emails": []}, email="source.emails[0].value") == {}
    assert carried({"emails": [None]}, email="source.emails[0].value") == {"email": None}


def test_a_create_only_rule_speaks_once_when_the_user_is_created() -> None:
    rules = (
        MappingRule("title", "appuser.t"),
        MappingRule("userType", "appuser.u", create_only=True),
        MappingRule("city", "'X'", create_only=True),
    )
    compiled = compile_mapping(rules, SCHEMA)
    source = {"t": "Engineer", "u": "Employee"}
    assert compiled.apply(source, creating=True) == {"title": "Engineer", "userType": "Employee", "city": "X"}
    assert compiled.apply(source, creating=False) == {"title": "Engineer"}
    assert compiled.targets == {"title", "userType", "city"}


def test_applying_a_mapping_changes_nothing_in_the_source() -> None:
    source = {"title": "", "skills": ["a"], "other": 1}
    carried(source, title="appuser.title", department="Arrays.toCsvString(Arrays.add(appuser.skills, 'b'))")
    assert source == {"title": "", "skills": ["a"], "other": 1}


def test_the_moment_of_the_run_is_the_only_moment_there_is() -> None:
    compiled = mapping(title="Time.now()")
    assert compiled.apply({}, creating=True, now=datetime(2024, 1, 2, tzinfo=UTC)) == {"title": "2024-01-02T00:00:00.000Z"}
    with pytest.raises(MappingFailure, match="no time"):
        compiled.apply({}, creating=True)


def test_a_failing_expression_names_the_target_it_fails_for() -> None:
    with pytest.raises(MappingFailure, match="'seven' is no whole number") as caught:
        carried({"badge": "seven"}, title="appuser.badge", badge="Convert.toInt(appuser.badge)")
    assert caught.value.target == "badge"


def test_a_new_app_maps_every_like_named_attribute_but_the_login() -> None:
    rules = default_rules(SCHEMA)
    assert [(rule.target, rule.expression_text) for rule in rules] == [(name, f"appuser.{name}") for name in NAMES]
    source = {"login": "x", "email": "a@x.example", "badge": 1, "shoeSize": 43, "city": ""}
    assert compile_mapping(rules, SCHEMA).apply(source, creating=True) == {"email": "a@x.example", "badge": 1, "city": None}


@given(st.dictionaries(st.sampled_from(NAMES), st.none() | st.text(max_size=3) | st.integers() | st.booleans()))
def test_the_quick_way_carries_what_evaluating_carries(source: dict[str, Any]) -> None:
    quick = compile_mapping(default_rules(SCHEMA), SCHEMA)
    evaluated = compile_mapping([MappingRule(name, f"true ? appuser.{name} : 0") for name in NAMES], SCHEMA)
    assert quick.apply(source, creating=True) == evaluated.apply(source, creating=True) == normalise(source)


def test_a_mapping_is_refused_with_every_fault_of_every_rule() -> None:
    found = refused(
        MappingRule("title", "appuser.t +"),
        MappingRule("shoeSize", "appuser.s"),
        MappingRule("city", "String.nope(1)"),
        MappingRule("state", "appuser.s"),
        MappingRule("state", "appuser.t"),
        MappingRule("login", "appuser.login"),
        MappingRule("manager", "user.manager"),
        MappingRule("zipCode", ""),
    )
    assert [(fault.field, fault.position) for fault in found] == [
        ("title", 11),
        ("shoeSize", None),
        ("city", 0),
        ("state", None),
        ("login", None),
        ("manager", 0),
        ("zipCode", 0),
    ]


def test_a_refusal_has_one_cause_a_fault_each_naming_its_field() -> None:
    with pytest.raises(Invalid) as caught:
        mapping(title="appuser.t +", shoeSize="appuser.s")
    assert [cause.partition(":")[0] for cause in caught.value.causes] == ["title", "shoeSize"]
    assert "position 11" in caught.value.causes[0]


@pytest.mark.parametrize(
    "text", ["(" * 10_000, "'" + "x" * 5_000_000 + "'", "eval('1')", "appuser.x; DROP TABLE users"], ids=["deep", "huge", "eval", "sql"]
)
def test_a_hostile_expression_is_refused_when_saved(text: str) -> None:
    (fault,) = refused(MappingRule("title", text))
    assert fault.position is not None
    assert len(fault.message) < 200


def test_a_hostile_value_is_data_and_passes_untouched() -> None:
    big = "x" * 5_000_000
    assert carried({"x": big, "y": "appuser.x"}, title="appuser.x", city="appuser.y")["title"] is big
    with pytest.raises(MappingFailure, match="longer than"):
        carried({"x": big}, title="appuser.x + '.'")


def test_the_login_is_the_mapped_email() -> None:
    username = compile_username(UsernameFormat.EMAIL, None)
    assert username({"email": "raw@x.example"}, {"email": " Jane@x.example "}) == "Jane@x.example"


def test_a_custom_login_is_an_expression_over_the_apps_profile() -> None:
    username = compile_username(UsernameFormat.CUSTOM, "String.toLowerCase(source.first + '.' + appuser.last) + '@x.example'")
    assert username({"first": "Jane", "last": "Smith"}, {}) == "jane.smith@x.example"
    assert compile_username(UsernameFormat.CUSTOM, "appuser.number")({"number": 4711}, {}) == "4711"
    assert compile_username(UsernameFormat.CUSTOM, "user.email")({}, {"email": "a@x.example"}) == "a@x.example"


@pytest.mark.parametrize("email", [None, "", "   ", "\n"])
def test_an_empty_email_is_no_login(email: str | None) -> None:
    for mapped in ({"email": email}, {}):
        with pytest.raises(UsernameFailure) as caught:
            compile_username(UsernameFormat.EMAIL, None)({"email": "raw@x.example"}, mapped)
        assert caught.value.reason == "empty_username"


@pytest.mark.parametrize(
    "text",
    [
        "source.first + '.' + source.last + '@x.example'",
        "String.toLowerCase(source.first + '.' + source.last) + '@x.example'",
        "String.join('.', source.first, source.last) + '@x.example'",
        "String.append(source.first, source.last)",
        "String.substring(source.first, 0, 1) + source.last",
        "String.substringBefore(source.first, '@') + '@x.example'",
        "String.toUpperCase(source.first)",
        "source.first",
        "''",
        "null",
        "' '",
    ],
)
@pytest.mark.parametrize("source", [{"last": "smith"}, {"first": None, "last": "smith"}, {"first": "", "last": "smith"}])
def test_a_login_missing_a_part_is_no_login(text: str, source: dict[str, Any]) -> None:
    with pytest.raises(UsernameFailure) as caught:
        compile_username(UsernameFormat.CUSTOM, text)(source, {})
    assert caught.value.reason == "empty_username"


def test_a_part_may_be_missing_where_the_expression_says_so() -> None:
    username = compile_username(UsernameFormat.CUSTOM, "(source.first == null ? '' : source.first + '.') + source.last")
    assert username({"last": "smith"}, {}) == "smith"
    assert username({"first": "jane", "last": "smith"}, {}) == "jane.smith"


@pytest.mark.parametrize(
    ("text", "source"),
    [("Convert.toInt(source.x)", {"x": "a"}), ("source.x", {"x": [1]}), ("source.x", {"x": True}), ("source.x", {"x": 10**5_000})],
)
def test_a_login_that_is_no_text_is_a_failing_expression(text: str, source: dict[str, Any]) -> None:
    with pytest.raises(UsernameFailure) as caught:
        compile_username(UsernameFormat.CUSTOM, text)(source, {})
    assert caught.value.reason == "failing_expression"


@pytest.mark.parametrize("text", [None, "", "source.a +", "nope(1)"])
def test_a_custom_format_without_a_right_expression_is_refused_when_saved(text: str | None) -> None:
    with pytest.raises(MappingRefused) as caught:
        compile_username(UsernameFormat.CUSTOM, text)
    assert [fault.field for fault in caught.value.faults] == ["username.expression"]


def test_normalising_makes_empty_texts_null_at_the_top_and_nowhere_else() -> None:
    profile = {"a": "", "b": " ", "c": [""], "d": {"e": ""}, "f": 0, "g": False, "h": None}
    assert normalise(profile) == {"a": None, "b": " ", "c": [""], "d": {"e": ""}, "f": 0, "g": False, "h": None}
    assert profile["a"] == ""
    clean = {"a": "x"}
    assert normalise(clean) is clean
