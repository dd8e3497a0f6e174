"""The user schema: what a profile may hold."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastering.rules.schema import Attribute, AttributeMaster, AttributeType, Fault, MasterKind, Schema, default_schema, faults

JANE: dict[str, Any] = {"login": "jane@example.com", "email": "jane@example.com", "firstName": "Jane", "lastName": "Smith"}
CUSTOM = default_schema().with_custom(
    Attribute("badge", "Badge", "integer"),
    Attribute("fte", "Full-time equivalent", "number"),
    Attribute("remote", "Works remotely", "boolean"),
    Attribute("skills", "Skills", "array"),
    Attribute("grade", "Grade", enum=("A", "B")),
    Attribute("levels", "Levels", "array", enum=(1, 2)),
    Attribute("code", "Code", required=True, min_length=2, max_length=3),
)

BASE = """
login email firstName lastName secondEmail middleName honorificPrefix honorificSuffix title displayName nickName profileUrl primaryPhone
mobilePhone streetAddress city state zipCode countryCode postalAddress preferredLanguage locale timezone userType employeeNumber costCenter
organization division department managerId manager
"""
LENGTHS = {
    **dict.fromkeys(("login", "email", "secondEmail"), (5, 100)),
    **dict.fromkeys(("firstName", "lastName"), (1, 50)),
    **dict.fromkeys(("primaryPhone", "mobilePhone"), (1, 100)),
    **dict.fromkeys(("city", "state"), (1, 128)),
    "streetAddress": (1, 1_024),
    "zipCode": (1, 50),
    "countryCode": (1, 2),
    "postalAddress": (1, 4_096),
    "code": (2, 3),
}
NAN, INFINITY = float("nan"), float("inf")
WRONG: dict[str, list[Any]] = {
    "title": [1, 1.5, True, [], {}, b"x"],
    "login": [1, 1.5, True, [], {}, b"x"],
    "grade": [1, True, [], {}, "C", ["A"]],
    "badge": [1.0, "1", True, [1], {}, 2**63, -(2**63) - 1],
    "fte": ["1", True, [1], {}, NAN, INFINITY, 2**63],
    "remote": ["true", 1, 0, [True], {}],
    "skills": ["go", 1, {}, [None], [[1]], [{}], ["a\0"], ["\ud800"], [NAN]],
    "levels": [1, [1, 3]],
}


def fields(profile: dict[str, Any], schema: Schema = CUSTOM) -> list[str]:
    return [fault.field for fault in faults(schema, {**JANE, "code": "ab", **profile})]


def test_the_base_attributes_are_those_of_oktas_default_user_schema() -> None:
    assert set(default_schema().attributes) == set(BASE.split())
    assert {name for name, attribute in default_schema().attributes.items() if attribute.required} == {
        "login",
        "email",
        "firstName",
        "lastName",
    }
    assert all(attribute.base and attribute.type == "string" for attribute in default_schema().attributes.values())
    assert {attribute.master for attribute in default_schema().attributes.values()} == {AttributeMaster(MasterKind.PROFILE_MASTER, ())}


def test_a_right_profile_has_no_faults() -> None:
    assert faults(default_schema(), JANE) == []
    full = {"badge": 7, "fte": 0.5, "remote": False, "skills": ["go", 1, 2.5, True], "grade": "B", "levels": [2, 1], "title": "Zoë 🐢 ﷺ"}
    assert fields(full) == []
    assert fields({"fte": 1}) == []


@pytest.mark.parametrize("name", ["login", "email", "firstName", "lastName"])
def test_a_required_attribute_that_is_null_empty_or_absent_is_a_fault(name: str) -> None:
    absent = {key: value for key, value in JANE.items() if key != name}
    for profile in ({**JANE, name: None}, {**JANE, name: ""}, absent):
        assert faults(default_schema(), profile) == [Fault(name, "is required")]


def test_a_required_attribute_may_be_custom() -> None:
    assert fields({"code": None}) == ["code"]


@pytest.mark.parametrize("name", [name for name, attribute in CUSTOM.attributes.items() if not attribute.required])
def test_any_other_attribute_may_be_null_or_empty(name: str) -> None:
    assert fields({name: None}) == []
    assert fields({name: ""}) == []


@pytest.mark.parametrize("name", WRONG)
def test_a_value_of_another_type_or_not_listed_is_a_fault(name: str) -> None:
    for value in WRONG[name]:
        assert fields({name: value}) == [name], value


@pytest.mark.parametrize("name", LENGTHS)
def test_lengths_hold_to_the_character(name: str) -> None:
    least, most = LENGTHS[name]
    for letter in ("x", "é", "🐢"):
        assert fields({name: letter * least}) == []
        assert fields({name: letter * most}) == []
        assert fields({name: letter * (most + 1)}) == [name]
        if least > 1:
            assert fields({name: letter * (least - 1)}) == [name]


def test_every_other_base_attribute_is_as_long_as_it_likes() -> None:
    for name in set(BASE.split()) - set(LENGTHS):
        assert fields({name: "x" * 10_000}) == []


def test_whole_numbers_go_to_the_edge_of_64_bits() -> None:
    for number in (2**63 - 1, -(2**63)):
        assert fields({"badge": number, "fte": number}) == []


def test_an_attribute_the_schema_does_not_have_is_a_fault_even_if_it_says_nothing() -> None:
    assert fields({"shoeSize": 43}) == ["shoeSize"]
    assert fields({"shoeSize": None}) == ["shoeSize"]


@pytest.mark.parametrize("text", ["a\0b", "\0", "\ud800", "a\udfffb", "é\0"])
def test_nul_and_half_characters_are_no_text(text: str) -> None:
    assert fields({"title": text}) == ["title"]


@pytest.mark.parametrize("text", ["\x01\x7f", "'; DROP TABLE users; --", "<script>", "\u202etxt", "\ufeff", "e\u0301", "\U0010ffff"])
def test_every_other_character_is_text(text: str) -> None:
    assert fields({"title": text}) == []


def test_a_huge_text_is_told_by_its_length_alone() -> None:
    (fault,) = faults(default_schema(), {**JANE, "city": "x" * 5_000_000})
    assert fault == Fault("city", "has 5000000 characters, the most is 128")


def test_every_fault_of_a_profile_is_found_at_once() -> None:
    assert sorted(fields({"login": None, "city": 1, "badge": "1", "nope": 2})) == ["badge", "city", "login", "nope"]


@given(
    st.dictionaries(
        st.sampled_from([*CUSTOM.attributes, "nope"]),
        st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9), st.lists),
    )
)
def test_the_quick_way_finds_what_looking_closely_finds(profile: dict[str, Any]) -> None:
    def closely(name: str, value: Any) -> bool:
        attribute = CUSTOM.attributes.get(name)
        return attribute is None or attribute.objection(value) is not None

    expected = [name for name, value in profile.items() if closely(name, value)]
    missing = [name for name in CUSTOM.required if profile.get(name) in (None, "")]
    assert [fault.field for fault in faults(CUSTOM, profile)] == expected + missing


@pytest.mark.parametrize("name", ["", "a b", "1a", "a-b", "a.b", "é", "a" * 101, "a\n"])
def test_a_custom_attribute_has_a_name_that_expressions_can_say(name: str) -> None:
    with pytest.raises(ValueError, match="variable name"):
        default_schema().with_custom(Attribute(name, "Title"))


@pytest.mark.parametrize("name", ["login", "city", "badge"])
def test_a_name_is_given_once(name: str) -> None:
    with pytest.raises(ValueError, match="already"):
        CUSTOM.with_custom(Attribute(name, "Title"))


def test_a_custom_attribute_never_passes_for_a_base_one() -> None:
    schema = default_schema().with_custom(Attribute("mine", "Mine", base=True))
    assert not schema.attributes["mine"].base
    assert "mine" not in default_schema().attributes


def test_an_attribute_can_be_mastered_otherwise_and_nothing_else_changes() -> None:
    override = AttributeMaster(MasterKind.OVERRIDE, ("0oa2", "0oa1"))
    schema = CUSTOM.with_master("city", override)
    assert schema.attributes["city"] == replace(CUSTOM.attributes["city"], master=override)
    assert schema.with_master("city", AttributeMaster()) == CUSTOM
    with pytest.raises(KeyError):
        CUSTOM.with_master("nope", override)


def test_a_schema_cannot_be_changed_in_place() -> None:
    with pytest.raises(TypeError):
        default_schema().attributes["x"] = Attribute("x", "X")  # type: ignore[index]


@pytest.mark.parametrize("kind", ["string", "boolean", "integer", "number", "array"])
def test_every_message_goes_on_from_the_name_of_the_attribute(kind: AttributeType) -> None:
    objection = Attribute("x", "X", kind).objection({})
    assert objection is not None
    assert objection.startswith("must be ")
    assert objection.endswith("not an object")
